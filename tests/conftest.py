"""Fixtures of all tests; while they run, the package's annotations are checked against what is passed."""

import os
import random
import sys
from collections.abc import Iterator

# The checks of annotations draw which items of a list they look at: on a generator of their own, since explainers must
# leave the global one alone.
_global_bits, random.getrandbits = random.getrandbits, random.Random(0).getrandbits
from beartype import beartype  # noqa: E402


@beartype
def _loads_all_of_beartype(items: list[int]) -> None: ...


random.getrandbits = _global_bits

from jaxtyping import config, install_import_hook  # noqa: E402

# Before anything of the package is imported: what is imported earlier is not checked. Other arithmetic changes nothing
# of what is passed, so that its legs do without: a third of their time.
if os.environ.get("HARNESS_TEST_ANNOTATIONS") != "off":
    install_import_hook("harness", "beartype.beartype")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402
from tiny import CLASSES, SPEC, bright_patch_faces, make_case, patch_subject, tiny_network  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import harness  # noqa: E402
from harness.arithmetic import _taken  # noqa: E402
from harness.checks import Check  # noqa: E402
from harness.checks import registry as checks  # noqa: E402
from harness.errors import UsageError  # noqa: E402
from harness.evaluation_set import EvaluationSet  # noqa: E402
from harness.explainers import base  # noqa: E402
from harness.explainers.base import Explainer  # noqa: E402
from harness.faces.faceset import FaceSet  # noqa: E402
from harness.metrics import cards  # noqa: E402
from harness.metrics.cards import MetricCard  # noqa: E402
from harness.subject import Feed, Subject  # noqa: E402

# A test run within a test forgets all modules that it loads: what is exported, loaded on demand, would be there twice.
for _name in harness.__all__:
    getattr(harness, _name)

torch.set_num_threads(1)
threadpool_limits(limits=1, user_api="blas")  # as where the command starts: tests run beside each other
os.environ["HARNESS_STORE"] = "off"  # a test that counts what is made must not find what another has made

measured = Subject.tuned


def as_usual(subject: Subject, seconds: float | None = None) -> Subject:
    """Take the usual feed where the network does: measuring takes longer than all else that a tiny one is asked."""
    if seconds is not None:
        return measured(subject, seconds)
    try:
        return subject.fed(_taken(subject, Feed()))
    except UsageError:
        return measured(subject, 0.01)


Subject.tuned = as_usual

pytest_plugins = ["pytester"]
collect_ignore = ["example_package"]
"""Somebody else's package, whose tests run where it is installed."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """A test draws the same from the global generators, whatever ran before it in its process."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def network() -> nn.Sequential:
    return tiny_network()


@pytest.fixture
def subject(network: nn.Sequential) -> Subject:
    return Subject(network, name="tiny", classes=CLASSES, spec=SPEC)


@pytest.fixture
def faces() -> FaceSet:
    return bright_patch_faces()


@pytest.fixture
def images(subject: Subject, faces: FaceSet) -> Tensor:
    return subject.prepare(faces.images)


@pytest.fixture
def patch_case() -> EvaluationSet:
    """A patch network and faces that it classifies right."""
    return make_case(patch_subject(), bright_patch_faces())


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Annotations are not checked, so that what the package itself says of wrong input is seen."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def left_as_found(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a test registers or imports from a folder of its own is forgotten after it, as its process would be."""
    for holder, name in ((base, "_registered"), (checks, "_registered"), (cards, "_cards")):
        monkeypatch.setattr(holder, name, dict(getattr(holder, name)))
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield
    made = str(tmp_path_factory.getbasetemp())
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(made):
            del sys.modules[name]


@pytest.fixture
def registry() -> dict[str, Explainer]:
    """The registered explainers, for this test alone."""
    return base._registered


@pytest.fixture
def check_registry() -> dict[str, Check]:
    """The checks of somebody else, for this test alone."""
    return checks._registered


@pytest.fixture
def metric_registry() -> dict[str, MetricCard]:
    """The stated metrics, for this test alone."""
    return cards._cards
