"""A run whose explainers are of known worth: planted faults and known-good ones, so that a judge can be judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pandas as pd

from harness.checks import CHECKS
from harness.engines.local import Progress
from harness.evaluation.loop import case_of, evaluate, prepared
from harness.evaluation.request import Request, has_evidence
from harness.evaluation.runner import Runner
from harness.explainers import Explainer
from harness.explainers.asked import asked_explainers
from harness.faces.faceset import FaceSet
from harness.faces.loading import load_faces
from harness.measurements.cells import Ordered, share_right
from harness.metrics.cards import MetricCard
from harness.models.loading import load_subject, load_twin
from harness.oracles.faults import PlantedFault, planted_faults
from harness.oracles.good import KnownGood, known_goods
from harness.oracles.making import bases_remembered
from harness.profiles import QUICK, Profile
from harness.store import RunFolder
from harness.subject import Subject


@dataclass(frozen=True)
class Pair:
    """A network and pictures on which explainers of known worth are judged.

    Attributes
    ----------
    subject_name, faces_name
        As the command line calls them.
    base, probing
        The registered methods that are spoiled: those that stand high there, so that what a fault loses is its doing.
    per_class
        Images of each class in the pool that everything is measured on.
    costly
        Whether right explainers that ask the network a thousand times an image are run too.
    """

    subject_name: str
    faces_name: str
    base: str
    probing: str
    per_class: int
    costly: bool = False

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.subject_name}-{self.faces_name}"

    @cached_property
    def subject(self) -> Subject:
        """The network."""
        return load_subject(self.subject_name)

    @cached_property
    def faces(self) -> FaceSet:
        """The pictures."""
        return load_faces(self.faces_name, self.subject.classes)

    @cached_property
    def faults(self) -> tuple[PlantedFault, ...]:
        """Every planted fault; what each needs of other pictures it has from those of the set."""
        images = self.subject.prepare(self.faces.images)
        predicted = self.subject.logits(images).argmax(1).cpu()
        return planted_faults(self.subject, images, predicted, base=self.base, probing=self.probing)

    @cached_property
    def goods(self) -> tuple[KnownGood, ...]:
        """What is known to be right."""
        return known_goods(self.subject, self.base, costly=self.costly)


PAIRS: Mapping[str, Pair] = MappingProxyType(
    {
        pair.subject_name: pair
        for pair in (
            Pair("faces-additive", "rendered", "deeplift", "occlusion", 6, costly=True),
            Pair("faces-cnn", "rendered", "deeplift", "occlusion", 6),
            Pair("fer2013-minixception", "orl", "occlusion", "occlusion", 4),
        )
    }
)
"""Where it is known what to expect, by the subject's name."""


def pool_profile(per_class: int) -> Profile:
    """Return the sizes at which a pool is measured: everything that decides, on every image of it."""
    return replace(
        QUICK,
        name="pool",
        per_class=per_class,
        cascade_stages=1,
        cascade_per_class=1,
        cells_per_class=per_class,
        parts_per_class=per_class,
        rivals_per_class=per_class,
        built_networks=7,
        built_images=per_class,
    )


def planted_request(
    pair: Pair,
    *,
    only: Sequence[str] = (),
    beside: Sequence[str] = (),
    everything: bool = False,
    metrics: Sequence[MetricCard] = (),
) -> Request:
    """Return what is asked of explainers of known worth on a pair.

    Parameters
    ----------
    pair
        Network and pictures.
    only
        Names of the explainers to be run; all of them where there are none.
    beside
        Words for registered explainers that are run too.
    everything
        Whether every metric is measured, not what decides alone.
    metrics
        Somebody else's that are measured too.
    """
    known = [each.explainer for each in pair.faults] + [each.explainer for each in pair.goods if each.explainer]
    spoiled = asked_explainers(list(dict.fromkeys([pair.base, pair.probing, *beside])))
    chosen: list[Explainer] = [each for each in (*spoiled, *known) if not only or each.name in only]
    checks = [check for check in CHECKS.values() if has_evidence(check, pair.faces)]
    return Request(
        pair.subject,
        pair.faces,
        tuple(chosen),
        tuple(check for check in checks if everything or check.decides),
        pool_profile(pair.per_class),
        everything=everything,
        random_labels=load_twin(None, pair.subject, pair.subject_name) if everything else None,
        metrics=tuple(metrics),
    )


def planted_run(request: Request, folder: RunFolder, progress: Progress, command: str = "") -> RunFolder:
    """Run what :func:`planted_request` asks for, and return what was stored; what was measured before stays."""
    with bases_remembered():
        return evaluate(request, folder, progress, command)


@dataclass(frozen=True)
class HeldOut:
    """What settled pairs say of maps on two halves of the games that share no fill and no grid.

    Tables of an explainer a column and an image a row, in [0, 1], NaN where a map or a game orders nothing.

    Attributes
    ----------
    truth
        By the last fill alone (the mean face), on the last grid.
    judge
        By the other fills together, on the first grid.
    """

    truth: pd.DataFrame
    judge: pd.DataFrame


def held_out(request: Request, folder: RunFolder, names: Sequence[str]) -> HeldOut:
    """Return what each half of the games says of explainers of a run, from the pieces that it left."""
    request = request.with_controls()
    folder = prepared(request, folder)
    case, _ = case_of(request, folder)
    runner, games = Runner(case, request.measurements(), folder), request.games()
    truth, chosen = games.truth(case, runner.shared), games.chosen(case)
    first, last = truth.cells[0], truth.cells[-1]
    halves = [replace(last, values=last.values[-1:]), replace(first, values=first.values[:-1])]
    ordered = [[Ordered.of(half, half.of(truth.case.targets))] for half in halves]
    found: list[dict[str, np.ndarray]] = [{}, {}]
    for explainer in request.explainers:
        if explainer.name in names:
            maps = runner.maps(explainer)[chosen]
            for held, half in zip(found, ordered, strict=True):
                held[explainer.name] = share_right(half, maps)
    of_truth, of_judge = (pd.DataFrame(held, index=truth.case.faces.ids) for held in found)
    return HeldOut(of_truth, of_judge)
