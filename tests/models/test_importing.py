from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.importing import load_object


def written(folder: Path, text: str, name: str = "mine.py") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_name_in_a_file_is_found(tmp_path: Path) -> None:
    assert load_object(f"{written(tmp_path, 'answer = 42')}:answer") == 42


def test_a_name_in_a_module_is_found() -> None:
    assert load_object("json.decoder:JSONDecoder.decode").__name__ == "decode"


def test_a_file_is_run_once(tmp_path: Path) -> None:
    path = written(tmp_path, "class A: ...\nclass B: ...\nboth = [A, B]")
    assert load_object(f"{path}:both") == [load_object(f"{path}:A"), load_object(f"{path}:B")]


def test_a_file_finds_its_neighbours_even_when_called_later(tmp_path: Path) -> None:
    written(tmp_path, "value = 7", "neighbour_of_mine.py")
    path = written(tmp_path, "def f():\n    import neighbour_of_mine\n    return neighbour_of_mine.value")
    assert load_object(f"{path}:f")() == 7


def test_a_dataclass_in_a_file_is_made(tmp_path: Path) -> None:
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass P:\n    x: int = 3"
    assert load_object(f"{written(tmp_path, text)}:P")().x == 3


MISTAKES = {
    "no colon": ("mine.py", "names no object; write file.py:name"),
    "no name": ("mine.py:", "names no object"),
    "no file": ("absent.py:f", "there is no file .*absent.py"),
    "no such name": ("mine.py:anwser", r"has no 'anwser' \(did you mean 'answer'\?\)"),
    "no module": ("no_such_package_at_all:f", "No module named"),
    "file raises": ("raises.py:f", "importing .*raises.py failed .*ZeroDivisionError"),
    "syntax": ("syntax.py:f", "SyntaxError"),
    "exits": ("exits.py:f", "SystemExit: 3"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_one_clear_line(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "answer = 42")
    written(tmp_path, "1 / 0", "raises.py")
    written(tmp_path, "def f(:\n", "syntax.py")
    written(tmp_path, "raise SystemExit(3)", "exits.py")
    monkeypatch.chdir(tmp_path)
    text, said = MISTAKES[mistake]
    with pytest.raises(UsageError, match=said) as caught:
        load_object(text)
    assert "\n" not in str(caught.value)


def test_a_file_that_failed_can_be_mended_and_loaded(tmp_path: Path) -> None:
    path = written(tmp_path, "1 / 0")
    with pytest.raises(UsageError):
        load_object(f"{path}:f")
    written(tmp_path, "f = 1")
    assert load_object(f"{path}:f") == 1


def test_what_a_file_offers_may_be_imported_by_another(tmp_path: Path) -> None:
    words = "from harness import explainer, metric\nfrom harness.checks import check\n"
    (tmp_path / "first_of_two.py").write_text(
        words + '@explainer(name="twice-read")\ndef twice(subject, images, targets):\n    return images[:, 0]\n'
        '@metric(name="twice-measured")\ndef measured(maps):\n    return maps.sum((1, 2))\n'
        '@check(metric="twice-measured", claim="c", control="d", margin=0.0, margin_reason="e", name="twice-claimed")\n'
        "def claimed(scores):\n    return scores['value']\n"
    )
    (tmp_path / "second_of_two.py").write_text("from first_of_two import twice, measured, claimed\n")
    first = load_object(f"{tmp_path}/first_of_two.py:twice")
    second = load_object(f"{tmp_path}/second_of_two.py:twice")
    assert first.name == second.name == "twice-read"
    assert first is not second


def test_another_of_the_same_name_is_told_where_the_first_one_is(tmp_path: Path) -> None:
    for name, what in (("one_of_a_name", 0), ("other_of_a_name", 1)):
        (tmp_path / f"{name}.py").write_text(
            "from harness import explainer\n@explainer(name='called-alike')\n"
            f"def called(subject, images, targets):\n    return images[:, 0] + {what}\n"
        )
    load_object(f"{tmp_path}/one_of_a_name.py:called")
    with pytest.raises(UsageError, match=r"of other_of_a_name.py:called has the name of one_of_a_name.py:called"):
        load_object(f"{tmp_path}/other_of_a_name.py:called")
