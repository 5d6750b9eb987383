"""Compare the metrics with Quantus 0.6, captum, scipy, scikit-learn and scikit-image on the same maps and network.

``python benchmarks/metrics_parity.py`` prints a markdown table: metric, reference, largest absolute
difference, largest score, note.
A comparison whose reference is not installed is left out. The network's answers are measured here, apart from
Quantus, so that a wrong protocol shows as well as a wrong formula. All is in double precision, and the network smooth,
so that rounding flips nothing: what a comparison may differ by follows from the arithmetic (`Comparison.within`).
"""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from typing import Any

import numpy as np
import scipy.spatial
import scipy.stats
import skimage.feature
import skimage.metrics
import sklearn.metrics
import torch
from torch import Tensor, nn

from harness.metrics import axioms, cells, complexity, confusion, localization, parts, randomization, robustness
from harness.metrics import faithfulness as faith
from harness.metrics import similarity as like
from harness.rounding import rounding

Array = np.ndarray
Pair = tuple[Array, Array]

IMAGES, SIDE, CLASSES, SEED = 6, 12, 4, 3
PIXELS = SIDE * SIDE
# Through the network (9 + 100 + 8 weights), then a mean, a centring and two sums over all pixels. Magnitudes of both
# signs cancel to a tenth in each of the network's two sums, hence a hundredfold. 2e-11.
WITHIN = rounding("float64", 9 + 100 + 8 + 4 * PIXELS, conditioning=100.0)


@dataclass(frozen=True)
class Comparison:
    """One metric, what it is held against, and how to get both answers.

    Attributes
    ----------
    metric, reference, package
        Ours, what it is held against, and where that is from.
    answers
        Makes both answers.
    note
        How they were brought to one form, or why they differ.
    within
        How far they may lie apart, in the unit of scores of order 1: rounding, and what the reference adds on purpose.
    """

    metric: str
    reference: str
    package: str
    answers: Callable[[], Pair]
    note: str = ""
    within: float = WITHIN

    def available(self) -> bool:
        """Say whether the reference is installed."""
        return find_spec(self.package) is not None

    def difference(self) -> float:
        """Return the largest absolute difference; infinite where only one of the two is defined."""
        return self.found()[0]

    def agrees(self) -> bool:
        """Say whether the two lie no further apart than arithmetic allows."""
        difference, largest = self.found()
        return difference <= self.within * max(1.0, largest)

    def found(self) -> tuple[float, float]:
        """Return the largest absolute difference and the largest score."""
        ours, theirs = (np.asarray(answer, dtype=np.float64) for answer in self.answers())
        if ours.shape != theirs.shape:
            raise ValueError(f"{self.metric}: shapes {ours.shape} and {theirs.shape}")
        if (np.isnan(ours) != np.isnan(theirs)).any():
            return float("inf"), float(np.nanmax(np.abs(theirs)))
        return float(np.nanmax(np.abs(ours - theirs))), float(np.nanmax(np.abs(theirs)))


# ---------------------------------------------------------------------- network, images, maps


class Entrance(nn.Conv2d):
    """A convolution that puts what it is given into double precision: Quantus hands pictures over in single."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution in double precision."""
        return super().forward(input.double())


def network() -> nn.Sequential:
    """Return a small smooth network in double precision without symmetries, the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        layers = [Entrance(1, 4, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(100, 8), nn.Tanh()]
        return nn.Sequential(*layers, nn.Linear(8, CLASSES)).double().eval()


def images() -> Array:
    """Return pictures without structure, none of their pixels 0."""
    return np.random.default_rng(SEED).normal(size=(IMAGES, 1, SIDE, SIDE)).astype(np.float32)


def gradient_maps(model: nn.Module, pictures: Array, targets: Array) -> Array:
    """Return the gradient of each target's logit."""
    leaf = torch.tensor(np.asarray(pictures, dtype=np.float64), requires_grad=True)
    chosen = model(leaf)[torch.arange(len(leaf)), torch.as_tensor(targets)].sum()
    return np.asarray(torch.autograd.grad(chosen, leaf)[0].numpy())


def outputs(pictures: Array, *, probability: bool = False, model: nn.Module | None = None) -> Array:
    """Return all classes' logits or probabilities."""
    with torch.no_grad():
        logits: Tensor = (model or NETWORK)(torch.tensor(np.asarray(pictures, dtype=np.float64)))
        return np.asarray((logits.softmax(1) if probability else logits).numpy(), dtype=np.float64)


def target_output(pictures: Array, *, probability: bool = False) -> Array:
    """Return the targets' logits or probabilities."""
    return np.asarray(outputs(pictures, probability=probability)[np.arange(len(pictures)), TARGETS])


NETWORK = network()
PICTURES = images()
TARGETS = outputs(PICTURES).argmax(1)
MAPS = gradient_maps(NETWORK, PICTURES, TARGETS)[:, 0].astype(np.float64)
BLACK = float(PICTURES.min())
EVIDENCE = np.random.default_rng(SEED).random((IMAGES, SIDE, SIDE)) < 0.2
# So that both hits and misses occur.
EVIDENCE[::2] |= MAPS[::2] == MAPS[::2].max(axis=(1, 2), keepdims=True)


# ---------------------------------------------------------------------- asking Quantus


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings, and give NumPy 2 the name that Quantus still calls."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gone = not hasattr(np, "trapz")
        if gone:
            setattr(np, "trapz", np.trapezoid)  # noqa: B010, a name that type checkers know to be gone
        try:
            with redirect_stdout(StringIO()):
                yield
        finally:
            if gone:
                delattr(np, "trapz")


