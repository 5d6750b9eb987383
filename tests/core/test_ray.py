"""The same run on workers of Ray: a cluster of three small nodes on this machine, one of which is killed."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import CLASSES, SMALL, SPEC, bright_patch_faces, no_progress, tiny_network
from torch import Tensor

from harness.checks import CHECKS
from harness.engines import Cluster, Job
from harness.engines import cluster as reached
from harness.engines.cluster import AT_HOME
from harness.errors import ExplainerFault, UsageError
from harness.evaluation import Request, evaluate
from harness.evaluation.team import terms, unfit
from harness.explainers import registered
from harness.explainers.base import Explainer, wrapped
from harness.store import RunFolder
from harness.subject import Subject

pytestmark = pytest.mark.usefixtures("unchecked")
TABLES = ("scores", "curves", "matrices", "verdicts", "ladder", "persons", "blank", "examinations")
STORE = 80 << 20
"""Bytes of a node's object store: Ray takes no less than 75 MiB."""
SPREAD = Cluster(3)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """Three nodes of one processor each; this process is on the first."""
    for name, value in AT_HOME.items():
        os.environ.setdefault(name, value)
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster as Nodes

    size = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    made = Nodes(initialize_head=True, head_node_args=size)
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=STORE)
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    ray.shutdown()
    made.shutdown()


def run_on_ray(jobs: Sequence[Job], folder: Path, **more: Any) -> dict[str, str]:
    from harness.engines.crew import run_on_ray

    return run_on_ray(jobs, more.pop("progress", no_progress), SPREAD, RunFolder(folder), **more)[0]


def written(folder: Path, title: str, then: Callable[[], object] = str) -> Job:
    def perform() -> None:
        (folder / f"{title} by {os.getpid()}".replace(" ", "-")).touch()
        then()

    return Job(title, title.split()[0], perform, free=title.endswith("free"))


def fault() -> None:
    raise ExplainerFault("b does wrong")


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# ---------------------------------------------------------------------- jobs


def test_faults_and_deaths_cost_their_own_explainers(nodes: Any, tmp_path: Path) -> None:
    what = ("maps", "one free", "two free")
    jobs = [
        written(tmp_path, f"{name} {each}", {"b": fault, "c": dies}.get(name, str)) for name in "abcd" for each in what
    ]
    told: list[str] = []

    def progress(each: Sequence[Job]) -> Iterable[Job]:
        for job in each:
            told.append(job.title)
            yield job

    found = run_on_ray(jobs, tmp_path, progress=progress)
    assert found == {"b": "b does wrong", "c": "c: its process died on 3 workers of Ray"}
    assert sorted(told) == sorted(job.title for job in jobs)
    done = [file.name.split("-by-")[0] for file in tmp_path.iterdir() if "-by-" in file.name]
    once = [f"{name}-{each}".replace(" ", "-") for name in "ad" for each in what]
    assert sorted(done) == sorted([*once, "b-maps", *["c-maps"] * 3])
    assert not [file for file in tmp_path.iterdir() if file.name.endswith(f"-by-{os.getpid()}")]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C reaches this process, which those that pytest-xdist starts do not let it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_the_workers(nodes: Any, tmp_path: Path) -> None:
    def interrupts() -> None:
        while not [*tmp_path.glob("a-maps-by-*")]:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupts)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_on_ray([written(tmp_path, "a maps", lambda: time.sleep(600))], tmp_path)
    thread.join()
    worker = int(next(tmp_path.glob("a-maps-by-*")).name.rsplit("-", 1)[1])
    for _ in range(1000):
        status = Path(f"/proc/{worker}/stat")
        if not status.is_file() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.01)
    raise AssertionError("it goes on")


def test_workers_that_cannot_take_part_are_named(nodes: Any, tmp_path: Path) -> None:
    told: list[str] = []
    jobs = [written(tmp_path, "a maps")]
    with pytest.raises(UsageError, match="no worker of Ray can take part: its processor is another"):
        run_on_ray(jobs, tmp_path, begin=lambda: "its processor is another", tell=told.append)
    assert told == ["a worker of Ray is left out: its processor is another"]


def test_what_is_nobodys_fault_ends_the_run(nodes: Any, tmp_path: Path) -> None:
    def wrong() -> None:
        raise KeyError("lost")

    with pytest.raises(RuntimeError, match=r"test_ray\.py(.|\n)*KeyError: 'lost'"):
        run_on_ray([written(tmp_path, "a maps", wrong)], tmp_path)


