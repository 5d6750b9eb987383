"""Whether a metric can tell a true explanation from a false one on this network, before it judges anyone.

Maps of known worth stand in every run that plays the exact game: its truth, the truth with growing noise, and the
spectrum null, which is noise alone. A metric that means something puts them in that order (after MetaQuantus, Hedström
et al. 2023, who ask a metric to react to noise; here the truth is known). It also puts the truth before edges, the
middle of the picture and the class's mean picture, which know nothing of the network, unless on these pictures they
show what counted all the same. Metrics of face parts ask about true causes, and those are their truth; where no game is
played, they are everybody's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from harness.checks.base import ALPHA, CONFIDENCE, Evidence, Verdict
from harness.measurements.base import MAP, SPECTRUM
from harness.measurements.cells import SETTLED
from harness.metrics.cards import MetricCard, metric_cards, names_of
from harness.names import MEAN_FACE
from harness.oracles.known import NOISE, ORACLE, TRUTH, oracle_name
from harness.statistics import holm, mean_above_p, people_interval
from harness.store import EXAMINATIONS, frame

CALLED = {TRUTH: "the truth", ORACLE: "the true causes"}
OF_CAUSES = frozenset({"parts"})
"""Families of metrics that ask what truly moves the answer, not which cells the network's answers rest on."""
BLIND = ("edges", "centre", MEAN_FACE)
"""Controls that know nothing of the network."""
HALF_WAY = 0.75
"""Share of settled pairs half way from chance to the truth. A control that orders more of them right shows what
counted, as edges do for an object on plain ground: to prefer it to a truth of cells says nothing against a metric."""
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
        pass where every step of the order is significant, and the truth before every map that knows nothing of the
        network; fail where the truth is not shown to beat its null, or such a map is shown to beat the truth;
        inconclusive where another step is not shown.
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
    """Return the examination of every metric with a direction that has scored maps of known worth, by metric."""
    found = {name: _examined(evidence, card) for name, card in metric_cards().items()}
    return {name: examination for name, examination in found.items() if examination is not None}


def barred(found: Mapping[str, Examination]) -> dict[str, str]:
    """Return the scores that may judge nobody, with the reason: of metrics that did not pass, and of their variants."""
    failed = {name: one.reason for name, one in found.items() if one.verdict is not Verdict.PASS}
    return {
        score: f"{name} did not pass its examination on this subject: {reason}"
        for name, reason in failed.items()
        for score in names_of(metric_cards()[name])
    }


def examination_table(found: Mapping[str, Examination]) -> pd.DataFrame:
    """Return one row a metric; see :data:`harness.store.EXAMINATIONS`."""
    return frame(EXAMINATIONS, [{**vars(one), "verdict": one.verdict.value} for one in found.values()])


def _examined(evidence: Evidence, card: MetricCard) -> Examination | None:
    """Return the examination of one metric; None where it has no direction, or the maps were not scored."""
    if card.higher_is_better is None:
        return None
    truth, sign = _truth(evidence, card), 1.0 if card.higher_is_better else -1.0
    rungs = [(oracle_name(share, truth), MAP) for share in (0.0, *NOISE)] + [(truth, SPECTRUM)]
    columns = [sign * evidence.of(explainer, card.name, variant)["value"] for explainer, variant in rungs]
    if not all(len(column) for column in columns):
        return None
    blind = {control: sign * evidence.of(control, card.name, MAP)["value"] for control in _blind(evidence)}
    return _examination(card.name, CALLED[truth], pd.concat(columns, axis=1), blind, evidence)


def _blind(evidence: Evidence) -> list[str]:
    """Return the controls that are known to be wrong here, as the scores call them."""
    called = [evidence.control(name) for name in BLIND]
    # Of which it is not known shows nothing that would speak for it.
    return [name for name in called if not evidence.of(name, SETTLED, MAP)["value"].mean() >= HALF_WAY]


def _truth(evidence: Evidence, card: MetricCard) -> str:
    """Return the map of known worth by which a metric is examined: that of its kind, or the other where it is alone."""
    first, second = (ORACLE, TRUTH) if card.family in OF_CAUSES else (TRUTH, ORACLE)
    return first if len(evidence.of(first, card.name, MAP)) else second


def _examination(
    metric: str, truth: str, ladder: pd.DataFrame, blind: Mapping[str, pd.Series], evidence: Evidence
) -> Examination:
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
    interval = people_interval(wins, who, confidence=CONFIDENCE)
    whole = mean_above_p(known[:, 0] - known[:, -1], 0.0, who)
    noisy = [f"{truth} with {share:.0%} noise" for share in NOISE]
    order = [truth, *noisy, "noise"]
    steps = {
        f"{high} before {low}": mean_above_p(upper - lower, 0.0, who)
        for high, low, upper, lower in zip(order, order[1:], known.T, known.T[1:], strict=False)
    }
    ahead = {name: (held.iloc[:, 0] - values).dropna() for name, values in blind.items()}
    ahead = {name: beyond for name, beyond in ahead.items() if len(beyond) >= LEAST}
    steps |= {f"{truth} before {name}": _above(evidence, beyond) for name, beyond in ahead.items()}
    behind = {f"{name} before {truth}": _above(evidence, -beyond) for name, beyond in ahead.items()}
    verdict, reason = _verdict(truth, whole, _corrected(steps), _corrected(behind))
    return Examination(
        metric,
        len(known),
        undefined,
        interval.estimate,
        interval.low,
        interval.high,
        float(max(whole, *_corrected(steps).values())),
        verdict,
        reason,
    )


def _above(evidence: Evidence, beyond: "pd.Series[float]") -> float:
    """Return the p-value of a mean above 0, people being the sample where they are known."""
    return mean_above_p(beyond.to_numpy(np.float64), 0.0, evidence.clusters(beyond.index))


def _corrected(steps: Mapping[str, float]) -> dict[str, float]:
    """Return p-values corrected for their number (Holm)."""
    return dict(zip(steps, holm(np.array(list(steps.values()))), strict=True)) if steps else {}


def _verdict(truth: str, whole: float, steps: Mapping[str, float], behind: Mapping[str, float]) -> tuple[Verdict, str]:
    """Return the verdict and what it rests on, in words."""
    if whole >= ALPHA:
        return Verdict.FAIL, f"does not put {truth} before noise of the same smoothness (p = {whole:.2g})"
    wrong = [step for step, p in behind.items() if p < ALPHA]
    if wrong:
        return Verdict.FAIL, f"puts {', '.join(wrong)}, whatever the network"
    unshown = [step for step, p in steps.items() if p >= ALPHA]
    if unshown:
        return Verdict.INCONCLUSIVE, f"not shown: {', '.join(unshown)}"
    return Verdict.PASS, ""