def library_quantus() -> Any:
    """Import Quantus without zennit, which it takes where it finds it and which needs more than is needed here."""
    hidden = "zennit" not in sys.modules and "quantus" not in sys.modules
    if hidden:
        sys.modules["zennit"] = None  # type: ignore[assignment]
    try:
        return import_module("quantus")
    finally:
        if hidden:
            del sys.modules["zennit"]


def from_quantus(module: str, name: str) -> Any:
    """Return one of Quantus's functions."""
    with quiet():
        library_quantus()
        return getattr(import_module(f"quantus.{module}"), name)


def quantus(name: str, *, softmax: bool = False, maps: Array | None = None, call: dict[str, Any] | None = None,
            seed: int = SEED, **settings: Any) -> Any:  # fmt: skip
    """Return what a Quantus metric says of the maps; `call` adds to its call, `settings` to its making."""
    with quiet():
        library = library_quantus()
        metric = getattr(library, name)(disable_warnings=True, display_progressbar=False, **settings)
        state = np.random.get_state()
        np.random.seed(seed)
        try:
            return metric(
                model=NETWORK,
                x_batch=PICTURES.copy(),
                y_batch=TARGETS.copy(),
                a_batch=(MAPS if maps is None else maps)[:, None].copy(),
                channel_first=True,
                softmax=softmax,
                device="cpu",
                **{"explain_func": explain, **(call or {})},
            )
        finally:
            np.random.set_state(state)


def explain(model: nn.Module, inputs: Array, targets: Array, **_: object) -> Array:
    """Return gradients, in the form that Quantus asks for."""
    return gradient_maps(model, inputs, targets)


def plain(**settings: Any) -> dict[str, Any]:
    """Return settings that leave the maps as they are."""
    return {"abs": False, "normalise": False, **settings}


def evidence_call() -> dict[str, Any]:
    """Return the evidence in the form that Quantus asks for."""
    return {"s_batch": EVIDENCE[:, None].copy()}


# ---------------------------------------------------------------------- measuring


def descending(maps: Array) -> Array:
    """Return pixel indices, highest first; the maps here have no ties."""
    return np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable")


def filled(indices: Array, pictures: Array | None = None) -> Array:
    """Return the pictures with the given pixels at the lowest value of each picture."""
    after = (PICTURES if pictures is None else pictures).reshape(IMAGES, -1).copy()
    after[np.arange(IMAGES)[:, None], indices] = PICTURES.reshape(IMAGES, -1).min(axis=1, keepdims=True)
    return after.reshape(PICTURES.shape)


def trajectory(order: Array, step: int, *, probability: bool = False) -> Array:
    """Return the targets' output for the whole image and after each `step` further pixels."""
    after = [filled(order[:, :done]) for done in range(0, order.shape[1] + 1, step)]
    return np.stack([target_output(pictures, probability=probability) for pictures in after], axis=1)


