"""Where the command starts: ``harness``, or ``python -m harness``."""

import sys
from io import TextIOWrapper

from harness.process import set_up


def main() -> int:
    """Set the process up, then run the command line and return its exit status."""
    set_up()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # where the locale lacks a letter, print its number
    from harness.cli import main as run  # torch is loaded with it

    status = run()
    from harness.containment import end_with

    return end_with(status)


if __name__ == "__main__":
    sys.exit(main())
