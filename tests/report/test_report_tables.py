import json
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import Plan
from tiny import EXACT, names_in, with_record

from harness.errors import UsageError
from harness.names import TABLES_OWN
from harness.report import queries, rendering, tables, wording
from harness.store import RunFolder


def by_hand(run: RunFolder, explainer: str, target: str | None = None) -> np.ndarray:
    """The defined deletion gains over the spectrum null."""
    s = run.named_scores
    held = s[(s["name"] == "deletion-gain") & (s.variant == "spectrum-null") & (s.explainer == explainer)]
    held = held if target is None else held[held.target == target]
    return np.array([value for value, status in zip(held["value"], held["status"], strict=True) if status == "ok"])


def test_a_cell_is_the_mean_of_the_class(run: RunFolder) -> None:
    table = tables.metric_table(run)
    assert table.loc["Happy", "gradcam"] == pytest.approx(by_hand(run, "gradcam", "Happy").sum() / 8, rel=EXACT)


def test_all_is_the_mean_over_images_and_not_over_classes(run: RunFolder) -> None:
    table = tables.metric_table(run)
    assert table.loc["all", "lime"] == pytest.approx(by_hand(run, "lime").sum() / 38, rel=EXACT)
    assert table.loc["all", "lime"] != pytest.approx(table["lime"].drop("all").mean(), rel=1e-3)


def test_undefined_values_are_left_out_and_not_counted_as_zero(run: RunFolder) -> None:
    mean = tables.metric_table(run).loc["Angry", "lime"]
    values = by_hand(run, "lime", "Angry")
    assert len(values) == 6
    assert mean == pytest.approx(values.sum() / 6, rel=EXACT)
    assert mean != pytest.approx(values.sum() / 8, rel=1e-3)


def test_n_says_defined_of_asked(run: RunFolder) -> None:
    table = tables.metric_table(run)
    assert (table.loc["Happy", "n"], table.loc["all", "n"]) == ("8 of 8", "48 of 48")


def test_a_cell_with_fewer_values_than_its_row_says_how_many(run: RunFolder) -> None:
    shown = rendering.readable(tables.metric_table(run)).set_index("class")
    assert shown.loc["Angry", "lime"].endswith(" (6/8)")
    assert "(" not in shown.loc["Angry", "gradient"]


def test_a_class_without_images_has_a_row_that_says_so(run: RunFolder) -> None:
    table = tables.metric_table(run)
    assert table.loc["Disgust", "n"] == "no images"
    assert table.loc["Disgust"].drop(["n", "recall"]).isna().all()
    assert "no images of: Disgust." in rendering.render(table, "text")


def test_an_explainer_without_maps_is_undefined_and_its_reason_is_told(run: RunFolder) -> None:
    table = tables.metric_table(run)
    assert np.isnan(table.loc["all", "rise"])
    text = rendering.render(table, "text")
    assert "undefined" in text
    assert "rise: failed (rise returned NaN for every image)." in text


def test_rows_are_every_class_of_the_subject_and_all(run: RunFolder) -> None:
    assert list(tables.metric_table(run).index) == [*run.record.subject.classes, "all"]


def test_controls_come_last(run: RunFolder) -> None:
    assert list(tables.metric_table(run).columns[-3:]) == ["random", "edges", "mean-face"]


def test_by_explainer_is_the_same_table_transposed(run: RunFolder) -> None:
    one, other = tables.metric_table(run), tables.metric_table(run, by="explainer")
    assert other.loc["gradcam", "Happy"] == one.loc["Happy", "gradcam"]
    assert list(other.columns) == list(one.index)


def test_recall_is_the_diagonal_over_the_row(run: RunFolder) -> None:
    confusion = queries.matrix(run, "confusion")
    assert confusion is not None
    table = tables.metric_table(run)
    assert table.loc["Fear", "recall"] == confusion.loc["Fear", "Fear"] / confusion.loc["Fear"].sum()
    assert table.loc["all", "recall"] == np.trace(confusion) / confusion.to_numpy().sum()


