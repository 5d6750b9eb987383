"""What `benchmarks.speed` compares: names that exist, passes that are counted on both sides, sizes that are told."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.speed import scores, sized
from benchmarks.speed.__main__ import BEGIN, END, HEAD, written
from benchmarks.speed.peers import metrics, work_of
from harness.measurements.base import MAP, SPECTRUM, TRANSPLANT
from harness.metrics.score import SCORE
from harness.store import IDENTITY

pytestmark = pytest.mark.skipif(importlib.util.find_spec("quantus") is None, reason="quantus is not installed")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> scores.Ours:
    return scores.Ours(1, tmp_path_factory.mktemp("ours"))


def test_every_measurement_and_every_metric_that_is_compared_exists(ours: scores.Ours) -> None:
    work = work_of("faces-cnn", "rendered", ours.ids[:1], layout=False)
    assert {each.name for each in ours._measurements} == set(scores.HELD)
    assert {name for held in scores.HELD.values() for name in held} <= {name for name, _ in metrics(work)}


def test_passes_are_counted_on_both_sides(ours: scores.Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "HELD", {"removal": ("PixelFlipping",), "complexity": ("Sparseness",)})
    monkeypatch.setattr(ours, "_measurements", [each for each in ours._measurements if each.name in scores.HELD])
    took, told = ours.took()
    images, maps, curves, steps = len(ours.ids), 3, 2, 8
    assert took["complexity"].passes == 0
    # Whole and filled images are asked about once for all.
    assert took["removal"].passes == images * (maps * curves * steps + 2)
    assert told["removal"] == "8 scores of 3 maps"
    theirs = scores.theirs(work_of("faces-cnn", "rendered", ours.ids, layout=False))
    assert theirs["Sparseness"].passes == 0
    assert theirs["PixelFlipping"].passes == 9 * images


def test_maps_are_told_with_their_nulls() -> None:
    rows = pd.DataFrame([{**dict.fromkeys(IDENTITY, ""), "variant": each} for each in (MAP, SPECTRUM, TRANSPLANT)])
    rows = rows.assign(kind=SCORE)
    assert scores._scored(scores.Measurement, rows) == "1 scores of 3 maps"


def test_a_larger_side_keeps_the_network_and_multiplies_its_places() -> None:
    small, large = sized.stretched(48), sized.stretched(96)
    pictures = torch.rand(2, 1, 48, 48)
    assert torch.allclose(small(pictures), sized.load_subject("faces-cnn").network(pictures))
    assert large(torch.rand(2, 1, 96, 96)).shape == (2, 7)


def test_a_row_takes_the_place_of_the_one_before_and_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    written(page, [("a", "b", "c", "d"), ("e", "f", "g", "h")])
    written(page, [("i", "j", "k", "l"), ("a", "2", "3", "4")])
    lines = f"{HEAD}\n| a | 2 | 3 | 4 |\n| e | f | g | h |\n| i | j | k | l |"
    assert page.read_text() == f"before\n{BEGIN}\n{lines}\n{END}\nafter\n"
