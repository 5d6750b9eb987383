"""Ranks, reliability and agreement from stored scores: by hand, with people as the sample, controls kept apart."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from tiny import a_record, an_explainer

from harness.cli.main import main
from harness.metrics.cards import described
from harness.metrics.score import Score
from harness.names import TABLES_OWN
from harness.report import rank_figure, ranks, reliability, rendering
from harness.statistics import friedman, krippendorff_alpha
from harness.store import SCORES, CheckRecord, Examples, RunFolder, frame

X = np.nan
FAMILIES = {"first": "user", "second": "user", "third": "user", "edges": "control", "truth": "oracle"}
CHECK = CheckRecord("cells-edges", "cells", "", "edges", 0.05, "", "", "", "settled-pairs", False, True, 3, "images",
                    "", (), "")  # fmt: skip


class Run(RunFolder):
    """As much of a run folder as ranks are told from."""

    def __init__(
        self,
        values: Mapping[tuple[Score, str], Mapping[str, Sequence[float]]],
        persons: Sequence[int] = (),
        path: Path = Path("nowhere"),
    ) -> None:
        super().__init__(path)
        rows = [
            {
                "explainer": name, **vars(score), "variant": variant, "image": image, "label": "", "predicted": "a",
                "target": "a", "value": value, "status": "undefined" if np.isnan(value) else "ok", "reason": "",
            }
            for (score, variant), held in values.items()
            for name, column in held.items()
            for image, value in enumerate(column)
        ]  # fmt: skip
        record = a_record(
            explainers=tuple(
                an_explainer(name, family, control=family == "control") for name, family in FAMILIES.items()
            ),
            metrics=described([score for score, _ in values]),
            checks=(CHECK,),
        )
        who = pd.DataFrame({"image": range(len(persons)), "person": list(persons)}, dtype=np.int64)
        vars(self).update(scores=frame(SCORES, rows), persons=who, record=record)


PAIRS = (Score("settled-pairs"), "map")
DELETION = (Score("deletion-auc"), "map")


def settled(*rows: Sequence[float], persons: Sequence[int] = ()) -> Run:
    """A run with one row of settled pairs an image: first, second, third, edges, truth."""
    return Run({PAIRS: dict(zip(FAMILIES, zip(*rows, strict=True), strict=True))}, persons)


SIX = [(0.9, 0.5, 0.1, 1.0, 1.0), (0.8, 0.7, 0.2, 0.0, 1.0)] * 3


def test_controls_and_the_truth_are_never_ranked() -> None:
    held = ranks.ranked(settled(*SIX), "settled-pairs", "map")
    assert held is not None
    assert held.names == ("first", "second", "third")
    assert held.means.tolist() == [1, 2, 3]
    assert held.unit == "images"
    assert held.concordance == pytest.approx(1)


def test_where_less_is_better_the_least_is_first() -> None:
    run = Run({DELETION: {"first": [0.1, 0.2], "second": [0.3, 0.1], "third": [0.9, 0.8]}})
    held = ranks.ranked(run, "deletion-auc", "map")
    assert held is not None
    assert held.means.tolist() == [1.5, 1.5, 3]


def test_people_are_the_sample_and_not_their_pictures() -> None:
    """Nine pictures of one person say one thing once; by images `first` would be far ahead."""
    one, other = (0.9, 0.5, 0.1, 0.5, 1.0), (0.5, 0.9, 0.1, 0.5, 1.0)
    run = settled(*[one] * 9, other, other, persons=[0] * 9 + [1, 2])
    held = ranks.ranked(run, "settled-pairs", "map")
    assert held is not None
    assert (held.unit, held.places.shape) == ("people", (3, 3))
    assert held.means.tolist() == pytest.approx([5 / 3, 4 / 3, 3])
    by_hand = friedman(np.array([[3.0, 2, 1], [2, 3, 1], [2, 3, 1]]))
    assert held.test.statistic == pytest.approx(by_hand.statistic)
    assert held.test.n == 3


def test_a_persons_pictures_are_ranked_one_by_one_and_averaged() -> None:
    run = settled((0.9, 0.5, 0.1, 0, 1), (0.9, 0.1, 0.5, 0, 1), (0.2, 0.1, 0.3, 0, 1), persons=[7, 7, 8])
    held = ranks.ranked(run, "settled-pairs", "map")
    assert held is not None
    assert held.places.tolist() == [[1, 2.5, 2.5], [2, 3, 1]]


def test_who_has_no_value_where_another_has_one_is_last() -> None:
    run = settled((0.1, X, 0.5, 0, 1), (X, X, X, X, X), (0.2, 0.5, 0.1, 0, 1))
    held = ranks.ranked(run, "settled-pairs", "map")
    assert held is not None
    assert held.places.tolist() == [[2, 3, 1], [2, 1, 3]], "and what nobody has a value of ranks nobody"


def test_a_table_says_people_p_and_mean_ranks() -> None:
    table = ranks.rank_table(settled(*SIX, persons=range(6)))
    assert table.loc["settled-pairs"].tolist()[:3] == ["6 people", "0.002", "1.000"]
    assert table.loc["settled-pairs", ["first", "second", "third"]].tolist() == ["1.00", "2.00", "3.00"]
    assert "edges" not in table
    assert "Fewer than 10, so that p is rough: settled-pairs." in table.attrs["notes"]
    assert "decide nothing" in rendering.render(table)


def test_a_score_that_nobody_has_or_that_has_no_better_end_ranks_nobody() -> None:
    assert ranks.ranked(settled(*SIX), "settled-pairs", "portrait") is None
    run = settled(*SIX)
    fact = replace(run.record.metrics["settled-pairs"], higher_is_better=None)
    vars(run)["record"] = replace(run.record, metrics={"settled-pairs": fact})
    assert ranks.ranked(run, "settled-pairs", "map") is None


# ---------------------------------------------------------------------- the diagram


def written(figure) -> set[str]:
    return {each.get_text() for each in figure.findobj(Text)}


def test_the_diagram_names_each_method_once_with_its_mean_rank() -> None:
    figure = rank_figure.rank_figure(settled(*SIX, persons=range(6)))
    assert figure is not None
    said = written(figure)
    assert {"first  1.00", "second  2.00", "3.00  third"} <= said
    assert not any("edges" in text or "truth" in text for text in said)
    assert "Settled pairs: mean ranks over 6 people" in said


def test_bars_join_those_that_are_not_told_apart() -> None:
    """At .01 six people tell ranks of three apart that differ by 1.68: first and third, and nobody else."""
    run = settled(*SIX)
    held = ranks.ranked(run, "settled-pairs", "map")
    assert held is not None
    assert held.difference(0.01) == pytest.approx(2.913 * np.sqrt(3 * 4 / (6 * 6)), abs=0.002)
    figure = rank_figure.rank_figure(run)
    assert figure is not None
    bars = [line.get_xdata() for line in figure.axes[0].lines if line.get_linewidth() == 3]
    assert [list(map(float, bar)) for bar in bars] == [[1, 2], [2, 3]]


def test_without_settled_pairs_or_three_methods_there_is_no_diagram() -> None:
    assert rank_figure.rank_figure(Run({DELETION: {"first": [0.1], "second": [0.2], "third": [0.3]}})) is None
    assert rank_figure.rank_figure(Run({PAIRS: {"first": [0.1, 0.2], "second": [0.2, 0.3]}})) is None


# ---------------------------------------------------------------------- reliability


def random_scores(seed: int) -> dict[str, list[float]]:
    return {name: np.random.default_rng([seed, n]).random(40).tolist() for n, name in enumerate(FAMILIES)}


def shared_scores(seed: int, noise: float) -> dict[str, list[float]]:
    """Every method has what makes an image hard, and noise."""
    hard = np.random.default_rng(seed).random(40)
    return {name: (hard + noise * np.array(column)).tolist() for name, column in random_scores(seed).items()}


def test_people_agree_on_methods_and_methods_on_images_apart_from_each_other() -> None:
    alike, hard = settled(*SIX * 4), Run({PAIRS: shared_scores(0, 0.05)})
    first, second = (reliability.reliability_table(run).loc["settled-pairs"] for run in (alike, hard))
    assert first["people"] == "1.00"
    assert float(second["methods"]) > 0.9
    assert abs(float(second["people"])) < 0.2, "40 random orders of three: a deviation of .025"


def test_alpha_over_people_is_that_of_their_ranks() -> None:
    run = Run({PAIRS: random_scores(1)}, persons=np.repeat(np.arange(20), 2).tolist())
    held = ranks.ranked(run, "settled-pairs", "map")
    assert held is not None
    by_hand = krippendorff_alpha(pd.DataFrame(held.places).rank(axis=1).to_numpy())
    assert reliability.reliability_table(run).loc["settled-pairs", "people"] == f"{by_hand:.2f}"


def test_fills_that_rank_alike_agree_and_others_do_not() -> None:
    scores = random_scores(2)
    moved = {name: [2 * value + 1 for value in column] for name, column in scores.items()}
    one, other = Score("deletion-auc"), Score("deletion-auc", fill="blur")
    alike = reliability.reliability_table(Run({(one, "map"): scores, (other, "map"): moved}))
    unlike = reliability.reliability_table(Run({(one, "map"): scores, (other, "map"): random_scores(3)}))
    assert set(alike["fills"]) == {"1.00"}
    assert abs(float(unlike["fills"].iloc[0])) < 0.4, "120 pairs of ranks: four deviations of .09"
    assert set(reliability.reliability_table(Run({(one, "map"): scores}))["fills"]) == {"–"}


def test_scores_of_one_order_have_a_concordance_of_one() -> None:
    fine = dict(zip(FAMILIES, [[0.9] * 4, [0.5] * 4, [0.1] * 4, [0.2] * 4, [1.0] * 4], strict=True))
    low = {name: [1 - value for value in column] for name, column in fine.items()}
    table = reliability.reliability_table(Run({PAIRS: fine, DELETION: low}))
    assert table.loc["deletion-auc", "settled pairs"] == "1.00"
    assert table.attrs["notes"][-1].endswith("all scores: W 1.00 (2 of 2; by chance 0.50).")
    turned = reliability.reliability_table(Run({PAIRS: fine, DELETION: fine}))
    assert turned.loc["deletion-auc", "settled pairs"] == "-1.00"
    assert "W 0.00" in turned.attrs["notes"][-1]


# ---------------------------------------------------------------------- agreement


def kept(tmp_path: Path, sums: Mapping[str, Sequence[float]]) -> Run:
    """A run that keeps one map of 10 x 9 pixels an explainer, each cell as it is said; what is left over is large."""
    maps = np.full((len(sums), 1, 10, 9), 1000.0)
    maps[:, 0, :9] = [np.kron(np.reshape(cells, (3, 3)), np.full((3, 3), 1 / 9)) for cells in sums.values()]
    nothing = np.array([0])
    (tmp_path / "examples.npz").touch()
    run = Run({PAIRS: {name: [0.5] for name in sums}}, path=tmp_path)
    vars(run)["examples"] = Examples(np.zeros((1, 10, 9)), nothing, nothing, nothing, np.array(list(sums)), maps)
    return run


def test_agreement_by_hand(tmp_path: Path) -> None:
    """The first and the second share two of three cells, one at its rank, one with its sign."""
    run = kept(
        tmp_path,
        {
            "first": [9, 8, -7, 1, 2, 3, 4, 5, 6],
            "second": [9, 7, 1, 8, 2, 3, 4, 5, 6.5],
            "third": [1, 2, 3, 4, 5, 6, -7, -8, -9],
            "edges": [9, 8, 7, 1, 2, 3, 4, 5, 6],
            "truth": [-9, 8, -7, 1, 2, 3, 4, 5, 6],
        },
    )
    table = reliability.agreement_table(run)
    assert table is not None
    assert list(table.index) == ["first", "second", "third"]
    assert table.loc["first"].to_dict() == {
        "cells": "0.33", "sign": "0.33", "rank": "0.17", "most alike": "second 0.67", "truth": "1.00",
    }  # fmt: skip
    assert table.loc["third", "truth"] == "0.00"


def test_agreement_is_on_the_cells_of_the_runs_own_games(tmp_path: Path) -> None:
    """Of 2 x 2 cells of 5 x 4 pixels the largest is looked at; the ninth row of nine cells is in the lower ones."""
    run = kept(tmp_path, {"first": [9, *[0] * 8], "second": [*[0] * 8, 9], "truth": [9, *[0] * 8]})
    vars(run)["record"] = replace(run.record, profile={"name": "glance", "cells_per_side": 2})
    run.examples.maps[:, :, 9] = 0.0
    table = reliability.agreement_table(run)
    assert table is not None
    assert table["truth"].tolist() == ["1.00", "0.00"]
    assert table.attrs["notes"][0].startswith("cells: of a map's 1 largest of 4 cells in size")


def test_a_run_without_maps_of_two_methods_has_no_agreement(tmp_path: Path) -> None:
    assert reliability.agreement_table(settled(*SIX)) is None
    assert reliability.agreement_table(kept(tmp_path, {"first": range(9), "edges": range(9)})) is None


# ---------------------------------------------------------------------- the command


def test_the_command_shows_what_is_asked_for_or_says_what_is_missing(
    few: RunFolder, capsys: pytest.CaptureFixture
) -> None:
    assert main(["table", str(few.path), "--show", "ranks", "--metric", "deletion-gain"]) == 0
    assert "deletion-gain/spectrum-null" in capsys.readouterr().out
    assert main(["table", str(few.path), "--show", "agreement", "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("explainer,cells,sign,rank,most alike")
    assert main(["table", str(few.path), "--show", "reliability", "--metric", "deletion-gain"]) == 2
    assert capsys.readouterr().err == "harness: --show reliability is of all scores; name one for --show ranks alone\n"


def test_where_nothing_decides_the_command_says_what_to_name(small: RunFolder, capsys: pytest.CaptureFixture) -> None:
    assert main(["table", str(small.path), "--show", "reliability"]) == 2
    assert "holds no score that ranks three methods" in capsys.readouterr().err
    assert main(["table", str(small.path), "--show", "early"]) == 2
    assert "holds no settled pairs of a method; ask for --check cells" in capsys.readouterr().err


def test_the_page_has_the_tables(html: str) -> None:
    assert 'id="ranks"' in html
    assert "How far explainers agree on what is large" in html


def test_no_explainer_can_be_called_as_a_column_of_the_ranks() -> None:
    table = ranks.rank_table(
        settled([0.9, 0.8, 0.7, 0.5, 1.0], [0.5, 0.6, 0.4, 0.5, 1.0], [0.3, 0.2, 0.1, 0.5, 1.0]),
        [("settled-pairs", "map")],
    )
    assert {str(name).lower() for name in table.columns} - {name for name in FAMILIES} <= TABLES_OWN
