"""Mass on a planted mark against maps whose mass is known."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import PATCHES, SIDE, bright_patch_faces, make_case, oracle_of, patch_subject

from harness.case import Case
from harness.checks import CHECKS, Evidence, judged
from harness.measurements import Explained, MassOnMark, Measured


@pytest.fixture
def marked() -> Case:
    faces = bright_patch_faces(60)
    mark = np.zeros((60, SIDE, SIDE), np.float32)
    for index in range(60):
        mark[index][PATCHES[index % 3]] = 1
    return make_case(patch_subject(), replace(faces, evidence={"mark": mark}))


def mean(found: Measured, metric: str, variant: str) -> float:
    rows = found.scores[(found.scores["metric"] == metric) & (found.scores["variant"] == variant)]
    return float(rows["value"].mean())


def test_a_map_of_the_mark_alone_has_all_its_mass_there(marked: Case) -> None:
    found = MassOnMark(1).measure(Explained(marked, (oracle_of(marked) > 0.5).astype(np.float32)))
    assert mean(found, "mass-on-mark", "map") == 1


def test_a_map_beside_the_mark_has_no_mass_there(marked: Case) -> None:
    found = MassOnMark(1).measure(Explained(marked, (oracle_of(marked) < 0.5).astype(np.float32)))
    assert mean(found, "mass-on-mark", "map") == 0


def test_a_null_map_has_about_the_share_of_the_mark(marked: Case) -> None:
    # 4 of 144 pixels; the mean over 60 nulls of one blob was .021.
    assert mean(MassOnMark(1).measure(Explained(marked, oracle_of(marked))), "mass-on-mark", "spectrum-null") < 0.1


def test_without_any_positive_relevance_the_share_is_undefined_and_not_zero(marked: Case) -> None:
    found = MassOnMark(1).measure(Explained(marked, -np.ones((60, SIDE, SIDE), np.float32)))
    assert found.scores["value"].isna().all()
    assert set(found.scores["status"]) == {"undefined"}


def test_faces_without_a_mark_give_no_rows(patch_case: Case) -> None:
    assert not len(MassOnMark(1).measure(Explained(patch_case, oracle_of(patch_case))).scores)


def test_the_check_passes_the_mark_and_fails_a_map_beside_it(marked: Case) -> None:
    oracle = oracle_of(marked)
    scores = []
    for name, maps in (("oracle", oracle), ("beside", oracle.max() - oracle)):
        scores.append(MassOnMark(1).measure(Explained(marked, maps)).scores.assign(explainer=name))
    evidence = Evidence(Measured.joined([Measured(scores=s) for s in scores]).scores, Measured().matrices, ("left",), 0)
    verdicts = judged([CHECKS["mark-spectrum"]], evidence, ["oracle", "beside"])
    over_all = verdicts[verdicts["class"] == "all"].set_index("explainer")["verdict"]
    assert dict(over_all) == {"oracle": "pass", "beside": "fail"}
