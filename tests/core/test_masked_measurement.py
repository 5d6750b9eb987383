"""The picture times its map: every row beside the bare network asked by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import AGAIN, CLASSES, EXACT, SIDE, bright_patch_faces, make_case, names_in, oracle_of, patch_subject
from torch import Tensor, nn

from harness.evaluation_set import EvaluationSet
from harness.measurements import Attributions, Coherency, Masked
from harness.metrics import faithfulness as faith
from harness.perturbation import spectrum_null
from harness.subject import InputSpec, Subject

NAMES = ("average-drop", "average-increase", "average-gain")


def values(scores: pd.DataFrame, metric: str, variant: str = "map") -> np.ndarray:
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def asked(case: EvaluationSet, pictures: Tensor) -> np.ndarray:
    """Probability of each picture's class, by the bare network."""
    with torch.no_grad():
        shares = case.subject.network(pictures).double().softmax(1).numpy()
    return shares[np.arange(len(shares)), case.targets]


def times(case: EvaluationSet, maps: np.ndarray) -> Tensor:
    """Each picture's pixels times the map, which is positive, from 0 to 1."""
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    black = case.subject.spec.low
    return black + (case.images - black) * torch.from_numpy((maps - low) / (high - low))[:, None].float()


def test_every_score_is_that_of_the_picture_times_its_map(patch_case: EvaluationSet) -> None:
    maps = oracle_of(patch_case)
    scores = Masked(1).measure(Attributions(patch_case, maps)).scores
    whole, kept = asked(patch_case, patch_case.images), asked(patch_case, times(patch_case, maps))
    for name in NAMES:
        wanted = getattr(faith, name.replace("-", "_"))(whole, kept)
        # Probabilities in single precision, divided by what they leave to 1 or by themselves.
        close = AGAIN / min(whole.min(), (1 - whole).min())
        np.testing.assert_allclose(values(scores, name), wanted, atol=close, err_msg=name)


class Restated(nn.Module):
    """A network of pixels from 0 to 1 that is told them in other units."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images * 0.25 + 0.5)
        return logits


def test_how_a_network_states_its_input_changes_no_score() -> None:
    plain = Subject(
        patch_subject().network, name="plain", classes=CLASSES, spec=InputSpec(SIDE, SIDE, mean=(0.0,), std=(1.0,))
    )
    other = Subject(
        Restated(plain.network), name="other", classes=CLASSES, spec=InputSpec(SIDE, SIDE, mean=(0.5,), std=(0.25,))
    )
    cases = [make_case(subject, bright_patch_faces()) for subject in (plain, other)]
    found = [Masked(1).measure(Attributions(case, oracle_of(case))).scores for case in cases]
    whole = asked(cases[0], cases[0].images)
    # What rounds a pixel is steepened five times by the network, and divided as above.
    close = 5 * AGAIN / min(whole.min(), (1 - whole).min())
    for name in NAMES:
        one, two = (values(scores, name) for scores in found)
        np.testing.assert_allclose(one, two, atol=close, err_msg=name)


@pytest.mark.parametrize("name", [*NAMES, "adcc-complexity"])
def test_the_score_of_the_spectrum_null_is_its_own(name: str, patch_case: EvaluationSet) -> None:
    maps = oracle_of(patch_case)
    null = spectrum_null(maps, seed=patch_case.seed, keys=patch_case.keys)
    own = values(Masked(1).measure(Attributions(patch_case, null)).scores, name)
    found = values(Masked(1).measure(Attributions(patch_case, maps)).scores, name, "spectrum-null")
    np.testing.assert_array_equal(found, own)


def test_true_causes_lose_less_than_the_same_values_elsewhere(patch_case: EvaluationSet) -> None:
    scores = Masked(2).measure(Attributions(patch_case, oracle_of(patch_case))).scores
    assert values(scores, "average-drop-gain", "spectrum-null").mean() > 0.1


def test_what_asks_no_network_cannot_tell_true_causes_from_the_same_values_elsewhere(patch_case: EvaluationSet) -> None:
    scores = Masked(1).measure(Attributions(patch_case, oracle_of(patch_case))).scores
    gain = values(scores, "adcc-complexity-gain", "spectrum-null")
    # The same values in another order, and so a sum in another order.
    np.testing.assert_allclose(gain, 0, atol=EXACT)


def test_a_map_of_nothing_positive_is_undefined_and_says_so(patch_case: EvaluationSet) -> None:
    maps = oracle_of(patch_case)
    maps[2] = -1 - maps[2]
    scores = Masked(1).measure(Attributions(patch_case, maps)).scores
    mine = scores[(scores["image"] == patch_case.faces.ids[2]) & (scores["variant"] == "map")]
    assert mine["value"].isna().all()
    assert mine["reason"].str.contains("positive relevance is the same everywhere").all()


def test_one_pass_a_map_and_no_more(patch_case: EvaluationSet) -> None:
    maps, before = oracle_of(patch_case), patch_case.subject.passes.forward
    Masked(2).measure(Attributions(patch_case, maps))
    assert patch_case.subject.passes.forward - before == 4 * len(maps)


# ---------------------------------------------------------------------- asked again


class Recorded:
    """An explainer that answers with given maps, and what it was asked."""

    def __init__(self, maps: np.ndarray) -> None:
        self.maps = maps
        self.images: list[Tensor] = []

    def __call__(self, images: Tensor, targets: np.ndarray, subject: object = None, seed: object = None) -> np.ndarray:
        self.images.append(images)
        return self.maps[: len(images)]


def test_coherency_compares_with_the_map_of_the_masked_picture(patch_case: EvaluationSet) -> None:
    maps = oracle_of(patch_case)
    again = Recorded(np.random.default_rng(0).random(maps.shape, dtype=np.float32))
    scores = Coherency(6).measure(Attributions(patch_case, maps, explain=again)).scores
    index = patch_case.some(6)
    torch.testing.assert_close(again.images[0], times(patch_case, maps)[index], rtol=0, atol=AGAIN)
    masks = faith.keep_masks(maps[index])
    coherent = faith.coherency(masks, faith.keep_masks(again.maps[: len(index)]))
    np.testing.assert_array_equal(values(scores, "coherency"), coherent)
    drops = values(Masked(1).measure(Attributions(patch_case, maps)).scores, "average-drop")[index]
    wanted = faith.adcc(coherent, faith.adcc_complexity(masks), drops)
    np.testing.assert_allclose(values(scores, "adcc"), wanted, atol=AGAIN)


def test_an_explainer_that_says_the_same_of_every_picture_is_wholly_coherent() -> None:
    case = make_case(patch_subject(), bright_patch_faces(6))
    one = np.repeat(np.random.default_rng(2).random((1, SIDE, SIDE), dtype=np.float32), 6, axis=0)
    scores = Coherency(2).measure(Attributions(case, one, explain=Recorded(one))).scores
    np.testing.assert_allclose(values(scores, "coherency"), 1, atol=AGAIN)