def test_recall_of_a_class_without_faces_is_undefined(run: RunFolder) -> None:
    assert np.isnan(tables.metric_table(run).loc["Disgust", "recall"])
    assert "no images" in rendering.render(tables.metric_table(run), "text")


def test_without_labels_there_is_no_recall(unlabelled: RunFolder) -> None:
    assert "recall" not in tables.metric_table(unlabelled).columns


def test_the_variant_may_stand_in_the_metric(run: RunFolder) -> None:
    one = tables.metric_table(run, "deletion-gain/transplant-null")
    pd.testing.assert_frame_equal(one, tables.metric_table(run, "deletion-gain", "transplant-null"))
    assert one.attrs["variant"] == "transplant-null"


def test_an_unknown_metric_is_refused_with_those_there_are(run: RunFolder) -> None:
    said = r"no metric 'delition-gain' \(did you mean 'deletion-gain'\?\); choose one of: deletion-auc, deletion-gain"
    with pytest.raises(UsageError, match=said):
        tables.metric_table(run, "delition-gain")


def test_an_unknown_variant_is_refused_with_those_there_are(run: RunFolder) -> None:
    with pytest.raises(UsageError, match=r"no variant 'nul'.*spectrum-null, transplant-null"):
        tables.metric_table(run, "deletion-gain/nul")


def test_what_only_failed_is_no_metric(run: RunFolder) -> None:
    assert "maps" in set(names_in(run.scores))
    assert "maps" not in queries.metrics(run)


def test_an_unknown_format_is_refused_with_those_there_are(run: RunFolder) -> None:
    with pytest.raises(UsageError, match="unknown format 'html'; choose one of: text, md, csv, latex, json"):
        rendering.render(tables.metric_table(run), "html")


@pytest.mark.parametrize("by", ["class", "explainer"])
def test_text_fits_the_terminal(run: RunFolder, large: RunFolder, by: str) -> None:
    for held in (run, large):
        for table in (tables.metric_table(held, by=by), tables.verdict_table(held), tables.per_class_verdicts(held)):
            assert max(map(len, rendering.render(table, "text").splitlines())) <= 120


def test_every_column_appears_in_the_text(large: RunFolder) -> None:
    text = rendering.render(tables.metric_table(large), "text").replace("-", "").replace("\n", " ")
    for name in queries.families(large):
        for word in name.split("-"):
            assert word in text


def test_json_holds_every_digit_and_null_for_undefined(run: RunFolder) -> None:
    table = tables.metric_table(run)
    read = {each["class"]: each for each in json.loads(rendering.render(table, "json"))["classes"]}
    assert read["Happy"]["explainers"]["gradcam"] == {
        "mean": table.loc["Happy", "gradcam"],
        "defined": 8,
        "asked": 8,
    }
    assert read["Happy"]["explainers"]["rise"] == {"mean": None, "defined": 0, "asked": 8}
    assert read["Disgust"]["images"] == 0


def test_json_is_the_same_by_class_and_by_explainer(run: RunFolder) -> None:
    by_class, by_explainer = (
        rendering.render(tables.metric_table(run, by=by), "json") for by in ("class", "explainer")
    )
    assert json.loads(by_class) == json.loads(by_explainer)


def test_json_of_verdicts_holds_every_row(run: RunFolder) -> None:
    read = json.loads(rendering.render(tables.verdict_table(run), "json"))["rows"]
    assert len(read) == (run.verdicts["class"] == "all").sum()
    assert {"effect", "low", "high", "p_adjusted", "n", "undefined"} <= set(read[0])


def test_csv_holds_every_digit_and_the_number_of_values(run: RunFolder, tmp_path: object) -> None:
    lines = rendering.render(tables.metric_table(run), "csv").splitlines()
    header, happy = lines[0].split(","), next(line for line in lines if line.startswith("Happy")).split(",")
    row = dict(zip(header, happy, strict=True))
    assert float(row["lime"]) == tables.metric_table(run).loc["Happy", "lime"]
    assert (row["lime defined"], row["n"], row["rise"], row["rise defined"]) == ("7", "8", "", "0")


