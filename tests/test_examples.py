"""The examples are judged from beginning to end, as a reader would do it: grey 8 x 8 digits, coloured shapes."""

import re
from pathlib import Path

import pytest

from harness.cli import main
from harness.faces.loading import load_faces
from harness.models.loading import load_subject
from harness.store import RunFolder

EXAMPLES = Path(__file__).parents[1] / "examples"
RIGHT = {"digits": 0.95, "shapes": 0.88}
"""Shares that ``python examples/NAME.py`` printed for the weights that lie beside it."""

FIXED = re.compile(r"(cells-|--fill )mean-face(-fine)?|--faces")
"""Options, and what they take, whatever the pictures are."""
PICTURE = re.compile(r"data:image/png;base64,[^\"]*")


def faces_in(text: str) -> list[str]:
    """What a text says of faces, with what stands about it."""
    return re.findall(r".{0,40}\bfaces?\b.{0,40}", FIXED.sub("", PICTURE.sub("", text)), re.IGNORECASE)


def test_a_word_of_faces_is_found() -> None:
    assert faces_in("its best face, --faces x, cells-mean-face-fine")
    assert faces_in("mean-face")
    assert not faces_in("the surface, --faces x, cells-mean-face-fine")


pytestmark = pytest.mark.usefixtures("registry", "unchecked")


@pytest.mark.parametrize("name", RIGHT)
def test_the_network_is_as_good_as_was_said(name: str) -> None:
    """An answer between two classes may fall to the other on another machine: one picture in a hundred."""
    subject = load_subject(f"{EXAMPLES / name}.py:network")
    pictures = load_faces(f"{EXAMPLES / name}.py:pictures", subject.classes)
    answers = subject.logits(subject.prepare(pictures.images)).argmax(1).numpy()
    assert pictures.labels is not None
    assert (answers == pictures.labels).mean() == pytest.approx(RIGHT[name], abs=0.01)


@pytest.mark.parametrize("name", RIGHT)
def test_an_example_ends_with_ladder_tables_and_page(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--subject", f"{EXAMPLES / name}.py:network", "--images", f"{EXAMPLES / name}.py:pictures"]
    methods = ["--explainer", "occlusion", "--explainer", "gradient", "--check", "cells-edges"]
    sizes = ["--profile", "quick", "--per-class", "3", "--feed", "contiguous:64"]
    assert main(["run", *words, *methods, *sizes, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    said = printed.out
    assert "of settled pairs right" in said
    run = RunFolder.existing(tmp_path)
    pairs = run.scores.query("metric == 'settled-pairs' and variant == 'map'").groupby("explainer")["value"].mean()
    assert pairs["truth"] == 1
    assert pairs["occlusion"] > pairs["gradient"], "hiding a cell says more of what counted than a small change"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(word in page for word in run.record.subject.classes)
    assert "mean-image" in page
    assert faces_in(said) == faces_in(printed.err) == faces_in(page) == []
    assert main(["table", str(tmp_path), "--by", "class", "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.strip().splitlines()) == 2 + len(run.record.subject.classes)
