"""What is on record of the contract, and that it speaks for no other code."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from harness.checks import record
from harness.checks.contract import Examination, contract_clauses
from harness.checks.record import RECORDED, contract_states, stored_record, with_examinations, write_record
from harness.explainers import registered, wrapped
from harness.explainers.gradient import gradient

HOLDS = Examination("gradient", "faces-cnn")


def recorded(examination: Examination) -> str:
    """What a record of one examination says of the network it was made on."""
    return contract_states(gradient, with_examinations({}, "rendered", [(gradient, examination)]))["faces-cnn"]


@pytest.mark.parametrize(
    ("examination", "state"),
    [
        (HOLDS, "holds"),
        (replace(HOLDS, broken={"finite": "NaN"}), "broken: finite (NaN)"),
        (replace(HOLDS, refusal="no average"), "refuses: no average"),
    ],
    ids=["holds", "broken", "refuses"],
)
def test_record_says_what_was_found(examination: Examination, state: str) -> None:
    assert recorded(examination) == state


def test_what_was_never_examined_says_so() -> None:
    assert contract_states(gradient, {}) == dict.fromkeys(RECORDED, "not examined")


def test_another_setting_was_not_examined() -> None:
    held = with_examinations({}, "rendered", [(gradient, HOLDS)])
    changed = replace(gradient, settings={"steps": 3})
    assert contract_states(changed, held)["faces-cnn"] == "not examined since it changed"


def test_changed_code_was_not_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "explainers_of_mine.py"
    file.write_text("def mine(subject, images, targets):\n    return images[:, 0]\n")
    import explainers_of_mine

    made = wrapped(explainers_of_mine.mine)
    held = with_examinations({}, "rendered", [(made, Examination("mine", "faces-cnn"))])
    assert contract_states(made, held)["faces-cnn"] == "holds"
    file.write_text("def mine(subject, images, targets):\n    return -images[:, 0]\n")
    again = wrapped(importlib.reload(explainers_of_mine).mine)
    assert contract_states(again, held)["faces-cnn"] == "not examined since it changed"


def test_a_later_examination_takes_the_place_of_an_earlier_one_and_leaves_the_others(tmp_path: Path) -> None:
    file, other = tmp_path / "record.json", replace(gradient, name="other")
    write_record("rendered", [(gradient, replace(HOLDS, broken={"finite": "NaN"})), (other, HOLDS)], file)
    write_record("rendered", [(gradient, HOLDS)], file)
    held = stored_record(file)["faces-cnn"]
    assert {name: entry["state"] for name, entry in held.items()} == {"gradient": "holds", "other": "holds"}


def test_the_projects_own_record_is_well_formed() -> None:
    held = stored_record()
    assert set(held) == set(RECORDED)
    shipped = {name for name, made in registered().items() if made.origin.startswith("harness.explainers")}
    for entries in held.values():
        assert set(entries) == shipped
        for entry in entries.values():
            assert set(entry) == {"digest", "faces", "state", "reason"}
            assert entry["state"] in ("holds", "refuses")
            assert (entry["reason"] == "") == (entry["state"] == "holds")


def test_clauses_say_what_is_owed() -> None:
    assert all(clause.claim.startswith("the explainer") for clause in contract_clauses().values())
    assert all(set(clause.requires) <= set(contract_clauses()) for clause in contract_clauses().values())


def test_record_lies_beside_the_code_that_reads_it() -> None:
    assert Path(record.__file__).parent == record.RECORD.parent
