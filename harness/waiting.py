"""How threads that have nothing to do wait. Imports nothing, since it has to come before torch."""

import os
import sys


def wait_passively() -> None:
    """Let idle threads sleep, unless the user has set otherwise; without effect once torch is loaded.

    By default OpenMP's threads spin while they wait for each other. That pays on an idle machine alone: beside other
    work every thread that is set aside keeps the others spinning, and the same passes take several times the CPU
    seconds and the time (``benchmarks/waiting.py`` prints both, alone and beside other work).
    """
    if "torch" not in sys.modules and not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & set(os.environ):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
