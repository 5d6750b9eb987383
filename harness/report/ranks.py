"""In which order each deciding score puts the methods, and which of them it cannot tell apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import rankdata

from harness.report import queries, wording
from harness.report.queries import USUAL
from harness.statistics import Friedman, average_ranks, critical_difference, friedman, not_told_apart
from harness.store import RunFolder

SETTLED = "settled-pairs"
WITHIN, FINE = " within", "-fine"
"""Ends the name of a variant where parts of one cell are compared, and of the check that does."""
ROUGH = 10
"""Fewer people than that, and Friedman's p is rough."""


@dataclass(frozen=True)
class Ranked:
    """The methods' ranks under one score.

    Attributes
    ----------
    metric, variant
        Which score.
    names
        Methods that have a value of some image; controls and oracles are never ranked.
    places
        Each person's ranks of them, (n, k), 1 for the best: ranks within each image, averaged over the person's images.
        An image that a method has no value of, though another has, ranks it last. Where nobody is known, images.
    unit
        "people" or "images".
    values
        What was ranked, (images, k), NaN where undefined.
    """

    metric: str
    variant: str
    names: tuple[str, ...]
    places: Float[np.ndarray, "n k"]
    unit: str
    values: Float[np.ndarray, "images k"]

    @property
    def score(self) -> str:
        """Its name, with the variant where it is not the map's own."""
        return self.metric if self.variant == USUAL[0] else f"{self.metric}/{self.variant}"

    @cached_property
    def means(self) -> Float[np.ndarray, " k"]:
        """Mean ranks over people, each of whom ranks once; NaN for no people."""
        return average_ranks(-self.places)

    @cached_property
    def test(self) -> Friedman:
        """Whether people agree on any order."""
        return friedman(-self.places)

    @property
    def concordance(self) -> float:
        """Kendall's W of people; NaN where the test is undefined."""
        return self.test.statistic / (self.test.n * (self.test.k - 1)) if self.test.k > 1 else np.nan

    def difference(self, alpha: float) -> float:
        """Return how far mean ranks must lie apart to be told apart."""
        return critical_difference(len(self.places), len(self.names), alpha)

    def together(self, alpha: float) -> list[tuple[int, ...]]:
        """Return the groups of methods that are not told apart, as places in `names`."""
        return not_told_apart(self.means, self.difference(alpha)) if len(self.places) > 1 else []


def ranked(run: RunFolder, metric: str, variant: str) -> Ranked | None:
    """Return the ranks of the methods under a score; None where it has no better end or ranks fewer than two.

    Parameters
    ----------
    run
        A finished run.
    metric, variant
        As :func:`harness.report.queries.metrics` lists them.
    """
    better = queries.measure(run, metric).better
    values = values_of(run, metric, variant)
    if not better or values.shape[1] < 2 or not len(values):
        return None
    # The highest is the best, and what has no value is the last.
    worth = (values if better == "higher" else -values).fillna(-np.inf)
    places = pd.DataFrame(rankdata(-worth.to_numpy(), axis=1), index=worth.index, columns=worth.columns)
    persons = run.persons.set_index("image")["person"]
    known = bool(len(persons)) and bool(places.index.isin(persons.index).all())
    of_unit = places.groupby(persons.reindex(places.index).to_numpy()).mean() if known else places
    unit, names = "people" if known else "images", tuple(map(str, values.columns))
    return Ranked(metric, variant, names, of_unit.to_numpy(), unit, values.to_numpy(np.float64))


def values_of(run: RunFolder, metric: str, variant: str) -> pd.DataFrame:
    """Return a row an image and a column a method, NaN where undefined; without those that have no value at all."""
    held = queries.rows(run, metric, variant)
    wide = held[held["defined"]].pivot(index="image", columns="explainer", values="value")
    return wide.reindex(columns=[name for name in queries.methods(run) if name in wide.columns]).dropna(how="all")


def deciding_scores(run: RunFolder) -> list[tuple[str, str]]:
    """Return the scores, each with its variant, that the deciding claims rest on; a control's own is none."""
    held, decisive = queries.metrics(run), set(queries.deciding(run))
    found = []
    for check in run.record.checks:
        variants = held.get(check.metric, [""])
        variant = next((each for each in (check.control, *USUAL) if each in variants), variants[0])
        variant += WITHIN if check.name.endswith(FINE) else ""
        if check.name in decisive and variant in held.get(check.metric, ()):
            found.append((check.metric, variant))
    return list(dict.fromkeys(found))


def all_ranked(run: RunFolder, scores: Sequence[tuple[str, str]]) -> list[Ranked]:
    """Return the ranks under each score that has any."""
    return [one for one in (ranked(run, *score) for score in scores) if one is not None]


def rank_table(run: RunFolder, scores: Sequence[tuple[str, str]] = ()) -> pd.DataFrame:
    """Return the methods' mean ranks under each score, the best mean first, and whether they differ at all.

    Parameters
    ----------
    run
        A finished run.
    scores
        Which, with their variants; by default those that decide.

    Returns
    -------
    pd.DataFrame
        A row a score: ``n`` (people or images), Friedman's ``p``, Kendall's ``W`` over people, the ``difference`` that
        mean ranks must have, and a column a method, "–" for one without values.
    """
    held = all_ranked(run, scores or deciding_scores(run))
    alpha = run.record.alpha
    names = [name for name in queries.methods(run) if any(name in one.names for one in held)]
    rows = [
        {
            "n": f"{len(one.places)} {one.unit}",
            "p": wording.bare_chance(one.test.p),
            "W": wording.number(one.concordance),
            "difference": wording.number(one.difference(alpha)),
            **{name: _mean(one, name) for name in names},
        }
        for one in held
    ]
    made = pd.DataFrame(rows, columns=["n", "p", "W", "difference", *names], dtype="object")
    made.index = pd.Index([one.score for one in held], name="score")
    made.attrs = {"title": "mean ranks of the methods, 1 is the best", "notes": _notes(run, held)}
    return made


def _mean(one: Ranked, name: str) -> str:
    """Return a method's mean rank in words."""
    return f"{one.means[one.names.index(name)]:.2f}" if name in one.names else "–"


def _notes(run: RunFolder, held: Sequence[Ranked]) -> list[str]:
    """Return what the numbers are, and what they are not."""
    notes = [
        "p: Friedman's, that every order is as likely. W: Kendall's, 1 where all put the methods in one order. Where "
        f"mean ranks lie the difference apart, Nemenyi's test tells two methods apart (alpha {run.record.alpha}).",
        "Ranks hang on who is ranked and decide nothing; harness compare has each pair by itself. Controls and maps "
        "made of the truth are not ranked. A method without a value of an image is the last there.",
    ]
    few = [one.score for one in held if len(one.places) < ROUGH]
    return notes + ([f"Fewer than {ROUGH}, so that p is rough: {', '.join(few)}."] if few else [])