@pytest.mark.parametrize(("format", "mark"), [("md", "| Happy"), ("latex", r"\begin{tabular}")])
def test_markdown_and_latex_are_what_they_say(run: RunFolder, format: str, mark: str) -> None:
    assert mark in rendering.render(tables.metric_table(run), format)


def test_a_verdict_is_a_mark_and_its_effect(run: RunFolder) -> None:
    table, held = tables.verdict_table(run), run.verdicts.set_index(["explainer", "check", "class"])
    row = held.loc[("guided-backprop", "randomization-full", "all")]
    assert row["verdict"] == "fail"
    assert table.loc["guided-backprop", "randomization-full"] == f"FAIL {row['effect']:+.3f}"
    assert table.loc["edges", "deletion-edges"] == "–"


def test_verdicts_say_on_how_many_images_they_rest(run: RunFolder) -> None:
    table = tables.verdict_table(run)
    assert (table.loc["gradient", "n"], table.loc["lime", "n"]) == ("48 of 48", "38 of 48")
    assert table.loc["rise", "n"] == "no maps"


def test_verdicts_stand_in_the_order_of_the_checks(run: RunFolder) -> None:
    assert list(tables.verdict_table(run).columns[1:4]) == [
        "deletion-spectrum",
        "deletion-transplant",
        "deletion-edges",
    ]


def test_class_verdicts_say_where_there_are_no_images(run: RunFolder) -> None:
    table = tables.per_class_verdicts(run)
    assert set(table.loc[table["explainer"] == "gradient", "Disgust"]) == {"no images"}


def test_class_verdicts_hold_only_checks_that_judge_classes(run: RunFolder) -> None:
    assert not any(name.startswith("confusion") for name in tables.per_class_verdicts(run)["check"])


def test_tables_of_a_run_without_verdicts_are_empty_and_print(small: RunFolder) -> None:
    bare = RunFolder(small.path)
    bare.__dict__["verdicts"] = small.verdicts.iloc[:0]
    assert "gradient" in rendering.render(tables.verdict_table(bare), "text")
    assert len(tables.per_class_verdicts(bare)) == 0


def test_the_metrics_that_a_check_rests_on_and_the_verdicts_are_written(small: RunFolder) -> None:
    names = {path.name for path in tables.write_tables(small)}
    wanted = {"deletion-gain-spectrum-null.csv", "verdicts.csv", "verdicts-by-class.md", "metrics.csv"}
    assert wanted | {"examinations.md"} <= names
    assert "insertion-auc-map.md" not in names
    assert all((small.path / "tables" / name).is_file() for name in names)


def test_the_overview_is_the_mean_over_defined_images_of_every_metric(small: RunFolder) -> None:
    made = tables.overview_table(small)
    scores = small.scores
    held = scores[
        (names_in(scores) == "deletion-auc") & (scores["variant"] == "map") & (scores["explainer"] == "gradient")
    ]
    assert made.loc["deletion-auc", "gradient"] == pytest.approx(held["value"].mean(), abs=EXACT)
    assert made.loc["deletion-auc", "better"] == "lower"
    assert "deletion-gain" not in made.index


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=14), min_size=1, max_size=5), st.integers(3, 20))
@settings(max_examples=50, deadline=None)
def test_a_folded_name_fits_and_loses_nothing(parts: list[str], width: int) -> None:
    name = "-".join(parts)
    lines = wording.folded(name, width).split("\n")
    assert "".join(lines) == name
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("value", [1e-9, -1e-9, 0.0, -0.0])
def test_zero_has_no_sign(value: float) -> None:
    assert wording.number(value, signed=True) == "0.000"


# ---------------------------------------------------------------------- what a run says of its metrics


def test_a_metric_of_which_the_run_says_nothing_has_its_name_and_no_direction(run: RunFolder) -> None:
    table = tables.metric_table(with_record(run, metrics={}), "deletion-auc gain")
    assert "is better" not in table.attrs["title"]
    assert table.attrs["notes"][0] == "deletion-auc gain: deletion-auc gain."


