"""Likeness of maps, metrics of parts and of the confusion matrix beside their references."""

from collections.abc import Callable

import numpy as np
import scipy.spatial
import scipy.stats
import skimage.feature
import skimage.metrics
import sklearn.metrics

from benchmarks.metrics_parity.setup import CLASSES, IMAGES, MAPS, SEED, Array, Pair
from harness.metrics import cells, confusion, parts
from harness.metrics import similarity as like


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
