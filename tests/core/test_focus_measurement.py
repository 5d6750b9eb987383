"""Focus on mosaics: a map that knows the class looks at its quarters, one that knows nothing looks anywhere."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny import CLASSES, SIDE, SPEC, make_case, names_in
from torch import Tensor, nn

from harness.evaluation_set import EvaluationSet
from harness.faces.faceset import FaceSet
from harness.measurements import Attributions, Focus, Measured
from harness.perturbation import mosaics
from harness.subject import Subject

TEST = Focus(per_class=10, spectrum_draws=2)
SHADES = (60, 130, 200)


class Shades(nn.Module):
    """Answers the class whose shade most pixels have, at any place and size."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([self.gain * near.mean((1, 2)) for near in seen(images)], dim=1)


def seen(images: Tensor) -> list[Tensor]:
    """For each class, how near every pixel is to its shade."""
    return [torch.exp(-(((images[:, 0] - (shade / 127.5 - 1)) / 0.1) ** 2)) for shade in SHADES]


def shade_case() -> EvaluationSet:
    rng = np.random.default_rng(0)
    labels = np.arange(18) % 3
    images = np.array([rng.integers(SHADES[label] - 6, SHADES[label] + 7, (SIDE, SIDE)) for label in labels])
    faces = FaceSet("shades", images.astype(np.uint8), CLASSES, labels)
    return make_case(Subject(Shades(), name="shades", classes=CLASSES, spec=SPEC), faces)


def measured(case: EvaluationSet, explain: Callable[[Tensor, np.ndarray], Tensor]) -> Measured:
    def again(images, targets, subject=None, seed=None):
        return np.asarray(explain(images, targets), dtype=np.float32)

    return TEST.measure(Attributions(case, again(case.images, case.targets), again))


def knows(images: Tensor, targets: np.ndarray) -> Tensor:
    return torch.stack([seen(images)[target][number] for number, target in enumerate(targets)])


def mistakes(images: Tensor, targets: np.ndarray) -> Tensor:
    return knows(images, (targets + 1) % 3) + knows(images, (targets + 2) % 3)


def noise(images: Tensor, targets: np.ndarray) -> Tensor:
    return torch.rand(len(images), SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def values(found: Measured, metric: str, variant: str = "map") -> np.ndarray:
    scores = found.scores
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def test_a_map_that_knows_the_class_looks_at_its_quarters() -> None:
    found = measured(shade_case(), knows)
    assert values(found, "focus").min() > 0.9
    assert values(found, "focus-gain", "spectrum-null").mean() > 0.2


def test_a_map_of_the_other_classes_looks_elsewhere() -> None:
    assert values(measured(shade_case(), mistakes), "focus").max() < 0.2


def test_noise_looks_at_half_of_them() -> None:
    found = measured(shade_case(), noise)
    # 72 of 144 uniform draws: one share has a standard deviation of .024, the mean of 18 of .006.
    assert values(found, "focus").mean() == pytest.approx(0.5, abs=0.025)


def test_the_networks_own_answers_to_mosaics_are_told() -> None:
    case = shade_case()
    made = mosaics(case.images, case.targets, seed=0, keys=case.keys)
    light = np.stack([one.mean((1, 2)).numpy() for one in seen(made.images)], axis=1)
    answers = values(measured(case, knows), "mosaic-answer")
    # Where two quarters show one other class, it is as much to be seen as the explained one; else that prevails.
    clear = np.diff(np.sort(light, axis=1), axis=1)[:, -1] > 0.1
    assert 0 < clear.sum() < len(clear)
    assert (answers[clear] == 1).all()
    assert set(answers[~clear]) == {0.0, 1.0}


def test_what_the_mosaic_shows_is_what_it_was_made_of() -> None:
    case = shade_case()
    made = mosaics(case.images, case.targets, seed=0, keys=case.keys)
    near = knows(made.images, case.targets).numpy() > 0.5
    # Interpolation stays within a quarter, so that no pixel lies between two shades.
    np.testing.assert_array_equal(near, made.shown)


def test_a_class_with_one_image_has_no_mosaic_and_says_why() -> None:
    case = shade_case()
    alone = case.take(np.flatnonzero((case.targets != 0) | (np.arange(18) == np.flatnonzero(case.targets == 0)[0])))
    found = measured(alone, knows)
    scores = found.scores[(names_in(found.scores) == "focus") & (found.scores["variant"] == "map")]
    lonely = scores[scores["value"].isna()]
    assert len(lonely) == 1
    assert "no second image of the class" in lonely["reason"].item()
