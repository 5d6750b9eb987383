"""What claims could have shown, against draws, and what a run cost, by hand."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from tiny import an_explainer, with_record

from harness.report import curve_figures, map_picker, queries, workings
from harness.store import CheckRecord, RunFolder
from harness.store.record import Cost, PassesRecord

ALPHA, CONFIDENCE, ERROR = 0.01, 0.99, 0.04
HALF = ERROR * norm.ppf((1 + CONFIDENCE) / 2)


class Judged(RunFolder):
    """As much of a run as holds one deciding claim on three methods, with intervals of a known error."""

    def __init__(self, run: RunFolder, check: CheckRecord, widths: tuple[float, ...] = (1.0, 1.0, 1.0)) -> None:
        super().__init__(run.path)
        names = [f"method-{place}" for place in range(len(widths))]
        row = run.verdicts[run.verdicts["class"] == "all"].iloc[0].to_dict() | {"check": check.name, "class": "all"}
        rows = [
            row | {"explainer": name, "effect": 0.2, "low": 0.2 - HALF * width, "high": 0.2 + HALF * width}
            for name, width in zip(names, widths, strict=True)
        ]
        explainers = tuple(an_explainer(name) for name in names)
        vars(self)["verdicts"] = pd.DataFrame(rows).astype(run.verdicts.dtypes)
        vars(self)["record"] = replace(run.record, checks=(check,), explainers=explainers)


def deciding(run: RunFolder, *, at_most: bool = False) -> CheckRecord:
    name = queries.deciding(run)[0]
    held = next(each for each in run.record.checks if each.name == name)
    return replace(held, margin=0.1, at_most=at_most)


def said(text: object) -> float:
    return float(re.findall(r"[+-]?\d+\.\d+", str(text))[0])


def test_an_effect_of_the_size_told_is_seen_in_four_of_five_draws(few: RunFolder) -> None:
    table = workings.power_table(Judged(few, deciding(few)))
    size = said(table["seen from"].iloc[0])
    drawn = np.random.default_rng(0).normal(size, ERROR, 40_000)
    seen = (drawn - norm.isf(ALPHA) * ERROR > 0.1).mean()
    # The size is told to three decimals, an eightieth of the error: .004 of the power; four deviations of draws: .008.
    assert seen == pytest.approx(0.8, abs=0.015)


def test_of_a_claim_that_something_is_at_most_it_lies_below_the_margin(few: RunFolder) -> None:
    above, below = (
        said(workings.power_table(Judged(few, deciding(few, at_most=at_most)))["seen from"].iloc[0])
        for at_most in (False, True)
    )
    assert above - 0.1 == pytest.approx(0.1 - below, abs=0.001)
    assert below < 0.1 < above


def test_the_median_method_stands_between_the_narrowest_and_the_widest(few: RunFolder) -> None:
    row = workings.power_table(Judged(few, deciding(few), (0.5, 1.0, 3.0))).iloc[0]
    least, most = (said(text) for text in row["between"].split(" and "))
    distances = np.array([least, said(row["seen from"]), most]) - 0.1
    np.testing.assert_allclose(distances / distances[1], [0.5, 1.0, 3.0], atol=0.02)  # told to three decimals


def costly(run: RunFolder) -> RunFolder:
    made = (("fast", Cost(1000, 0, 1.0)), ("slow", Cost(1000, 500, 6.0)), ("kept", Cost(0, 0, 0.0)))
    explainers = [an_explainer(name, cost=cost) for name, cost in made]
    failed = an_explainer("failed", status="failed", cost=Cost(9, 9, 9.0))
    return with_record(
        run,
        explainers=(*explainers, failed),
        shared_cost=Cost(4000, 0, 8.0),
        passes=PassesRecord(6009, 509),
        seconds=20.0,
    )


def test_a_floor_is_the_passes_at_the_best_pace_that_was_seen(few: RunFolder) -> None:
    table = workings.cost_table(costly(few))
    assert list(table.index) == ["fast", "slow", "kept", workings.SHARED, workings.ALTOGETHER]
    assert list(table["floor"]) == ["1.0", "2.0", "0.0", "4.0", "7.0"]
    assert list(table["beyond it"]) == ["1.0 times", "3.0 times", "–", "2.0 times", "2.8 times"]
    assert list(table.loc[workings.ALTOGETHER, ["forward", "backward", "seconds"]]) == ["6,009", "509", "20.0"]


def test_without_a_pass_there_is_no_floor(few: RunFolder) -> None:
    empty = with_record(few, explainers=(), shared_cost=Cost(0, 0, 0.0), passes=PassesRecord(0, 0))
    assert set(workings.cost_table(empty)["floor"]) == {"–"}


def test_the_page_says_what_claims_could_have_shown_and_what_it_cost(html: str) -> None:
    for title in ("What each claim could have shown", "What it cost"):
        assert f'<table class="sortable numbers" aria-label="{title}">' in html


def test_a_truth_that_is_not_known_for_a_picture_is_no_constant_map(few: RunFolder) -> None:
    held = few.examples
    name, image = str(held.explainers[0]), 0
    maps = held.maps.copy()
    maps[0, image] = 0
    known = RunFolder(few.path)
    vars(known)["examples"] = replace(held, maps=maps)
    told = []
    for family in ("gradient", "oracle"):
        explainers = tuple(
            replace(each, family=family) if each.name == name else each for each in few.record.explainers
        )
        vars(known)["record"] = replace(few.record, explainers=explainers)
        tiles = map_picker.picker(known).shown[image].tiles
        told.append(next(tile.fault for tile in tiles if tile.explainer == name))
    assert told == ["a constant map", "not known for this picture"]


def test_who_is_given_and_has_no_curves_takes_no_panel(few: RunFolder) -> None:
    names = list(queries.families(few))
    explainers = (*few.record.explainers, an_explainer("truth", "oracle"))
    figure = curve_figures.cascade_figure(with_record(few, explainers=explainers))
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_visible()]
    assert [title for title in titles if title] == names
