"""A process that ends when its command has ended: not before, by somebody's ``os._exit``, and not later."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_leave = os._exit
_depth = [0]


@contextmanager
def no_exit() -> Iterator[None]:
    """Raise SystemExit where code that runs meanwhile calls ``os._exit``, which would end the command without a word.

    Child processes that it forks end as they like.
    """
    if not _depth[0]:  # within, what refuses already is let be: others look whether it was changed
        vars(os)["_exit"] = _refused(os.getpid())
    _depth[0] += 1
    try:
        yield
    finally:
        _depth[0] -= 1
        if not _depth[0]:
            vars(os)["_exit"] = _leave


class _refused:  # noqa: N801 - it stands for a function
    """``os._exit`` of one process that may not leave; others may."""

    def __init__(self, process: int) -> None:
        self._process = process

    def __call__(self, status: int) -> NoReturn:
        """Say that somebody wanted to leave."""
        if os.getpid() != self._process:
            _leave(status)
        raise SystemExit(f"os._exit({status})")


def end_with(status: int) -> int:
    """Return the status of a command; where a thread was left running that would keep the process, end it here."""
    if not left_running():
        return status
    sys.stdout.flush()
    sys.stderr.flush()
    _leave(status)


def left_running() -> list[threading.Thread]:
    """Return the threads that Python would wait for, other than the main one."""
    main = threading.main_thread()
    return [each for each in threading.enumerate() if each is not main and each.is_alive() and not each.daemon]
