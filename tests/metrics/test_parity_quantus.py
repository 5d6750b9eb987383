"""Agreement with Quantus, captum, scipy, scikit-learn and scikit-image, and the differences that are meant."""

import importlib.util

import numpy as np
import pytest

from benchmarks.metrics_parity import setup as parity
from benchmarks.metrics_parity.comparisons import COMPARISONS
from benchmarks.metrics_parity.localization import relevance_rank
from benchmarks.metrics_parity.randomization import mprt
from benchmarks.metrics_parity.robustness import input_invariance
from harness.metrics import axioms, complexity, localization, randomization, robustness, similarity
from harness.metrics import faithfulness as faith
from harness.metrics.cards import metric_cards
from harness.rounding import rounding

CARDS = metric_cards()
needs_quantus = pytest.mark.skipif(importlib.util.find_spec("quantus") is None, reason="quantus is not installed")
needs_captum = pytest.mark.skipif(importlib.util.find_spec("captum") is None, reason="captum is not installed")


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda one: f"{one.metric}-{one.package}")
def test_a_metric_agrees_with_its_reference(comparison):
    if not comparison.available():
        pytest.skip(f"{comparison.package} is not installed")
    assert comparison.agrees(), comparison.found()


def test_every_comparison_is_of_a_metric_with_a_card_and_every_figure_has_a_comparison():
    compared = {one.metric for one in COMPARISONS}
    assert compared == {name for name, card in CARDS.items() if card.largest_difference is not None}


@needs_quantus
def test_a_planted_difference_is_seen():
    ours, theirs = relevance_rank()
    assert not parity.Comparison("relevance-rank", "", "quantus", lambda: (ours + 1e-3, theirs)).agrees()


def test_no_comparison_allows_a_difference_of_a_thousandth():
    assert max(one.within for one in COMPARISONS) < 1e-3


# ---------------------------------------------------------------------- meant to differ


def with_second(level):
    """Return the maps with a constant one in second place: Quantus refuses a batch of nothing else, and takes this."""
    maps = parity.MAPS.copy()
    maps[1] = level
    return maps


SECOND = [n == 1 for n in range(parity.IMAGES)]


@needs_quantus
def test_quantus_calls_every_map_monotonic_because_it_puts_baseline_on_baseline():
    settings = parity.plain(features_in_step=24)
    for maps in (parity.MAPS, -parity.MAPS):
        assert all(parity.quantus("Monotonicity", maps=maps, **settings))
    shown = parity.trajectory(parity.descending(-parity.MAPS), 24)[:, ::-1]
    assert 0 in faith.monotonicity_arya(shown).tolist()


@needs_quantus
def test_sensitivity_n_of_exact_contributions_is_one_and_below_one_in_quantus(monkeypatch):
    import torch

    weights = torch.linspace(-1, 1, parity.PIXELS)

    class Linear(torch.nn.Module):
        def forward(self, images):
            return (images.flatten(1) * weights).sum(1, keepdim=True)

    monkeypatch.setattr(parity, "NETWORK", Linear().eval())
    monkeypatch.setattr(parity, "TARGETS", np.zeros(parity.IMAGES, dtype=np.int64))
    flat = (parity.PICTURES.reshape(parity.IMAGES, -1) - parity.PICTURES.min(axis=(1, 2, 3))[:, None]) * weights.numpy()
    contributions = flat.reshape(parity.MAPS.shape).astype(np.float64)
    theirs = np.array(parity.quantus("SensitivityN", maps=contributions, return_aggregate=False, **parity.plain()))
    monkeypatch.setattr(parity, "MAPS", contributions)
    rng = np.random.default_rng(0)
    sized = [np.array([[rng.permutation(parity.PIXELS)[:size]] * parity.IMAGES for _ in range(20)]) for size in (5, 40)]
    banks = [parity.sums_and_drops(subsets) for subsets in sized]
    ours = faith.sensitivity_n(*(np.stack(arrays, axis=1) for arrays in zip(*banks, strict=True)))
    # The network is in single precision: a correlation of nearly one falls with the square of its error.
    assert ours == pytest.approx(1, abs=rounding("float32", parity.PIXELS))
    assert np.nanmean(theirs) < 0.9


@needs_captum
def test_captum_forgives_infidelity_its_sign():
    import torch
    from captum.metrics import infidelity

    rng = np.random.default_rng(0)
    noise = [torch.tensor(rng.normal(size=parity.PICTURES.shape), dtype=torch.float32) for _ in range(8)]
    scores = {}
    for sign in (1, -1):
        left = iter(noise)
        with parity.quiet():
            scores[sign] = infidelity(
                parity.NETWORK,
                lambda inputs, left=left: (one := next(left), inputs - one),
                torch.tensor(parity.PICTURES),
                torch.tensor(sign * parity.MAPS[:, None], dtype=torch.float32),
                target=torch.tensor(parity.TARGETS),
                n_perturb_samples=8,
                max_examples_per_batch=parity.IMAGES,
                normalize=True,
            ).numpy()
    attributed = np.stack([(parity.MAPS * one.numpy()[:, 0]).sum(axis=(1, 2)) for one in noise], axis=1)
    whole = parity.target_output(parity.PICTURES)
    drops = np.stack([whole - parity.target_output(parity.PICTURES - one.numpy()) for one in noise], axis=1)
    right, wrong = faith.scaled_infidelity(attributed, drops), faith.scaled_infidelity(-attributed, drops)
    assert scores[1] == pytest.approx(scores[-1])
    assert (wrong > right).all()


