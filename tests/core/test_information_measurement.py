"""Information curves: blurred pictures, files and answers by hand, and beside the authors' package."""

import contextlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import EXACT, PATCHES, SIDE, SPEC, names_in, oracle_of

from harness.evaluation_set import EvaluationSet
from harness.faces.pictures import lossless_size
from harness.measurements import Attributions, Information
from harness.measurements import information as told
from harness.metrics import faithfulness as faith
from harness.perturbation import removal_order
from harness.subject import InputSpec

NAMES = ("softmax-information-curve", "accuracy-information-curve")


def values(scores: pd.DataFrame, metric: str, variant: str = "map") -> np.ndarray:
    return scores[(names_in(scores) == metric) & (scores["variant"] == variant)]["value"].to_numpy()


def ramp() -> np.ndarray:
    """A picture that rises by 8 to the right and by 3 downwards."""
    return (8 * np.arange(SIDE)[None] + 3 * np.arange(SIDE)[:, None]).astype(np.uint8)[..., None]


def test_a_plane_is_whole_from_its_corners_alone() -> None:
    nothing = np.zeros((SIDE, SIDE), dtype=bool)
    assert told.interpolated(ramp(), nothing).tolist() == ramp().tolist()


def test_known_pixels_are_kept_and_the_others_lie_between_them() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    known = np.random.default_rng(1).random((SIDE, SIDE)) < 0.3
    found = told.interpolated(picture, known)
    assert (found[known] == picture[known]).all()
    assert (found[~known] != picture[~known]).any()
    assert told.interpolated(picture, np.ones_like(known)).tolist() == picture.tolist()


def test_a_picture_is_given_in_bytes_as_it_was(patch_case: EvaluationSet) -> None:
    assert told.bytes_of(patch_case)[..., 0].tolist() == patch_case.faces.images.tolist()


def test_an_even_picture_has_a_smaller_file_than_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    even, full = lossless_size(np.full_like(noise, 100)), lossless_size(noise)
    assert even is not None
    assert full is not None
    # Noise cannot be told in fewer bytes than it has.
    assert even < 100 < noise.size <= full


def test_what_is_known_beforehand_follows_from_seed_and_image(patch_case: EvaluationSet) -> None:
    known = told.known_pixels(patch_case)
    assert (known.sum(axis=(1, 2)) == int(SIDE * SIDE * told.KNOWN)).all()
    index = np.array([5, 1])
    assert (told.known_pixels(patch_case.take(index)) == known[index]).all()
    assert (told.known_pixels(replace(patch_case, seed=1)) != known).any()


def test_every_step_shows_the_maps_best_pixels(patch_case: EvaluationSet) -> None:
    maps, pictures = oracle_of(patch_case), told.bytes_of(patch_case)
    sizes, said = told.told_step_by_step(patch_case, pictures, maps)
    order = removal_order(maps, seed=patch_case.seed, keys=patch_case.keys)
    place, step = 4, told.SHARES.index(0.13)
    shown = told.known_pixels(patch_case)[place].ravel()
    shown[order[place, : round(0.13 * SIDE * SIDE)]] = True
    blurred = told.interpolated(pictures[place], shown.reshape(SIDE, SIDE))
    assert sizes[place, step + 1] == lossless_size(blurred[..., 0])
    with torch.no_grad():
        logits = patch_case.subject.network(patch_case.subject.prepare(blurred[None, ..., 0]))
    assert said.logit[place, step + 1] == pytest.approx(logits[0, patch_case.targets[place]].item(), abs=1e-4)
    assert sizes.shape == said.logit.shape == (len(maps), len(told.SHARES) + 2)


def test_rows_are_the_metrics_of_these_steps(patch_case: EvaluationSet) -> None:
    maps = oracle_of(patch_case)
    few = patch_case.take(patch_case.some(2))
    sizes, said = told.told_step_by_step(few, told.bytes_of(few), maps[patch_case.some(2)])
    scores = Information(2).measure(Attributions(patch_case, maps)).scores
    wanted = faith.softmax_information_curve(sizes, said.probability)
    np.testing.assert_array_equal(values(scores, NAMES[0]), wanted)
    wanted = faith.accuracy_information_curve(sizes, said.recognised == 1)
    np.testing.assert_array_equal(values(scores, NAMES[1]), wanted)


def test_pictures_without_a_file_say_so(patch_case: EvaluationSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "lossless_size", lambda _picture: None)
    scores = Information(2).measure(Attributions(patch_case, oracle_of(patch_case))).scores
    assert scores["value"].isna().all()
    assert set(scores["reason"]) == {"this Pillow writes no WebP, whose size says how much a picture tells"}


def test_pictures_of_other_channels_say_so() -> None:
    assert "5 channels" in told.lacking_file(np.zeros((1, 4, 4, 5), dtype=np.uint8))


# ---------------------------------------------------------------------- the authors' package


def patch_probability(target: int, steepness: float) -> object:
    """The probability of a class of a patch network whose logits are steeper, for pictures in bytes."""

    def ask(pictures: np.ndarray) -> np.ndarray:
        lit = pictures.astype(np.float64) / 127.5 - 1
        means = np.stack([lit[:, *patch].mean(axis=(1, 2)) for patch in PATCHES], axis=1)
        shares = np.exp(steepness * means)
        return (shares / shares.sum(axis=1, keepdims=True))[:, target]

    return ask


def test_areas_are_those_of_the_authors_package(patch_case: EvaluationSet) -> None:
    package = pytest.importorskip("saliency.metrics.pic")
    pictures, known = told.bytes_of(patch_case)[..., 0], told.known_pixels(patch_case)
    maps = oracle_of(patch_case)
    defined = 0
    for place, target in enumerate(patch_case.targets[:6]):
        ask = patch_probability(int(target), 9.0)
        with numpy_of_old():
            try:
                theirs = package.compute_pic_metric(
                    pictures[place], maps[place], known[place], ask, list(told.SHARES), keep_monotonous=True
                )
            except package.ComputePicMetricError:
                theirs = None
        shown = [known[place], *(known[place] | best(maps[place], share) for share in told.SHARES)]
        blurred = [package.create_blurred_image(pictures[place], mask) for mask in shown]
        # Their blurred pictures are ours.
        ours = [told.interpolated(pictures[place][..., None], mask)[..., 0] for mask in shown]
        assert [each.tolist() for each in ours] == [each.tolist() for each in blurred]
        steps = np.stack([*ours, pictures[place]])
        sizes = np.array([[lossless_size(each) for each in steps]])
        area = faith.softmax_information_curve(sizes, ask(steps)[None])[0]
        assert np.isnan(area) == (theirs is None)
        if theirs is not None:
            defined += 1
            assert area == pytest.approx(theirs.auc, abs=EXACT)
    assert defined > 1


def best(one: np.ndarray, share: float) -> np.ndarray:
    """The pixels at or above a quantile; this map has no ties."""
    return one >= np.quantile(one, 1 - share)


@contextlib.contextmanager
def numpy_of_old():
    """The name that NumPy 2 lost and the package calls."""
    gone = not hasattr(np, "trapz")
    if gone:
        np.trapz = np.trapezoid
    try:
        yield
    finally:
        if gone:
            del np.trapz


def test_bytes_hold_for_other_units() -> None:
    assert InputSpec(SIDE, SIDE, (0.2,), (0.7,)).shade(1.0) != SPEC.shade(1.0)
