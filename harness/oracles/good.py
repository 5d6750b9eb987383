"""Explainers that are known to be right about something: what a judge must not call false."""

from dataclasses import dataclass, replace

from harness.effects import additive_cells
from harness.explainers.asked import asked_explainers
from harness.explainers.base import COMPLETENESS, Explainer, registered
from harness.oracles.faults import spoiled
from harness.oracles.known import ORACLE, TRUTH
from harness.oracles.making import AMOUNTS, SHOWS_NETWORK, SHOWS_WHAT_COUNTS, TELLS_CLASSES, TELLS_IMAGES, fault
from harness.subject import Subject

CAUSES = 7


@dataclass(frozen=True)
class KnownGood:
    """One right explainer.

    Attributes
    ----------
    name
        What a run calls it.
    owes
        The rungs that it stands on by what it is; to say that it misses one of them is a false alarm.
    why
        What makes it right.
    explainer
        It, as one that can be run; None where every run has it.
    """

    name: str
    owes: frozenset[int]
    why: str
    explainer: Explainer | None = None


def known_goods(subject: Subject, base: str, *, costly: bool) -> tuple[KnownGood, ...]:
    """Return what is known to be right of a subject.

    Parameters
    ----------
    subject
        The network.
    base
        A registered method; where it claims completeness, so does the same with other last bits.
    costly
        Whether to have those that ask the network a thousand times an image.
    """
    cells = frozenset({SHOWS_WHAT_COUNTS, TELLS_CLASSES})
    owed = [
        ("integrated-gradients:steps=64", frozenset({SHOWS_NETWORK, AMOUNTS}), "a path of many steps is complete"),
    ]
    if costly:
        owed += [
            ("exact-cells", cells | {TELLS_IMAGES}, "exact values of cells under another fill and grid"),
            ("shapley-sampling:pairs=15", cells, "Shapley values of segments in the long run"),
        ]
    made = [KnownGood(one.name, owes, why, one) for text, owes, why in owed for one in asked_explainers([text])]
    if COMPLETENESS in registered()[base].facts.axioms:
        bits = replace(fault("", spoiled, 0, "", base=base, how="last-bits").explainer, name="good-last-bits")
        made.append(KnownGood(bits.name, frozenset({AMOUNTS}), f"{base}, other in the last bits alone", bits))
    return (*_of_every_run(subject), *made)


def _of_every_run(subject: Subject) -> tuple[KnownGood, ...]:
    """Return the known maps that stand in every run where anything is known."""
    truth = KnownGood(TRUTH, frozenset({SHOWS_WHAT_COUNTS, TELLS_IMAGES}), "exact values of cells themselves")
    if additive_cells(subject):
        return truth, KnownGood(ORACLE, frozenset({SHOWS_WHAT_COUNTS}), "exact contributions of an additive network")
    return truth, KnownGood(ORACLE, frozenset({CAUSES}), "exact causes")
