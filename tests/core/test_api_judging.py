"""One explainer judged in one call: findings, or a failure in plain words."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny import SMALL, bright_patch_faces, named, patch_subject

import harness
from harness.errors import UsageError
from harness.explainers.gradient import gradient

FACES = bright_patch_faces()
RANDOMIZATION = "randomization-full"
SIZES = {"profile": replace(SMALL, cascade_per_class=6), "feed": "contiguous:64"}


def _raising(subject, images, targets):
    raise UsageError("this network has no layers; use gradient")


PICTURE = named("picture", lambda subject, images, targets: images[:, 0], target_free=True)
MIXED = named(
    "mixed", lambda subject, images, targets: gradient(subject, images, targets) * (images - images.mean(0))[:, 0]
)
REFUSING = named("refusing", _raising)


def test_what_holds_is_returned() -> None:
    found = harness.check(gradient, patch_subject(), FACES, checks=RANDOMIZATION, **SIZES)
    assert list(found) == ["contract", RANDOMIZATION]
    assert {each.verdict for each in found.values()} == {"pass"}
    assert "gradient: " in found[RANDOMIZATION].said


def test_what_fails_is_raised_in_plain_words() -> None:
    with pytest.raises(harness.ClaimFailed, match=r"picture: .*claimed that with every layer drawn at random .* found"):
        harness.check(PICTURE, patch_subject(), FACES, checks=RANDOMIZATION, **SIZES)
    assert issubclass(harness.ClaimFailed, AssertionError)


def test_a_broken_clause_is_named() -> None:
    with pytest.raises(harness.ClaimFailed, match=r"^mixed breaks its contract: batch-invariant, .* \(owed: "):
        harness.check(MIXED, patch_subject(), FACES, checks=RANDOMIZATION, **SIZES)


def test_a_refusal_is_no_failure() -> None:
    found = harness.check(REFUSING, patch_subject(), FACES, checks=RANDOMIZATION, **SIZES)
    assert all(each.refused and each.verdict == "not applicable" for each in found.values())
    assert "use gradient" in found["contract"].said


def test_a_fault_after_the_contract_is_a_failure() -> None:
    with pytest.raises(harness.ClaimFailed, match=r"^late .*NaN"):
        harness.check(named("late", _nan_beyond), patch_subject(), FACES, checks=RANDOMIZATION, **SIZES)


def _nan_beyond(subject, images, targets):
    """True maps, but none for one picture, of which the contract sees a noisy copy at most."""
    maps = gradient(subject, images, targets)
    one = subject.prepare(FACES.images[-2:-1])[0, 0, 0]
    maps[(images[:, 0, 0] == one).all(1)] = float("nan")
    return maps


MISTAKEN = """
from harness.checks import check

@check(metric="deletion-auc", needs=["removal"], claim="c", control="edges", margin=0.0, margin_reason="r")
def mistaken(scores):
    return scores["valu"]
"""


@pytest.mark.usefixtures("check_registry")
def test_a_check_that_breaks_down_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(MISTAKEN)
    with pytest.raises(harness.ClaimFailed, match=r"check 'mistaken' .*raised KeyError: 'valu'"):
        harness.check(gradient, patch_subject(), FACES, checks=f"{tmp_path / 'own.py'}:mistaken", **SIZES)


def test_several_explainers_are_refused() -> None:
    with pytest.raises(UsageError, match=r"harness\.check judges one"):
        harness.check("control", patch_subject(), FACES)
