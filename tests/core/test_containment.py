"""What somebody's code does to the whole process is named and put back, and it ends when its time is over."""

import builtins
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import SMALL, bright_patch_faces, named, no_progress, patch_subject
from torch import Tensor, nn

from harness import evaluation_set
from harness.checks.contract.clauses import examined
from harness.containment import Limit, OverTimeError, can_hold, exits, kept_state, memory, no_exit
from harness.containment.exits import left_running
from harness.containment.limits import FLOOR, PASSES
from harness.containment.memory import memory_held
from harness.errors import ExplainerFault, MetricFault, UsageError
from harness.evaluation import Request, evaluate
from harness.explainers.gradient import gradient
from harness.faces.loading import load_faces
from harness.identity import reads_of
from harness.importing import call_without_arguments, load_object
from harness.measurements.contained import contained
from harness.models.loading import load_subject
from harness.store import RunFolder
from harness.subject import Subject


def request() -> Request:
    return Request(patch_subject(), bright_patch_faces(3), (gradient,), (), SMALL, feed="contiguous:64")


def _relu(_images: Tensor) -> Tensor:
    return _images


class EqualToAll:
    """Stands in for a function, and says that it is it."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __call__(self, images: Tensor) -> Tensor:
        return images


SPOILS: dict[str, tuple[Callable[[Subject], object], str]] = {
    "default dtype": (lambda _s: torch.set_default_dtype(torch.float64), "torch's default dtype"),
    "threads": (lambda _s: torch.set_num_threads(torch.get_num_threads() + 1), "torch's number of threads"),
    "cwd": (lambda _s: os.chdir("/"), "the working folder"),
    "mkldnn": (lambda _s: torch._C._set_mkldnn_enabled(False), "torch.backends.mkldnn"),
    "a function of torch": (lambda _s: setattr(nn.functional, "relu", _relu), "functional.relu"),
    "a function by what is equal to all": (lambda _s: setattr(nn.functional, "relu", EqualToAll()), "functional.relu"),
    "a layer's method": (lambda _s: setattr(nn.Linear, "forward", lambda _l, x: x), "Linear.forward"),
    "a method of tensors": (lambda _s: setattr(torch.Tensor, "abs", lambda x: x), "Tensor.abs"),
    "a function of NumPy": (lambda _s: setattr(np, "mean", np.sum), "numpy.mean"),
    "a builtin": (lambda _s: setattr(builtins, "sum", max), "builtins.sum"),
    "a class of the package": (
        lambda _s: setattr(evaluation_set.EvaluationSet, "places", None),
        "EvaluationSet.places",
    ),
    "a function of the package": (
        lambda _s: setattr(evaluation_set, "image_keys", None),
        "harness.evaluation_set.image_keys",
    ),
    "cam_layer": (lambda subject: setattr(subject, "cam_layer", ""), "the subject's cam_layer"),
    "the subject's classes": (lambda subject: setattr(subject, "classes", ("a",)), "the subject's classes"),
    "NumPy's errors": (lambda _s: np.seterr(all="raise"), "NumPy's error handling"),
    "determinism": (lambda _s: torch.use_deterministic_algorithms(True), "deterministic algorithms"),
    "an environment variable": (lambda _s: os.environ.update(HOME="/elsewhere"), "environment variables"),
    "weights": (lambda subject: subject.network.read.weight.data.zero_(), "changed the network"),
    "mode": (lambda subject: subject.network.train(), "changed the network"),
    "a buffer": (lambda subject: subject.network.register_buffer("b", torch.ones(1), persistent=False), "the network"),
}


def state(subject: Subject) -> list[object]:
    """What others' scores depend on."""
    return [
        torch.get_default_dtype(), torch.get_num_threads(), os.getcwd(), torch.backends.mkldnn.enabled,
        nn.functional.relu, nn.Linear.forward, torch.Tensor.abs, np.mean, builtins.sum,
        evaluation_set.EvaluationSet.places, evaluation_set.image_keys, subject.cam_layer, subject.classes, np.geterr(),
        torch.are_deterministic_algorithms_enabled(), os.environ["HOME"], subject.network.training,
        subject.state_digest(), torch.is_grad_enabled(),
    ]  # fmt: skip


