"""How much memory one call of somebody's code may take, beside what the process holds already."""

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

resource: Any
try:
    import resource
except ImportError:  # a system without limits
    resource = None

GIB = 2.0**30
MOST = 0.9
"""Share of what the machine has free that a call may take where nothing else is asked for.

Of more the kernel would end a process, as a rule this one, and the run with it.
"""
LACKS = re.compile(r"can't allocate memory|cannot allocate memory|bad_alloc|not enough memory", re.IGNORECASE)
"""What torch's allocators say, in errors of no kind of their own."""
PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


class OverMemoryError(Exception):
    """A call asked for more memory than it may have."""


def can_hold() -> bool:
    """Whether the system says how much memory this process holds, and keeps it to a limit: Linux does."""
    return resource is not None and hasattr(resource, "RLIMIT_DATA") and _held() is not None


@contextmanager
def memory_held(gib: float | None) -> Iterator[None]:
    """Let the process have so much more memory meanwhile, and raise OverMemoryError where it asks for more.

    What counts is what it asks for, not what it then writes to; child processes may each have as much again. Without
    effect where :func:`can_hold` is false.

    Parameters
    ----------
    gib
        In GiB; None for most of what the machine has free, infinity for no limit.
    """
    most = MOST * free() if gib is None else gib * GIB
    held = _held()
    if resource is None or held is None or most == float("inf"):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (soft, hard, held + int(most)) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and LACKS.search(str(error)) is None:
            raise
        traceback.clear_frames(error.__traceback__)  # else what it made would live as long as the error
        raise OverMemoryError(f"asked for more than {most / GIB:.3g} GiB") from None
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def free() -> float:
    """Return the bytes that the machine, and the group of processes that this one is in, have free; infinity unknown.

    What is cached of files counts as free: the kernel gives it up.
    """
    about = _numbers(PROC / "meminfo")
    machine = 1024.0 * (about["MemAvailable"] + about.get("SwapFree", 0)) if "MemAvailable" in about else float("inf")
    return max(0.0, min([machine, *_rooms()]))


def _held() -> int | None:
    """Return the bytes of this process that the limit counts, None where the system does not say."""
    kib = _numbers(PROC / "self" / "status").get("VmData")
    return None if kib is None else 1024 * kib


def _rooms() -> Iterator[float]:
    """Yield what is left to the groups of processes that this one is in, as containers and schedulers set them."""
    for most, now, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        with suppress(OSError, ValueError):  # no such group, or "max"
            limit, used = (int((GROUPS / name).read_text()) for name in (most, now))
            yield float(limit - used + _numbers((GROUPS / most).with_name("memory.stat")).get(cached, 0))


def _numbers(file: Path) -> dict[str, int]:
    """Return the whole numbers that a file of the kernel's states line by line, by name; none where it is not there."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    parts = [line.replace(":", " ").split() for line in lines]
    return {part[0]: int(part[1]) for part in parts if len(part) > 1 and part[1].isdecimal()}
