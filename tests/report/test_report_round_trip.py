"""What is printed for a spreadsheet or a page is read again as it was; json and parquet have tests of their own."""

from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from harness.report import rendering, tables
from harness.store import RunFolder

REFERENCE = RunFolder.existing(Path(__file__).parents[2] / "results" / "reference")


@pytest.mark.parametrize("by", ["class", "explainer"])
def test_a_csv_has_every_digit_and_every_count(by: str) -> None:
    table = tables.metric_table(REFERENCE, "settled-pairs", by=by)
    read = pd.read_csv(StringIO(rendering.render(table, "csv")), index_col=0, dtype=str)  # Python reads every digit
    by_class = table if by == "class" else table.T
    read = read if by == "class" else read.T
    for name in table.attrs["explainers"]:
        assert list(read[name].map(float)) == list(by_class[name].astype(float)), name
        assert list(read[f"{name} defined"].map(float)) == [
            table.attrs["defined"][where][name] for where in by_class.index
        ]


def test_a_page_has_every_cell_that_a_reader_sees() -> None:
    table = tables.metric_table(REFERENCE, "settled-pairs")
    lines = [line for line in rendering.render(table, "md").splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    shown = rendering.readable(table)
    assert head == list(shown.columns)
    assert rows == [[str(value) for value in row] for row in shown.itertuples(index=False)]
