"""How far a map moves when its image moves a little.

``maps`` (n, h, w) explain the images, ``moved`` (n, s, h, w) s disturbed copies of each, both for the class
that the undisturbed image is explained for. ``kept`` (n, s) says in which copies the network's prediction
stayed as it was: a map may well change with the prediction, so the others are left out, and an image of which
none is left has no score. 0 is a map that never moves; lower is steadier, which is no virtue by itself: a
constant map is perfectly steady.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64, Shaped

from harness.metrics._rows import doubles, lengths, pearson, ranks, ratio, relative_distance
from harness.metrics.cards import metric

_MOVED = "how much less the map moves under noise than it differs from another image's, in its own lengths"
_STEEP = "how much lower under noise than between two images of the class"
_COPIES = "one explanation a disturbed copy"
_BETWEEN = "its ratio between two images of the class"
_WHOLE = (
    "a run's changes are of whole lengths, since one entry that was 0 would leave no score; Agarwal et al. and "
    "Quantus, with which the form entry by entry was compared, take each entry's own, Quantus one that was 0 relative "
    "to a millionth"
)

Change = Callable[[Shaped[np.ndarray, "n ..."], Shaped[np.ndarray, "n s ..."]], Shaped[np.ndarray, "n s"]]


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="how far the map moves at most under slight noise, in its own lengths",
    gain=_MOVED,
    undefined="the map is zero, or the prediction changed in every copy",
    chance="its distance between two images of the class",
    cost=_COPIES,
    reference="Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations",
    compared_with="Quantus 0.6 MaxSensitivity",
)
def max_sensitivity(
    maps: Float[np.ndarray, "n h w"],
    moved: Float[np.ndarray, "n s h w"],
    kept: Bool[np.ndarray, "n s"] | None = None,
) -> Float64[np.ndarray, " n"]:
    """Return how far the map moves at most, in lengths of the map (Frobenius); lower is steadier.

    Yeh et al. 2019, the relative form, so that a rescaling of the explainer changes nothing. NaN for a map
    that is zero throughout, or with no copy left.

    Examples
    --------
    >>> max_sensitivity(np.array([[[3.0, 4.0]]]), np.array([[[[3.0, 4.0]], [[3.0, 9.0]]]]))
    array([1.])
    """
    return _highest(length_change(maps, moved), kept)


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="how far the map moves on average under slight noise, in its own lengths",
    gain=_MOVED,
    undefined="the map is zero, or the prediction changed in every copy",
    chance="its distance between two images of the class",
    cost=_COPIES,
    reference="Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations",
    compared_with="Quantus 0.6 AvgSensitivity",
)
def average_sensitivity(
    maps: Float[np.ndarray, "n h w"],
    moved: Float[np.ndarray, "n s h w"],
    kept: Bool[np.ndarray, "n s"] | None = None,
) -> Float64[np.ndarray, " n"]:
    """Return how far the map moves on average, in lengths of the map (Frobenius); lower is steadier.

    Yeh et al. 2019, relative as :func:`max_sensitivity`, and undefined where that is.

    Examples
    --------
    >>> average_sensitivity(np.array([[[3.0, 4.0]]]), np.array([[[[3.0, 4.0]], [[3.0, 9.0]]]]))
    array([0.5])
    """
    changes, counted = length_change(maps, moved), _counted(moved.shape[:2], kept)
    return ratio(doubles(np.where(counted, changes, 0).sum(axis=1)), doubles(counted.sum(axis=1)))


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="how far the map moves over how far the image does, at most",
    gain=f"{_STEEP}: local-lipschitz",
    undefined="a copy is no distance away, or the prediction changed in every copy",
    chance=_BETWEEN,
    cost=_COPIES,
    reference="Alvarez-Melis & Jaakkola 2018, On the robustness of interpretability methods",
    compared_with="Quantus 0.6 LocalLipschitzEstimate",
)
def local_lipschitz(
    maps: Float[np.ndarray, "n h w"],
    moved: Float[np.ndarray, "n s h w"],
    distances: Float[np.ndarray, "n s"],
    kept: Bool[np.ndarray, "n s"] | None = None,
) -> Float64[np.ndarray, " n"]:
    """Return the largest Euclidean distance between maps over that between their images.

    Alvarez-Melis & Jaakkola 2018. In the unit of the map over the image's, so only explainers of one unit
    compare. NaN where a copy that counts is no distance away, or with no copy left.

    Parameters
    ----------
    distances
        Euclidean distance of each copy from its image.

    Examples
    --------
    >>> local_lipschitz(np.array([[[3.0, 4.0]]]), np.array([[[[3.0, 9.0]]]]), np.array([[2.0]]))
    array([2.5])
    """
    return _highest(ratio(lengths(_differences(maps, moved)), doubles(distances)), kept)


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="summed change of the map over how far the image moves, at most",
    gain=f"{_STEEP}: continuity",
    undefined="a copy is no distance away, or the prediction changed in every copy",
    chance=_BETWEEN,
    cost=_COPIES,
    reference="Montavon et al. 2018, Methods for interpreting and understanding deep neural networks",
    compared_with="Quantus 0.6 Continuity",
)
def continuity(
    maps: Float[np.ndarray, "n h w"],
    moved: Float[np.ndarray, "n s h w"],
    distances: Float[np.ndarray, "n s"],
    kept: Bool[np.ndarray, "n s"] | None = None,
) -> Float64[np.ndarray, " n"]:
    """Return the largest summed absolute difference of maps over the Euclidean distance of their images.

    Montavon et al. 2018, whose copies are the image shifted step by step. Unit and undefined cases as in
    :func:`local_lipschitz`.

    Examples
    --------
    >>> continuity(np.array([[[3.0, 4.0]]]), np.array([[[[2.0, 9.0]]]]), np.array([[2.0]]))
    array([3.])
    """
    summed = doubles(np.abs(_differences(maps, moved)).sum(axis=-1))
    return _highest(ratio(summed, doubles(distances)), kept)


def entrywise_change(
    arrays: Float[np.ndarray, "n ..."], moved: Float[np.ndarray, "n s ..."]
) -> Float64[np.ndarray, "n s"]:
    """Return the Euclidean length of the entries' relative changes, as relative stability is published.

    NaN where an entry that was 0 has moved, since no share of 0 is a change; an entry that stays 0 has not
    changed.

    Examples
    --------
    >>> entrywise_change(np.array([[1.0, 2.0, 0.0]]), np.array([[[4.0, 10.0, 0.0], [1.0, 2.0, 1.0]]]))
    array([[ 5., nan]])
    """
    differences = _differences(arrays, moved)
    before = np.broadcast_to(arrays.reshape(len(arrays), 1, -1).astype(np.float64), differences.shape)
    changes = np.where(differences == 0, 0.0, ratio(differences, before))
    return lengths(changes)


def length_change(
    arrays: Float[np.ndarray, "n ..."], moved: Float[np.ndarray, "n s ..."]
) -> Float64[np.ndarray, "n s"]:
    """Return the Euclidean length of the difference over that of the undisturbed array; NaN where it is zero.

    Unlike :func:`entrywise_change` it is defined for sparse arrays.

    Examples
    --------
    >>> length_change(np.array([[3.0, 4.0]]), np.array([[[3.0, 9.0]]]))
    array([[1.]])
    """
    differences = _differences(arrays, moved)
    before = lengths(arrays.reshape(len(arrays), -1))
    return ratio(lengths(differences), np.broadcast_to(before[:, None], differences.shape[:2]))


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="relative change of the map over that of the image, at most",
    gain=f"{_STEEP}: relative-input-stability",
    undefined="the map is zero, an image did not change, or the prediction changed in every copy",
    chance=_BETWEEN,
    cost=_COPIES,
    reference="Agarwal et al. 2022, Rethinking stability for attribution-based explanations",
    compared_with="Quantus 0.6 RelativeInputStability",
    differs=_WHOLE,
)
def relative_input_stability(
    maps: Float[np.ndarray, "n h w"],
    moved: Float[np.ndarray, "n s h w"],
    inputs: Float[np.ndarray, "n ..."],
    moved_inputs: Float[np.ndarray, "n s ..."],
    kept: Bool[np.ndarray, "n s"] | None = None,
    change: Change = entrywise_change,
) -> Float64[np.ndarray, " n"]:
    """Return RIS: the largest relative change of the map over the relative change of its input.

    Agarwal et al. 2022. No unit; lower is steadier. NaN where a change is undefined or an input did not
    change at all in a copy that counts, or with no copy left.

    Parameters
    ----------
    inputs, moved_inputs
        The images and their copies.
    change
        How relative change is measured, on maps and inputs alike: ``entrywise_change`` as published,
        ``length_change`` for maps with zeros.

    Examples
    --------
    >>> maps, inputs = np.array([[[1.0, 1.0]]]), np.array([[1.0, 1.0]])
    >>> relative_input_stability(maps, 2 * maps[:, None], inputs, 1.5 * inputs[:, None]).round(6)
    array([2.])
    """
    return _highest(ratio(change(maps, moved), change(inputs, moved_inputs)), kept)


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="change of the map over that before the last layer, at most",
    gain=f"{_STEEP}: relative-representation-stability",
    undefined="map or activation is zero, the activation did not change, or the prediction changed in every copy",
    chance=_BETWEEN,
    cost=f"{_COPIES}, one forward a copy",
    reference="Agarwal et al. 2022, Rethinking stability for attribution-based explanations",
    compared_with="Quantus 0.6 RelativeRepresentationStability",
    differs=_WHOLE,
)
def relative_representation_stability(
    maps: Float[np.ndarray, "n h w"],
    moved: Float[np.ndarray, "n s h w"],
    activations: Float[np.ndarray, "n ..."],
    moved_activations: Float[np.ndarray, "n s ..."],
    kept: Bool[np.ndarray, "n s"] | None = None,
    change: Change = entrywise_change,
) -> Float64[np.ndarray, " n"]:
    """Return RRS: the largest relative change of the map over that of the network's inner representation.

    Agarwal et al. 2022. As :func:`relative_input_stability`, with a layer's activations for the input.
    Rectified activations are often 0, where only ``length_change`` is defined.

    Examples
    --------
    >>> maps, inner = np.array([[[1.0, 1.0]]]), np.array([[1.0, 0.0]])
    >>> relative_representation_stability(maps, 2 * maps[:, None], inner, 1.5 * inner[:, None]).round(4)
    array([2.8284])
    """
    return _highest(ratio(change(maps, moved), change(activations, moved_activations)), kept)


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="relative change of the map over the change of the logits, at most",
    gain=f"{_STEEP}: relative-output-stability",
    undefined="the map is zero, the logits did not change, or the prediction changed in every copy",
    chance=_BETWEEN,
    cost=f"{_COPIES}, one forward a copy",
    reference="Agarwal et al. 2022, Rethinking stability for attribution-based explanations",
    compared_with="Quantus 0.6 RelativeOutputStability",
    differs=_WHOLE,
)
def relative_output_stability(
    maps: Float[np.ndarray, "n h w"],
    moved: Float[np.ndarray, "n s h w"],
    logits: Float[np.ndarray, "n k"],
    moved_logits: Float[np.ndarray, "n s k"],
    kept: Bool[np.ndarray, "n s"] | None = None,
    change: Change = entrywise_change,
) -> Float64[np.ndarray, " n"]:
    """Return ROS: the largest relative change of the map over the Euclidean change of the logits.

    Agarwal et al. 2022; the logits' change is not relative there. Per unit of the logit; lower is steadier.
    NaN where a change is undefined or the logits did not change in a copy that counts, or with no copy left.

    Examples
    --------
    >>> maps, logits = np.array([[[1.0, 0.0]]]), np.array([[1.0, 0.0]])
    >>> relative_output_stability(maps, 2 * maps[:, None], logits, logits[:, None] + [[[0.0, 0.5]]])
    array([2.])
    """
    return _highest(ratio(change(maps, moved), lengths(_differences(logits, moved_logits))), kept)


def coarse_codes(maps: Float[np.ndarray, "n h w"], grid: int = 3) -> Int64[np.ndarray, " n"]:
    """Return a number for each map, equal for maps whose summed relevance has the same sign in every cell.

    The cells are a `grid` by `grid` partition of the image.

    Raises
    ------
    ValueError
        If `grid` is not between 1 and the shorter side.

    Examples
    --------
    >>> coarse_codes(np.array([[[1.0, -1.0]], [[3.0, -2.0]], [[-1.0, -1.0]]]), grid=1)
    array([1, 2, 0])
    """
    if not 1 <= grid <= min(maps.shape[1:]):
        raise ValueError(f"a grid of {grid} on {maps.shape[1:]}; give 1 to {min(maps.shape[1:])} cells a side")
    rows, columns = (np.linspace(0, side, grid + 1).round().astype(int)[:-1] for side in maps.shape[1:])
    sums = np.add.reduceat(np.add.reduceat(maps.astype(np.float64), rows, axis=1), columns, axis=2)
    signs = np.sign(sums).reshape(len(maps), -1)
    return np.asarray(np.unique(signs, axis=0, return_inverse=True)[1].reshape(-1), dtype=np.int64)


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of images of like maps that have the same prediction",
    undefined="no other image has that explanation",
    chance="the prediction's share among the other images",
    reference="Dasgupta et al. 2022, Framework for evaluating faithfulness of local explanations",
    compared_with="Quantus 0.6 Consistency",
    differs=(
        "undefined where no other image has that explanation, Quantus gives 0; and Quantus codes a map by the "
        "signs of its first five pixels in storage order, not of its highest"
    ),
)
def consistency(codes: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the share of the other images of the same explanation that have the same prediction, in [0, 1].

    Dasgupta et al. 2022. Higher is better; by chance it is the prediction's share among the other images. NaN
    for an image whose explanation no other shares.

    Parameters
    ----------
    codes
        Equal for explanations that count as the same, as from :func:`coarse_codes`.

    Examples
    --------
    >>> consistency(np.array([0, 0, 0, 1]), np.array([5, 5, 6, 5]))
    array([0.5, 0.5, 0. , nan])
    """
    return _agreement(codes[:, None] == codes[None], predicted)


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of images of near maps that have the same prediction",
    undefined="no other explanation is near",
    chance="the prediction's share among the other images",
    reference="Dasgupta et al. 2022, Framework for evaluating faithfulness of local explanations",
    compared_with="Quantus 0.6 Sufficiency",
    differs="undefined where no other explanation is near; Quantus gives 0",
)
def neighbour_sufficiency(
    distances: Float[np.ndarray, "n n"], predicted: Int[np.ndarray, " n"], radius: float
) -> Float64[np.ndarray, " n"]:
    """Return the share of the other images of similar explanation that have the same prediction, in [0, 1].

    Dasgupta et al. 2022, who call it sufficiency. As :func:`consistency`, explanations at most `radius` apart
    being similar. NaN for an image whose explanation is near to no other.

    Examples
    --------
    >>> apart = np.array([[0.0, 1.0, 3.0], [1.0, 0.0, 3.0], [3.0, 3.0, 0.0]])
    >>> neighbour_sufficiency(apart, np.array([5, 5, 5]), radius=2.0)
    array([ 1.,  1., nan])
    """
    return _agreement(distances <= radius, predicted)


