"""A check is a claim about an explainer; judging it gives findings, and findings together give verdicts."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from harness.checks.correction import FINE, corrected
from harness.errors import UsageError
from harness.metrics.score import Score
from harness.names import MEAN_FACE, MEAN_IMAGE
from harness.statistics import Spread, images_of, least_units, people_to_settle
from harness.store import IDENTITY, VERDICTS, frame

ALPHA = 0.01
"""Chance, at most, that one or more of the passes among an explainer's claims is false, and the same for its fails."""
CONFIDENCE = 0.99
"""Of the intervals that are shown beside verdicts; verdicts rest on corrected p-values."""
EVERYTHING = "all"
"""The class name of a finding over all images."""
IMAGES, PEOPLE, CLASSES = "images", "people", "classes"
UNITS = (IMAGES, PEOPLE, CLASSES)
"""What a sample can be made of."""


SHOWN = ("target", "value", "status", "reason")
"""Columns of one score's rows, by image."""


class Verdict(StrEnum):
    """What is said of a claim."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not applicable"


Table = TypeVar("Table", pd.DataFrame, pd.Series)


class _Parts(Mapping[Any, Table]):
    """Parts of a table by name, each made when it is first asked for: there are thousands, and few are read."""

    def __init__(self, table: Table, places: Mapping[Any, Int[np.ndarray, " n"]]) -> None:
        self._table: Table = table
        self._places = places
        self._made: dict[Any, Any] = {}

    def __getitem__(self, name: Any) -> Table:
        if name not in self._made:
            self._made[name] = self._table.iloc[self._places[name]]
        part: Table = self._made[name]
        return part

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[Any]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _places(table: pd.DataFrame, columns: Sequence[str]) -> dict[tuple[str, ...], Int[np.ndarray, " n"]]:
    """Return the places of the rows that are alike in some columns, by what stands in these."""
    found: Mapping[Any, Any] = table.groupby(list(columns), sort=False).indices
    return {tuple(map(str, key)): np.asarray(where) for key, where in found.items()}


@dataclass(frozen=True)
class Evidence:
    """All that was measured, from which checks judge.

    Attributes
    ----------
    scores, matrices
        As stored; see :mod:`harness.store`.
    classes
        The subject's classes, in order.
    seed
        For bootstrap resampling.
    barred
        Scores that may judge nobody, with the reason: those of metrics that did not pass their examination.
    persons
        Who is on each image, by the image's id; empty where nobody is known, and images are the sample.
    blank
        The images, by id, for which an explainer's map is constant.
    """

    scores: pd.DataFrame
    matrices: pd.DataFrame
    classes: tuple[str, ...]
    seed: int
    barred: Mapping[str, str] = field(default_factory=dict)
    persons: Mapping[int, int] = field(default_factory=dict)
    blank: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @cached_property
    def _by_key(self) -> Mapping[tuple[str, str, str], pd.DataFrame]:
        """The scores of each explainer, score by its name, and variant, indexed by image."""
        places = _places(self.scores, ["explainer", *IDENTITY, "variant"])
        named = {(e, _name(which), v): where for (e, *which, v), where in places.items()}
        return _Parts(self.scores.set_index("image")[list(SHOWN)], named)

    @cached_property
    def measured(self) -> frozenset[str]:
        """Names of the scores that were measured of any explainer."""
        return frozenset(name for _, name, _ in self._by_key)

    def of(self, explainer: str, metric: str, variant: str) -> pd.DataFrame:
        """Return one row an image, with columns `target` and `value` (null where undefined); empty if not measured.

        Here and below `metric` is the name of a score, as :attr:`harness.metrics.score.Score.name` has it.
        """
        held = self._by_key.get((explainer, metric, variant))
        return self.scores.iloc[:0].set_index("image")[list(SHOWN)] if held is None else held

    def control(self, name: str) -> str:
        """Return what a check's control is called here: the mean face is the mean image of what is no face."""
        renamed = name == MEAN_FACE and any(explainer == MEAN_IMAGE for explainer, *_ in self._by_key)
        return MEAN_IMAGE if renamed else name

    @cached_property
    def _asked(self) -> Mapping[tuple[str, str], pd.Series]:
        """The images of each metric and variant over all explainers, with their class."""
        once = self.scores.drop_duplicates([*IDENTITY, "variant", "image"])
        places = _places(once, [*IDENTITY, "variant"])
        named = {(_name(which), v): where for (*which, v), where in places.items()}
        return _Parts(once.set_index("image")["target"], named)

    def barring(self, barred: Mapping[str, str]) -> "Evidence":
        """Return the same evidence with scores that may judge nobody; what was looked up stays known."""
        made = replace(self, barred=barred)
        vars(made).update({name: held for name, held in vars(self).items() if name in ("_by_key", "_asked")})
        return made

    def asked(self, metric: str, variant: str) -> pd.Series:
        """Return the class of each image that a metric and variant was asked for, of any explainer, by image."""
        return self._asked.get((metric, variant), pd.Series(dtype="str"))

    def clusters(self, images: pd.Index) -> Int[np.ndarray, " n"] | None:
        """Return who is on each image, or None where nobody is known.

        Raises
        ------
        UsageError
            Where some of the persons are known and others not.
        """
        if not self.persons:
            return None
        unknown = [image for image in images if image not in self.persons]
        if unknown:
            raise UsageError(
                f"nobody is named for image {unknown[0]} and {len(unknown) - 1} more of {len(images)}; "
                "name a person for every image, or for none"
            )
        return np.array([self.persons[image] for image in images], dtype=np.int64)

    def matrix(self, name: str, explainer: str = "") -> Float[np.ndarray, "k k"] | None:
        """Return a class by class matrix in the order of the classes, or None if it was not measured."""
        held = self.matrices[(self.matrices["matrix"] == name) & (self.matrices["explainer"] == explainer)]
        if not len(held):
            return None
        square = held.pivot(index="row", columns="column", values="value")
        return square.reindex(index=list(self.classes), columns=list(self.classes)).to_numpy(np.float64)


