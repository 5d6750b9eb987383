"""The list of planted faults fits the metrics as they are; planting them is a command of its own."""

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
    families = {file.as_posix() for file in files if file.name != "__init__"} - {"cards", "parity"}
    assert families == {fault.family for fault in FAULTS}