@metric(
    higher_is_better=False,
    range=(0.0, math.inf),
    meaning="how far a brightness shift that the network takes back moves the map",
    undefined="the map is zero",
    chance="0 is claimed",
    cost="one explanation of the shifted image",
    reference="Kindermans et al. 2019, The (un)reliability of saliency methods",
    compared_with="Quantus 0.6 InputInvariance",
    differs="a distance; Quantus says whether every pixel is within a ten-thousandth, whatever the map's scale",
)
def input_invariance(
    maps: Float[np.ndarray, "n h w"], shifted: Float[np.ndarray, "n h w"]
) -> Float64[np.ndarray, " n"]:
    """Return how far the map moves, in lengths of the map, when a brightness shift has no effect on the network.

    Kindermans et al. 2019: the images are shifted by a constant and the first layer's bias takes the shift
    back, so nothing has changed. 0 is invariant, lower is better. NaN for a map that is zero throughout.

    Parameters
    ----------
    shifted
        Maps of the shifted images on the network that takes the shift back.

    Examples
    --------
    >>> input_invariance(np.array([[[3.0, 4.0]]]), np.array([[[3.0, 9.0]]]))
    array([1.])
    """
    return relative_distance(maps, shifted)


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning="rank correlation of the maps of two seeds",
    undefined="a map is constant, or there are fewer than two seeds",
    chance="0 for maps that are drawn and nothing else",
    cost="one explanation a further seed",
    reference="Visani et al. 2022, Statistical stability indices for LIME",
    compared_with="scipy spearmanr of each pair",
)
def seed_stability(redrawn: Float[np.ndarray, "n s h w"]) -> Float64[np.ndarray, " n"]:
    """Return how alike an explainer's maps of one image are under several seeds, in [-1, 1].

    The mean over all pairs of seeds of the rank correlation of their maps (after Visani et al. 2022, who ask how
    stable LIME is). 1 is an explainer that its draw does not touch, 0 one that says nothing else. NaN where a map is
    constant, or with fewer than two seeds.

    Parameters
    ----------
    redrawn
        Maps of each image under s seeds.

    Examples
    --------
    >>> seed_stability(np.array([[[[1.0, 2.0, 3.0]], [[2.0, 4.0, 9.0]], [[3.0, 2.0, 1.0]]]])).round(4)
    array([-0.3333])
    """
    n, seeds = redrawn.shape[:2]
    places = [ranks(doubles(redrawn[:, seed].reshape(n, -1))) for seed in range(seeds)]
    alike = [pearson(places[one], places[other]) for other in range(seeds) for one in range(other)]
    return doubles(np.mean(alike, axis=0)) if alike else np.full(n, np.nan)


