"""Fixtures of all tests; while they run, the package's annotations are checked against what is passed."""

import random
from collections.abc import Iterator

# The checks of annotations draw which items of a list they look at: on a generator of their own, since explainers must
# leave the global one alone.
_global_bits, random.getrandbits = random.getrandbits, random.Random(0).getrandbits
from beartype import beartype  # noqa: E402


@beartype
def _loads_all_of_beartype(items: list[int]) -> None: ...


random.getrandbits = _global_bits

from jaxtyping import config, install_import_hook  # noqa: E402

# Before anything of the package is imported: what is imported earlier is not checked.
install_import_hook("harness", "beartype.beartype")

import pytest  # noqa: E402
import torch  # noqa: E402
from tiny import CLASSES, SPEC, bright_patch_faces, make_case, patch_subject, tiny_network  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from harness.checks import Check  # noqa: E402
from harness.checks import registry as checks  # noqa: E402
from harness.evaluation_set import EvaluationSet  # noqa: E402
from harness.explainers import base  # noqa: E402
from harness.explainers.base import Explainer  # noqa: E402
from harness.faces.faceset import FaceSet  # noqa: E402
from harness.metrics import cards  # noqa: E402
from harness.metrics.cards import MetricCard  # noqa: E402
from harness.subject import Subject  # noqa: E402

torch.set_num_threads(1)

pytest_plugins = ["pytester"]
collect_ignore = ["example_package"]
"""Somebody else's package, whose tests run where it is installed."""


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


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Explainer]:
    """The registered explainers; what a test registers is forgotten after it."""
    held = dict(base._registered)
    monkeypatch.setattr(base, "_registered", held)
    return held


@pytest.fixture
def check_registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Check]:
    """The checks of somebody else; what a test registers is forgotten after it."""
    held = dict(checks._registered)
    monkeypatch.setattr(checks, "_registered", held)
    return held


@pytest.fixture
def metric_registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, MetricCard]:
    """The stated metrics; what a test states is forgotten after it."""
    held = dict(cards._cards)
    monkeypatch.setattr(cards, "_cards", held)
    return held
