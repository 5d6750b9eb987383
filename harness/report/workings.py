"""What a run could have shown, and what it cost: a table of each."""

from collections.abc import Sequence

import pandas as pd
from scipy.stats import norm

from harness.report import answer, queries, wording
from harness.store import CheckRecord, RunFolder
from harness.store.record import Cost

POWER = 0.8
"""How often an effect is seen that a claim is said to show."""
BACKWARD = 2
"""Forward passes that a backward pass takes, about."""

SHARED, ALTOGETHER = "what all share", "altogether"


def power_table(run: RunFolder) -> pd.DataFrame:
    """Return from which effect on each deciding claim would be seen in :data:`POWER` of such runs.

    Returns
    -------
    pd.DataFrame
        A row a claim that could be asked: ``n``, the ``margin``, the effect from which it is seen, for the median of
        the methods' intervals (``seen from``) and the narrowest and widest (``between``); empty where there are none.
    """
    held = queries.verdicts(run)
    held = held[held["explainer"].isin(queries.methods(run)) & held["low"].notna() & held["high"].notna()]
    decides = queries.deciding(run)
    rows = {
        check.name: _seen(run, check, held[held["check"] == check.name])
        for check in run.record.checks
        if check.name in decides and (held["check"] == check.name).any()
    }
    made = pd.DataFrame.from_dict(rows, orient="index", dtype="object")
    made.index.name = "claim"
    made.attrs = {
        "title": "what each claim could have shown",
        "notes": [
            f"seen from: of runs with so many people, where they are known, and such spread, {POWER:.0%} would tell an "
            "effect of this size from the margin; a smaller one mostly stays inconclusive. By the methods' intervals, "
            "the median of them and the narrowest and widest; before correction, so it is the least that can be hoped "
            "for.",
        ],
    }
    return made


def _seen(run: RunFolder, check: CheckRecord, held: pd.DataFrame) -> dict[str, str]:
    """Return what one claim could have shown, in words."""
    # An interval's half is a quantile of its standard error; a claim is seen where two quantiles lie between.
    errors = (held["high"] - held["low"]) / 2 / norm.ppf((1 + run.record.confidence) / 2)
    beyond = errors * (norm.isf(run.record.alpha) + norm.ppf(POWER)) * (-1 if check.at_most else 1)
    ends = [check.margin + float(end) for end in (beyond.abs().min(), beyond.abs().max())]
    if check.at_most:
        ends = [2 * check.margin - end for end in ends]
    largest = {str(key): value for key, value in held.nlargest(1, "n").iloc[0].items()}
    return {
        "n": answer.counted(largest),
        "margin": f"{'below' if check.at_most else 'above'} {check.margin:g}",
        "seen from": wording.number(check.margin + float(beyond.median()), signed=True),
        "between": " and ".join(wording.number(end, signed=True) for end in ends),
    }


def cost_table(run: RunFolder) -> pd.DataFrame:
    """Return what each explainer cost: images passed, seconds, and the seconds that its passes would take at best.

    Returns
    -------
    pd.DataFrame
        A row an explainer that gave maps, one for what serves all, and one of everything: ``forward``, ``backward``,
        ``seconds``, ``floor`` and ``beyond it``.
    """
    costs = {each.name: each.cost for each in run.record.explainers if each.status == "ok"}
    costs[SHARED] = run.record.shared_cost
    passes = run.record.passes
    pace = best_pace(list(costs.values()))
    everything = Cost(passes.forward, passes.backward, run.record.seconds)
    rows = {name: _cost(cost, pace) for name, cost in {**costs, ALTOGETHER: everything}.items()}
    made = pd.DataFrame.from_dict(rows, orient="index", dtype="object")
    made.index.name = "explainer"
    made.attrs = {
        "title": "what it cost",
        "notes": [
            f"floor: its passes at the best pace that any row has, a backward pass counted as {BACKWARD} forward. "
            "Seconds are of work, side by side where there are several workers; altogether is by the clock, with what "
            "was spent before a stop.",
        ],
    }
    return made


def best_pace(costs: Sequence[Cost]) -> float | None:
    """Return the least seconds a pass, None where nothing was passed in any time.

    Examples
    --------
    >>> best_pace([Cost(1000, 0, 2.0), Cost(0, 250, 0.5), Cost(0, 0, 9.0)])
    0.001
    """
    found = [cost.seconds / _passed(cost) for cost in costs if _passed(cost) and cost.seconds]
    return min(found) if found else None


def _passed(cost: Cost) -> int:
    """Return how many forward passes a cost amounts to."""
    return int(cost.forward + BACKWARD * cost.backward)


def _cost(cost: Cost, pace: float | None) -> dict[str, str]:
    """Return one cost in words."""
    floor = None if pace is None else pace * _passed(cost)
    return {
        "forward": f"{cost.forward:,}",
        "backward": f"{cost.backward:,}",
        "seconds": f"{cost.seconds:,.1f}",
        "floor": "–" if floor is None else f"{floor:,.1f}",
        "beyond it": "–" if not floor else f"{cost.seconds / floor:.1f} times",
    }
