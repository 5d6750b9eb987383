"""How a process of ours is set up: how its threads wait, how it keeps memory. Imports nothing of size: comes first."""

import ctypes
import os
import signal
import sys
from contextlib import AbstractContextManager

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""What ``mallopt`` of the GNU C library calls the two sizes, as its malloc.h has them."""
KEPT_PIECE, KEPT_FREE = 64 << 20, 512 << 20
"""Pieces up to the first are taken from the heap, which keeps the second in free bytes: a micro-batch's activations."""
PR_SET_PDEATHSIG = 1
"""What ``prctl`` of Linux calls the signal that a process gets when its parent has ended."""


def set_up() -> None:
    """Set this process up; to be called before torch is loaded."""
    wait_passively()
    solve_in_one_thread()
    keep_memory()


def wait_passively() -> None:
    """Let idle threads sleep, unless the user has set otherwise; without effect once torch is loaded.

    By default OpenMP's threads spin while they wait for each other. That pays on an idle machine alone: beside other
    work every thread that is set aside keeps the others spinning, and the same passes take several times the CPU
    seconds and the time (``benchmarks/process.py`` prints both, alone and beside other work).
    """
    if "torch" not in sys.modules and not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & set(os.environ):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def solve_in_one_thread() -> None:
    """Let OpenBLAS take one thread, unless the user has set otherwise; without effect once NumPy is loaded.

    What is solved here is small, many times over. Two threads gain nothing on it alone; beside other work each waits
    for the other at every block, and the same systems take a hundredfold and more (``benchmarks/process.py``).
    """
    if "numpy" not in sys.modules and not {"OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS"} & set(os.environ):
        os.environ["OPENBLAS_NUM_THREADS"] = "1"


def solving_in_one_thread() -> AbstractContextManager[object]:
    """Return what holds OpenBLAS to one thread meanwhile, in a process that others have set up."""
    from threadpoolctl import ThreadpoolController  # not what the command's start should wait for

    held: AbstractContextManager[object] = ThreadpoolController().select(internal_api="openblas").limit(limits=1)
    return held


def keep_memory() -> None:
    """Keep freed memory for the next pass, unless the user has set malloc; without effect but on the GNU C library.

    By default each pass gives its activations back to the system and takes them anew, page by page, which takes up to
    half as long as the pass itself (``benchmarks/process.py`` prints both).
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # no such library, or another system's
        return
    mallopt(MMAP_THRESHOLD, KEPT_PIECE)
    mallopt(TRIM_THRESHOLD, KEPT_FREE)


def end_with_parent(parent: int) -> None:
    """Let this process be killed when its parent is, whose number is given; without effect but on Linux.

    Otherwise what a killed command leaves behind would hold its folder until its job is done.
    """
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, TypeError, AttributeError):  # another system's library
        return
    if os.getppid() != parent:
        os._exit(1)
