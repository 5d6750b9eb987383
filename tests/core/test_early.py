"""After how many people asking could have stopped: read from stored scores, people as the sample, in a drawn order."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import a_record, an_explainer

from harness.evaluation import early as when
from harness.evaluation.early import passes_of_games, stops
from harness.metrics.score import Score
from harness.report import early
from harness.statistics import stopped
from harness.store import LADDER, MATRICES, SCORES, CheckRecord, RunFolder, frame

COUNTED = ("cells-edges", "cells-centre", "cells-mean-face", "cells-scattered")
PEOPLE, IMAGES = 60, 2
FAMILIES = {"good": "user", "poor": "user", "open": "user"} | dict.fromkeys(("edges", "centre", "mean-face"), "control")
RIGHT = {"good": 0.95, "poor": 0.2, "open": 0.6, "edges": 0.5, "centre": 0.5, "mean-face": 0.5}
PROFILE = {"name": "quick", "per_class": 1, "cells_per_side": 3, "cell_grids": 2}


class Run(RunFolder):
    """As much of a run as that is told from: everybody on two images, some of which settle no pair."""

    def __init__(self, seed: int = 0, persons: bool = True, **blank: list[int]) -> None:
        super().__init__(Path("nowhere"))
        rng, n = np.random.default_rng(7), PEOPLE * IMAGES
        rows = []
        for name, right in RIGHT.items():
            values = np.clip(right + rng.uniform(-0.05, 0.05, n), 0, 1)
            values[blank.get(name, [])] = np.nan
            values[5] = np.nan  # nobody has a value where no pair is settled
            gains = values - 0.5
            for score, variant, held in (
                (Score("settled-pairs"), "map", values),
                (Score("settled-pairs").gain, "spectrum-null", gains),
            ):
                rows += [
                    {
                        "explainer": name, **vars(score), "variant": variant, "image": image, "label": "",
                        "predicted": "a", "target": "a", "value": value, "status": "ok", "reason": "",
                    }
                    for image, value in enumerate(held)
                ]  # fmt: skip
        rows += [
            {**rows[0], "explainer": "", **vars(Score("additivity")), "variant": fill} for fill in ("mean", "blur")
        ]
        # One more is known, of whom effects are, and no map.
        more = n + IMAGES
        who = {"image": range(more), "person": np.arange(more) // IMAGES} if persons else {"image": [], "person": []}
        record = a_record(
            seed=seed,
            profile=PROFILE,
            explainers=tuple(an_explainer(name, kind, control=kind == "control") for name, kind in FAMILIES.items()),
            checks=tuple(
                CheckRecord(name, "cells", "", "", 0.05, "", "", "", "", False, True, 3, "images", "", (), "")
                for name in COUNTED
            ),
        )
        empty = pd.DataFrame([(name, i) for name, held in blank.items() for i in held], columns=["explainer", "image"])
        vars(self).update(
            scores=frame(SCORES, rows), persons=pd.DataFrame(who, dtype=np.int64), record=record, blank=empty,
            matrices=frame(MATRICES), ladder=frame(LADDER),
        )  # fmt: skip


def row(table: pd.DataFrame, name: str) -> dict[str, object]:
    return {str(k): v for k, v in table.set_index("explainer").loc[name].to_dict().items()}


def test_a_good_one_and_a_poor_one_are_decided_early_and_a_middling_one_never() -> None:
    table = stops(Run())
    assert list(table["explainer"]) == ["good", "poor", "open"], "controls are not judged"
    good, poor, other = (row(table, name) for name in ("good", "poor", "open"))
    assert (good["holds"], poor["holds"], other["holds"]) == ("yes", "no", "open")
    assert 0 < int(str(good["n"])) < PEOPLE
    assert 0 < int(str(poor["n"])) < PEOPLE
    assert (other["n"], other["of"], other["unit"]) == (PEOPLE, PEOPLE, "people")
    assert (other["images"], other["of_images"]) == (PEOPLE * IMAGES - 1, PEOPLE * IMAGES - 1)


def test_a_person_counts_once_by_the_mean_of_their_images() -> None:
    run = Run()
    held = run.scores[run.scores["metric"] == "settled-pairs"].drop_duplicates(
        ["explainer", "variant", "kind", "image"]
    )
    wide = held.pivot(index="image", columns=["explainer", "kind"], values="value")
    effects = [wide["good", "score"] - wide[control, "score"] for control in ("edges", "centre", "mean-face")]
    claims = pd.concat([*effects, wide["good", "gain"]], axis=1).dropna()
    means = claims.groupby(claims.index // IMAGES).mean()
    order = np.random.default_rng(0).permutation(PEOPLE)
    by_hand = stopped(means.loc[order].to_numpy().T, 0.05, 0.01, low=-1.0, high=1.0)
    assert row(stops(run), "good")["n"] == by_hand.n
    images = claims.groupby(claims.index // IMAGES).size().loc[order[: by_hand.n]].sum()
    assert row(stops(run), "good")["images"] == images


def test_without_people_images_are_the_sample() -> None:
    good = row(stops(Run(persons=False)), "good")
    assert (good["unit"], good["of"], good["images"]) == ("images", PEOPLE * IMAGES - 1, good["n"])


def test_constant_maps_count_against_their_explainer() -> None:
    """With most of its maps constant, the good one is no longer shown to be good."""
    few = list(range(6, 110))
    assert row(stops(Run(good=few)), "good")["holds"] != "yes"
    assert row(stops(Run(good=few)), "good")["of"] == PEOPLE, "they are not left out"


def test_the_order_is_drawn_from_the_seed_and_not_from_the_scores() -> None:
    first, again, other = (stops(Run(seed)) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert list(first["holds"]) == list(other["holds"])


def test_nobody_is_decided_by_a_metric_that_judges_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(when, "barred", lambda found: {"settled-pairs": "it did not pass its examination"})
    table = stops(Run())
    assert set(table["holds"]) == {"open"}
    assert table["n"].equals(table["of"])


def test_a_run_without_settled_pairs_says_nothing() -> None:
    run = Run()
    vars(run)["record"] = a_record(checks=())
    assert stops(run).empty


def test_what_it_would_have_saved_is_said() -> None:
    run = Run()
    assert passes_of_games(run) == 2**9 * 2 * 2
    table = stops(run)
    said = early.early_table(run, table, 2048).attrs["notes"][-1]
    good, poor = (row(table, name)["n"] for name in ("good", "poor"))
    assert said == (
        f"Decided early: good after {good} of 60 and poor after {poor} of 60. Of the 243,712 passes of the games 0 "
        "would be saved."
    )
    without = table[table["explainer"] != "open"]
    most = int(without["images"].max())
    assert f"{(119 - most) * 2048:,} would be saved" in early.saved(without, 2048)
    assert (
        early.saved(table[table["explainer"] == "open"], 2048)
        == "Had one looked after every person, nobody would have been decided before the last."
    )


def test_who_answers_another_question_is_not_refused() -> None:
    run = Run()
    ladder = dict.fromkeys(LADDER, 0) | {"explainer": "poor", "class": "all", "rung": 3, "reached": "another question"}
    vars(run)["ladder"] = frame(LADDER, [ladder])
    assert early.early_table(run, stops(run), 1).loc["poor", "what counted"] == "another question"
    assert early.early_table(Run(), stops(Run()), 1).loc["poor", "what counted"] == "no"
