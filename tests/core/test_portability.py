"""What the matrix of machines keeps on record, and what it runs again."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import portability
from benchmarks.portability import (
    LEGS,
    Job,
    Moved,
    Record,
    lacking,
    planned,
    run_and_compared,
    runs,
    table_lines,
    without_words,
)
from harness.arithmetic import machine

SAID = Moved(3, ("tests.one::test_it",), on_margin=("a / b / all: pass -> inconclusive",), scores="1 of 2")


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    monkeypatch.setattr(portability, "code_name", lambda part: f"code of {part}")
    return planned(LEGS[:3], ["unit", "orl"], 2, tmp_path)


def test_what_is_on_record_is_told_by_another_process_until_the_code_is_another(
    jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Record(tmp_path / "record.json").keep(jobs[0], SAID)
    record = Record(tmp_path / "record.json")
    assert record.told(jobs[0]) == SAID
    assert record.told(jobs[1]) is None
    assert record.processor(jobs[0]) == machine()["processor"]
    assert record.told(replace(jobs[0], leg=replace(jobs[0].leg, feed="contiguous:1"))) is None
    monkeypatch.setattr(portability, "code_name", lambda part: f"newer code of {part}")
    assert record.told(jobs[0]) is None


def test_a_part_that_is_lacking_is_run_with_the_one_that_it_is_compared_with(jobs: list[Job]) -> None:
    first, second, third, *units = jobs
    assert lacking(jobs, ()) == jobs
    assert lacking(jobs, [job.name for job in jobs]) == []
    assert lacking(jobs, {first.name, second.name}) == [first, third, *units]
    assert lacking(jobs, {first.name, second.name, third.name}) == units
    # Tests fail or not by themselves.
    assert lacking(jobs, {first.name, second.name, third.name, units[0].name}) == units[1:]


def test_no_leg_is_compared_with_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portability, "code_name", lambda part: part)
    asked = planned([LEGS[2]], ["unit", "orl"], 2, tmp_path)
    assert [job.name for job in asked] == ["as it is, orl", "avx2, orl", "avx2, unit"]


def test_each_part_is_yielded_when_its_first_is_done(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    order = [jobs[index] for index in (1, 3, 0, 2, 4, 5)]

    def executed(asked: list[Job], processes: int) -> object:
        for job in order:
            job.folder.mkdir(parents=True)
            (job.folder / "seconds.json").write_text("1.0")
            yield job

    monkeypatch.setattr(portability, "executed", executed)
    monkeypatch.setattr(portability, "compared", lambda job, base: (job, base))
    yielded = [job for job, pair in run_and_compared(jobs, 2) if pair == (job, jobs[0] if job.part == "orl" else job)]
    assert yielded == [jobs[3], jobs[0], jobs[1], jobs[2], jobs[4], jobs[5]]


def test_a_suite_goes_on_from_its_run_under_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def planned_under(code: str) -> Job:
        monkeypatch.setattr(portability, "code_name", lambda part: code)
        return planned(LEGS[:1], ["orl"], 2, tmp_path)[0]

    before, other, now = planned_under("before"), planned(LEGS[1:2], ["orl"], 2, tmp_path)[1], planned_under("now")
    for job, said in ((before, "mine"), (other, "another leg's")):
        job.run.mkdir(parents=True)
        (job.run / "run.json").write_text(said)
    now.begin()
    assert (now.run / "run.json").read_text() == "mine"
    (now.run / "run.json").write_text("gone on")
    now.begin()
    assert (now.run / "run.json").read_text() == "gone on"


def test_the_table_names_what_it_counts(jobs: list[Job]) -> None:
    table, *named = table_lines([(jobs[0], SAID)])
    assert "as it is" in table
    assert named == [
        "as it is, orl, failed: tests.one::test_it",
        "as it is, orl, margin: a / b / all: pass -> inconclusive",
    ]


@pytest.mark.parametrize(
    ("file", "contract"),
    [
        ("harness/checks/contract/clauses.py", True),
        ("harness/explainers/cam.py", True),
        ("suites/test_contract.py", True),
        ("harness/checks/cells.py", False),
        ("harness/measurements/constructed.py", False),
    ],
)
def test_the_contract_hangs_on_what_makes_maps_alone(file: str, contract: bool) -> None:
    assert runs("orl-contract", portability.ROOT / file) is contract
    assert runs("orl", portability.ROOT / file)
    assert runs("unit", portability.ROOT / file)


def test_words_do_not_make_code_another() -> None:
    code = 'def double(x):\n    return x * 2\n\nadd("--a", help="it")\n'
    other = (
        '"""What it is."""\n\ndef double(x):\n    """Twice."""\n    return x * 2  # so\n\nadd("--a", help="it is")\n'
    )
    assert without_words(code) == without_words(other)
    assert without_words(code) != without_words(code.replace("* 2", "* 3"))
    assert without_words(code) != without_words(code.replace("--a", "--b"))
    assert without_words('card(cost="one pass")') == without_words('card(cost="two passes")')
    assert without_words("card(cost=1)") != without_words("card(cost=2)")
    assert without_words('def nothing():\n    """Does nothing."""\n') == "def nothing():\n    pass"
