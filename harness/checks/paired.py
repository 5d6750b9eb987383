"""Judging by differences paired by image: the effect is their mean; people are the sample where they are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Shaped

from harness.checks.base import CONFIDENCE, EVERYTHING, IMAGES, PEOPLE, Check, Evidence, Finding
from harness.measurements.base import MAP
from harness.statistics import mean_above_p, mean_below_p, people_interval, spread
from harness.store import NOT_SCORABLE, SILENT


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
    own
        A score of the map itself that is undefined through the map's own fault alone, or "".
    blank
        What an image counts whose score is undefined because the explainer has no map for it, or a constant one, or
        one without `own` score, so that leaving out what it does poorly earns nothing. None: a gain of 0, and where
        the effect must stay small a whole 1, which is the most that likenesses and errors are. Images that cannot be
        scored for another reason (there is no other image of the class, say) are left out.
    """

    metric: str
    variant: str
    against: str = ""
    by_class: bool = True
    own: str = ""
    blank: float | None = None

    def __call__(self, check: Check, evidence: Evidence, explainer: str) -> Sequence[Finding]:
        """Return the finding over all images, then, where classes are judged, one for each."""
        if explainer == evidence.control(self.against):
            return [Finding(EVERYTHING, 0, reason=f"{explainer} is the control of this check")]
        rows = self.effects(check, evidence, explainer)
        if not len(rows):
            return [Finding(EVERYTHING, 0, reason=f"{self.metric} was not measured")]
        return findings(check, evidence, rows, by_class=self.by_class)

    def effects(self, check: Check, evidence: Evidence, explainer: str) -> pd.DataFrame:
        """Return one row an image that was asked for, its effect as `value`; none where nothing was measured."""
        against = evidence.control(self.against)
        rows = marked_rows(evidence, explainer, self.metric, self.variant, self.own)
        if not len(rows):
            return rows
        rows = filled(rows, check, self.blank)
        return _less(rows, evidence.of(against, self.metric, self.variant), against) if against else rows


def marked_rows(evidence: Evidence, explainer: str, metric: str, variant: str, own: str = "") -> pd.DataFrame:
    """Return a row for each image that was asked for, marked `blank` where the explainer is why it has no value.

    Parameters
    ----------
    evidence, explainer, metric, variant
        Which scores.
    own
        A score of the map itself that is undefined through the map's own fault alone, or "".
    """
    rows = evidence.of(explainer, metric, variant)
    if not len(rows):
        return rows.assign(blank=False)
    asked = evidence.asked(metric, variant)
    whole = rows if rows.index.equals(asked.index) else rows.reindex(asked.index)
    # A row is missing where an explainer answered for some images alone.
    blank = whole["status"].isna() | whole.index.isin(evidence.blank.get(explainer, frozenset()))
    blank |= whole["status"] == SILENT
    if own:
        blank |= evidence.of(explainer, own, MAP)["value"].reindex(whole.index).isna()
    blank &= whole["value"].isna() & (whole["status"] != NOT_SCORABLE)
    return whole.assign(target=asked, blank=blank, reason=whole["reason"].fillna("no score"))


def filled(rows: pd.DataFrame, check: Check, blank: float | None) -> pd.DataFrame:
    """Return the rows with blank ones counted as `blank`: by default 0, or a whole 1 where effects must stay small."""
    worst = blank if blank is not None else float(check.at_most)
    return rows.assign(value=rows["value"].mask(rows["blank"], worst))


def findings(check: Check, evidence: Evidence, rows: pd.DataFrame, *, by_class: bool = True) -> list[Finding]:
    """Return what effects, one an image, say over all images, then, where classes are judged, of each."""
    whole, targets = _Sample.of(rows, evidence.clusters(rows.index)), rows["target"].to_numpy(object)
    found = [_finding(check, EVERYTHING, whole)]
    for name in evidence.classes if by_class else ():
        found.append(_finding(check, name, whole.take(targets == name)))
    return found


def _less(rows: pd.DataFrame, control: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows with the control's values subtracted; a reason of the control's says so."""
    control = control.reindex(rows.index)
    theirs = name + ": " + control["reason"].fillna("not measured").astype(str)
    reason = rows["reason"].where(rows["value"].isna() | control["value"].notna(), theirs)
    return rows.assign(value=rows["value"] - control["value"], reason=reason)


def finding(check: Check, kind: str, rows: pd.DataFrame, clusters: Int[np.ndarray, " n"] | None) -> Finding:
    """Return what paired differences say of a claim."""
    return _finding(check, kind, _Sample.of(rows, clusters))


class _Sample(NamedTuple):
    """Columns of some rows, (n,) each, and who is on each image, where that is known."""

    values: Float[np.ndarray, " n"]
    blank: Bool[np.ndarray, " n"]
    reasons: Shaped[np.ndarray, " n"]
    clusters: Int[np.ndarray, " n"] | None

    @staticmethod
    def of(rows: pd.DataFrame, clusters: Int[np.ndarray, " n"] | None) -> "_Sample":
        """Return the columns of rows."""
        values, blank = rows["value"].to_numpy(np.float64), rows["blank"].to_numpy(bool)
        return _Sample(values, blank, rows["reason"].to_numpy(object), clusters)

    def take(self, held: Bool[np.ndarray, " n"]) -> "_Sample":
        """Return some of the rows."""
        clusters = None if self.clusters is None else self.clusters[held]
        return _Sample(self.values[held], self.blank[held], self.reasons[held], clusters)


def _finding(check: Check, kind: str, sample: _Sample) -> Finding:
    """Return what the rows of a sample say of a claim."""
    values = sample.values
    held = ~np.isnan(values)
    known, who = values[held], None if sample.clusters is None else sample.clusters[held]
    unit, units = (IMAGES, len(known)) if who is None else (PEOPLE, len(np.unique(who)))
    undefined = len(values) - len(known)
    blank = int(sample.blank[held].sum())
    if not len(values):
        return Finding(kind, 0, reason="no image is of this class", unit=unit)
    if len(known) < 2 or units < 2:
        said = f"{len(known)} of {len(values)} scores are defined"
        said = "there is one image alone; two are needed" if len(known) == len(values) == 1 else said
        reasons = sample.reasons[~held]
        said += f" ({reasons[0]})" if len(reasons) else ""
        said = f"all {len(known)} images are of one person; two people are needed" if len(known) > 1 else said
        return Finding(kind, len(known), undefined, reason=said, unit=unit, units=units, blank=blank)
    interval = people_interval(known, who, confidence=CONFIDENCE)
    above, below = mean_above_p(known, check.margin, who), mean_below_p(known, check.margin, who)
    return Finding(
        kind,
        len(known),
        undefined,
        interval.estimate,
        interval.low,
        interval.high,
        p=below if check.at_most else above,
        p_fail=above if check.at_most else below,
        unit=unit,
        units=units,
        blank=blank,
        spread=spread(known, check.margin, who),
    )
