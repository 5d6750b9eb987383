"""Judging by differences paired by image: the effect is their mean, images are the sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from harness.checks.base import ALPHA, CONFIDENCE, EVERYTHING, Check, Evidence, Finding
from harness.statistics import images_to_settle, mean_interval, noninferiority_p, sign_flip_p


@dataclass(frozen=True)
class PairedScores:
    """Judges a metric that is itself a difference from a null, image by image.

    Attributes
    ----------
    metric, variant
        Which score.
    against
        An explainer whose score of the same image is subtracted, or "".
    by_class
        Whether each class is judged too. Not where it has but a few images, because the metric is costly: no such claim
        could pass, and its verdict over all images stands for every class.
    """

    metric: str
    variant: str
    against: str = ""
    by_class: bool = True

    def __call__(self, check: Check, evidence: Evidence, explainer: str) -> Sequence[Finding]:
        """Return the finding over all images, then, where classes are judged, one for each."""
        if explainer == self.against:
            return [Finding(EVERYTHING, 0, reason=f"{explainer} is the control of this check")]
        rows = evidence.of(explainer, self.metric, self.variant)
        if not len(rows):
            return [Finding(EVERYTHING, 0, reason=f"{self.metric} was not measured")]
        if self.against:
            rows = _less(rows, evidence.of(self.against, self.metric, self.variant), self.against)
        found = [_finding(check, EVERYTHING, rows)]
        apart = evidence.classes if self.by_class else ()
        return found + [_finding(check, name, rows[rows["target"] == name]) for name in apart]


def _less(rows: pd.DataFrame, control: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows with the control's values subtracted; a reason of the control's says so."""
    control = control.reindex(rows.index)
    theirs = name + ": " + control["reason"].fillna("not measured").astype(str)
    reason = rows["reason"].where(rows["value"].isna() | control["value"].notna(), theirs)
    return rows.assign(value=rows["value"] - control["value"], reason=reason)


def _finding(check: Check, kind: str, rows: pd.DataFrame) -> Finding:
    """Return what paired differences say of a claim."""
    values: Float[np.ndarray, " n"] = rows["value"].to_numpy(np.float64)
    known = values[~np.isnan(values)]
    undefined = len(values) - len(known)
    if not len(values):
        return Finding(kind, 0, reason="no image is of this class")
    if len(known) < 2:
        said = f"{len(known)} of {len(values)} scores are defined"
        reasons = rows.loc[rows["value"].isna(), "reason"]
        return Finding(kind, len(known), undefined, reason=f"{said} ({reasons.iloc[0]})" if len(reasons) else said)
    interval = mean_interval(known, confidence=CONFIDENCE)
    p = noninferiority_p(known, check.margin) if check.at_most else sign_flip_p(known, margin=check.margin)
    needed = images_to_settle(known, check.margin, ALPHA)
    return Finding(kind, len(known), undefined, interval.estimate, interval.low, interval.high, p, needed)
