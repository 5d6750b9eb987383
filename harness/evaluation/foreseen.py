"""What a run will ask, known before it: a stand-in is measured on a few images, counted, and scaled.

The stand-in's maps cost nothing, and the network's answers are guessed by a linear function, so that what is left is
how often each measurement asks the explainer, how often it asks the network itself, and what it computes beside. Counts
grow in straight lines with the images, and with each size of the profile up to the images that there are: two numbers
of images, and two values of each size, tell the slopes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from harness.checks.contract import ContractGate
from harness.digest import digest
from harness.errors import HarnessError
from harness.evaluation.guessing import Guessing
from harness.evaluation.request import Request
from harness.evaluation.runner import CALIBRATION_IMAGES, SHARED, Runner
from harness.evaluation_set import EvaluationSet, evaluation_set
from harness.explainers import Explainer
from harness.explainers.base import wrapped
from harness.explainers.controls import random
from harness.faces.faceset import balanced_choice
from harness.identity import Reads
from harness.measurements import Cells, Completeness, Invariance, Measurement, Seeds, SmallChanges
from harness.measurements.cells import of_the_network
from harness.oracles.known import known_maps, truths
from harness.profiles import Profile
from harness.store import RunFolder
from harness.subject import Subject

FEW, MORE = 2, 4
"""Images of a class at which is counted: below two no map has a donor, and what needs one would seem to ask nothing."""
CLASSES = 2
"""Classes of which they are; more where one image of each is asked for."""
POOL = 16
"""Images of each of these classes from which they are chosen."""
PER_CLASS = (
    "cascade_per_class", "costly_per_class", "smooth_per_class", "cells_per_class", "parts_per_class",
    "rivals_per_class",
)  # fmt: skip
"""Sizes of a profile that count images of a class."""
WITHIN = ("parts_per_class", "rivals_per_class")
"""Those that are some of the images whose cells are played."""
IMAGES, BUILT = "per_class", "built_images"
"""The size that counts all images of a class, and the one that counts those of each built network."""
GAMES, KNOWN, CONTRACT, NETWORKS = "games", "known maps", "contract", "random networks"
"""What is asked beside the measurements."""
BY_KIND = (Seeds, Invariance, Completeness, SmallChanges)
"""Measurements that ask otherwise by what an explainer claims, by its baselines, and by whether it takes a seed."""


class Tally(NamedTuple):
    """What was asked, or will be.

    Attributes
    ----------
    maps
        Maps of the explainer, under networks that all explainers share.
    anew
        Maps under networks that are built for each explainer anew.
    forward, backward, seconds
        The measurement's own passes, and its seconds beside all passes.
    shared_forward, shared_backward, shared_seconds
        The same of what serves all explainers.
    """

    maps: float = 0.0
    anew: float = 0.0
    forward: float = 0.0
    backward: float = 0.0
    seconds: float = 0.0
    shared_forward: float = 0.0
    shared_backward: float = 0.0
    shared_seconds: float = 0.0


@dataclass(frozen=True)
class Foreseen:
    """What a run will ask, by what asks it.

    Attributes
    ----------
    images
        Images that are explained.
    measurements
        Of one explainer, by measurement, in the order of the run; NaN of one that no stand-in can be put to.
    by_kind
        By explainer: the same of those measurements that ask otherwise by what it claims.
    beside
        What is asked beside the measurements, by name: of shared passes alone, but for the maps of the contract.
    again
        Measurements that ask an explainer again, which those of known maps do without.
    known
        Names of the explainers of known maps.
    """

    images: int
    measurements: Mapping[str, Tally]
    by_kind: Mapping[str, Mapping[str, Tally]]
    beside: Mapping[str, Tally]
    again: frozenset[str]
    known: tuple[str, ...]


def foreseen(request: Request, probabilities: Float[np.ndarray, "m k"], everyone: Int[np.ndarray, " n"]) -> Foreseen:
    """Count what measurements will ask on the images of a request.

    Parameters
    ----------
    request
        With its controls; its faces may be some of those that the run will choose from.
    probabilities
        The network's class probabilities of each of the request's faces.
    everyone
        The class that the network answers to each of all faces.

    Returns
    -------
    Foreseen
        Expected numbers, which are no whole ones.
    """
    size, predicted = request.profile, probabilities.argmax(1)
    few, more = (n if size.per_class is None else min(n, size.per_class) for n in (FEW, MORE))
    index = _some(predicted, request, CLASSES if few >= FEW else 4 * CLASSES)
    small = replace(request, subject=Guessing.of(request.subject), faces=request.faces.take(index))
    base = _with(size, per_class=few, built_networks=2, built_images=1, **dict.fromkeys(PER_CLASS, few))
    wide, asked = replace(base, per_class=more), predicted[index]
    first, second = (_counted(replace(small, profile=each), probabilities[index]) for each in (base, wide))
    line = _Line(_sizes(base, asked), _sizes(wide, asked), _sizes(size, everyone))
    expected = {name: line.along(first.tallies[name], tally) for name, tally in second.tallies.items()}
    reached, before = wide, second.tallies
    for group in _apart(small, wide, more):
        reached = _with(reached, **{key: 2 if key == BUILT else more for key in group})
        changed = frozenset[str]().union(*group.values())
        again = _counted(replace(small, profile=reached), probabilities[index], changed)
        found = {**before, **again.tallies}
        for key, names in group.items():
            for name in names & set(expected):
                rise = line.beyond(key, _sizes(reached, asked), before[name], found[name])
                expected[name] = expected[name] + rise
        before = found
    made = {name: Tally(*map(float, np.maximum(found, 0.0))) for name, found in expected.items()}
    return Foreseen(
        int(line.wanted[IMAGES]),
        {name: _with_kinds(name, made) for name in second.measured},
        {
            each.name: {name: made[own] for name in second.measured if (own := _own(name, _kind(each))) in made}
            for each in request.explainers
        },
        {
            **{name: made[name] for name in (KNOWN, GAMES)},
            NETWORKS: _of_networks(second.drawn, line),
            CONTRACT: _of_contract(replace(small, subject=request.subject)),
        },
        second.again,
        second.known,
    )


# ---------------------------------------------------------------------- who is asked


class _StandIn:
    """Functions of an explainer that count the images that they are asked for, and answer with noise."""

    def __init__(self, lasting: Callable[[], Sequence[Subject]]) -> None:
        self.maps, self.anew, self._lasting = 0, 0, lasting

    def __digest__(self) -> str:
        return "stand-in"

    def seeded(
        self, subject: Subject, images: Tensor, targets: Tensor, *, seed: int = 0, **_settings: object
    ) -> Tensor:
        """Return noise from a seed."""
        if any(subject is each for each in self._lasting()):
            self.maps += len(images)
        else:
            self.anew += len(images)
        noise: Tensor = random(subject, images, targets, seed=seed)
        return noise

    def unseeded(self, subject: Subject, images: Tensor, targets: Tensor, **_: object) -> Tensor:
        """Return the same noise always."""
        return self.seeded(subject, images, targets)

    def in_place_of(self, explainer: Explainer | None = None) -> Explainer:
        """Return it as an explainer that claims what another does, or nothing."""
        if explainer is None:
            return wrapped(self.seeded, name="stand-in")
        function = self.seeded if explainer.is_seeded else self.unseeded
        return replace(explainer, name=_kind(explainer), function=function)


class _Counting(Runner):
    """A runner that counts what is asked of it and of a stand-in."""

    def __init__(self, case: EvaluationSet, measurements: Sequence[Measurement], folder: RunFolder) -> None:
        super().__init__(case, measurements, folder)
        self.drawn, self._of_all, self._noted = np.zeros(3), np.zeros(3), set[str]()
        self.asked = _StandIn(lambda: [self.case.subject, *self._networks.values()])

    def random_network(self, layers: Sequence[str], draw: int) -> Subject:
        """Draw a network, and note what that took: it is no explainer's."""
        before = self._ledger.spent()
        made = super().random_network(layers, draw)
        self.drawn = self.drawn + self._ledger.book(before)
        return made

    def tally(self, work: Callable[[], object]) -> Tally:
        """Return what a piece of work asks and takes; NaN where it breaks down."""
        before, shared, drawn = self._state(), self._of_all, self.drawn
        try:
            work()
        except HarnessError:
            return Tally(*[float("nan")] * len(Tally._fields))
        took, of_all = self._state() - before, self._of_all - shared
        took[2:] -= of_all + self.drawn - drawn
        return Tally(*map(float, np.maximum([*took, *of_all], 0.0)))

    def tallies(self, explainers: Sequence[Explainer], only: frozenset[str] | None) -> dict[str, Tally]:
        """Return what each measurement asks of a stand-in, and what some ask of stand-ins that claim something."""
        plain = self.asked.in_place_of()
        self.maps(plain)
        asked = [each for each in self.measurements if only is None or each.name in only]
        found = {each.name: self.tally(partial(self._measure, plain, each)) for each in asked}
        for kind, explainer in {_kind(each): each for each in explainers}.items():
            own = self.asked.in_place_of(explainer)
            self.maps(own)
            for each in asked:
                if isinstance(each, BY_KIND):
                    found[_own(each.name, kind)] = self.tally(partial(self._measure, own, each))
        return found

    def _kept(
        self, owner: str, key: str, make: Callable[[], Mapping[str, Any]], read: Callable[[], Reads] = dict
    ) -> dict[str, Any]:
        """Keep a piece, and note what it took where it serves all."""
        found = super()._kept(owner, key, make, read)
        if owner == SHARED and key not in self._noted:
            self._noted.add(key)
            self._of_all = self._of_all + found["cost"]
        return found

    def _state(self) -> np.ndarray:
        """Return maps, maps anew, passes forward and back, and the time."""
        passes, asked = self.case.subject.passes, self.asked
        return np.array([asked.maps, asked.anew, passes.forward, passes.backward, time.perf_counter()])


