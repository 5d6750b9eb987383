"""Checks in somebody else's tests, run as their pytest runs them."""

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import tiny

from harness.errors import UsageError

HEAD = """
import harness
from dataclasses import replace
from tiny import SMALL, bright_patch_faces, named, patch_subject
from harness.explainers.gradient import gradient

picture = named("picture", lambda subject, images, targets: images[:, 0], target_free=True)
mixed = named("mixed", lambda subject, images, targets: images[:, 0] * (images - images.mean(0)).abs().sum(1))
made = []

def faces():
    made.append(1)
    assert len(made) == 1, "the evaluation is made once"
    return bright_patch_faces()

mine = dict(subject=patch_subject, images=faces, profile=replace(SMALL, cascade_per_class=6), feed="contiguous:64",
            checks="randomization-full")
"""
BODY = """
@harness.parametrize_with_checks({}, **mine)
def test_mine(explainer, check):
    check(explainer)
"""
PICTURE = "[gradient, picture], expected_failed_checks={'picture': {'randomization-full': 'it never asks the network'}}"

Tests = Callable[..., pytest.RunResult]


@pytest.fixture(scope="module", autouse=True)
def parquet() -> None:
    """What a test inside loads is forgotten after it, and pandas' types of parquet can be registered but once."""
    pd.DataFrame({"one": [1]}).to_parquet(BytesIO())


@pytest.fixture
def tests(pytester: pytest.Pytester, unchecked: None) -> Tests:
    """Run a file of somebody's tests."""
    bare = ("-p", "no:hypothesispytest", "--assert=plain")

    def run(decorated: str, *words: str) -> pytest.RunResult:
        pytester.makepyfile(test_somebody=HEAD + BODY.format(decorated))
        return pytester.runpytest_inprocess(*bare, *words)

    return run


def test_ids_name_explainer_and_check(tests: Tests) -> None:
    result = tests("['gradient', picture, 'edges'], expected_failed_checks=None", "--collect-only", "-q")
    found = [line.split("[")[1].removesuffix("]") for line in result.outlines if "::test_mine[" in line]
    names = ("gradient", "picture", "edges")
    assert found == [f"{name}-{check}" for name in names for check in ("contract", "randomization-full")]


def test_the_evaluation_is_made_once_and_an_expected_failure_is_one(tests: Tests, pytester: pytest.Pytester) -> None:
    tests(PICTURE, "--junitxml=out.xml", "-o", "xfail_strict=true").assert_outcomes(passed=3, xfailed=1)
    cases = {case.get("name"): case for case in ElementTree.parse(pytester.path / "out.xml").iter("testcase")}
    skipped = cases["test_mine[picture-randomization-full]"].find("skipped")
    assert (skipped.get("type"), skipped.get("message")) == ("pytest.xfail", "it never asks the network")


def test_a_failure_says_the_claim_and_lf_runs_it_again(tests: Tests) -> None:
    decorated = "[gradient, picture]"
    result = tests(decorated)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["E * picture: *claimed that with every layer drawn at random*"])
    tests(decorated, "--lf").assert_outcomes(failed=1)


def test_an_expected_failure_that_passes_is_one_under_strict(tests: Tests) -> None:
    decorated = "[gradient], xfail_strict={}, expected_failed_checks={{'randomization-full': 'so I thought'}}"
    tests(decorated.format(True)).assert_outcomes(passed=1, failed=1)
    tests(decorated.format(False)).assert_outcomes(passed=1, xpassed=1)


def test_who_breaks_the_contract_fails_alone_too_and_is_named(tests: Tests) -> None:
    result = tests("[mixed]", "-k", "randomization-full")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["*not judged: mixed breaks its contract: batch-invariant*"])


def test_a_contract_that_is_declared_broken_is_one_expected_failure(tests: Tests) -> None:
    decorated = "[mixed], expected_failed_checks=lambda explainer: {'contract': 'it mixes images'}"
    tests(decorated).assert_outcomes(xfailed=1, skipped=1)


def test_wrong_use_fails_in_one_line(tests: Tests) -> None:
    result = tests("[gradient], labels=[0]")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["harness: labels go with an array of images; *"])


@pytest.mark.parametrize("words", [("-n", "2"), ("-n", "2", "--dist", "loadfile")], ids=["load", "loadfile"])
def test_workers_agree(
    words: tuple[str, ...], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(tiny.__file__).parent), prepend=os.pathsep)
    pytester.makepyfile(test_somebody=HEAD + BODY.format(PICTURE + f", out={str(tmp_path / 'run')!r}"))
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest", "--assert=plain", *words)
    result.assert_outcomes(passed=3, xfailed=1)


MISSPELT = {
    "{'randomisation-full': 'known'}": "check 'randomisation-full', which does not exist*randomization-full",
    "{'pictur': {'randomization-full': 'known'}}": "names explainer 'pictur'*picture",
    "{'picture': {'faithfulness': 'known'}}": "check 'faithfulness', which does not exist",
    "{'deletion-spectrum': 'known'}": "check 'deletion-spectrum', which is not among the checks asked for",
    "{'randomization-full': ''}": "say in words why randomization-full fails",
    "{'picture': {'randomization-full': 'known'}, 'contract': 'known'}": "give {check: reason}, or*",
}


@pytest.mark.parametrize("given", MISSPELT)
def test_a_misspelt_expected_failure_is_an_error_at_collection(given: str, tests: Tests) -> None:
    result = tests(f"[gradient, picture], expected_failed_checks={given}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [f"E *{UsageError.__name__}: expected_failed_checks*{MISSPELT[given].replace('[', '[[]')}*"]
    )
