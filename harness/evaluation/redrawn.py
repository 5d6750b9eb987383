"""A run's evidence with people drawn anew, so that it can be told how a decision varies with who was looked at."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Int

from harness.checks import EVERYTHING, Check, Evidence
from harness.checks.axioms import CHANGES
from harness.digest import digest
from harness.evaluation.decision import decided, stored_evidence, stored_families, stored_faults
from harness.evaluation.runner import package_digest
from harness.metrics.score import Score
from harness.store import IDENTITY, RunFolder

Table = TypeVar("Table", pd.DataFrame, pd.Series)


@dataclass(frozen=True, kw_only=True)
class Redrawn(Evidence):
    """What would have been measured of images drawn with replacement from those that were.

    An image that is drawn again counts as another one. Its number, which says who is on it, is its place in the draw.

    Attributes
    ----------
    whole
        What was measured.
    drawn
        The image that each place holds.
    """

    whole: Evidence
    drawn: Int[np.ndarray, " n"]

    @cached_property
    def _by_key(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        """The scores of each explainer, score and variant, by the place of the image."""
        return {key: self._placed(table) for key, table in self.whole._by_key.items()}

    @cached_property
    def _asked(self) -> dict[tuple[str, str], pd.Series]:
        """The places of each score and variant over all explainers, with their class."""
        return {key: self._placed(asked) for key, asked in self.whole._asked.items()}

    def _placed(self, table: Table) -> Table:
        """Return a table of images as one of places, without those whose image it does not hold."""
        rows = table.index.get_indexer(pd.Index(self.drawn))
        held = np.flatnonzero(rows >= 0)
        return table.iloc[rows[held]].set_axis(pd.Index(held, name="image"))


def compact(evidence: Evidence, checks: Sequence[Check]) -> Evidence:
    """Return evidence with what the checks read alone, as plain objects: what is drawn from many times."""
    judged_by = {getattr(check.judge, name, "") for check in checks for name in ("metric", "own", "axiom")}
    held = evidence.scores.drop(columns="label")
    which = held[list(IDENTITY)].drop_duplicates()
    scores = [Score(*map(str, row)) for row in which.itertuples(index=False)]
    beside = {"resolution", "maps", *CHANGES}
    read = [score for score in scores if {score.name, score.gain.name} & judged_by or score.metric in beside]
    wanted = pd.DataFrame([vars(score) for score in read], columns=list(IDENTITY))
    held = held.merge(wanted, on=list(IDENTITY))
    words = [name for name in held if name not in ("image", "value")]
    return replace(evidence, scores=held.astype(dict.fromkeys(words, object)))


def redrawn(whole: Evidence, per_class: int, seed: int) -> Evidence:
    """Return evidence of people drawn anew within each predicted class, until it has so many images.

    Whoever is drawn comes with all of their images of the class, the last one with as many as there is room for; drawn
    again they count as another person, who is one and the same in all classes. Where nobody is known, images are drawn.

    Parameters
    ----------
    whole
        What was measured; images without an explainer's score are not drawn.
    per_class
        Images of each class that has any.
    seed
        Same seed, same draw.
    """
    rng = np.random.default_rng([seed, per_class])
    classes = whole.scores.drop_duplicates("image").set_index("image")["predicted"]
    drawn: list[int] = []
    persons: list[tuple[int, int]] = []
    for _, members in classes.groupby(classes, sort=True):
        here = pd.Series(members.index, index=[whole.persons.get(int(image), int(image)) for image in members.index])
        of = {int(str(person)): list(map(int, rows)) for person, rows in here.groupby(level=0)}
        times = dict.fromkeys(of, 0)
        wanted = len(drawn) + per_class
        while len(drawn) < wanted:
            person = int(rng.choice(list(of)))
            taken = of[person][: wanted - len(drawn)]
            drawn += taken
            persons += [(person, times[person])] * len(taken)
            times[person] += 1
    number = {who: place for place, who in enumerate(dict.fromkeys(persons))}
    places = {image: np.flatnonzero(np.array(drawn) == image) for image in set(drawn)}
    blank = {
        name: frozenset(int(place) for image in images for place in places.get(image, ()))
        for name, images in whole.blank.items()
    }
    return Redrawn(
        whole.scores,
        whole.matrices,
        whole.classes,
        seed,
        persons={place: number[who] for place, who in enumerate(persons)} if whole.persons else {},
        blank=blank,
        whole=whole,
        drawn=np.array(drawn, np.int64),
    )


DECIDING_CODE = ("statistics", "checks", "evaluation")
"""What turns scores into a decision: when it changes, draws are decided anew."""
NOISY = "-noise-"
"""In the names of known maps with a share of noise: metrics are examined by them, and nobody asks what they reach."""

Shown = Callable[[Iterable[pd.DataFrame], str, int], Iterable[pd.DataFrame]]
"""Passes tables through and shows how far they are, under a title."""


def redrawn_ladders(
    run: RunFolder, checks: Sequence[Check], per_class: int, seeds: Sequence[int], jobs: int, shown: Shown
) -> pd.DataFrame:
    """Return the ladder over all images of each of several draws of people, with the draw's seed.

    Parameters
    ----------
    run
        What was measured; draws are kept beneath it.
    checks
        Claims that are judged.
    per_class, seeds
        As of :func:`redrawn`.
    jobs
        Processes that decide at once.
    shown
        Shows how far it is.
    """
    whole = compact(stored_evidence(run), checks)
    families = {name: family for name, family in stored_families(run).items() if NOISY not in name}
    faults = stored_faults(run)
    sums = {name: rows["value"].sum() for name, rows in whole.scores.groupby("explainer")}
    key = digest(run.record.evaluation_set, families, faults, sums, [repr(check) for check in checks])
    made = partial(_ladder_of_draw, whole, checks, per_class, families, faults, RunFolder(run.path / "draws"), key)
    with ProcessPoolExecutor(jobs) as workers:
        title = f"{run.name}, {per_class} images a class"
        return pd.concat(list(shown(workers.map(made, seeds), title, len(seeds))), ignore_index=True)


def _ladder_of_draw(
    whole: Evidence,
    checks: Sequence[Check],
    per_class: int,
    families: Mapping[str, str],
    faults: Mapping[str, str],
    kept: RunFolder,
    key: str,
    seed: int,
) -> pd.DataFrame:
    """Return the ladder of one draw, from the folder where it was made before."""

    def make() -> dict[str, Any]:
        table = decided(redrawn(whole, per_class, seed), checks, families, faults).ladder
        return {"ladder": table[table["class"] == EVERYTHING]}

    found: pd.DataFrame = kept.remembered(digest(key, per_class, seed, package_digest(DECIDING_CODE)), make)["ladder"]
    return found.assign(seed=seed)