class _InMemory(RunFolder):
    """A folder of pieces that are kept as long as it is."""

    def __init__(self) -> None:
        super().__init__(Path())
        self._pieces_kept: dict[str, dict[str, Any]] = {}

    def remembered(
        self,
        key: str,
        make: Callable[[], Mapping[str, Any]],
        holds: Callable[[Mapping[str, Any]], bool] = lambda _held: True,
    ) -> dict[str, Any]:
        """Return what is kept under `key`, made once by `make`."""
        if key not in self._pieces_kept:
            self._pieces_kept[key] = dict(make())
        return self._pieces_kept[key]


def _kind(explainer: Explainer) -> str:
    """Return a name for what an explainer claims, and whether it takes a seed."""
    facts = explainer.facts
    # Baselines are made with the explainer's settings.
    baselines = digest(facts.baselines.__qualname__, explainer.digest) if facts.baselines else ""
    return f"stand-in {explainer.is_seeded} {sorted(facts.axioms)} {baselines}"


def _own(name: str, kind: str) -> str:
    """Return what the tally of a measurement of one kind of explainer is called."""
    return f"{name} of {kind}"


# ---------------------------------------------------------------------- counting


@dataclass(frozen=True)
class _Counted:
    """What was asked on a few images."""

    tallies: Mapping[str, Tally]
    measured: tuple[str, ...]
    again: frozenset[str]
    known: tuple[str, ...]
    drawn: Tally


