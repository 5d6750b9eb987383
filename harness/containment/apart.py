"""A call of somebody's code in a process of its own, a copy of this one, whose end is nothing to the others."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from harness.containment import exits
from harness.errors import HarnessError
from harness.process import end_with_parent

LOOK = 0.05
"""Seconds between two looks whether the process is still there: one that it left behind may hold the line open."""


def apart(call: Callable[[], Any], what: str, fault: type[HarnessError]) -> Any:
    """Return what a call returns in a process of its own, which ends with it.

    Raises
    ------
    HarnessError
        That the call raises; one of the kind `fault` where its process ends before it answers, or its answer cannot be
        sent.
    RuntimeError
        Where it raises anything else.
    """
    here, there = Pipe(duplex=False)
    parent, number = os.getpid(), os.fork()
    if not number:
        here.close()
        _answer(call, there, parent, f"{what} returned what cannot be sent", fault)
    there.close()
    child = _Child(number)
    try:
        raised, said = _heard(child, here)
    except EOFError:
        raise fault(f"{what}: its process {how_it_ended(child.end())}") from None
    finally:
        here.close()
        child.end()
    if raised:
        raise said
    return said


class _Child:
    """A process that this one has started, and its exit status once it has ended; None where nobody knows it."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._code: int | None = None
        self._ended = False

    def has_ended(self) -> bool:
        """Whether it has ended."""
        if not self._ended:
            self._wait(os.WNOHANG)
        return self._ended

    def end(self) -> int | None:
        """End it, where it has not ended, and return its exit status."""
        if not self.has_ended():
            os.kill(self._number, signal.SIGKILL)
            self._wait(0)
        return self._code

    def _wait(self, how: int) -> None:
        """Wait for its end, or look for it."""
        try:
            ended, status = os.waitpid(self._number, how)
        except ChildProcessError:  # somebody has asked before
            self._ended = True
            return
        if ended:
            self._ended, self._code = True, os.waitstatus_to_exitcode(status)


def _heard(child: _Child, line: Connection) -> tuple[bool, Any]:
    """Return what a process says once it does: whether the call raised, and what it raised or returned.

    Raises
    ------
    EOFError
        Where it ends before.
    """
    while not line.poll(LOOK):
        if child.has_ended() and not line.poll():
            raise EOFError
    found: tuple[bool, Any] = line.recv()
    return found


def _answer(call: Callable[[], Any], line: Connection, parent: int, unsent: str, fault: type[HarnessError]) -> NoReturn:
    """Make the call, say what it came to, and leave."""
    try:
        end_with_parent(parent)
        try:
            said: tuple[bool, Any] = (False, call())
        except HarnessError as error:
            said = (True, error)
        except BaseException as error:  # its traceback stays behind
            said = (True, RuntimeError("".join(traceback.format_exception(error))))
        try:
            line.send(said)
        except Exception as error:  # whatever an object says that cannot be sent
            line.send((True, fault(f"{unsent} ({type(error).__name__})")))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        exits._leave(0)


def how_it_ended(code: int | None) -> str:
    """Say how a process ended.

    Examples
    --------
    >>> how_it_ended(-11), how_it_ended(3)
    ('was ended by SIGSEGV', 'ended by itself with status 3')
    """
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended by itself with status {code}"
