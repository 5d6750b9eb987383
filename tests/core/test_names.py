"""Names and texts that users and files bring: shown whole, or refused in one line where they enter."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import SPEC, tiny_network

from harness.errors import DefinitionError, UsageError
from harness.explainers.asked import asked_explainers
from harness.explainers.base import explainer
from harness.faces.faceset import FaceSet
from harness.names import LONGEST, explainer_name_fault, name_fault, printable
from harness.report.rendering import inert
from harness.subject import Subject

BAD = {
    "": "no text", "  ": "no text", "a\x1b[2J": "moves or hides", "a\nharness: all": "moves or hides",
    "a\u202egnp.exe": "moves or hides", "a\udc80": "moves or hides", "a\u2028b": "moves or hides",
    "M" * (LONGEST + 1): f"of {LONGEST + 1} letters",
}  # fmt: skip
GOOD = ("Happy", "très content", "幸せ", "می‌خواهم", "<30", "A+", "0", "M" * LONGEST)


@pytest.mark.parametrize("name", BAD)
def test_bad_names_are_refused_where_they_enter(name: str) -> None:
    said = re.escape(BAD[name])
    with pytest.raises(UsageError, match=said) as of_class:
        Subject(tiny_network(), name="tiny", classes=("a", "b", name), spec=SPEC)
    with pytest.raises(UsageError, match=said) as of_subject:
        Subject(tiny_network(), name=name, classes=("a", "b", "c"), spec=SPEC)
    with pytest.raises(UsageError, match=said) as of_faces:
        FaceSet("few", np.zeros((1, 4, 4), np.uint8), ("a", name))
    for caught in (of_class, of_subject, of_faces):
        assert "\n" not in str(caught.value)
        assert "\x1b" not in str(caught.value)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", GOOD)
def test_names_of_any_script_are_taken(name: str) -> None:
    assert name_fault(name) == ""
    assert Subject(tiny_network(), name=name, classes=("a", "b", name), spec=SPEC).name == name


@pytest.mark.usefixtures("unchecked")
def test_a_class_that_is_no_text_is_refused() -> None:
    with pytest.raises(UsageError, match="subject 'tiny': its class 0 is no text; give it in letters"):
        Subject(tiny_network(), name="tiny", classes=(0, 1, 2), spec=SPEC)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        *("all", "class", "recall", "mean-face", "mean-image", "Oracle", "truth-noise-40", "gradient defined"),
        *("p", "W", "difference", "images", "better"),
    ],
)
def test_an_explainer_does_not_take_the_tables_own_words(tmp_path: Path, name: str) -> None:
    assert "a word of the tables themselves" in explainer_name_fault(name)
    with pytest.raises(DefinitionError, match="is a word of the tables themselves; choose another"):
        explainer(name=name)(lambda subject, images, targets: images.sum(1))
    mine = tmp_path / "mine.py"
    mine.write_text(f"def made(subject, images, targets): ...\nmade.__name__ = {name!r}\n")
    with pytest.raises(DefinitionError, match="is a word of the tables themselves"):
        asked_explainers([f"{mine}:made"])


@given(st.text())
def test_what_is_printable_moves_nothing_and_keeps_the_rest(text: str) -> None:
    shown = printable(text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    assert printable(shown) == shown
    assert shown == text or re.search(r"\\[xu][0-9a-f]+|\\r", shown)


def test_errors_are_safe_on_a_terminal() -> None:
    assert str(UsageError("no file \x1b[31mred\x1b[0m")) == r"no file \x1b[31mred\x1b[0m"


def test_no_text_of_a_table_is_a_formula() -> None:
    table = pd.DataFrame({"=cmd()": ["=1+1", "-0.5", "-x", "@a", "plain", "-"], "value": [-1.0, 2, 3, 4, 5, 6]})
    shown = inert(table)
    assert list(shown.columns) == ["'=cmd()", "value"]
    assert list(shown["'=cmd()"]) == ["'=1+1", "-0.5", "'-x", "'@a", "plain", "-"]
    assert list(shown["value"]) == [-1, 2, 3, 4, 5, 6]