def _counted(request: Request, probabilities: Float[np.ndarray, "n k"], only: frozenset[str] | None = None) -> _Counted:
    """Measure a stand-in as a request says, or `only` by some measurements, and count."""
    subject, faces = request.subject, request.faces
    case = evaluation_set(subject, faces, probabilities, request.profile.per_class, request.seed)
    runner = _Counting(case, request.measurements(), _InMemory())
    played = [each.games for each in runner.measurements if isinstance(each, Cells)]
    known: list[Explainer] = []

    def play() -> None:
        for games in played:
            of_the_network(games, case, runner.shared)

    def know() -> None:
        known.extend(known_maps(case, faces, probabilities.argmax(1), runner.shared))
        known.extend(each for games in played for each in truths(case, games, runner.shared))

    tallies = {GAMES: runner.tally(play), KNOWN: runner.tally(know), **runner.tallies(request.explainers, only)}
    return _Counted(
        tallies,
        tuple(each.name for each in runner.measurements),
        frozenset(each.name for each in runner.measurements if each.asks_again),
        tuple(each.name for each in known),
        Tally(0, 0, 0, 0, 0, *map(float, runner.drawn)),
    )


def _of_contract(request: Request) -> Tally:
    """Return the maps that the contract asks of an explainer that keeps it, all of them on networks of its own."""
    asked: list[int] = []

    def keeps(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        asked.append(len(images))
        return images.mean(1) * subject.logits(images).gather(1, targets[:, None])[:, :, None]

    gate = ContractGate(request.subject, request.faces, request.seed, _InMemory().remembered)
    one = wrapped(keeps, name="stand-in")
    gate.behaviour(one)
    asked.clear()
    gate.examination(one)
    return Tally(anew=float(sum(asked)))


def _some(predicted: Int[np.ndarray, " n"], request: Request, most: int) -> Int[np.ndarray, " m"]:
    """Return images of the classes that the network answers most often, those of known causes first."""
    classes, counts = np.unique(predicted, return_counts=True)
    taken = np.isin(predicted, classes[np.argsort(-counts, kind="stable")][:most])
    known = np.zeros(len(predicted), bool)
    if request.faces.counterfactuals is not None:
        known[request.faces.counterfactuals.faces] = True
    index = np.flatnonzero(taken)
    found: np.ndarray = index[balanced_choice(predicted[index], POOL, request.seed, first=known[index])]
    return found


# ---------------------------------------------------------------------- scaling


def _with_kinds(name: str, made: Mapping[str, Tally]) -> Tally:
    """Return what a measurement asks, with what serves all explainers that claim something."""
    own = [tally for key, tally in made.items() if key.startswith(_own(name, ""))]
    tally = made[name]
    return tally._replace(
        shared_forward=tally.shared_forward + sum(each.shared_forward for each in own),
        shared_backward=tally.shared_backward + sum(each.shared_backward for each in own),
        shared_seconds=tally.shared_seconds + sum(each.shared_seconds for each in own),
    )


def _with(profile: Profile, **sizes: int) -> Profile:
    """Return a profile of other sizes."""
    return Profile(**{**vars(profile), **sizes})


def _apart(request: Request, profile: Profile, more: int) -> list[dict[str, frozenset[str]]]:
    """Return groups of sizes with the measurements that each changes, none of which two sizes of a group change.

    Groups are raised one after the other, so that a size comes after those that bound it.
    """
    before = _said(request, profile)
    groups: list[dict[str, frozenset[str]]] = []
    for key in (*PER_CLASS, BUILT):
        now = _said(request, _with(profile, **{key: 2 if key == BUILT else more}))
        changed = frozenset(name for name in now if now[name] != before[name])
        if changed:
            free = [group for group in groups if not changed & frozenset().union(*group.values())]
            if free:
                free[0][key] = changed
            else:
                groups.append({key: changed})
    return groups


def _said(request: Request, profile: Profile) -> dict[str, str]:
    """Return the settings of each measurement under a profile, and those of the games."""
    asked = replace(request, profile=profile)
    games = repr(asked.games())
    said = {each.name: repr(each) for each in asked.measurements()}
    kinds = {_kind(each) for each in request.explainers}
    own = {_own(name, kind): text for name, text in said.items() for kind in kinds}
    return {**said, **own, GAMES: games, KNOWN: games}


def _most(profile: Profile, key: str) -> int:
    """Return the value of a size; those of parts and rivals are of images whose cells are played."""
    value: int = getattr(profile, key)
    return min(value, profile.cells_per_class) if key in WITHIN else value


def _sizes(profile: Profile, predicted: Int[np.ndarray, " n"]) -> dict[str, int]:
    """Return how many images each size of a profile means, of pictures that a network answers so."""
    _, counts = np.unique(predicted, return_counts=True)
    counts = counts if profile.per_class is None else np.minimum(counts, profile.per_class)
    images = int(counts.sum())
    some = {key: int(np.minimum(counts, _most(profile, key)).sum()) for key in PER_CLASS}
    return {IMAGES: images, BUILT: min(profile.built_networks * profile.built_images, images), **some}


@dataclass(frozen=True)
class _Line:
    """The images of each size where few were counted, where more were, and where numbers are wanted."""

    few: Mapping[str, int]
    more: Mapping[str, int]
    wanted: Mapping[str, int]

    def along(self, few: Tally, more: Tally) -> Float[np.ndarray, " fields"]:
        """Return what is asked of the wanted images, every other size being as it was counted."""
        one, other = np.array(few), np.array(more)
        step = self.more[IMAGES] - self.few[IMAGES]
        if not step:
            found: np.ndarray = other * self.wanted[IMAGES] / self.more[IMAGES]
            return found
        found = other + (other - one) / step * (self.wanted[IMAGES] - self.more[IMAGES])
        return found

    def beyond(self, key: str, raised: Mapping[str, int], low: Tally, high: Tally) -> Float[np.ndarray, " fields"]:
        """Return what is asked beside that where one size is as wanted."""
        step = raised[key] - self.more[key]
        if not step:
            return np.zeros(len(low))
        found: np.ndarray = (np.array(high) - np.array(low)) / step * (self.wanted[key] - self.more[key])
        return found


def _of_networks(drawn: Tally, line: _Line) -> Tally:
    """Return what it takes to draw the random networks, which look at a limited number of images."""
    grown = min(CALIBRATION_IMAGES, line.wanted[IMAGES]) / min(CALIBRATION_IMAGES, line.more[IMAGES])
    return Tally(*(value * grown for value in drawn))
