"""The cluster of Ray on which workers are: one that answers at an address, or one started here for a run."""

import math
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError
from harness.importing import reason

LOCAL, RAY = "local", "ray"
ENGINES = (LOCAL, RAY)
"""What ``--engine`` takes: processes of this machine, or workers of Ray."""

ANSWER = 5.0
"""Seconds within which a cluster has to answer."""
NO_RAY = "--engine ray needs Ray, which is not installed; pip install 'explanation-harness[ray]', or leave it out"
AT_HOME = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anybody
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # whatever the system: all of it listens on the loopback alone
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray warns of what it will do one day
}
"""What a cluster that is started for a run is told by its environment."""


@dataclass(frozen=True)
class Cluster:
    """What a run may use of a cluster.

    Attributes
    ----------
    workers
        How many.
    gpus
        Share of a GPU that each has.
    """

    workers: int
    gpus: float = 0.0


@contextmanager
def cluster(address: str, workers: int, *, on_gpu: bool = False) -> Iterator[Cluster]:
    """Connect to a cluster of Ray, or start one; disconnect, or end it, at the end.

    A connection that the process has already is used and left as it is.

    Parameters
    ----------
    address
        ``host:port``, or ``auto`` for the one that this machine is part of; "" starts one here.
    workers
        How many are wanted; 0 for as many as the cluster has processors, or GPUs `on_gpu`.
    on_gpu
        Whether each needs a share of a GPU.

    Raises
    ------
    UsageError
        Where Ray is not installed, no cluster answers, or it has no processor or GPU.
    """
    ray = _loaded(at_home=not address)
    held = ray.is_initialized()
    if not held:
        _connect(ray, address, workers)
    try:
        yield _share(ray.cluster_resources(), workers, on_gpu)
    finally:
        if not held:
            ray.shutdown()


def _loaded(*, at_home: bool) -> Any:
    """Return Ray, loaded for a cluster of this machine or for another."""
    for name, value in AT_HOME.items() if at_home else ():
        os.environ.setdefault(name, value)  # Ray reads some of them as it is loaded
    try:
        import ray
    except ImportError as error:
        raise UsageError(NO_RAY if error.name == "ray" else f"Ray cannot be loaded ({reason(error)})") from error
    return ray


def _connect(ray: Any, address: str, workers: int) -> None:
    """Connect to the cluster at an address, or start one."""
    quiet = {"log_to_driver": False, "logging_level": "error"}
    if not address:
        ray.init(address="local", num_cpus=workers or None, include_dashboard=False, **quiet)
        return
    if address.startswith("ray://"):
        raise UsageError(
            f"--address {address} is for clients from outside, which have no part in the cluster; start the command "
            "within it (ray job submit) and give --address auto"
        )
    if address != "auto":
        _probe(address)
    try:
        ray.init(address=address, **quiet)
    except Exception as error:  # Ray says in many ways that it cannot be reached
        raise _silent(address, reason(error)) from error


def _probe(address: str) -> None:
    """Refuse an address at which nothing listens, for which Ray would wait many minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"--address {address!r} is no address of a Ray cluster; give host:port or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _silent(address, reason(error)) from error


def _silent(address: str, why: str) -> UsageError:
    """Say that no cluster answers."""
    return UsageError(
        f"no Ray cluster answers at {address} ({why[:200]}); give the address that `ray start --head` printed, or "
        "leave --address out to start one here"
    )


def _share(resources: dict[str, float], workers: int, on_gpu: bool) -> Cluster:
    """Return how many workers there are to be, and which share of a GPU each has, so that all find room.

    Examples
    --------
    >>> _share({"CPU": 8.0, "GPU": 2.0}, 3, True), _share({"CPU": 8.0}, 0, False)
    (Cluster(workers=3, gpus=0.5), Cluster(workers=8, gpus=0.0))
    """
    kind = "GPU" if on_gpu else "CPU"
    count = int(resources.get(kind, 0))
    if count < 1:
        raise UsageError(f"the Ray cluster offers no {kind}; start its nodes with --num-{kind.lower()}s")
    workers = workers or count
    return Cluster(workers, 1 / math.ceil(workers / count) if on_gpu else 0.0)