def _differences(
    arrays: Float[np.ndarray, "n ..."], moved: Float[np.ndarray, "n s ..."]
) -> Float64[np.ndarray, "n s f"]:
    """Return each copy minus its original, as rows."""
    if moved.shape != (*arrays.shape[:1], *moved.shape[1:2], *arrays.shape[1:]):
        raise ValueError(f"arrays of {arrays.shape} have copies of {moved.shape}; give (n, copies, ...)")
    n, copies = moved.shape[:2]
    differences = moved.reshape(n, copies, -1).astype(np.float64) - arrays.reshape(n, 1, -1)
    return doubles(differences)


def _counted(shape: tuple[int, ...], kept: Bool[np.ndarray, "n s"] | None) -> Bool[np.ndarray, "n s"]:
    """Return which copies count."""
    return np.ones(shape, dtype=bool) if kept is None else kept


def _highest(scores: Float64[np.ndarray, "n s"], kept: Bool[np.ndarray, "n s"] | None) -> Float64[np.ndarray, " n"]:
    """Return the highest score over the copies that count; NaN where one of them is, or none is left."""
    counted = _counted(scores.shape, kept)
    highest = np.where(counted, scores, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(counted.any(axis=1), highest, np.nan)


def _agreement(alike: Bool[np.ndarray, "n n"], predicted: Int[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the share of each image's likes, itself left out, that have its prediction."""
    others = alike & ~np.eye(len(predicted), dtype=bool)
    agreeing = others & (predicted[:, None] == predicted[None])
    return ratio(doubles(agreeing.sum(axis=1)), doubles(others.sum(axis=1)))
