"""Where the command starts: ``harness``, or ``python -m harness``."""

import sys

from harness.waiting import wait_passively


def main() -> int:
    """Set the process up, then run the command line and return its exit status."""
    wait_passively()
    from harness.cli import main as run  # torch is loaded with it

    return run()


if __name__ == "__main__":
    sys.exit(main())
