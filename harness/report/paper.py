"""What a table in a paper shows beside means: their intervals, and who is best where that is significant."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from harness.report import ladder, queries, wording
from harness.report.queries import ALL
from harness.statistics import holm, people_interval, sign_flip_p_two_sided
from harness.store import RunFolder


@dataclass(frozen=True)
class Row:
    """The scores of one class, or of all: an image a row, an explainer a column; who is on each image, where known."""

    where: str
    scores: pd.DataFrame
    people: Shaped[np.ndarray, " n"] | None


def precise(run: RunFolder, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table class by class with the intervals of its means, and who is best where that is significant.

    Parameters
    ----------
    run
        The run that the table is of.
    table
        Of :func:`harness.report.tables.metric_table` or :func:`harness.report.ladder.class_table`.

    Returns
    -------
    pd.DataFrame
        The same, with three more ``attrs``: ``below``, a text by class and explainer; ``best``, an explainer by
        class; notes that say what they are. A method is best where it is ahead of every other method, by two-sided
        sign flips of people (or images) paired by image, corrected (Holm) over all pairs of methods and all classes.
        Controls and known maps are never best; where a metric has no better end, nobody is.
    """
    is_ladder = table.attrs["kind"] == "ladder"
    if is_ladder and (run.ladder.empty or ladder.share(run, queries.methods(run)[0]) is None):
        return table
    metric, variant = (ladder.SHARE, ladder.MAP) if is_ladder else (table.attrs["metric"], table.attrs["variant"])
    rows = list(_rows(run, metric, variant))
    shown = _hundredths if is_ladder else _ends
    made = table.copy()
    below = {
        one.where: {name: shown(*ends) for name, ends in _intervals(one, run.record.confidence).items()} for one in rows
    }
    made.attrs = table.attrs | {
        "below": below,
        "best": best(rows, queries.methods(run), queries.measure(run, metric).better, run.record.alpha),
        "notes": [*table.attrs["notes"], _said(run)],
    }
    return made


def _said(run: RunFolder) -> str:
    """Return what bold and small letters are."""
    unit = "people" if len(run.persons) else "images"
    return (
        f"small: {run.record.confidence:.0%} interval over {unit}. bold: ahead of every other method, sign flips of "
        f"{unit}, Holm's corrected p below {run.record.alpha} over all pairs of methods and all rows."
    )


def _hundredths(low: float, high: float) -> str:
    """Return an interval of a share.

    Examples
    --------
    >>> _hundredths(0.846, 0.89), _hundredths(float("nan"), 1.0)
    ('85-89', '')
    """
    return "" if np.isnan(low) or np.isnan(high) else f"{100 * low:.0f}-{100 * high:.0f}"


def _ends(low: float, high: float) -> str:
    """Return an interval of a mean.

    Examples
    --------
    >>> _ends(-0.0123, 0.5), _ends(float("nan"), 1.0)
    ('[-0.012, 0.500]', '')
    """
    return "" if np.isnan(low) or np.isnan(high) else f"[{wording.number(low)}, {wording.number(high)}]"


def _rows(run: RunFolder, metric: str, variant: str) -> Iterator[Row]:
    """Yield the scores of each class and of all."""
    held = queries.rows(run, *queries.chosen(run, metric, variant))
    good = held[held["defined"]]
    wide = good.pivot(index="image", columns="explainer", values="value")
    targets = good.drop_duplicates("image").set_index("image")["target"].reindex(wide.index)
    people = queries.people([run], wide.index)
    for where in (*queries.classes(run), ALL):
        chosen = (targets == where).to_numpy() | (where == ALL)
        yield Row(where, wide[chosen], None if people is None else people[chosen])


def _intervals(row: Row, confidence: float) -> dict[str, tuple[float, float]]:
    """Return the interval of each explainer's mean, NaN where fewer than two units have a value."""
    found = {}
    for name in row.scores.columns:
        values = row.scores[name].to_numpy(np.float64)
        known = np.isfinite(values)
        who = None if row.people is None else row.people[known]
        ends = people_interval(values[known], who, confidence=confidence)
        found[str(name)] = ends.low, ends.high
    return found


def best(rows: list[Row], methods: list[str], better: str, alpha: float) -> dict[str, str]:
    """Return who is ahead of every other method, by class; a class where nobody is has none."""
    tests = [(row.where, *pair) for row in rows if better for pair in _pairs(row, methods)]
    if not tests:
        return {}
    adjusted = holm(np.array([p for *_, p in tests], dtype=np.float64))
    beaten: dict[tuple[str, str], set[str]] = {}
    for (where, first, second, effect, _), p in zip(tests, adjusted, strict=True):
        if p < alpha:
            ahead, behind = (first, second) if (effect > 0) == (better == "higher") else (second, first)
            beaten.setdefault((where, ahead), set()).add(behind)
    rivals = {row.where: len({name for name in methods if name in row.scores}) - 1 for row in rows}
    return {where: name for (where, name), who in beaten.items() if len(who) == rivals[where]}


def _pairs(row: Row, methods: list[str]) -> Iterator[tuple[str, str, float, float]]:
    """Yield each pair of methods with the mean difference and its p."""
    names = [name for name in methods if name in row.scores]
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            apart = (row.scores[first] - row.scores[second]).to_numpy(np.float64)
            known = np.isfinite(apart)
            if known.any():
                yield first, second, float(apart[known].mean()), _p(apart[known], row.people, known)


def _p(
    apart: Float[np.ndarray, " n"], people: Shaped[np.ndarray, " m"] | None, known: Shaped[np.ndarray, " m"]
) -> float:
    """Return the two-sided p of a difference."""
    return sign_flip_p_two_sided(apart, clusters=None if people is None else people[known])
