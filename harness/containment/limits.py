"""How long one call of somebody's code may take and how much memory, and what ends it."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.containment import exits
from harness.containment.memory import OverMemoryError, memory_held
from harness.errors import ExplainerFault, HarnessError

FLOOR = 300.0
"""Seconds that any call may take."""
SLOWER = 50.0
"""How many times as slow as the slowest so far a call may be, image for image."""
PASSES = 20_000
"""Passes of the network an image that a call may take; LIME takes 1,000, and the largest settings some thousands."""
GRACE = 60.0
"""Seconds after which a call that does not stop, though told so every second, ends the command."""


class OverTimeError(BaseException):
    """A call takes too long; code that catches every Exception does not catch it."""


class Limit:
    """The most seconds of a call: as asked for, or generous beside the pace of the network and of other calls.

    Parameters
    ----------
    seconds
        Of any call; None for the pace.
    memory
        GiB that any call may take, as :func:`harness.containment.memory.memory_held` has it.

    Attributes
    ----------
    apart
        Whether metrics and checks of somebody else are called in processes of their own.
    """

    def __init__(self, seconds: float | None = None, memory: float | None = None) -> None:
        self.seconds = seconds
        self.memory = memory
        self.apart = False
        self.pass_seconds = 0.0
        self._slowest = 0.0

    def of(self, images: int) -> float:
        """Return the most seconds of a call for so many images."""
        if self.seconds is not None:
            return self.seconds
        return max(FLOOR, images * PASSES * self.pass_seconds, images * SLOWER * self._slowest)

    @contextmanager
    def held(self, images: int, what: str, fault: type[HarnessError] = ExplainerFault) -> Iterator[None]:
        """Raise OverTimeError within a call for so many images once its time is over, a fault where memory is.

        Time needs the main thread and a system with timers. What runs in Python and what waits is ended; a call that
        never comes back from a library's C cannot be ended here.

        Raises
        ------
        HarnessError
            Of the kind `fault`, where the call asks for more memory than it may have.
        """
        try:
            with memory_held(self.memory), self._timed(images, what):
                yield
        except OverMemoryError as over:
            raise fault(f"{what} {over} for {images} images; --memory-limit gives it more") from None

    @contextmanager
    def _timed(self, images: int, what: str) -> Iterator[None]:
        """Raise OverTimeError within a call once its time is over, and note how long it took."""
        seconds, start = self.of(images), time.monotonic()
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
            yield
            return
        with _alarm(seconds, what):
            yield
        self._slowest = max(self._slowest, (time.monotonic() - start) / max(images, 1))


@contextmanager
def _alarm(seconds: float, what: str) -> Iterator[None]:
    """Raise OverTimeError in the main thread after so many seconds, and each second from then on."""

    def over(_signal: int, _frame: Any) -> None:
        raise OverTimeError(f"took longer than {seconds:g} s")

    last = threading.Timer(seconds + GRACE, _end, [f"{what} took longer than {seconds:g} s and does not stop"])
    last.daemon = True
    handler = signal.signal(signal.SIGALRM, over)
    before = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    last.start()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, handler)
        last.cancel()


def _end(line: str) -> None:
    """End the command with a line: nothing else can be done from another thread."""
    print(f"\nharness: {line}; leave it out, and the same command goes on with the others", file=sys.stderr)
    sys.stderr.flush()
    exits._leave(2)