def patches(size: int) -> Array:
    """Return the pixel indices of each patch, (patches, pixels)."""
    grid = np.arange(PIXELS).reshape(SIDE // size, size, SIDE // size, size)
    return grid.transpose(0, 2, 1, 3).reshape(-1, size * size)


def patch_order(size: int) -> Array:
    """Return pixel indices patch by patch, the patch of highest summed relevance first."""
    members = patches(size)
    sums = MAPS.reshape(IMAGES, -1)[:, members].sum(axis=2)
    return members[np.argsort(-sums, axis=1, kind="stable")].reshape(IMAGES, -1)


def sums_and_drops(subsets: Array) -> Pair:
    """Return attributed sums and drops for subsets (runs, images, size)."""
    rows = MAPS.reshape(IMAGES, -1)
    attributed = np.stack([np.take_along_axis(rows, subset, 1).sum(1) for subset in subsets], axis=1)
    whole = target_output(PICTURES)
    return attributed, np.stack([whole - target_output(filled(subset)) for subset in subsets], axis=1)


def uniform_copies(low: float, high: float, samples: int) -> Array:
    """Return the copies with uniform noise that Quantus draws, (images, samples, 1, h, w)."""
    rng = np.random.RandomState(SEED)
    rows = PICTURES.reshape(IMAGES, -1)
    drawn = [(rows + rng.uniform(low, high, size=rows.shape)).astype(np.float32) for _ in range(samples)]
    return np.stack(drawn, axis=1).reshape(IMAGES, samples, 1, SIDE, SIDE)


def gaussian_copies(std: float, samples: int) -> Array:
    """Return the copies with Gaussian noise that Quantus draws, (images, samples, 1, h, w)."""
    rng = np.random.RandomState(SEED)
    rows = PICTURES.reshape(IMAGES, -1)
    drawn = [(rows + rng.normal(0.0, std, size=rows.shape)).astype(np.float32) for _ in range(samples)]
    return np.stack(drawn, axis=1).reshape(IMAGES, samples, 1, SIDE, SIDE)


def shifted_copies(steps: int) -> Array:
    """Return the pictures moved sideways, the lowest value coming in, (images, steps, 1, h, w)."""
    stride = (2 * SIDE + 1) // steps
    return np.stack([_shifted(-SIDE + stride * (step + 1)) for step in range(steps)], axis=1)


def _shifted(by: int) -> Array:
    """Move every picture `by` pixels to the right."""
    moved = np.broadcast_to(PICTURES.min(axis=(1, 2, 3), keepdims=True), PICTURES.shape).copy()
    if by > 0:
        moved[..., by:] = PICTURES[..., :-by]
    elif by < 0:
        moved[..., :by] = PICTURES[..., -by:]
    else:
        moved = PICTURES.copy()
    return moved


def moved_maps(copies: Array) -> Array:
    """Return the gradient maps of copies."""
    return np.stack(
        [gradient_maps(NETWORK, copies[:, s], TARGETS)[:, 0] for s in range(copies.shape[1])], axis=1
    ).astype(np.float64)


def apart(copies: Array) -> Array:
    """Return each copy's Euclidean distance from its picture."""
    rows = (copies - PICTURES[:, None]).reshape(IMAGES, copies.shape[1], -1)
    return np.asarray(np.linalg.norm(rows, axis=2), dtype=np.float64)


def randomized_stages(order: str) -> list[nn.Module]:
    """Return the cascade of networks that Quantus randomises with its own seed."""
    with quiet(), torch.random.fork_rng():
        wrapper = from_quantus("helpers.model.pytorch_model", "PyTorchModel")(NETWORK, device="cpu")
        stages = wrapper.get_random_layer_generator(order=order, seed=42)
        return [network_copy(stage) for _name, stage in stages]


def network_copy(model: nn.Module) -> nn.Module:
    """Return a network of equal weights."""
    twin = network()
    twin.load_state_dict(model.state_dict())
    return twin


def random_maps(order: str) -> Array:
    """Return the gradient maps along the cascade, (images, stages, h, w)."""
    found = [gradient_maps(model, PICTURES, TARGETS)[:, 0] for model in randomized_stages(order)]
    return np.stack(found, axis=1).astype(np.float64)


# ---------------------------------------------------------------------- faithfulness


def pixel_flipping() -> Pair:
    """Quantus leaves the whole image out and does not divide by the span."""
    step = 12
    values = trajectory(descending(MAPS), step, probability=True)
    theirs = quantus("PixelFlipping", softmax=True, features_in_step=step, return_auc_per_sample=True, **plain())
    return faith.pixel_flipping(values), _with_start(values, np.array(theirs))


def selectivity() -> Pair:
    """Compare as in pixel flipping, over the curve that Quantus returns."""
    values = trajectory(patch_order(4), 16, probability=True)
    curve = np.array(quantus("Selectivity", softmax=True, patch_size=4, **plain()))
    return faith.selectivity(values), _with_start(values, curve.sum(1) - (curve[:, 0] + curve[:, -1]) / 2)


def _with_start(values: Array, area: Array) -> Array:
    """Add the first step to an area in steps, and divide by all steps."""
    return np.asarray((area + (values[:, 0] + values[:, 1]) / 2) / (values.shape[1] - 1))


def aopc() -> Pair:
    """Quantus returns the falls, without the fall of 0 before the first."""
    values = trajectory(patch_order(4), 16)
    falls = np.array(quantus("RegionPerturbation", patch_size=4, regions_evaluation=9, **plain()))
    return faith.aopc(values), falls.sum(1) / (falls.shape[1] + 1)


def faithfulness_correlation() -> Pair:
    """Take the subsets that Quantus drew."""
    drawn: list[Array] = []

    def recorded(arr: Array, indices: Array, **_: object) -> Array:
        drawn.append(indices)
        return filled(indices).reshape(arr.shape)

    settings = plain(nr_runs=30, subset_size=20, return_aggregate=False, perturb_func=recorded)
    theirs = np.array(quantus("FaithfulnessCorrelation", **settings))
    return faith.faithfulness_correlation(*sums_and_drops(np.array(drawn))), theirs


def faithfulness_estimate() -> Pair:
    """Remove each pixel alone."""
    relevances, drops = sums_and_drops(descending(MAPS).T[:, :, None])
    return faith.faithfulness_estimate(relevances, drops), np.array(quantus("FaithfulnessEstimate", **plain()))


def monotonicity_nguyen() -> Pair:
    """Replace each pixel alone by the lowest value, a single draw."""
    order = np.argsort(np.abs(MAPS).reshape(IMAGES, -1), axis=1, kind="stable")
    whole = target_output(PICTURES)
    after = np.stack([target_output(filled(pixel[:, None])) for pixel in order.T], axis=1)
    relevances = np.take_along_axis(MAPS.reshape(IMAGES, -1), order, 1)
    ours = faith.monotonicity_nguyen(relevances, faith.nguyen_effects(whole, after[:, :, None]))
    settings: dict[str, Any] = {"abs": True, "normalise": False, "nr_samples": 1, "perturb_baseline": "black"}
    return ours, np.array(quantus("MonotonicityCorrelation", **settings))


def sensitivity_n_kernel() -> Pair:
    """Give our correlation the measurements that Quantus correlates, over images at each step."""
    order = descending(MAPS)
    attributed = np.take_along_axis(MAPS.reshape(IMAGES, -1), order, 1)
    values = trajectory(order, 1)
    drops = values[:, :1] - values[:, 1:]
    most = int(0.8 * PIXELS)
    ours = faith.faithfulness_correlation(attributed.T[:most].copy(), drops.T[:most].copy())
    return ours, np.array(quantus("SensitivityN", return_aggregate=False, **plain()))


def infidelity() -> Pair:
    """Replace patch after patch, each step being a perturbation."""
    values = trajectory(patches(4).reshape(1, -1).repeat(IMAGES, 0), 16)
    drops = values[:, :1] - values[:, 1:]
    ends = [filled(patches(4)[: done + 1].reshape(1, -1).repeat(IMAGES, 0)) for done in range(9)]
    taken = np.stack([PICTURES - end for end in ends], axis=1).reshape(IMAGES, 9, -1)
    attributed = np.einsum("nf,nmf->nm", MAPS.reshape(IMAGES, -1), taken)
    return faith.infidelity(attributed, drops), np.array(quantus("Infidelity", n_perturb_samples=1, **plain()))


def captum_infidelity(*, scaled: bool) -> Pair:
    """Give captum perturbations and record what it was given."""
    rng = np.random.default_rng(SEED)
    seen: list[Array] = []

    def perturb(inputs: Tensor) -> tuple[Tensor, Tensor]:
        taken = rng.normal(0, 0.1, size=inputs.shape)
        seen.append(taken)
        return torch.tensor(taken), inputs - torch.tensor(taken)

    with quiet():
        theirs = import_module("captum.metrics").infidelity(
            NETWORK, perturb, torch.tensor(PICTURES).double(), torch.tensor(MAPS[:, None]),
            target=torch.tensor(TARGETS), n_perturb_samples=12, max_examples_per_batch=IMAGES, normalize=scaled,
        )  # fmt: skip
    taken = np.stack(seen, axis=1).reshape(IMAGES, -1, PIXELS)
    attributed = np.einsum("nf,nmf->nm", MAPS.reshape(IMAGES, -1), taken)
    whole = target_output(PICTURES)
    drops = np.stack([whole - target_output(PICTURES - one) for one in seen], axis=1)
    ours = (faith.scaled_infidelity if scaled else faith.infidelity)(attributed, drops)
    return ours, theirs.detach().numpy()


def irof() -> Pair:
    """Take Quantus's own segments; its area counts segments and leaves the whole image out."""
    with quiet():
        segmented = from_quantus("helpers.utils", "get_superpixel_segments")
        labels = [segmented(np.moveaxis(x, 0, -1).astype("double"), "slic") for x in PICTURES]
    segments = np.stack(labels)
    counts = segments.reshape(IMAGES, -1).max(1) + 1
    fractions, values = np.ones((2, IMAGES, counts.max() + 1))
    for n in range(IMAGES):
        means = [MAPS[n][segments[n] == s].mean() for s in range(counts[n])]
        picture = PICTURES[n].copy()
        fractions[n, : counts[n] + 1] = np.linspace(0, 1, counts[n] + 1)
        values[n, 0] = outputs(picture[None], probability=True)[0, TARGETS[n]]
        for step, segment in enumerate(np.argsort(means)[::-1]):
            picture[0][segments[n] == segment] = picture.mean()
            values[n, step + 1 :] = outputs(picture[None], probability=True)[0, TARGETS[n]]
    relative = values / values[:, :1]
    theirs = np.array(quantus("IROF", softmax=True, return_aggregate=False, perturb_func=_mean_of_each, **plain()))
    start = (relative[:, 0] + relative[:, 1]) / 2
    return faith.irof(fractions, values), 1 - (counts - theirs + start) / counts


def _mean_of_each(arr: Array, mask: Array, **_: object) -> Array:
    """Fill with each picture's present mean."""
    return np.where(mask, arr.mean(axis=(1, 2, 3), keepdims=True), arr).astype(arr.dtype)


def road() -> Pair:
    """Give ROAD another fill than noise, so that both accuracies are of the same images."""
    percentages = [1, 2, 4, 7, 10, 20]
    order = descending(MAPS)
    correct = [outputs(filled(order[:, : PIXELS * p // 100])).argmax(1) == TARGETS for p in percentages]
    theirs = quantus("ROAD", percentages=percentages, perturb_func=_lowest_of_one, **plain())
    return faith.road_curve(np.stack(correct, axis=1)), np.array([theirs[p] for p in percentages])


def _lowest_of_one(arr: Array, indices: Array, **_: object) -> Array:
    """Fill one picture's pixels with its lowest value."""
    after = arr.reshape(-1).copy()
    after[indices] = arr.min()
    return after.reshape(arr.shape)


# ---------------------------------------------------------------------- localization


def pointing_game() -> Pair:
    """Compare hits."""
    return localization.pointing_game(MAPS, EVIDENCE), np.array(
        quantus("PointingGame", call=evidence_call(), **plain()), dtype=float
    )


def relevance_mass() -> Pair:
    """Pass magnitudes, where both mean the same."""
    ours = localization.relevance_mass(MAPS, EVIDENCE, like.absolute)
    theirs = quantus("RelevanceMassAccuracy", call=evidence_call(), abs=True, normalise=False)
    return ours, np.array(theirs)


def attribution_localization() -> Pair:
    """Divide Quantus's unweighted share by the evidence's share of the image."""
    ours = localization.attribution_localization(MAPS, EVIDENCE)
    settings = plain(positive_attributions=True)
    theirs = np.array(quantus("AttributionLocalisation", call=evidence_call(), **settings))
    return ours, theirs / EVIDENCE.mean(axis=(1, 2))


def relevance_rank() -> Pair:
    """Compare shares."""
    theirs = quantus("RelevanceRankAccuracy", call=evidence_call(), **plain())
    return localization.relevance_rank_accuracy(MAPS, EVIDENCE), np.array(theirs)


def top_k_intersection() -> Pair:
    """Compare shares."""
    theirs = quantus("TopKIntersection", call=evidence_call(), **plain(k=25))
    return localization.top_k_intersection(MAPS, EVIDENCE, 25), np.array(theirs)


def localization_auc() -> Pair:
    """Compare areas."""
    return localization.localization_auc(MAPS, EVIDENCE), np.array(quantus("AUC", call=evidence_call(), **plain()))


def intersection_over_union() -> Pair:
    """Threshold the map and ask scikit-learn."""
    raised = np.greater_equal(MAPS, 0.2 * MAPS.max(axis=(1, 2), keepdims=True))
    theirs = [sklearn.metrics.jaccard_score(e.ravel(), r.ravel()) for e, r in zip(EVIDENCE, raised, strict=True)]
    return localization.intersection_over_union(MAPS, EVIDENCE), np.array(theirs)


def focus() -> Pair:
    """Take the picture for a mosaic of two by two."""
    tiles = np.random.default_rng(SEED).random((IMAGES, 4)) < 0.5
    tiles[:, 0] |= ~tiles.any(axis=1)
    shown = np.kron(tiles.reshape(IMAGES, 2, 2), np.ones((SIDE // 2, SIDE // 2))).astype(bool)
    theirs = quantus("Focus", call={"custom_batch": tiles.astype(int)}, **plain())
    return localization.focus(MAPS, shown), np.array(theirs)


# ---------------------------------------------------------------------- complexity


def sparseness() -> Pair:
    """Quantus adds 1e-7 to every magnitude, so let the largest be 1."""
    return complexity.sparseness(MAPS), np.array(quantus("Sparseness", abs=True, normalise=True))


def entropy_complexity() -> Pair:
    """Quantus adds 1e-12 inside the logarithm."""
    return complexity.entropy_complexity(MAPS), np.array(quantus("Complexity", abs=True, normalise=False))


def pixels_above_floor() -> Pair:
    """Normalise each map by itself before Quantus sees it."""
    own = MAPS / np.abs(MAPS).max(axis=(1, 2), keepdims=True)
    theirs = quantus("EffectiveComplexity", maps=own, abs=True, normalise=False, eps=0.01)
    return complexity.pixels_above_floor(MAPS), np.array(theirs, dtype=float)


def histogram_entropy() -> Pair:
    """Compare histogram entropies."""
    with quiet():
        measure = from_quantus("functions.complexity_func", "discrete_entropy")
        theirs = np.array([measure(a=m, x=None, n_bins=100) for m in MAPS])
    return complexity.histogram_entropy(MAPS), theirs


# ---------------------------------------------------------------------- robustness


def max_sensitivity() -> Pair:
    """Draw the same noise."""
    ours = robustness.max_sensitivity(MAPS, moved_maps(uniform_copies(-0.2, 0.2, 5)))
    return ours, np.array(quantus("MaxSensitivity", nr_samples=5, **plain()))


def average_sensitivity() -> Pair:
    """Draw the same noise."""
    ours = robustness.average_sensitivity(MAPS, moved_maps(uniform_copies(-0.2, 0.2, 5)))
    return ours, np.array(quantus("AvgSensitivity", nr_samples=5, **plain()))


def local_lipschitz() -> Pair:
    """Draw the same noise."""
    copies = gaussian_copies(0.1, 5)
    ours = robustness.local_lipschitz(MAPS, moved_maps(copies), apart(copies))
    return ours, np.array(quantus("LocalLipschitzEstimate", nr_samples=5, **plain()))


def continuity() -> Pair:
    """Shift alike; Quantus drops the sign of the maps by default, here neither does."""
    copies = shifted_copies(3)
    ours = robustness.continuity(MAPS, moved_maps(copies), apart(copies))
    return ours, np.array(quantus("Continuity", nr_steps=3, **plain()))


def relative_input_stability() -> Pair:
    """Draw the same noise."""
    copies = uniform_copies(0.02, 0.2, 5)
    ours = robustness.relative_input_stability(MAPS, moved_maps(copies), PICTURES, copies)
    return ours, np.array(
        quantus("RelativeInputStability", **plain(nr_samples=5, return_nan_when_prediction_changes=False))
    )


def relative_output_stability() -> Pair:
    """Draw the same noise."""
    copies = uniform_copies(0.02, 0.2, 5)
    logits = np.stack([outputs(copies[:, s]) for s in range(5)], axis=1)
    ours = robustness.relative_output_stability(MAPS, moved_maps(copies), outputs(PICTURES), logits)
    return ours, np.array(
        quantus("RelativeOutputStability", **plain(nr_samples=5, return_nan_when_prediction_changes=False))
    )


def relative_representation_stability() -> Pair:
    """Draw the same noise, and read the first convolution."""
    copies = uniform_copies(0.02, 0.2, 5)
    first = next(network().children())
    inner = outputs(PICTURES, model=first)
    moved = np.stack([outputs(copies[:, s], model=first) for s in range(5)], axis=1)
    ours = robustness.relative_representation_stability(MAPS, moved_maps(copies), inner, moved)
    settings = plain(nr_samples=5, layer_names=["0"], return_nan_when_prediction_changes=False)
    return ours, np.array(quantus("RelativeRepresentationStability", **settings))


def consistency() -> Pair:
    """Code maps by sign in both; three and three images share a code."""
    maps = np.sign(MAPS[np.arange(IMAGES) // 3 * 3])
    predicted = outputs(PICTURES).argmax(1)
    sign = from_quantus("functions.discretise_func", "sign")
    theirs = quantus("Consistency", maps=maps, discretise_func=sign, **plain())
    return robustness.consistency(robustness.coarse_codes(maps, SIDE), predicted), np.array(theirs)


def neighbour_sufficiency() -> Pair:
    """Use the distances that Quantus takes; images without a neighbour are left out of both."""
    rows = MAPS.reshape(IMAGES, -1)
    with quiet():
        distances = scipy.spatial.distance.cdist(rows, rows, "seuclidean", V=None)
    distances /= distances.max()
    ours = robustness.neighbour_sufficiency(distances, outputs(PICTURES).argmax(1), 0.9)
    theirs = np.array(quantus("Sufficiency", threshold=0.9, abs=False))
    return ours[~np.isnan(ours)], theirs[~np.isnan(ours)]


def input_invariance() -> Pair:
    """Say whether the map stays; Quantus shifts all but the first pixel unless given another shift."""
    twin = network()
    with torch.no_grad():
        weight, bias = list(twin.parameters())[:2]
        bias.add_(weight.sum(dim=(1, 2, 3)))
    shifted = gradient_maps(twin, PICTURES - 1, TARGETS)[:, 0]
    ours = robustness.input_invariance(MAPS, shifted.astype(np.float64)) < 1e-4
    return ours, np.array(quantus("InputInvariance", **plain(perturb_func=_shifted_throughout)))


def _shifted_throughout(arr: Array, input_shift: float, **_: object) -> Array:
    """Shift every pixel."""
    return arr + np.float32(input_shift)


# ---------------------------------------------------------------------- axioms


def completeness() -> Pair:
    """Say, as Quantus does, whether the sum is the drop; the maps of every other image are made to sum to it.

    It asks for equality to the last bit, so it is given drops of six decimals.
    """
    drops = target_output(PICTURES) - target_output(filled(np.arange(PIXELS)[None].repeat(IMAGES, 0)))
    maps = np.zeros_like(MAPS)
    maps[::2, 0, 0] = _six_decimals(drops[::2])
    maps[1::2, 0, 0] = 2 * drops[1::2]
    ours = axioms.completeness(maps, drops) < 1e-5
    return ours, np.array(quantus("Completeness", maps=maps, **plain(output_func=_six_decimals)))


def _six_decimals(values: Array) -> Array:
    """Round so that the same number reached in two ways is one number."""
    return np.round(values, 6)


def non_sensitivity() -> Pair:
    """Count breaches of sensitivity and non-sensitivity, as Quantus does, with floors between which nothing lies."""
    maps = np.abs(MAPS) + 1e-3
    maps[:, :3] = 0
    effects = np.stack(
        [target_output(PICTURES) - target_output(filled(np.full((IMAGES, 1), p))) for p in range(PIXELS)],
        axis=1,
    )
    effective = (np.abs(effects) >= 1e-5).sum(axis=1)
    missed = axioms.sensitivity(maps.reshape(IMAGES, -1), effects, effect_floor=1e-5) * effective
    invented = axioms.non_sensitivity(maps.reshape(IMAGES, -1), effects, effect_floor=1e-5) * (PIXELS - effective)
    theirs = np.array(quantus("NonSensitivity", maps=maps, abs=True, normalise=False), dtype=float)
    return missed + np.nan_to_num(invented), theirs


# ---------------------------------------------------------------------- randomization


def mprt() -> Array:
    """Return our likeness along the cascade from the top."""
    return randomization.mprt_curve(MAPS, random_maps("top_down"), like.pearson_similarity)


def mprt_last() -> Pair:
    """Randomise the same layers with the same seed."""
    pearson = from_quantus("functions.similarity_func", "correlation_pearson")
    settings = plain(similarity_func=pearson, layer_order="top_down", return_last_correlation=True)
    return randomization.mprt_last(mprt()), np.array(quantus("MPRT", **settings))


def mprt_average() -> Pair:
    """Average Quantus's scores of the stages without that of the unrandomised network."""
    pearson = from_quantus("functions.similarity_func", "correlation_pearson")
    found = quantus("MPRT", **plain(similarity_func=pearson, layer_order="top_down"))
    stages = np.array([scores for stage, scores in found.items() if stage != "original"])
    return randomization.mprt_average(mprt()), stages.mean(axis=0)


def efficient_mprt() -> Pair:
    """Quantus compares the complexity before and after."""
    ours = randomization.efficient_mprt(MAPS, random_maps("bottom_up")[:, -1])
    return ours, np.array(quantus("EfficientMPRT", softmax=True, **plain(layer_order="bottom_up")))


def smooth_mprt() -> Pair:
    """Average maps over one noiseless copy each, where nothing is drawn."""
    ours = randomization.smooth_mprt(MAPS[:, None], random_maps("bottom_up")[:, -1:], like.spearman_similarity)
    settings = plain(nr_samples=1, return_last_correlation=True)
    return ours, np.array(quantus("SmoothMPRT", **settings))


def random_logit() -> Pair:
    """Explain the other classes that Quantus drew; likeness by correlation, since Quantus flattens the maps."""
    pearson = from_quantus("functions.similarity_func", "correlation_pearson")
    found: list[Array] = []

    def recorded(model: nn.Module, inputs: Array, targets: Array, **_: object) -> Array:
        found.append(np.asarray(targets))
        return gradient_maps(model, inputs, targets)

    settings = plain(num_classes=CLASSES, similarity_func=pearson)
    theirs = np.array(quantus("RandomLogit", call={"explain_func": recorded}, **settings))
    other = gradient_maps(NETWORK, PICTURES, found[-1])[:, 0].astype(np.float64)
    return randomization.random_logit(MAPS, other, like.pearson_similarity), theirs


# ---------------------------------------------------------------------- likeness, parts, confusion


def each_pair(measure: Callable[[Array, Array], float]) -> Array:
    """Score each map against the next image's."""
    return np.array([measure(one, other) for one, other in zip(MAPS, np.roll(MAPS, 1, axis=0), strict=True)])


def likeness(ours: like.Similarity, theirs: Callable[[Array, Array], float]) -> Pair:
    """Compare a likeness over maps with one over two arrays."""
    return ours(MAPS, np.roll(MAPS, 1, axis=0)), each_pair(theirs)


def pearson() -> Pair:
    """Compare with scipy."""
    return likeness(like.pearson_similarity, lambda a, b: scipy.stats.pearsonr(a.ravel(), b.ravel()).statistic)


def spearman() -> Pair:
    """Compare with scipy."""
    return likeness(like.spearman_similarity, lambda a, b: scipy.stats.spearmanr(a.ravel(), b.ravel()).statistic)


def cosine() -> Pair:
    """Compare with scipy."""
    return likeness(like.cosine_similarity, lambda a, b: 1 - scipy.spatial.distance.cosine(a.ravel(), b.ravel()))


def ssim() -> Pair:
    """Compare with scikit-image on maps whose largest magnitude is 1."""

    def reference(one: Array, other: Array) -> float:
        one, other = one / np.abs(one).max(), other / np.abs(other).max()
        span = np.ptp(np.stack([one, other]))
        # scikit-image leaves this function untyped.
        measure: Callable[..., float] = skimage.metrics.structural_similarity
        return float(measure(one, other, data_range=span))

    return likeness(like.ssim_similarity, reference)


def hog() -> Pair:
    """Compare with scikit-image's features, correlated by scipy."""

    def reference(one: Array, other: Array) -> float:
        features = [
            skimage.feature.hog(m / np.abs(m).max(), pixels_per_cell=(4, 4), cells_per_block=(3, 3))
            for m in (one, other)
        ]
        return float(scipy.stats.pearsonr(*features).statistic)

    return likeness(lambda a, b: like.hog_similarity(a, b, cell=4), reference)


def top_k_overlap() -> Pair:
    """Compare with sets of the highest pixels."""

    def reference(one: Array, other: Array) -> float:
        sets = [set(np.argsort(-m.ravel())[:20].tolist()) for m in (one, other)]
        return len(sets[0] & sets[1]) / 20

    return likeness(lambda a, b: like.top_k_overlap(a, b, 20), reference)


def masses_and_effects() -> Pair:
    """Return tied numbers for eight parts of each image."""
    rng = np.random.default_rng(SEED)
    masses, effects = rng.integers(0, 5, size=(2, IMAGES, 8)).astype(np.float64)
    return masses, effects


def part_spearman() -> Pair:
    """Compare with scipy, ties included."""
    masses, effects = masses_and_effects()
    theirs = [scipy.stats.spearmanr(m, e).statistic for m, e in zip(masses, effects, strict=True)]
    return parts.part_spearman(masses, effects), np.array(theirs)


def part_kendall() -> Pair:
    """Compare with scipy, ties included."""
    masses, effects = masses_and_effects()
    theirs = [scipy.stats.kendalltau(m, e).statistic for m, e in zip(masses, effects, strict=True)]
    return parts.part_kendall(masses, effects), np.array(theirs)


def settled_pairs() -> Pair:
    """Compare with Kendall's tau where one fill settles every pair: a share right of s is a tau of 2 s - 1."""
    truth, sums = np.random.default_rng(SEED).normal(size=(2, IMAGES, 9))
    pairs = np.stack(np.triu_indices(9, 1))
    theirs = [(scipy.stats.kendalltau(a, b).statistic + 1) / 2 for a, b in zip(truth, sums, strict=True)]
    return cells.settled_pairs(sums, cells.settled_order(truth[None], pairs, 0.0), pairs), np.array(theirs)


def coalition_fit() -> Pair:
    """Compare with two regressions over all coalitions, on the map's sums and on the cells themselves."""
    rng = np.random.default_rng(SEED)
    held = (np.arange(512)[:, None] >> np.arange(9) & 1).astype(np.float64)
    sums, weights = rng.normal(size=(2, IMAGES, 9))
    answers = weights @ held.T + rng.normal(size=(IMAGES, 512))

    def explained(columns: Array, values: Array) -> float:
        design = np.column_stack([np.ones(len(columns)), columns])
        rest = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
        return float(1 - rest @ rest / ((values - values.mean()) @ (values - values.mean())))

    theirs = [
        np.sign(np.cov(held @ q, a)[0, 1]) * explained(held @ q, a) / explained(held, a)
        for q, a in zip(sums, answers, strict=True)
    ]
    return cells.coalition_fit(sums, answers), np.array(theirs)


def labels_and_predictions() -> Pair:
    """Return classes of forty images, every class present in both."""
    labels, predicted = np.random.default_rng(SEED).integers(0, CLASSES, size=(2, 40))
    return labels, predicted


def recall() -> Pair:
    """Compare with scikit-learn."""
    labels, predicted = labels_and_predictions()
    ours = confusion.recall(confusion.confusion_matrix(labels, predicted, CLASSES))
    return ours, sklearn.metrics.recall_score(labels, predicted, average=None)


def precision() -> Pair:
    """Compare with scikit-learn."""
    labels, predicted = labels_and_predictions()
    ours = confusion.precision(confusion.confusion_matrix(labels, predicted, CLASSES))
    return ours, sklearn.metrics.precision_score(labels, predicted, average=None)


# ---------------------------------------------------------------------- the table


def _quantus(metric: str, name: str, answers: Callable[[], Pair], note: str = "", *, added: float = 0.0) -> Comparison:
    """Return a comparison with a metric of Quantus, to whose scores its own epsilon makes a difference of `added`."""
    return Comparison(metric, f"Quantus {name}", "quantus", answers, note, WITHIN + added)


RISING = np.maximum(MAPS, 0).sum(axis=(1, 2)).min()
LEVEL = (np.abs(MAPS) / np.abs(MAPS).max(axis=(1, 2), keepdims=True)).mean(axis=(1, 2)).min()

COMPARISONS = (
    _quantus("pixel-flipping", "PixelFlipping", pixel_flipping, "its area with step 0 added, over all steps"),
    _quantus("selectivity", "Selectivity", selectivity, "its curve with step 0 added"),
    _quantus("aopc", "RegionPerturbation", aopc, "its curve with the fall of step 0 added"),
    _quantus("faithfulness-correlation", "FaithfulnessCorrelation", faithfulness_correlation),
    _quantus("faithfulness-estimate", "FaithfulnessEstimate", faithfulness_estimate),
    _quantus("monotonicity-nguyen", "MonotonicityCorrelation", monotonicity_nguyen, "its `abs` on"),
    _quantus("sensitivity-n", "SensitivityN", sensitivity_n_kernel, "the correlation alone, on what it measures"),
    _quantus("infidelity", "Infidelity", infidelity),
    Comparison("infidelity", "captum infidelity", "captum", lambda: captum_infidelity(scaled=False)),
    Comparison("scaled-infidelity", "captum infidelity, normalize", "captum", lambda: captum_infidelity(scaled=True)),
    _quantus("irof", "IROF", irof, "its area with step 0 added, over the number of segments"),
    _quantus("road", "ROAD", road, "the accuracy curve"),
    _quantus("pointing-game", "PointingGame", pointing_game),
    _quantus("relevance-mass", "RelevanceMassAccuracy", relevance_mass, "of magnitudes"),
    _quantus(
        "attribution-localization",
        "AttributionLocalisation",
        attribution_localization,
        "its share over area; it adds 1e-9",
        added=1e-9 / RISING,
    ),
    _quantus("relevance-rank", "RelevanceRankAccuracy", relevance_rank),
    _quantus("top-k-intersection", "TopKIntersection", top_k_intersection),
    _quantus("localization-auc", "AUC", localization_auc),
    Comparison("intersection-over-union", "scikit-learn jaccard_score", "sklearn", intersection_over_union),
    _quantus("focus", "Focus", focus, "it adds 1e-9 to the total", added=1e-9 / RISING),
    _quantus("max-sensitivity", "MaxSensitivity", max_sensitivity),
    _quantus("average-sensitivity", "AvgSensitivity", average_sensitivity),
    _quantus("local-lipschitz", "LocalLipschitzEstimate", local_lipschitz),
    _quantus("continuity", "Continuity", continuity, "no copy in place"),
    # It subtracts pictures in single precision, which differ by a fiftieth of their size at least.
    _quantus(
        "relative-input-stability",
        "RelativeInputStability",
        relative_input_stability,
        "no entry 0",
        added=rounding("float32", 4, conditioning=50.0),
    ),
    _quantus("relative-output-stability", "RelativeOutputStability", relative_output_stability, "no entry 0"),
    _quantus(
        "relative-representation-stability",
        "RelativeRepresentationStability",
        relative_representation_stability,
        "no entry 0",
    ),
    _quantus("consistency", "Consistency", consistency, "coded by all signs; it adds 1e-9", added=1e-9),
    _quantus("neighbour-sufficiency", "Sufficiency", neighbour_sufficiency, "images with a neighbour"),
    _quantus("input-invariance", "InputInvariance", input_invariance, "kept or not; all pixels shifted"),
    _quantus("sparseness", "Sparseness", sparseness, "it adds 1e-7 to every magnitude", added=1e-7 / LEVEL),
    _quantus(
        "entropy-complexity", "Complexity", entropy_complexity, "it adds 1e-12 in the logarithm", added=1e-12 * PIXELS
    ),
    _quantus("pixels-above-floor", "EffectiveComplexity", pixels_above_floor, "maps normalised one by one"),
    _quantus("histogram-entropy", "discrete_entropy", histogram_entropy),
    _quantus("completeness", "Completeness", completeness, "kept or not"),
    _quantus("sensitivity", "NonSensitivity", non_sensitivity, "breaches of both counted together"),
    _quantus("non-sensitivity", "NonSensitivity", non_sensitivity, "breaches of both counted together"),
    _quantus("mprt-last", "MPRT", mprt_last),
    _quantus("mprt-average", "MPRT", mprt_average, "its stages without the unrandomised network"),
    _quantus("efficient-mprt", "EfficientMPRT", efficient_mprt),
    _quantus("smooth-mprt", "SmoothMPRT", smooth_mprt, "one copy without noise"),
    _quantus("random-logit", "RandomLogit", random_logit, "by correlation"),
    Comparison("pearson", "scipy.stats.pearsonr", "scipy", pearson),
    Comparison("spearman", "scipy.stats.spearmanr", "scipy", spearman),
    Comparison("cosine", "scipy cosine", "scipy", cosine),
    Comparison("ssim", "scikit-image structural_similarity", "skimage", ssim),
    Comparison("hog", "scikit-image hog, scipy pearsonr", "skimage", hog),
    Comparison("top-k-overlap", "sets of pixels", "numpy", top_k_overlap),
    Comparison("part-spearman", "scipy.stats.spearmanr", "scipy", part_spearman),
    Comparison("part-kendall", "scipy.stats.kendalltau", "scipy", part_kendall),
    Comparison("settled-pairs", "scipy.stats.kendalltau", "scipy", settled_pairs),
    Comparison("coalition-fit", "least squares over all coalitions", "numpy", coalition_fit),
    Comparison("recall", "scikit-learn recall_score", "sklearn", recall),
    Comparison("precision", "scikit-learn precision_score", "sklearn", precision),
)


def table() -> str:
    """Return the comparisons as a markdown table."""
    rows = ["| metric | reference | largest difference | largest score | note |", "|---|---|---|---|---|"]
    for one in COMPARISONS:
        found = "{:.1e} | {:.3g}".format(*one.found()) if one.available() else "not installed | "
        rows.append(f"| {one.metric} | {one.reference} | {found} | {one.note} |")
    return "\n".join(rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(table())