@needs_quantus
def test_a_constant_map_always_hits_in_quantus_and_has_no_score_here():
    maps = with_second(0.5)
    theirs = np.array(parity.quantus("PointingGame", maps=maps, call=parity.evidence_call(), **parity.plain()))
    assert theirs[1] == 1
    assert np.isnan(localization.pointing_game(maps, parity.EVIDENCE)).tolist() == SECOND


@needs_quantus
@pytest.mark.parametrize("name", ["RelevanceRankAccuracy", "TopKIntersection"])
def test_quantus_ranks_ties_as_numpy_sorts_so_a_blank_map_finds_all_of_the_evidence_at_the_top_or_none(name):
    blank = np.zeros_like(parity.MAPS)
    # One pixel in the last corner, so that the map is not constant.
    blank[:, -1, -1] = 1e-9
    top = np.zeros_like(parity.EVIDENCE)
    top[:, :2] = True
    settings = parity.plain(**({"k": 24} if name == "TopKIntersection" else {}))
    theirs = np.array(parity.quantus(name, maps=blank, call={"s_batch": top[:, None]}, **settings))
    # In storage order or against it, by the sort that NumPy takes on this processor: far from chance either way.
    assert ((theirs > 0.9) | (theirs < 0.1)).all()
    ours = {
        "RelevanceRankAccuracy": localization.relevance_rank_accuracy(blank, top),
        "TopKIntersection": localization.top_k_intersection(blank, top, 24),
    }[name]
    # The evidence's share of the image, less what the one pixel takes.
    assert ours == pytest.approx(24 / 144, abs=0.01)


@needs_quantus
def test_signed_relevance_mass_leaves_the_unit_interval_in_quantus_and_is_refused_here():
    centred = parity.MAPS - parity.MAPS.mean(axis=(1, 2), keepdims=True) + 1e-5
    theirs = parity.quantus("RelevanceMassAccuracy", maps=centred, call=parity.evidence_call(), **parity.plain())
    theirs = np.array(theirs)
    assert ((theirs < 0) | (theirs > 1)).any()
    with pytest.raises(ValueError, match="sign"):
        localization.relevance_mass(centred, parity.EVIDENCE, lambda maps: maps)


@needs_quantus
def test_quantus_weighs_attribution_localization_down_where_evidence_is_small():
    maps, small = with_second(0.5), np.zeros_like(parity.EVIDENCE)
    small[:, :3, :3] = True
    settings = {"weighted": True, "abs": True, "normalise": False}
    theirs = parity.quantus("AttributionLocalisation", maps=maps, call={"s_batch": small[:, None]}, **settings)
    # Relevance spread evenly is neither on the evidence nor off it.
    assert np.array(theirs)[1] < 0.01
    assert localization.attribution_localization(maps, small)[1] == pytest.approx(1)


@needs_quantus
def test_a_constant_map_has_an_area_of_one_half_in_quantus_and_none_here():
    maps = with_second(0.5)
    theirs = np.array(parity.quantus("AUC", maps=maps, call=parity.evidence_call(), **parity.plain()))
    assert theirs[1] == 0.5
    assert np.isnan(localization.localization_auc(maps, parity.EVIDENCE)).tolist() == SECOND


@needs_quantus
def test_without_positive_relevance_focus_is_zero_in_quantus_and_undefined_here():
    tiles = np.array([[1, 0, 0, 1]] * parity.IMAGES)
    maps = with_second(-0.5)
    theirs = np.array(parity.quantus("Focus", maps=maps, call={"custom_batch": tiles}, **parity.plain()))
    assert theirs[1] == 0
    assert np.isnan(localization.focus(maps, parity.EVIDENCE)).tolist() == SECOND


@needs_quantus
def test_a_constant_map_has_a_sparseness_of_zero_in_quantus_and_none_here():
    maps = with_second(0.5)
    assert np.array(parity.quantus("Sparseness", maps=maps))[1] == pytest.approx(0)
    assert np.isnan(complexity.sparseness(maps)).tolist() == SECOND


@needs_quantus
def test_pixels_above_floor_depends_on_the_company_in_quantus_and_not_here():
    company = parity.MAPS.copy()
    company[1] *= 1e4
    alone = np.array(parity.quantus("EffectiveComplexity", eps=0.01))
    together = np.array(parity.quantus("EffectiveComplexity", maps=company, eps=0.01))
    assert alone[0] != together[0]
    assert (complexity.pixels_above_floor(company) == complexity.pixels_above_floor(parity.MAPS)).all()


