"""Metrics of localization beside their references."""

import numpy as np
import sklearn.metrics

from benchmarks.metrics_parity.setup import EVIDENCE, IMAGES, MAPS, SEED, SIDE, Pair, evidence_call, plain, quantus
from harness.metrics import localization
from harness.metrics import similarity as like


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
