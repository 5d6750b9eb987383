"""The list of planted faults fits the metrics as they are, and a handful of it is caught; all are a command's work."""

import os
import subprocess
import sys

import pytest

from benchmarks import planted_faults as planted

FAULTS = planted.listed()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.family}-{fault.what}")
def test_a_fault_has_one_place_and_changes_it_to_what_compiles(fault):
    assert fault.source() != fault.path.read_text()
    compile(fault.source(), str(fault.path), "exec")


def test_no_fault_is_listed_twice():
    named = [(fault.family, fault.old, fault.new) for fault in FAULTS]
    assert len(set(named)) == len(named)


def test_a_fault_without_a_place_is_refused():
    with pytest.raises(ValueError, match="0 times"):
        planted.Fault("axioms", "nothing", "what stands nowhere", "").source()


def test_every_family_of_metrics_has_faults_planted():
    files = (path.relative_to(planted.METRICS).with_suffix("") for path in planted.METRICS.rglob("*.py"))
    families = {file.as_posix() for file in files if file.name != "__init__"} - {"cards", "parity", "score"}
    assert families == {fault.family for fault in FAULTS}


def test_a_handful_is_of_different_files_and_follows_from_the_seed():
    drawn = [planted.handful(FAULTS, 5, seed) for seed in range(20)]
    assert all(len({fault.family for fault in some}) == 5 for some in drawn)
    assert drawn[3] == planted.handful(FAULTS, 5, 3)
    # Each listed fault can be drawn: twenty handfuls of five name many different ones.
    assert len({fault for some in drawn for fault in some}) > 50


@pytest.mark.parametrize(("annotations", "seed"), [("on", 0), ("off", 1)])
def test_a_handful_of_planted_faults_is_caught(annotations, seed):
    # In a process of its own: a fault is seen by all that a process imports of the package afterwards. With annotations
    # checked and without, since other loaders read the package's files then.
    command = [sys.executable, planted.__file__, "--some", "3", "--seed", str(seed)]
    known = {**os.environ, "PYTHONPATH": str(planted.ROOT), "HARNESS_TEST_ANNOTATIONS": annotations}
    done = subprocess.run(command, capture_output=True, text=True, env=known, timeout=4 * planted.SECONDS, check=False)
    assert "3 of 3 planted faults caught" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


def test_a_handful_that_gets_through_is_told_of(monkeypatch, capsys):
    monkeypatch.chdir(planted.ROOT)
    monkeypatch.setattr(planted, "caught", lambda fault, places=(): False)
    assert planted.main(["--some", "3"]) == 1
    assert "0 of 3 planted faults caught" in capsys.readouterr().out


def test_tests_that_fail_by_themselves_catch_nothing(monkeypatch, capsys):
    monkeypatch.chdir(planted.ROOT)
    monkeypatch.setattr(planted, "caught", lambda fault, places=(): True)
    assert planted.main(["--some", "3"]) == 2
    assert "the tests fail without a fault" in capsys.readouterr().out