def test_what_cannot_be_sent_is_named(nodes: Any, tmp_path: Path) -> None:
    lock = threading.Lock()

    def locked(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        with lock:
            return images[:, 0]

    asked = request(wrapped(locked))
    with pytest.raises(UsageError, match=r"explainer 'locked' cannot be sent to workers of Ray .*cannot pickle"):
        evaluate(asked, RunFolder(tmp_path), no_progress, workers=1, engine="ray")


# ---------------------------------------------------------------------- runs


def request(*explainers: Explainer) -> Request:
    checks = tuple(CHECKS[name] for name in ("deletion-spectrum", "randomization-residual"))
    factor = 2.0  # a network of a class that no file of a worker's defines, which closes over a value

    class Steeper(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = tiny_network()

        def forward(self, images: Tensor) -> Tensor:
            return factor * self.inner(images)

    subject = Subject(Steeper(), name="tiny", classes=CLASSES, spec=SPEC)
    profile = replace(SMALL, controls=("random",))
    return Request(subject, bright_patch_faces(36), explainers, checks, profile, feed="contiguous:64")


def digests(run: RunFolder) -> dict[str, str]:
    return {name: run.record.files[f"{name}.parquet"] for name in TABLES}


def here_and_on_ray(tmp_path: Path, *explainers: Explainer) -> list[RunFolder]:
    return [
        evaluate(request(*explainers), RunFolder(tmp_path / engine), no_progress, workers=workers, engine=engine)
        for engine, workers in (("ray", 3), ("local", 1))
    ]


def raising(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    raise ValueError("not today")


def test_a_run_is_the_same_bit_for_bit(nodes: Any, tmp_path: Path) -> None:
    sound = [registered()[name] for name in ("gradient", "occlusion")]
    beside, alone = here_and_on_ray(tmp_path, *sound, wrapped(raising))
    assert digests(beside) == digests(alone)
    assert {each.name: each.reason for each in beside.record.explainers if each.status != "ok"} == {
        "raising": "raising raised ValueError: not today"
    }
    assert beside.record.shared_cost.forward == alone.record.shared_cost.forward
    assert {piece.name for piece in (tmp_path / "ray/cache").iterdir()} == {
        piece.name for piece in (tmp_path / "local/cache").iterdir()
    }


def test_a_node_that_is_killed_loses_nothing(nodes: Any, tmp_path: Path) -> None:
    import ray

    here = ray.get_runtime_context().get_node_id()
    chosen = tmp_path / "chosen"

    def stuck(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        import ray

        node = ray.get_runtime_context().get_node_id()
        if node != here and not [*chosen.parent.glob("chosen-*")]:
            chosen.with_name(f"chosen-{node}").touch()
            time.sleep(600)
        return subject.gradients(images, targets)[:, 0]

    def kills() -> None:
        while not (found := [*tmp_path.glob("chosen-*")]):
            time.sleep(0.05)
        time.sleep(0.5)
        for doomed in [node for node in nodes.worker_nodes if f"chosen-{node.node_id}" in {one.name for one in found}]:
            nodes.remove_node(doomed, allow_graceful=False)

    thread = threading.Thread(target=kills)
    thread.start()
    beside, alone = here_and_on_ray(tmp_path, wrapped(stuck), registered()["gradient"])
    thread.join()
    assert [*tmp_path.glob("chosen-*")], "no node was killed"
    assert digests(beside) == digests(alone)
    assert {each.status for each in beside.record.explainers} == {"ok"}


# ---------------------------------------------------------------------- without a cluster


def test_without_ray_a_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"which is not installed; pip install 'explanation-harness\[ray\]'"):
        evaluate(request(registered()["gradient"]), RunFolder(tmp_path), no_progress, engine="ray")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"),
        ("nowhere", "'nowhere' is no address of a Ray cluster"),
        ("127.0.0.1:99999", "no Ray cluster answers"),
        ("ray://127.0.0.1:1", "for clients from outside"),
    ],
)
def test_an_address_without_a_cluster_is_named(address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UsageError, match=said), reached(address, 1):
        pass


def test_what_does_not_go_together_is_named(tmp_path: Path) -> None:
    asked = request(registered()["gradient"])
    with pytest.raises(UsageError, match="give --engine ray with it"):
        evaluate(asked, RunFolder(tmp_path), no_progress, address="auto")
    with pytest.raises(UsageError, match="there is no engine 'dask'"):
        evaluate(asked, RunFolder(tmp_path), no_progress, engine="dask")


def test_a_worker_of_another_arithmetic_is_unfit(subject: Subject) -> None:
    asked = terms(subject)
    assert unfit(subject, asked) == ""
    assert "processor" in unfit(subject, {**asked, "processor": "another"})
    assert "this package" in unfit(subject, {**asked, "this package": "older"})
