"""Whether a metric can tell a true explanation from a false one on this network, before it judges anyone.

Three maps of known worth stand in every run whose faces have known causes: the causes themselves, the causes with
growing noise, and the spectrum null, which is noise alone. A metric that means something puts them in that order
(after MetaQuantus, Hedström et al. 2023, who ask a metric to react to noise; here the truth is known).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from harness.checks.base import ALPHA, CONFIDENCE, Evidence, Verdict
from harness.measurements.base import MAP, SPECTRUM
from harness.metrics.cards import metric_cards
from harness.metrics.score import Score
from harness.oracles.known import NOISE, ORACLE, oracle_name
from harness.statistics import holm, mean_above_p, mean_interval
from harness.store import EXAMINATIONS, frame

_RUNGS = ("the truth", *(f"truth with {share:.0%} noise" for share in NOISE), "noise")
LEAST = 2
"""Images without which no order can be told."""


@dataclass(frozen=True)
class Examination:
    """What a metric's examination found.

    Attributes
    ----------
    metric
        As in scores.
    n, undefined
        Images with all scores defined, and without.
    discrimination
        Share of images on which the truth scores better than its null (ties count half): .5 is chance, 1 is always.
    low, high
        Its interval.
    p
        The largest of the one-sided p-values of the steps, Holm-corrected over them.
    verdict
        pass where every step of the order is significant; fail where the truth is not shown to beat its null;
        inconclusive where it does and a step between is not shown.
    reason
        Which step is not shown, or "".
    """

    metric: str
    n: int
    undefined: int
    discrimination: float
    low: float
    high: float
    p: float
    verdict: Verdict
    reason: str


def examined(evidence: Evidence) -> dict[str, Examination]:
    """Return the examination of every metric with a direction whose scores of the oracles are known, by metric."""
    better = {
        name: 1.0 if card.higher_is_better else -1.0
        for name, card in metric_cards().items()
        if card.higher_is_better is not None
    }
    ladder = {name: _ladder(evidence, name, sign) for name, sign in better.items()}
    return {name: _examination(name, steps, evidence) for name, steps in ladder.items() if steps is not None}


def barred(found: Mapping[str, Examination]) -> dict[str, str]:
    """Return the scores that may judge nobody, with the reason: of metrics that did not pass."""
    return {
        Score(name).gain.name: f"{name} did not pass its examination on this subject: {one.reason}"
        for name, one in found.items()
        if one.verdict is not Verdict.PASS
    }


def examination_table(found: Mapping[str, Examination]) -> pd.DataFrame:
    """Return one row a metric; see :data:`harness.store.EXAMINATIONS`."""
    return frame(EXAMINATIONS, [{**vars(one), "verdict": one.verdict.value} for one in found.values()])


def _ladder(evidence: Evidence, metric: str, sign: float) -> pd.DataFrame | None:
    """Return the scores of truth, noisy truths and null by image, higher being better; None if not measured."""
    rungs = [(oracle_name(share), MAP) for share in (0.0, *NOISE)] + [(ORACLE, SPECTRUM)]
    columns = [evidence.of(explainer, metric, variant)["value"] for explainer, variant in rungs]
    if not all(len(column) for column in columns):
        return None
    return sign * pd.concat(columns, axis=1)


def _examination(metric: str, ladder: pd.DataFrame, evidence: Evidence) -> Examination:
    """Return the finding of one metric, people being the sample where they are known."""
    held = ladder.dropna()
    known: Float[np.ndarray, "n steps"] = held.to_numpy(np.float64)
    undefined = len(ladder) - len(known)
    if len(known) < LEAST:
        said = f"{len(known)} of {len(ladder)} images have all scores defined"
        nothing = np.nan
        return Examination(
            metric, len(known), undefined, nothing, nothing, nothing, nothing, Verdict.NOT_APPLICABLE, said
        )
    who = evidence.clusters(held.index)
    wins = np.sign(known[:, 0] - known[:, -1]) / 2 + 0.5
    interval = mean_interval(wins, confidence=CONFIDENCE, clusters=who)
    whole = mean_above_p(known[:, 0] - known[:, -1], 0.0, who)
    between = zip(known.T, known.T[1:], strict=False)
    steps = holm(np.array([mean_above_p(upper - lower, 0.0, who) for upper, lower in between]))
    verdict, reason = _verdict(whole, steps)
    return Examination(
        metric,
        len(known),
        undefined,
        interval.estimate,
        interval.low,
        interval.high,
        float(max(whole, *steps)),
        verdict,
        reason,
    )


def _verdict(whole: float, steps: Float[np.ndarray, " steps"]) -> tuple[Verdict, str]:
    """Return the verdict and what it rests on, in words."""
    if whole >= ALPHA:
        return Verdict.FAIL, f"does not put the true causes before noise of the same smoothness (p = {whole:.2g})"
    if (steps >= ALPHA).any():
        pairs = zip(_RUNGS, _RUNGS[1:], steps, strict=False)
        open_steps = [f"{upper} before {lower}" for upper, lower, p in pairs if p >= ALPHA]
        return Verdict.INCONCLUSIVE, f"not shown: {', '.join(open_steps)}"
    return Verdict.PASS, ""
