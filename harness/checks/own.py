"""Anybody's check: a claim about one score of a map, stated by ``@check``, and judged as the others are."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from harness.checks.base import CLASSES, EVERYTHING, IMAGES, PEOPLE, UNITS, Check, Evidence, Finding
from harness.checks.paired import filled, finding, findings, marked_rows
from harness.checks.registry import USER, register
from harness.containment import Limit
from harness.digest import underlying
from harness.errors import CheckFault, DefinitionError
from harness.identity import content
from harness.measurements.base import MAP
from harness.measurements.contained import contained
from harness.measurements.own import measurement_of
from harness.origin import said_origin

Effects = Callable[[pd.DataFrame], Any]
"""``f(scores)`` -> one effect for each row of the scores."""
COLUMNS = ["target", "value", "status", "reason"]


@dataclass(frozen=True)
class OwnJudge:
    """Judges by the effects that a function of somebody else makes of one score.

    Attributes
    ----------
    function
        ``f(scores)`` -> one number for each row of `scores`, a table of one row an image with columns ``target`` (the
        class that was explained), ``value`` (NaN where undefined), ``status`` and ``reason``, indexed by the image's
        id.
    code
        Digest of what it is; two of one name are the same where this is.
    metric, variant
        Which score.
    blank
        What an image counts for which an explainer has no map, or a constant one; None as for
        :class:`harness.checks.paired.PairedScores`.
    """

    function: Effects = field(compare=False)  # a file that is read again makes a new one
    code: str
    metric: str
    variant: str
    blank: float | None = None

    def __call__(self, check: Check, evidence: Evidence, explainer: str) -> Sequence[Finding]:
        """Return the finding over all images and one for each class, or, where classes are the sample, one.

        Raises
        ------
        CheckFault
            Where the function returns something else than one real number a row.
        """
        rows = marked_rows(evidence, explainer, self.metric, self.variant)
        if not len(rows):
            known = self.metric in evidence.measured
            said = f"has no variant {self.variant!r}" if known else "was not measured"
            return [Finding(EVERYTHING, 0, reason=f"{self.metric} {said}")]
        effects = self._effects(rows[COLUMNS].copy())
        rows = filled(rows.assign(value=effects), check, self.blank)
        if check.unit == CLASSES:
            return [_over_classes(check, evidence, rows)]
        if check.unit == PEOPLE and not evidence.persons:
            return [Finding(EVERYTHING, 0, reason="nobody is named on these images", unit=PEOPLE)]
        return findings(check, evidence, rows)

    def _effects(self, scores: pd.DataFrame) -> Float[np.ndarray, " n"]:
        """Return one effect a row; infinity has no mean, and is refused."""
        found = np.asarray(self.function(scores))
        if found.shape != (len(scores),):
            raise CheckFault(
                f"returned shape {found.shape}; return one effect for each row of scores, ({len(scores)},)"
            )
        if not (np.issubdtype(found.dtype, np.number) or found.dtype == bool) or np.iscomplexobj(found):
            raise CheckFault(f"returned {found.dtype} values; return real numbers, NaN where undefined")
        if np.isinf(found).any():
            raise CheckFault("returned infinity; return NaN where an effect is undefined")
        return found.astype(np.float64)


def _over_classes(check: Check, evidence: Evidence, rows: pd.DataFrame) -> Finding:
    """Return what the mean effects of the classes say; a class without a defined effect is left out."""
    means = rows.groupby("target", sort=False)["value"].mean().reindex(list(evidence.classes))
    held = pd.DataFrame({"target": means.index, "value": means.to_numpy(), "blank": False}, index=range(len(means)))
    held["reason"] = "no image of the class has a defined effect"
    return replace(finding(check, EVERYTHING, held, None), unit=CLASSES)


def check(
    *,
    metric: str,
    claim: str,
    control: str,
    margin: float,
    margin_reason: str,
    name: str | None = None,
    variant: str = MAP,
    needs: Collection[str] = (),
    reference: str = "",
    unit: str = IMAGES,
    at_most: bool = False,
    evidence: str = "",
    blank: float | None = None,
) -> Callable[[Effects], Effects]:
    """Register a function as a check, which is shown beside the others and decides nothing.

    The function makes one effect an image of a score: ``f(scores)``, see :class:`OwnJudge`. The claim passes where the
    mean effect lies above the margin (below it, where `at_most`), corrected together with the other checks of the
    family ``user``.

    Parameters
    ----------
    metric, variant
        The score by its name: of the map itself by default, or a gain over one of the null maps.
    claim
        One sentence with "the map" or "the explainer" as its subject.
    control
        What the map is compared with.
    margin, margin_reason
        The least effect that counts, set before any result was seen, and why.
    name
        By default the function's name with dashes for underscores.
    needs
        Measurements that give the score; by default that of a metric of yours.
    reference
        The paper.
    unit
        What the sample is made of: "images" (people, where they are known), "people", or "classes", of which each
        counts by its images' mean.
    at_most
        Whether the effect has to stay below the margin.
    evidence
        What must be known of the faces, as of :class:`Check`.
    blank
        What an image counts for which an explainer has no map, or a constant one: by default 0, and 1 where the effect
        must stay below.

    Returns
    -------
    A decorator that leaves the function as it is.

    Raises
    ------
    DefinitionError
        Where the name is taken, the unit unknown, the margin no number, or claim, control or reason are not stated.
    """

    def decorate(function: Effects) -> Effects:
        plain = underlying(function)
        called, origin = name or plain.__name__.replace("_", "-"), f"{plain.__module__}:{plain.__qualname__}"
        made = Check(
            name=called,
            family=USER,
            claim=claim,
            control=control,
            margin=margin,
            margin_reason=margin_reason,
            reference=reference,
            figure="figures/verdicts.png",
            needs=frozenset(needs or (measurement_of(metric),)),
            judge=OwnJudge(function, content(function).digest, metric, variant, blank),
            evidence=evidence,
            at_most=at_most,
            unit=unit,
            origin=origin,
        )
        register(sound(made))
        return function

    return decorate


def sound(made: Check) -> Check:
    """Return a check of somebody else, or say what is wrong with what it states.

    Raises
    ------
    DefinitionError
        As of :func:`check`, and where it decides a rung: what decides is the package's to say.
    """
    called = f"check {made.name!r} of {said_origin(made.origin)}"
    for what in ("claim", "control", "margin_reason"):
        if not str(getattr(made, what)).strip():
            raise DefinitionError(f"{called} states no {what}; write it as a sentence")
    if isinstance(made.margin, bool) or not isinstance(made.margin, int | float) or not math.isfinite(made.margin):
        raise DefinitionError(f"{called} has the margin {made.margin!r}; give a number")
    if made.unit not in UNITS:
        raise DefinitionError(f"{called} claims the unit {made.unit!r}; give {', '.join(UNITS[:-1])} or {UNITS[-1]}")
    if made.rung:
        raise DefinitionError(
            f"{called} claims rung {made.rung}; a check of yours is shown and decides none, so give 0"
        )
    return made


# ---------------------------------------------------------------------- judging


@dataclass(frozen=True)
class Found:
    """Gives back what a check found of each explainer."""

    metric: str
    of: Mapping[str, Sequence[Finding]]

    def __call__(self, check: Check, evidence: Evidence, explainer: str) -> Sequence[Finding]:
        """Return the findings."""
        return self.of[explainer]


def tried(
    checks: Sequence[Check], evidence: Evidence, explainers: Sequence[str], limit: Limit | None = None
) -> tuple[tuple[Check, ...], dict[str, str]]:
    """Return checks of which none breaks down, and why some of somebody else did, by name.

    One that raises, or returns what cannot be used, for any explainer says nothing of all of them: it does not apply.
    """
    kept, broken, limit = [], {}, limit or Limit()
    for each in checks:
        if not each.origin:
            kept.append(each)
            continue
        called, images = f"check {each.name!r} of {said_origin(each.origin)}", evidence.scores["image"].nunique()
        try:
            found = contained(partial(_found, each, evidence, explainers), limit, images, called, CheckFault)
        except CheckFault as fault:
            said = str(fault)
            broken[each.name] = said if said.startswith(called) else f"{called} {said}"
            found = {name: [Finding(EVERYTHING, 0, reason=broken[each.name])] for name in explainers}
        kept.append(replace(each, judge=Found(each.metric, found)))
    return tuple(kept), broken


def _found(check: Check, evidence: Evidence, explainers: Sequence[str]) -> dict[str, Sequence[Finding]]:
    """Return what a check finds of each explainer."""
    return {name: _usable(check.judge(check, evidence, name)) for name in explainers}


def _usable(found: Any) -> Sequence[Finding]:
    """Return findings, or say what is wrong with them."""
    if not isinstance(found, Sequence) or not found or not all(isinstance(each, Finding) for each in found):
        raise CheckFault(
            f"returned {type(found).__name__} {found!r:.60}; return a list of findings, the first over all"
        )
    strange = [each.unit for each in found if each.unit not in UNITS]
    if strange:
        raise CheckFault(f"found something of the unit {strange[0]!r}; give {', '.join(UNITS[:-1])} or {UNITS[-1]}")
    if found[0].kind != EVERYTHING:
        raise CheckFault(f"found something of {found[0].kind!r} first; give the finding over {EVERYTHING!r} first")
    return found
