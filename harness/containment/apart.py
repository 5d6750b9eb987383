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
    parent = os.getpid()
    child = os.fork()
    if not child:
        here.close()
        _answer(call, there, parent, f"{what} returned what cannot be sent", fault)
    there.close()
    try:
        raised, said = _heard(child, here)
    except EOFError:
        raise fault(f"{what}: its process {how_it_ended(_end(child))}") from None
    finally:
        here.close()
        _end(child)
    if raised:
        raise said
    return said


def _heard(child: int, line: Connection) -> tuple[bool, Any]:
    """Return what a process says once it does: whether the call raised, and what it raised or returned.

    Raises
    ------
    EOFError
        Where it ends before.
    """
    while not line.poll(LOOK):
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) and not line.poll():
            raise EOFError
    found: tuple[bool, Any] = line.recv()
    return found


def _end(child: int) -> int | None:
    """End a process that has nothing left to do, and return its exit status; None where that was asked before."""
    try:
        os.kill(child, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except (ProcessLookupError, ChildProcessError):
        return None


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
