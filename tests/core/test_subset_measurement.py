"""The smallest subset of cells on a network that sees one patch a class."""

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import PATCHES, SIDE, kept_once, names_in, oracle_of

from harness.evaluation_set import EvaluationSet
from harness.measurements import Attributions, MinimalSubset
from harness.perturbation import ConstantFill, MeanFill, PictureFill
from harness.truth import games_of
from harness.truth.images import Games

FILLS = (("dark", ConstantFill(-1.0)), ("mean", MeanFill()))


def games(fills: tuple = FILLS) -> Games:
    return Games(games_of(3, 1, fills), 6, 1)


def values(scores: pd.DataFrame, metric: str, variant: str = "map") -> np.ndarray:
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def by_hand(case: EvaluationSet, maps: np.ndarray) -> np.ndarray:
    """The smallest share over both fills, by the bare network and cells added up here."""
    side = SIDE // 3
    found = []
    for place, (one, target) in enumerate(zip(maps, case.targets, strict=True)):
        sums = one.reshape(3, side, 3, side).sum(axis=(1, 3)).ravel()
        shares = []
        for value in (-1.0, float(case.images[place].double().mean())):
            picture, sizes = torch.full_like(case.images[place], value), []
            for count in range(10):
                if count:
                    row, column = divmod(int(np.argsort(-sums)[count - 1]), 3)
                    cell = (..., slice(side * row, side * row + side), slice(side * column, side * column + side))
                    picture[cell] = case.images[place][cell]
                with torch.no_grad():
                    if int(case.subject.network(picture[None]).argmax()) == target:
                        sizes.append(count)
            if sizes[0]:
                shares.append(sizes[0] / 9)
        found.append(np.mean(shares) if shares else np.nan)
    return np.array(found)


@pytest.mark.parametrize("turned", [1, -1])
def test_every_score_is_the_first_beginning_that_the_network_recognises(patch_case: EvaluationSet, turned: int) -> None:
    maps = turned * oracle_of(patch_case)
    scores = MinimalSubset(games(), 1).measure(Attributions(patch_case, maps, shared=kept_once())).scores
    np.testing.assert_allclose(values(scores, "minimal-subset"), by_hand(patch_case, maps)[patch_case.some(6)])


def test_true_causes_need_fewer_cells_than_their_values_elsewhere(patch_case: EvaluationSet) -> None:
    attributions = Attributions(patch_case, oracle_of(patch_case), shared=kept_once())
    scores = MinimalSubset(games(), 2).measure(attributions).scores
    assert np.nanmean(values(scores, "minimal-subset-gain", "spectrum-null")) > 0.1


def test_a_fill_that_is_taken_for_the_class_is_left_out(patch_case: EvaluationSet) -> None:
    # A fill of what class 0 is lit by: its pictures are recognised with no cell at all.
    lit = torch.full_like(patch_case.images[0], -1.0)
    lit[..., *PATCHES[0]] = 1.0
    attributions = Attributions(patch_case, oracle_of(patch_case), shared=kept_once())
    scores = MinimalSubset(games((("lit", PictureFill(lit)),)), 1).measure(attributions).scores
    own = scores[(scores["variant"] == "map") & (names_in(scores) == "minimal-subset")]
    of_first = own["target"] == patch_case.subject.classes[0]
    assert own[of_first]["value"].isna().all()
    assert own[of_first]["reason"].str.contains("filled picture alone").all()
    assert own[~of_first]["value"].notna().all()


def test_it_asks_nothing_that_the_games_did_not(patch_case: EvaluationSet) -> None:
    shared, played = kept_once(), games()
    played.truth(patch_case, shared)
    before = patch_case.subject.passes.forward
    MinimalSubset(played, 1).measure(Attributions(patch_case, oracle_of(patch_case), shared=shared))
    assert patch_case.subject.passes.forward == before
