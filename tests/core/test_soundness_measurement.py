"""Soundness and completeness of attribution, beside removal made by hand."""

import numpy as np
import pandas as pd
import torch
from tiny import AGAIN, SIDE, names_in, oracle_of

from harness.evaluation_set import EvaluationSet
from harness.measurements import Attributions, Soundness
from harness.metrics import faithfulness as faith
from harness.perturbation import MeanFill

STEPS = 6
SOUND, COMPLETE = "attribution-soundness", "attribution-completeness"


def values(scores: pd.DataFrame, metric: str, variant: str = "map") -> np.ndarray:
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def answers(case: EvaluationSet, removed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each image's class with pixels at its mean, and whether it is recognised."""
    pictures = case.images.numpy().copy()
    means = pictures.mean(axis=(2, 3), keepdims=True)
    pictures = np.where(removed[:, None], means, pictures)
    with torch.no_grad():
        logits = case.subject.network(torch.from_numpy(pictures)).double()
    shares = logits.softmax(1).numpy()
    return shares[np.arange(len(shares)), case.targets], logits.argmax(1).numpy() == case.targets


def measured(case: EvaluationSet, maps: np.ndarray) -> pd.DataFrame:
    return Soundness(MeanFill(), STEPS, 20).measure(Attributions(case, maps)).scores


def signed(case: EvaluationSet) -> np.ndarray:
    """A map without ties, of which a part speaks against the class."""
    return oracle_of(case) + np.random.default_rng(0).normal(0, 0.2, (len(case.targets), SIDE, SIDE)).astype(np.float32)


def test_soundness_adds_up_what_is_shown_best_first(patch_case: EvaluationSet) -> None:
    maps = signed(patch_case)
    flat = maps.reshape(len(maps), -1)
    order = np.argsort(-flat, axis=1)
    shown, said = [], []
    for step in range(1, STEPS):
        first = order[:, : round(step * SIDE * SIDE / STEPS)]
        removed = np.ones(flat.shape, dtype=bool)
        np.put_along_axis(removed, first, False, axis=1)
        shown.append(np.where(removed, 0, np.maximum(flat, 0)).sum(axis=1))
        said.append(answers(patch_case, removed.reshape(maps.shape))[0])
    wanted = faith.attribution_soundness(np.stack(shown, 1).astype(np.float64), np.stack(said, 1))
    index = patch_case.some(20)
    np.testing.assert_allclose(values(measured(patch_case, maps), SOUND), wanted[index], atol=AGAIN)


def test_completeness_removes_by_value(patch_case: EvaluationSet) -> None:
    maps = signed(patch_case)
    attributed = np.maximum(maps, 0)
    largest = attributed.max(axis=(1, 2), keepdims=True)
    without = [answers(patch_case, attributed > (1 - step / STEPS) * largest)[1] for step in range(1, STEPS)]
    index = patch_case.some(20)
    wanted = 1 - np.stack(without, 1).mean(axis=1)[index]
    np.testing.assert_allclose(values(measured(patch_case, maps), COMPLETE), wanted, atol=AGAIN)


def test_true_causes_are_complete_beyond_the_same_values_elsewhere(patch_case: EvaluationSet) -> None:
    scores = measured(patch_case, oracle_of(patch_case))
    assert values(scores, f"{COMPLETE}-gain", "spectrum-null").mean() > 0.1


def test_a_map_that_says_everything_at_once_is_no_sounder_than_one_that_tells_it_bit_by_bit(
    patch_case: EvaluationSet,
) -> None:
    """What the score cannot see: true causes reach the answer with the first step, and all that follows is in vain."""
    scores = measured(patch_case, oracle_of(patch_case))
    assert values(scores, f"{SOUND}-gain", "spectrum-null").mean() < 0


def test_a_map_that_attributes_nothing_is_undefined(patch_case: EvaluationSet) -> None:
    maps = oracle_of(patch_case)
    maps[3] = -1 - maps[3]
    scores = measured(patch_case, maps)
    mine = scores[(scores["image"] == patch_case.faces.ids[3]) & (scores["variant"] == "map")]
    assert mine["value"].isna().all()
    assert mine["reason"].str.contains("no positive relevance").all()