def _name(which: Sequence[Hashable]) -> str:
    """Return the name of the score that columns tell of."""
    return Score(*map(str, which)).name


@dataclass(frozen=True)
class Finding:
    """What the data say of one claim for one class, before claims are corrected for their number.

    Attributes
    ----------
    kind
        The class, or "all".
    n, undefined
        Images that the effect rests on, and images left out because a score is undefined through no fault of the map.
        For claims over classes, classes.
    effect, low, high
        Estimate and interval, in the check's unit; null where there is none.
    p
        One-sided, for the claim: that the effect lies beyond the margin on its side; null where it cannot be tested.
    p_fail
        One-sided, against the claim: that the effect lies on the other side of the margin.
    reason
        Why it cannot be tested, or "".
    unit, units
        What the sample is made of ("people", "images" or "classes") and how many there are; None means n.
    blank
        Images among n for which the explainer has no map, or a constant one: they count against it.
    spread
        From which follows how many people would settle it, where that can be said.
    """

    kind: str
    n: int
    undefined: int = 0
    effect: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    p_fail: float = np.nan
    reason: str = ""
    unit: str = "images"
    units: int | None = None
    blank: int = 0
    spread: Spread | None = None

    @property
    def sample(self) -> int:
        """How many independent units the finding rests on."""
        return self.n if self.units is None else self.units


@dataclass(frozen=True)
class Correction:
    """What the other claims make of a finding's two p-values.

    Attributes
    ----------
    p, p_fail
        Adjusted for the number of the explainer's claims.
    level, level_fail
        At which each is tested in the end: its share of ALPHA.
    """

    p: float
    p_fail: float = np.nan
    level: float = ALPHA
    level_fail: float = ALPHA


Judge = Callable[["Check", Evidence, str], Sequence[Finding]]