def test_a_score_is_asked_for_by_its_columns(run: RunFolder) -> None:
    assert queries.called(run, "deletion-auc", kind="gain") == "deletion-gain"
    assert queries.called(run, "deletion-auc/transplant-null", kind="gain") == "deletion-gain/transplant-null"
    assert queries.called(run, "randomization-full", kind="excess") == "randomization-full-excess"
    assert queries.called(run, "whatever") == "whatever"
    with pytest.raises(
        UsageError, match="holds no --kind score --fill mean of 'deletion-auc'; there is --kind score; "
    ):
        queries.called(run, "deletion-auc", fill="mean")
    with pytest.raises(
        UsageError, match="no metric 'deletion-gain' in the column metric; choose one of: deletion-auc,"
    ):
        queries.called(run, "deletion-gain", kind="gain")


def test_a_table_says_which_score_it_shows(run: RunFolder) -> None:
    said = json.loads(rendering.render(tables.metric_table(run, "deletion-gain"), "json"))["score"]
    assert said == {"metric": "deletion-auc", "output": "", "fill": "", "kind": "gain"}


def test_what_the_run_says_of_a_metric_is_what_a_reader_is_told(run: RunFolder) -> None:
    fact = replace(run.record.metrics["deletion-gain"], higher_is_better=False, meaning="something else")
    table = tables.metric_table(with_record(run, metrics={"deletion-gain": fact}), "deletion-gain")
    assert "lower is better" in table.attrs["title"]
    assert table.attrs["notes"][0] == "deletion-gain: something else."


def test_the_maps_own_score_is_meant_where_no_variant_is_named(run: RunFolder) -> None:
    """A score's null stands beside it under the same name; of a gain there is none of the map's own."""
    assert queries.chosen(run, "deletion-auc")[1] == "map"
    assert queries.chosen(run, "deletion-gain")[1] == "spectrum-null"


def test_no_explainer_can_be_called_as_a_column_of_a_table_of_explainers(run: RunFolder) -> None:
    known = {*queries.families(run), *(f"{name} defined" for name in queries.families(run))}
    for table in (tables.metric_table(run, "deletion-gain"), tables.overview_table(run)):
        assert {str(name).lower() for name in table.columns} - known <= TABLES_OWN


@pytest.mark.parametrize("by", ["class", "explainer"])
def test_classes_may_be_called_as_the_columns_of_a_table(
    make: Callable[[Plan], RunFolder], by: Literal["class", "explainer"]
) -> None:
    """A network that says y or n is told of, and none of its columns is another's."""
    run = make(Plan(("n", "check", "explainer", "recall", "class"), empty="class"))
    words = {str(name) for name in queries.classes(run)}
    for table in (
        tables.metric_table(run, "deletion-gain", by=by),
        tables.per_class_verdicts(run),
    ):
        shown = rendering.readable(table)
        assert shown.columns.is_unique
        assert words <= {*map(str, shown.columns), *map(str, shown.iloc[:, 0])}
        for form in rendering.FORMATS:
            assert rendering.render(table, form)
    own = list(tables.per_class_verdicts(run).columns[:3])
    assert own == ["explainer (of the table)", "check (of the table)", "n (of the table)"]


def test_scores_that_are_all_small_keep_their_digits(run: RunFolder) -> None:
    """In the map's own units of a network that reads 0 to 255 they would all be 0.000."""
    table = tables.metric_table(run, "deletion-gain")
    small = table.copy()
    held = [name for name in small.columns if name in table.attrs["explainers"]]
    small[held] /= 1000
    small.attrs = table.attrs | {"largest": float(np.nanmax(small[held].abs().to_numpy()))}
    told = rendering.readable(small)[held[0]].tolist()
    for text, value in zip(told, small[held[0]].tolist(), strict=True):
        assert np.isnan(value) or float(text.split(" ")[0]) == pytest.approx(value, rel=0.005)
    assert "e-" not in "".join(map(str, rendering.readable(table).to_numpy().ravel()))