@needs_quantus
def test_consistency_codes_only_the_first_five_pixels_in_quantus():
    maps = np.random.default_rng(0).normal(size=parity.MAPS.shape)
    maps[:, 0, :5] = 1
    theirs = np.array(parity.quantus("Consistency", maps=maps, **parity.plain()))
    ours = robustness.consistency(robustness.coarse_codes(maps), parity.TARGETS)
    assert (theirs > 0).any()
    assert np.isnan(ours).all()


@needs_quantus
def test_an_explanation_that_no_other_image_has_is_inconsistent_in_quantus_and_undefined_here():
    sign = parity.from_quantus("functions.discretise_func", "sign")
    theirs = np.array(parity.quantus("Consistency", discretise_func=sign, **parity.plain()))
    assert theirs.tolist() == [0] * parity.IMAGES
    assert np.isnan(robustness.consistency(np.arange(parity.IMAGES), parity.TARGETS)).all()


@needs_quantus
def test_an_explanation_near_no_other_is_insufficient_in_quantus_and_undefined_here():
    theirs = np.array(parity.quantus("Sufficiency", threshold=1e-6, abs=False))
    far = np.ones((parity.IMAGES, parity.IMAGES))
    assert theirs.tolist() == [0] * parity.IMAGES
    assert np.isnan(robustness.neighbour_sufficiency(far, parity.TARGETS, 1e-6)).all()


@needs_quantus
def test_an_entry_that_leaves_zero_makes_relative_stability_huge_in_quantus_and_undefined_here():
    sparse = parity.MAPS.copy()
    sparse[:, 0, 0] = 0
    settings = parity.plain(nr_samples=2, return_nan_when_prediction_changes=False)
    theirs = np.array(parity.quantus("RelativeInputStability", maps=sparse, **settings))
    copies = parity.uniform_copies(0.02, 0.2, 2)
    ours = robustness.relative_input_stability(sparse, parity.moved_maps(copies), parity.PICTURES, copies)
    by_length = robustness.relative_input_stability(
        sparse, parity.moved_maps(copies), parity.PICTURES, copies, None, robustness.length_change
    )
    assert (theirs > 1).all()
    assert np.isnan(ours).all()
    assert (by_length < 1).all()


@needs_quantus
def test_quantus_shifts_all_but_the_first_pixel_and_calls_the_gradient_variant():
    assert not any(parity.quantus("InputInvariance", **parity.plain()))
    ours, theirs = input_invariance()
    assert ours.all()
    assert theirs.all()


@needs_quantus
def test_a_complete_map_is_complete_where_quantus_asks_for_the_last_bit():
    drops = parity.target_output(parity.PICTURES) - parity.target_output(
        parity.filled(np.tile(np.arange(parity.PIXELS), (parity.IMAGES, 1)))
    )
    spread = np.broadcast_to((drops / parity.PIXELS)[:, None, None], parity.MAPS.shape).copy()
    # Which of these are equal to the last bit hangs on the processor.
    assert set(map(bool, parity.quantus("Completeness", maps=spread, **parity.plain()))) <= {True, False}
    assert axioms.completeness(spread, drops) == pytest.approx(0, abs=parity.WITHIN)


@needs_quantus
def test_quantus_averages_the_unrandomised_network_in():
    pearson = parity.from_quantus("functions.similarity_func", "correlation_pearson")
    settings = parity.plain(similarity_func=pearson, layer_order="top_down", return_average_correlation=True)
    theirs = np.array(parity.quantus("MPRT", **settings))
    curve = mprt()
    with_original = np.concatenate([np.ones((parity.IMAGES, 1)), curve], axis=1).mean(axis=1)
    assert theirs == pytest.approx(with_original)
    assert (randomization.mprt_average(curve) < theirs).all()


@needs_quantus
def test_ssim_over_the_image_sees_neighbours_that_ssim_over_the_flattened_map_does_not():
    flattened = parity.from_quantus("functions.similarity_func", "ssim")
    down = np.broadcast_to(np.sin(np.arange(12.0))[None, :, None], (1, 12, 12)) + 1e-3 * parity.MAPS[:1]
    moved = np.roll(down, 6, axis=2)
    theirs = flattened(down.reshape(1, -1), np.roll(down, 1, axis=1).reshape(1, -1), batched=True)
    ours = similarity.ssim_similarity(down, np.roll(down, 1, axis=1))
    assert similarity.ssim_similarity(down, moved).item() > 0.9
    assert abs(ours.item() - theirs[0]) > 0.05


@needs_quantus
def test_areas_do_not_depend_on_the_number_of_steps_here_as_they_do_in_quantus():
    areas = {}
    for step in (12, 24):
        values = parity.trajectory(parity.descending(parity.MAPS), step, probability=True)
        settings = parity.plain(features_in_step=step, return_auc_per_sample=True)
        areas[step] = faith.pixel_flipping(values), np.array(parity.quantus("PixelFlipping", softmax=True, **settings))
    ours = np.abs(areas[12][0] - areas[24][0]).max()
    assert ours < 0.1
    assert (areas[12][1] > 1.5 * areas[24][1]).all()