@pytest.mark.parametrize("what", SPOILS)
def test_what_an_explainer_spoils_for_all_is_named_and_put_back(what: str, unchecked: None) -> None:
    spoil, said = SPOILS[what]

    def spoils(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        maps = images[:, 0] * 1
        spoil(subject)
        return maps

    subject, before = patch_subject(), None
    before = state(subject)
    images = subject.prepare(bright_patch_faces(3).images)
    with pytest.raises(ExplainerFault, match=said):
        named("spoils", spoils).maps(subject, images, torch.tensor([0, 1, 2]), 0)
    assert state(subject) == before
    reason = examined(named("spoils", spoils), subject, images, torch.tensor([0, 1, 2]), 0).reason
    assert reason.startswith("spoils ")
    assert state(subject) == before


def test_nothing_is_said_of_code_that_leaves_all_as_it_was() -> None:
    with kept_state() as changed:
        with torch.no_grad():
            torch.relu(torch.ones(2))
        os.environ["HARNESS_TEST_ADDED"] = "1"
    assert changed == []
    del os.environ["HARNESS_TEST_ADDED"]


# ---------------------------------------------------------------------- leaving


@pytest.mark.parametrize("leave", [lambda: os._exit(0), lambda: sys.exit(0)], ids=["os._exit", "sys.exit"])
def test_an_explainer_that_leaves_is_named(leave: Callable[[], None]) -> None:
    subject = patch_subject()
    images = subject.prepare(bright_patch_faces(3).images)

    def leaves(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        leave()
        return images[:, 0]

    assert (
        "leaves raised SystemExit"
        in examined(named("leaves", leaves), subject, images, torch.tensor([0, 1, 2]), 0).reason
    )


def test_a_file_that_leaves_as_it_is_imported_is_named(tmp_path: Path) -> None:
    (tmp_path / "leaves.py").write_text("import os\nos._exit(0)\n")
    with pytest.raises(UsageError, match=r"importing .*leaves.py failed .*os._exit\(0\)"):
        load_object(f"{tmp_path}/leaves.py:f")
    (tmp_path / "later.py").write_text("from os import _exit\ndef f(): _exit(0)\n")
    load_object(f"{tmp_path}/later.py:f")


def test_a_factory_that_leaves_is_named(tmp_path: Path) -> None:
    (tmp_path / "factory.py").write_text("import os\ndef f(): os._exit(0)\n")
    with pytest.raises(UsageError, match=r"raised SystemExit: os._exit\(0\)"):
        call_without_arguments(f"{tmp_path}/factory.py:f")


def test_a_child_process_leaves_as_it_likes() -> None:
    with no_exit():
        child = os.fork()
        if not child:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    with no_exit(), no_exit():
        pass
    assert type(os._exit).__name__ == "builtin_function_or_method"


RUNS_ON = """
import sys, threading, time
from harness.__main__ import main
threading.Thread(target=time.sleep, args=(1e6,)).start()
sys.argv = ["harness", "list", "faces"]
sys.exit(main())
"""


def test_a_thread_that_was_left_running_does_not_keep_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", RUNS_ON], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0
    assert "rendered" in done.stdout


def test_only_threads_that_would_keep_the_process_count() -> None:
    event = threading.Event()
    daemon = threading.Thread(target=event.wait, daemon=True)
    lasting = threading.Thread(target=event.wait)
    before = left_running()
    daemon.start()
    lasting.start()
    assert [each for each in left_running() if each not in before] == [lasting]
    event.set()
    lasting.join()


# ---------------------------------------------------------------------- time


def sleeps() -> None:
    time.sleep(1e6)


def spins() -> None:
    while True:
        pass


def swallows() -> None:
    while True:
        with contextlib.suppress(Exception):
            time.sleep(1e6)


def waits_for_a_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


@pytest.mark.parametrize("stay", [sleeps, spins, swallows, waits_for_a_lock], ids=lambda stay: stay.__name__)
def test_what_does_not_end_is_ended(stay: Callable[[], None]) -> None:
    subject = patch_subject()
    subject.limit.seconds = 0.05
    images = subject.prepare(bright_patch_faces(3).images)

    def stays(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        stay()
        return images[:, 0]

    with pytest.raises(ExplainerFault, match=r"stays took longer than 0.05 s for 3 images; --time-limit"):
        named("stays", stays).maps(subject, images, torch.tensor([0, 1, 2]), 0)


def test_the_limit_is_generous_beside_the_network_and_the_others() -> None:
    limit = Limit()
    assert limit.of(1) == FLOOR
    limit.pass_seconds = 1.0
    assert limit.of(2) == 2 * PASSES
    limit = Limit()
    limit._slowest = 100.0
    assert limit.of(2) > 100 * 2
    assert Limit(3.0).of(1000) == 3


def test_a_limit_leaves_no_alarm_behind() -> None:
    with pytest.raises(OverTimeError), Limit(0.05).held(1, "it"):
        sleeps()
    with Limit(0.05).held(1, "it"):
        pass
    time.sleep(0.1)


# ---------------------------------------------------------------------- memory


def grows() -> object:
    return [bytes(2**16) for _ in range(2**15)]


MEMORY = {
    "NumPy": lambda: np.ones(2**28),
    "torch": lambda: torch.ones(2**29),
    "torch, piece by piece": lambda: [torch.ones(2**20) for _ in range(2**10)],
    "Python": lambda: bytearray(2**31),
    "Python, piece by piece": grows,
}
needs_limits = pytest.mark.skipif(not can_hold(), reason="this system holds no process to a limit of memory")


@needs_limits
@pytest.mark.parametrize("what", MEMORY)
def test_who_asks_for_too_much_memory_is_named_and_the_limit_is_put_back(what: str) -> None:
    import resource

    subject = patch_subject()
    subject.limit.memory = 0.5
    images, before = subject.prepare(bright_patch_faces(3).images), resource.getrlimit(resource.RLIMIT_DATA)

    def eats(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        return images[:, 0] * bool(MEMORY[what]())

    with pytest.raises(ExplainerFault, match=r"eats asked for more than 0.5 GiB for 3 images; --memory-limit gives it"):
        named("eats", eats).maps(subject, images, torch.tensor([0, 1, 2]), 0)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert len(np.ones(2**27)) == 2**27, "what was asked for is there again"
    found = examined(named("eats", eats), subject, images, torch.tensor([0, 1, 2]), 0)
    assert "asked for more than 0.5 GiB" in found.reason


@needs_limits
def test_what_keeps_to_its_memory_has_its_maps() -> None:
    subject = patch_subject()
    subject.limit.memory = 0.5
    images = subject.prepare(bright_patch_faces(3).images)

    def takes(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        return images[:, 0] * bool(len(np.ones(2**24)))

    named("takes", takes).maps(subject, images, torch.tensor([0, 1, 2]), 0)


@needs_limits
def test_another_error_of_torch_is_no_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="must match"), Limit(memory=0.5).held(1, "it"):
        torch.ones(2) + torch.ones(3)


@needs_limits
def test_without_a_word_a_call_may_take_most_of_what_is_free() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)[0]
    with Limit().held(1, "it"):
        within = resource.getrlimit(resource.RLIMIT_DATA)[0]
    assert 2**28 < within < 2**50
    with memory_held(float("inf")):
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] == before


def test_the_room_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    monkeypatch.setattr(memory, "PROC", tmp_path)
    assert memory.free() == float("inf")
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 2000 kB\nSwapFree: 48 kB\n")
    assert memory.free() == 2048 * 1024
    for name, held in (("memory.max", "max"), ("memory.current", "700"), ("memory.stat", "anon 1\ninactive_file 200")):
        (tmp_path / name).write_text(f"{held}\n")
    assert memory.free() == 2048 * 1024
    (tmp_path / "memory.max").write_text("1000\n")
    assert memory.free() == 500


def test_where_memory_has_no_limit_asking_for_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "resource", None)
    with memory_held(0.5):
        assert len(np.ones(2**27)) == 2**27
    asked = replace(request(), memory_limit=0.5)
    with pytest.raises(UsageError, match=r"--memory-limit needs Linux, and .* leave it out"):
        evaluate(asked, RunFolder(tmp_path), no_progress)


# ---------------------------------------------------------------------- metrics and checks


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leaves_a_child() -> None:
    if not os.fork():
        time.sleep(10)
        exits._leave(0)
    dies()


def raises() -> None:
    raise KeyError("lost")


@pytest.mark.parametrize("isolated", [False, True])
def test_a_call_returns_what_it_returns_here_or_apart(isolated: bool, tmp_path: Path) -> None:
    (tmp_path / "read.txt").write_text("3")
    limit, owner = Limit(), f"owner {isolated}"
    limit.apart = isolated
    found = contained(lambda: int((tmp_path / "read.txt").read_text()), limit, 1, "it", MetricFault, owner)
    assert found == 3
    assert set(reads_of(owner)) == {str(tmp_path / "read.txt")}


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (raises, "it raised KeyError: 'lost'"),
        (sys.exit, "it raised SystemExit"),
        (lambda: os._exit(0), "it raised SystemExit"),
        (sleeps, "it took longer than 0.5 s for 2 images; --time-limit gives it more"),
        (lambda: torch.set_default_dtype(torch.float64), "it changed torch's default dtype for everybody"),
        pytest.param(grows, "it asked for more than 0.5 GiB for 2 images", marks=needs_limits),
    ],
)
def test_what_a_call_does_instead_is_named(call: Callable[[], object], said: str, isolated: bool) -> None:
    limit = Limit(0.5, 0.5) if call is sleeps else Limit(memory=0.5)
    limit.apart = isolated
    with pytest.raises(MetricFault, match=said):
        contained(call, limit, 2, "it", MetricFault)
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (dies, "it: its process was ended by SIGKILL"),
        (leaves_a_child, "it: its process was ended by SIGKILL"),
        (lambda: exits._leave(3), "it: its process ended by itself with status 3"),
        (threading.Lock, "it returned what cannot be sent"),
    ],
)
def test_what_ends_its_own_process_costs_itself(call: Callable[[], object], said: str) -> None:
    limit = Limit()
    limit.apart = True
    with pytest.raises(MetricFault, match=said):
        contained(call, limit, 2, "it", MetricFault)


# ---------------------------------------------------------------------- what would be waited for


def test_a_pipe_among_pictures_or_as_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "faces" / "happy").mkdir(parents=True)
    os.mkfifo(tmp_path / "faces" / "happy" / "1.png")
    os.mkfifo(tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match=r"1.png is a pipe, socket or device and no picture"):
        load_faces(str(tmp_path / "faces"))
    with pytest.raises(UsageError, match=r"w.safetensors is no plain file"):
        load_subject(str(tmp_path / "w.safetensors"))
