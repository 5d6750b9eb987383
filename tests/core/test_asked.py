"""Explainers asked for in words: names, families, files and other packages."""

import importlib.metadata
from pathlib import Path

import pytest

from harness.errors import DefinitionError, UsageError
from harness.explainers import asked
from harness.explainers.asked import DEFAULT, asked_explainers, load_entry_points
from harness.explainers.base import Explainer, registered

MINE = """
import functools
from harness import explainer

@explainer(name="my-method", family="mine")
def method(subject, images, targets, *, sigma=0.1):
    return images[:, 0]

def plain(subject, images, targets):
    return images[:, 0]

def gradient(subject, images, targets):
    return images[:, 0]

sharper = functools.partial(method.function, sigma=0.2)
number = 3
"""

pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(MINE)
    return str(tmp_path / "mine.py")


def names(texts: list[str] | None) -> list[str]:
    return [explainer.name for explainer in asked_explainers(texts)]


def test_nothing_asked_is_the_default() -> None:
    assert names(None) == names([]) == list(DEFAULT)


def test_every_default_is_registered() -> None:
    assert set(DEFAULT) <= set(registered())


def test_all_is_everything_registered() -> None:
    assert names(["all"]) == list(registered())


def test_a_family_stands_for_its_members() -> None:
    assert names(["control"]) == [name for name, made in registered().items() if made.facts.family == "control"]


def test_explainers_come_in_the_order_asked_and_once() -> None:
    assert names(["saliency", "gradient", "saliency"]) == ["saliency", "gradient"]


def test_a_decorated_function_of_a_file_is_registered_too(mine: str) -> None:
    assert names([f"{mine}:method"]) == ["my-method"]
    assert names(["my-method", "mine"]) == ["my-method"]


def test_a_plain_function_of_a_file_has_its_name(mine: str) -> None:
    assert names([f"{mine}:plain", "saliency"]) == ["plain", "saliency"]


def test_a_partial_of_a_file_has_its_functions_name_and_its_own_settings(mine: str) -> None:
    (made,) = asked_explainers([f"{mine}:sharper"])
    assert (made.name, made.settings) == ("method", {"sigma": 0.2})


def test_a_module_may_be_named_instead_of_a_file() -> None:
    assert names(["harness.explainers.gradient:saliency"]) == ["saliency"]


def test_the_name_of_another_is_refused(mine: str) -> None:
    with pytest.raises(DefinitionError, match=r"'gradient' of .*mine\.py:gradient has the name of .*name yours with"):
        asked_explainers([f"{mine}:gradient"])


MISTAKES = {
    "gradeint": r"called 'gradeint' \(did you mean 'gradient'\?\); `harness list explainers` shows",
    "contrl": r"did you mean 'control'\?",
    "{mine}": r"no explainer or family is called .*file\.py:function",
    "{mine}:absent": "has no 'absent'",
    "{mine}:number": r"mine\.py:number is a int; name a function \(subject, images, targets\) -> maps",
    "nowhere.py:f": "there is no file nowhere.py",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_each_mistake_is_one_clear_line(text: str, mine: str) -> None:
    with pytest.raises(UsageError, match=MISTAKES[text]) as caught:
        asked_explainers([text.format(mine=mine)])
    assert "\n" not in str(caught.value)


def offer(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Let an installed package offer something."""
    point = importlib.metadata.EntryPoint(name, value, asked.ENTRY_POINTS)
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [point] if group == asked.ENTRY_POINTS else []
    )


def test_a_packages_entry_point_can_be_asked_for(
    mine: str, monkeypatch: pytest.MonkeyPatch, registry: dict[str, Explainer]
) -> None:
    monkeypatch.syspath_prepend(Path(mine).parent)
    offer(monkeypatch, "theirs", "mine:plain")
    load_entry_points()
    assert names(["plain"]) == ["plain"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("absent_module:f", "cannot be loaded: No module named"),
        ("mine:gradient", "has the name of .*entry point theirs"),
    ],
)
def test_a_broken_entry_point_is_named_in_one_line(
    value: str, said: str, mine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(mine).parent)
    offer(monkeypatch, "theirs", value)
    with pytest.raises(UsageError, match=said) as caught:
        load_entry_points()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("made", ["dict", "Counter", "getattr"])
def test_what_does_not_say_what_it_takes_is_refused_in_a_line(made: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"from collections import *\nasked = {made}\n")
    with pytest.raises(UsageError, match=r"asked is a .*; name a function \(subject, images, targets\) -> maps"):
        asked_explainers([f"{tmp_path}/mine.py:asked"])
