"""How OpenMP threads wait for each other: asleep. Imported before anything that loads torch.

Torch's threads meet after every operation, thousands of times a second. By OpenMP's default they spin meanwhile, which
saves a wake-up on an idle machine, and on a busy one takes the processor from the very thread that is waited for: a
pass then lasts many times as long and burns as many CPU seconds. OpenMP reads its settings when its library is loaded,
so that they can only be given before torch is.
"""

import os
from collections.abc import MutableMapping

OWN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""By which a user says how threads are to wait, to one OpenMP or another; then nothing is changed."""


def wait_asleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads sleep while they wait, in this process once it loads torch and in those that it starts.

    Parameters
    ----------
    environment
        Changed, unless it says already how threads wait.
    """
    if not any(name in environment for name in OWN):
        environment["OMP_WAIT_POLICY"] = "PASSIVE"


wait_asleep()