@dataclass(frozen=True)
class Check:
    """A claim, and how it is judged.

    Attributes
    ----------
    name, family
        What the command line and tables call it.
    claim
        One sentence with "the map" or "the explainer" as its subject.
    control
        What it is compared with.
    margin
        The least effect that counts (or, where `at_most`, the largest that is let pass).
    margin_reason
        Why the margin is what it is; it was set before any result was seen.
    reference
        The paper.
    figure
        Which figure of the run shows it.
    needs
        Measurements that it is judged by, by their names.
    judge
        Turns evidence into findings: one for all images, and one a class where classes can be judged.
    evidence
        Known evidence that the faces must have for the claim to mean anything, "counterfactuals" among it, or "".
    at_most
        Whether the claim is that the effect stays below the margin, instead of exceeding it.
    rung
        Which rung of the ladder it decides; 0 where it is shown and decides nothing, because it repeats another check
        by other means, would be a virtue of a map that is false, or is no claim about single maps.
    unit
        What the sample is made of: images (people, where they are known), people, or classes.
    origin
        Where somebody else's was defined; "" for those of this package.
    """

    name: str
    family: str
    claim: str
    control: str
    margin: float
    margin_reason: str
    reference: str
    figure: str
    needs: frozenset[str]
    judge: Judge
    evidence: str = ""
    at_most: bool = False
    rung: int = 0
    unit: str = IMAGES
    origin: str = ""

    @property
    def metric(self) -> str:
        """The score that it is judged by, "" where there is no single one."""
        return str(getattr(self.judge, "metric", ""))

    @property
    def decides(self) -> bool:
        """Whether what is said of an explainer rests on it."""
        return self.rung > 0

    def concerns(self, evidence: Evidence, explainer: str) -> bool:
        """Return whether it is asked of an explainer: of what the set knows, and of what the explainer claims.

        What is asked and could not be judged leaves open what rests on it; what is not asked does not.
        """
        if self.evidence and self.metric not in evidence.measured:
            return False
        claimed: Callable[[Evidence, str], bool] | None = getattr(self.judge, "concerns", None)
        return claimed is None or claimed(evidence, explainer)

    @property
    def step(self) -> str:
        """The claims that an explainer has to keep together: those of one rung, at one resolution."""
        return f"{self.rung}{FINE}" if self.name.endswith(FINE) else str(self.rung)

    @property
    def group(self) -> str:
        """Which of an explainer's claims are corrected together: all that decide, else those of one family."""
        return "" if self.decides else self.family

    def decide(self, finding: Finding, corrected: Correction) -> tuple[Verdict, str]:
        """Return the verdict of one finding and its reason in words.

        A pass and a fail are claims alike: each needs its own corrected p below ALPHA.
        """
        if np.isnan(finding.p):
            return Verdict.NOT_APPLICABLE, finding.reason
        if corrected.p < ALPHA:
            return Verdict.PASS, ""
        if corrected.p_fail < ALPHA:
            side = "above" if self.at_most else "below"
            said = f"the effect lies {side} the margin of {self.margin:g} (adjusted p = {corrected.p_fail:.2g})"
            return Verdict.FAIL, said + _blank(finding)
        return Verdict.INCONCLUSIVE, _what_would_settle(finding, self, corrected) + _blank(finding)


def _blank(finding: Finding) -> str:
    """Say how many images count against an explainer because it says nothing of them."""
    return f"; {finding.blank} of {finding.n} images have no map or a constant one" if finding.blank else ""


def _what_would_settle(finding: Finding, check: Check, corrected: Correction) -> str:
    """Say why nothing can be said yet, and what would change that."""
    passing = (finding.effect < check.margin) if check.at_most else (finding.effect > check.margin)
    p, level = (corrected.p, corrected.level) if passing else (corrected.p_fail, corrected.level_fail)
    if finding.spread is None:
        return f"adjusted p = {corrected.p:.2g}"
    least = least_units(level)
    if finding.sample < least:
        return f"{finding.sample} {finding.unit} can decide nothing; {least} at least are needed"
    said = f"adjusted p {'' if passing else 'against the claim '}= {p:.2g}"
    if finding.low <= check.margin <= finding.high:
        said += " and the interval holds the margin"
    needed = people_to_settle(finding.spread, level)
    if needed is None:
        return said
    if needed <= finding.sample:
        return f"{said}; a few more {finding.unit} than {finding.sample} would settle it"
    images = f" ({images_of(needed, finding.spread)} images)" if finding.unit == "people" else ""
    return f"{said}; about {needed} {finding.unit}{images} would settle it"


