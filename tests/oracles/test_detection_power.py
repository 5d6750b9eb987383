"""What counts as believing a fault, as showing it to be false, and as a false alarm; and what a judge's table tells."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest

from benchmarks import detection_power as power
from benchmarks import judge_the_judge as judge
from harness.evaluation.planted import PAIRS, Pair
from harness.explainers import registered
from harness.metrics.score import Score
from harness.oracles.good import KnownGood
from harness.oracles.making import PlantedFault
from harness.store import RunFolder

PAIR = PAIRS["faces-cnn"]


def fault(falsifies: int, finer_than: int = 0) -> PlantedFault:
    return PlantedFault(replace(registered()["deeplift"], name="fault-x"), falsifies, "", finer_than)


def ladder(*reached: str, resolution: int = 16, seed: int = 0, name: str = "fault-x") -> pd.DataFrame:
    """Rungs from the first."""
    rows = [
        (name, "all", rung, said, resolution if rung == 3 else 0, f"check-{rung}", seed)
        for rung, said in enumerate(reached, start=1)
    ]
    return pd.DataFrame(rows, columns=["explainer", "class", "rung", "reached", "resolution", "check", "seed"])


@pytest.mark.parametrize(
    ("falsifies", "finer_than", "resolution", "reached", "believed"),
    [
        (3, 0, 16, ("yes", "yes", "yes"), True),
        (3, 0, 16, ("yes", "yes", "open"), False),
        (3, 0, 16, ("yes", "open", "yes"), False),  # a rung is not reached over a gap
        (3, 16, 16, ("yes", "yes", "yes"), False),  # right at this resolution
        (3, 16, 8, ("yes", "yes", "yes"), True),  # and false below it
        (3, 16, 8, ("yes", "no", "yes"), False),  # of which nothing is said over a gap
        (5, 0, 8, ("yes", "yes", "yes", "yes", "open"), False),
        (5, 16, 8, ("yes", "yes", "yes", "yes", "open"), True),
        (4, 0, 8, ("yes", "yes", "yes", "not applicable", "yes"), True),  # said to stand above
    ],
)
def test_believed(falsifies: int, finer_than: int, resolution: int, reached: tuple[str, ...], believed: bool) -> None:
    row = power.fault_row(PAIR, fault(falsifies, finer_than), 20, ladder(*reached, resolution=resolution))
    assert row["kept off"] == 1 - believed


def test_shown_false_by_the_lowest_rung_that_is_missed() -> None:
    draws = pd.concat([ladder("yes", "no", "no", seed=0), ladder("yes", "yes", "open", seed=1)])
    row = power.fault_row(PAIR, fault(3), 20, draws)
    assert (row["draws"], row["kept off"], row["shown false"]) == (2, 2, 1)
    assert row["caught by"] in ("check-2", "open: check-3")


def test_a_rung_above_that_which_it_falsifies_shows_nothing() -> None:
    row = power.fault_row(PAIR, fault(2), 20, ladder("yes", "open", "no"))
    assert row["shown false"] == 0


def test_a_rung_that_decides_nothing_is_told_apart_from_one_that_keeps_off() -> None:
    row = power.fault_row(PAIR, fault(3), 5, ladder("yes", "open", "not applicable"))
    assert (row["kept off"], row["judged"]) == (1, 0)
    below = power.fault_row(PAIR, fault(3), 5, ladder("yes", "no", "not applicable"))
    assert (below["kept off"], below["judged"]) == (1, 1)


def test_a_false_alarm_is_a_rung_denied_that_is_owed() -> None:
    good = KnownGood("fault-x", frozenset({3, 5}), "")
    draws = pd.concat(
        [ladder("yes", "no", "yes", "no", "yes", seed=0), ladder("yes", "yes", "yes", "yes", "no", seed=1)]
    )
    row = power.good_row(PAIR, good, 20, draws)
    assert (row["false alarms"], row["by"], row["reaches all"]) == (1, "check-5", 1)


def test_rates_say_their_interval() -> None:
    assert power.rate(0, 20) == "0 % (0-17)"
    assert power.rate(0, 0) == "-"


# ---------------------------------------------------------------------- the judge judged


NAMES = [f"e{number:02}" for number in range(16)]
IMAGES = list(range(30))


def table(worth: np.ndarray, noise: float, seed: int) -> pd.DataFrame:
    source = np.random.default_rng(seed)
    return pd.DataFrame(worth + noise * source.standard_normal((len(IMAGES), len(NAMES))), index=IMAGES, columns=NAMES)


def told(rows: pd.DataFrame, score: str, column: str) -> float:
    return float(rows[column].to_numpy(np.float64)[list(rows.index).index(score)])


def judged(scores: dict[str, pd.DataFrame], ladders: pd.DataFrame) -> judge.Judged:
    worth = np.linspace(0, 1, len(NAMES))
    return judge.Judged(
        scores,
        {"cells": table(worth, 0.1, 0), "tiles": table(worth, 0.1, 1)},
        {image: image // 2 for image in IMAGES},
        frozenset(NAMES[-4:]),
        frozenset(NAMES[:8]),
        ladders,
    )


def found(**scores: pd.DataFrame) -> pd.DataFrame:
    return judge.score_rows(judged(scores, pd.DataFrame())).set_index("score")


def test_a_score_that_follows_the_truth_agrees_and_one_that_ignores_it_does_not() -> None:
    worth = np.linspace(0, 1, len(NAMES))
    shuffled = np.random.default_rng(5).permutation(worth)
    rows = found(good=table(worth, 0.1, 2), bad=table(-worth, 0.1, 3), none=table(shuffled, 0.1, 4))
    assert told(rows, "good", "cells") > 0.95
    assert told(rows, "good", "auroc") == 1
    assert told(rows, "bad", "cells") < -0.95
    assert told(rows, "none", "cells low") < 0.6
    assert rows.index[0] == "good"


def test_what_shares_answers_with_a_truth_is_not_held_against_it() -> None:
    worth = np.linspace(0, 1, len(NAMES))
    rows = found(**{"settled-pairs map": table(worth, 0.1, 2), "tile-ranks-absolute map": table(worth, 0.1, 3)})
    assert np.isnan(told(rows, "settled-pairs map", "cells"))
    assert told(rows, "settled-pairs map", "tiles") > 0.9
    assert np.isnan(told(rows, "tile-ranks-absolute map", "tiles"))


def test_a_rungs_agreement_lies_in_the_interval_of_its_draws() -> None:
    """Drawn so that each draw reaches few of those that it should: their mean ranks better than any of them."""
    source, rows = np.random.default_rng(0), []
    for seed in range(20):
        for place, name in enumerate(NAMES):
            reached = "yes" if source.random() < place / len(NAMES) else "open"
            rows.append(ladder(*["yes"], *[reached] * 6, seed=seed, name=name))
    told_of = judge.rung_rows(judged({}, pd.concat(rows))).set_index("score").loc["rung 2: network"]
    for what in ("cells", "tiles", "auroc"):
        assert told_of[f"{what} low"] <= told_of[what] <= told_of[f"{what} high"]
    assert 0.2 < told_of["cells"] < 0.9


def test_a_score_that_is_defined_of_nobody_is_left_out() -> None:
    rows = [
        {
            **vars(Score(metric)), "explainer": name, "variant": "map", "image": image,
            "value": float(image) if metric == "deletion-auc" else np.nan,
        }
        for metric in ("deletion-auc", "road")
        for name in NAMES
        for image in IMAGES
    ]  # fmt: skip

    class Run:
        scores = pd.DataFrame(rows)
        record = SimpleNamespace(
            metrics=dict.fromkeys(("deletion-auc", "road"), SimpleNamespace(higher_is_better=False))
        )

    found = judge.directed(cast("RunFolder", Run()), NAMES)
    assert list(found) == ["deletion-auc map"]
    assert (found["deletion-auc map"].loc[5] == -5.0).all()


def test_few_explainers_tell_no_correlation() -> None:
    worth = np.linspace(0, 1, len(NAMES))
    few = table(worth, 0.1, 2)[NAMES[: judge.LEAST - 1]]
    assert "few" not in found(few=few, enough=table(worth, 0.1, 3)).index


def test_people_are_drawn_and_not_their_images() -> None:
    worth = np.zeros(len(NAMES))
    one_each = judge.Resampled({image: image for image in IMAGES}).means(table(worth, 1.0, 7))
    pairs = table(worth, 1.0, 7)
    pairs.iloc[1::2] = pairs.iloc[::2].to_numpy()
    two_each = judge.Resampled({image: image // 2 for image in IMAGES}).means(pairs)
    assert two_each.std(axis=0).mean() > 1.2 * one_each.std(axis=0).mean()


def test_the_better_end_of_each_score_is_up() -> None:
    assert judge.auroc(np.array([[1.0, 1.0, 0.0]]), np.array([True, False, False]), np.array([False, True, True]))[
        0
    ] == pytest.approx(0.75)


def test_every_pair_spoils_a_method_that_it_can_run() -> None:
    pair: Pair
    for pair in PAIRS.values():
        assert {pair.base, pair.probing} <= set(registered())
