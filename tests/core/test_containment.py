"""What somebody's code does to the whole process is named and put back, and it ends when its time is over."""

import builtins
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import bright_patch_faces, named, patch_subject
from torch import Tensor, nn

from harness import evaluation_set
from harness.checks.contract.clauses import examined
from harness.containment import Limit, OverTimeError, kept_state, no_exit
from harness.containment.exits import left_running
from harness.containment.limits import FLOOR, PASSES
from harness.errors import ExplainerFault, UsageError
from harness.faces.loading import load_faces
from harness.importing import call_without_arguments, load_object
from harness.models.loading import load_subject
from harness.subject import Subject


def _relu(_images: Tensor) -> Tensor:
    return _images


SPOILS: dict[str, tuple[Callable[[Subject], object], str]] = {
    "default dtype": (lambda _s: torch.set_default_dtype(torch.float64), "torch's default dtype"),
    "threads": (lambda _s: torch.set_num_threads(torch.get_num_threads() + 1), "torch's number of threads"),
    "cwd": (lambda _s: os.chdir("/"), "the working folder"),
    "mkldnn": (lambda _s: torch._C._set_mkldnn_enabled(False), "torch.backends.mkldnn"),
    "a function of torch": (lambda _s: setattr(nn.functional, "relu", _relu), "functional.relu"),
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


# ---------------------------------------------------------------------- what would be waited for


def test_a_pipe_among_pictures_or_as_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "faces" / "happy").mkdir(parents=True)
    os.mkfifo(tmp_path / "faces" / "happy" / "1.png")
    os.mkfifo(tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match=r"1.png is a pipe, socket or device and no picture"):
        load_faces(str(tmp_path / "faces"))
    with pytest.raises(UsageError, match=r"w.safetensors is no plain file"):
        load_subject(str(tmp_path / "w.safetensors"))