def judged(checks: Sequence[Check], evidence: Evidence, explainers: Sequence[str]) -> pd.DataFrame:
    """Return the verdict table: every check of every explainer, for all images and for each class.

    An explainer's claims that decide are corrected together, see :func:`harness.checks.correction.corrected`. Who else
    is in the run, and what is only shown, changes nothing. What is shown is corrected family by family: an exact test
    over 5,040 relabellings cannot go below p = .0002, and no such claim could ever pass beside paired ones.
    """
    rows: dict[tuple[str, str], list[Mapping[str, object]]] = {}
    for explainer in explainers:
        for group in dict.fromkeys(check.group for check in checks):
            mine = [check for check in checks if check.group == group]
            found = [_allowed(check, evidence, check.judge(check, evidence, explainer)) for check in mine]
            steps = [check.step if check.decides else check.name for check in mine]
            for check, findings, corrections in zip(mine, found, _corrections(found, steps), strict=True):
                pairs = zip(findings, corrections, strict=True)
                rows[check.name, explainer] = [_row(explainer, check, evidence, *pair) for pair in pairs]
    ordered = [
        check for family in dict.fromkeys(c.family for c in checks) for check in checks if check.family == family
    ]
    made = [dict(row) for check in ordered for name in explainers for row in rows[check.name, name]]
    return frame(VERDICTS, made)


def _corrections(found: Sequence[Sequence[Finding]], steps: Sequence[str]) -> list[list[Correction]]:
    """Return what an explainer's claims that are corrected together, each with its classes, make of each other."""
    if not found:
        return []
    made = corrected(_table(found, "p"), _table(found, "p_fail"), steps, ALPHA)
    sides = np.stack([made.p, made.p_fail, made.level, made.level_fail], axis=-1).tolist()
    return [[Correction(*held) for held in row[: len(findings)]] for row, findings in zip(sides, found, strict=True)]


def _table(found: Sequence[Sequence[Finding]], side: str) -> Float[np.ndarray, "claims kinds"]:
    """Return one p of every finding, a row a claim; NaN where a claim has fewer findings than another."""
    width = max(len(findings) for findings in found)
    return np.array([[getattr(each, side) for each in row] + [np.nan] * (width - len(row)) for row in found])


def _allowed(check: Check, evidence: Evidence, found: Sequence[Finding]) -> Sequence[Finding]:
    """Return the findings, untested where the metric that they rest on did not pass its examination."""
    reason = evidence.barred.get(check.metric, "")
    barred = [replace(each, p=np.nan, p_fail=np.nan, reason=each.reason or reason) for each in found]
    return barred if reason else found


def _row(
    explainer: str, check: Check, evidence: Evidence, finding: Finding, corrected: Correction
) -> Mapping[str, object]:
    """Return one row of the verdict table."""
    verdict, reason = check.decide(finding, corrected)
    return {
        "explainer": explainer,
        "check": check.name,
        "family": check.family,
        "control": evidence.control(check.control),
        "class": finding.kind,
        "n": finding.n,
        "unit": finding.unit,
        "units": finding.sample,
        "undefined": finding.undefined,
        "blank": finding.blank,
        "effect": finding.effect,
        "low": finding.low,
        "high": finding.high,
        "margin": check.margin,
        "p": finding.p,
        "p_adjusted": corrected.p,
        "p_fail": finding.p_fail,
        "p_fail_adjusted": corrected.p_fail,
        "verdict": verdict.value,
        "reason": reason,
    }
