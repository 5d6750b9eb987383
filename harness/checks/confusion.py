"""Claims that tie maps to the confusion matrix: classes are the sample, so every p is exact over their orders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from harness.checks.base import CLASSES, CONFIDENCE, EVERYTHING, Check, Evidence, Finding
from harness.checks.paired import filled, marked_rows
from harness.metrics.confusion import recall
from harness.statistics import (
    Alternative,
    PermutationResult,
    exact_correlation,
    mantel,
    partial_mantel,
    spearman_rows,
    symmetrised,
)

RESAMPLES = 999
"""Bootstrap resamples of the people, or images, within each class."""
FAMILY = "confusion"
ANY_ASSOCIATION = "any association counts; its size is stated beside it"


@dataclass(frozen=True)
class RecallFollows:
    """Correlates each class's mean of a score with its recall; a map that says nothing gains nothing.

    Attributes
    ----------
    metric, variant
        Which score.
    """

    metric: str
    variant: str

    def __call__(self, check: Check, evidence: Evidence, explainer: str) -> Sequence[Finding]:
        """Return the finding over all classes."""
        counts = evidence.matrix("confusion")
        if counts is None:
            return [Finding(EVERYTHING, 0, len(evidence.classes), reason="the images have no labels", unit=CLASSES)]
        rows = filled(marked_rows(evidence, explainer, self.metric, self.variant), check, None).dropna(subset="value")
        recalls = recall(counts.astype(np.int64))
        held = [k for k, name in enumerate(evidence.classes) if (rows["target"] == name).any() and recalls[k] >= 0]
        groups = [rows.loc[rows["target"] == evidence.classes[k], "value"] for k in held]
        gains = np.array([group.mean() for group in groups])
        people = [_by_person(group, evidence.clusters(group.index)) for group in groups]
        low, high = _bootstrapped(people, recalls[held], evidence.seed)
        test = partial(exact_correlation, gains, recalls[held])
        return [_finding(test, len(evidence.classes), low, high)]


def _by_person(values: "pd.Series[float]", who: Int[np.ndarray, " n"] | None) -> Float[np.ndarray, "2 m"]:
    """Return the sum of each person's values and how many there are; each image is its own where nobody is known."""
    found = values.to_numpy(np.float64)
    index = np.arange(len(found)) if who is None else np.unique(who, return_inverse=True)[1]
    return np.stack([np.bincount(index, found), np.bincount(index)])


def _bootstrapped(
    groups: list[Float[np.ndarray, "2 m"]], recalls: Float[np.ndarray, " k"], seed: int
) -> tuple[float, float]:
    """Return the percentile interval of the correlation when the people of each class are drawn anew, images and all.

    Each group holds the sums of its people's values and how many each has.
    """
    if len(groups) < 3:
        return np.nan, np.nan
    rng = np.random.default_rng(seed)
    drawn = [group[:, rng.integers(0, group.shape[1], (RESAMPLES, group.shape[1]))].sum(2) for group in groups]
    means = np.stack([sums / counts for sums, counts in drawn], axis=1)
    found = spearman_rows(means, np.broadcast_to(recalls, means.shape).copy())
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(found, [tail, 1 - tail]) if not np.isnan(found).all() else (np.nan, np.nan)
    return float(low), float(high)


def _confused_are_alike(check: Check, evidence: Evidence, explainer: str) -> Sequence[Finding]:
    """Mantel: confusion of two classes against the likeness of their mean maps."""
    matrices = _class_matrices(evidence, explainer)
    if isinstance(matrices, str):
        return [Finding(EVERYTHING, 0, len(evidence.classes), reason=matrices, unit=CLASSES)]
    confused, alike, _ = matrices
    return [_finding(partial(mantel, confused, alike, statistic=spearman_rows), len(evidence.classes))]


def _confused_are_alike_given_faces(check: Check, evidence: Evidence, explainer: str) -> Sequence[Finding]:
    """Partial Mantel: the same, given the likeness of the class-mean images."""
    matrices = _class_matrices(evidence, explainer)
    if isinstance(matrices, str):
        return [Finding(EVERYTHING, 0, len(evidence.classes), reason=matrices, unit=CLASSES)]
    return [_finding(partial(partial_mantel, *matrices, statistic=spearman_rows), len(evidence.classes))]


def _class_matrices(evidence: Evidence, explainer: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | str:
    """Return confusion rates, likeness of maps and likeness of images over the classes that have all three."""
    counts, alike = evidence.matrix("confusion"), evidence.matrix("map-similarity", explainer)
    images = evidence.matrix("image-similarity")
    if counts is None:
        return "the images have no labels"
    if alike is None or images is None:
        return "map similarity was not measured"
    held = (counts.sum(1) > 0) & ~np.isnan(np.diag(alike)) & ~np.isnan(np.diag(images))
    if held.sum() < 3:
        return f"{held.sum()} classes have labelled images and maps; three are needed"
    rates = symmetrised(counts / np.maximum(counts.sum(1, keepdims=True), 1))
    chosen = np.ix_(held, held)
    if np.isnan(alike[chosen]).any():
        return "a class-mean map is constant"
    return rates[chosen], alike[chosen], images[chosen]


def _finding(
    test: Callable[..., PermutationResult], classes: int, low: float = np.nan, high: float = np.nan
) -> Finding:
    """Return a permutation test, for the claim and against it, as a finding over those of `classes` that it had."""
    result, against = (test(alternative=side) for side in (Alternative.GREATER, Alternative.LESS))
    return Finding(
        EVERYTHING,
        result.n,
        classes - result.n,
        result.statistic,
        low,
        high,
        result.p,
        against.p,
        reason=result.reason or "",
        unit=CLASSES,
    )


CHECKS = (
    Check(
        name="confusion-recall",
        family=FAMILY,
        claim="classes with a higher recall are explained more faithfully (deletion gain over the spectrum null)",
        control="class relabelling",
        margin=0.0,
        margin_reason=ANY_ASSOCIATION,
        reference="exact permutation over all k! orders of the classes",
        figure="figures/recall.png",
        needs=frozenset({"removal"}),
        judge=RecallFollows("deletion-gain", "spectrum-null"),
        unit=CLASSES,
    ),
    Check(
        name="confusion-mantel",
        family=FAMILY,
        claim="classes that the network confuses more have class-mean maps that are more alike",
        control="class relabelling",
        margin=0.0,
        margin_reason=ANY_ASSOCIATION,
        reference="Mantel 1967",
        figure="figures/confusion.png",
        needs=frozenset({"similarity"}),
        judge=_confused_are_alike,
        unit=CLASSES,
    ),
    Check(
        name="confusion-mantel-partial",
        family=FAMILY,
        claim="classes confused more have class-mean maps more alike than their class-mean images explain",
        control="class relabelling, given image similarity",
        margin=0.0,
        margin_reason=ANY_ASSOCIATION,
        reference="Smouse, Long & Sokal 1986",
        figure="figures/confusion.png",
        needs=frozenset({"similarity"}),
        judge=_confused_are_alike_given_faces,
        unit=CLASSES,
    ),
)
