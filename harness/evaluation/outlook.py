"""What a run would take, before it: passes and minutes by explainer and by measurement, and what is made already.

How often an explainer is asked is counted (:mod:`harness.evaluation.foreseen`); what one map of it takes is measured,
by asking it for a few, since no formula is known of a user's function.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.arithmetic import FEED_FILE
from harness.checks.contract import ContractGate
from harness.effects import part_effects
from harness.errors import ExplainerFault
from harness.evaluation.foreseen import CONTRACT, GAMES, KNOWN, NETWORKS, Foreseen, Tally, foreseen
from harness.evaluation.guessing import Guessing
from harness.evaluation.loop import case_of, played, prepared, probabilities_key, truths_of
from harness.evaluation.notes import check_faces, noted
from harness.evaluation.request import Request
from harness.evaluation.runner import Runner
from harness.explainers import Explainer
from harness.faces.faceset import FaceSet
from harness.oracles.known import has_truth, known_maps
from harness.store import RunFolder
from harness.store.borrowed import BorrowedPieces
from harness.subject import Subject, copied

SECONDS = 0.5
"""For which the pace of passes forward, and of passes forward and back, is measured."""
LOOK = 5.0
"""Seconds of passes that answers may take; where all faces take longer, some stand for all."""
LEAST = 256
"""Faces that are asked about whatever it takes."""
PROBED = 2
"""Images that an explainer is asked for."""
PICTURES, ANSWERS = "known parts of faces", "answers to all pictures"


@dataclass(frozen=True)
class Expected:
    """What something would take.

    Attributes
    ----------
    name
        Of an explainer, a measurement, or what serves all.
    forward, backward
        Passes.
    seconds
        On this machine, in one process.
    maps
        Of a measurement: maps that it asks of one explainer.
    made, pieces
        How many of its pieces are there already, of how many; what is there takes nothing.
    reason
        Why it takes nothing, or cannot be foreseen; "" else.
    """

    name: str
    forward: float
    backward: float
    seconds: float
    maps: float = 0.0
    made: int = 0
    pieces: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Outlook:
    """What a run would take.

    Attributes
    ----------
    images
        That would be explained.
    feed, forward_pace, backward_pace
        How the network is fed, and passes a second at that feed: forward, and forward and back.
    explainers
        What each costs beside what is shared.
    shared
        What is made once for all.
    measurements
        What each takes of all explainers together, shared or not.
    """

    images: int
    feed: str
    forward_pace: float
    backward_pace: float
    explainers: tuple[Expected, ...]
    shared: tuple[Expected, ...]
    measurements: tuple[Expected, ...]

    @property
    def altogether(self) -> Expected:
        """All of it."""
        rows = [*self.explainers, *self.shared]
        return _expected("altogether", np.sum([[row.forward, row.backward, row.seconds] for row in rows], axis=0))


@dataclass(frozen=True)
class Probe:
    """What a map of one explainer takes: passes forward and back, and seconds.

    Attributes
    ----------
    lasting
        Under a network that was asked by the explainers before it, which share some of their passes.
    anew
        Under a network that nobody has asked.
    fault
        What it did wrong; it then takes nothing.
    """

    lasting: Float[np.ndarray, "3"]
    anew: Float[np.ndarray, "3"]
    fault: str = ""

    def of(self, tally: Tally) -> Float[np.ndarray, "3"]:
        """Return what the maps that are asked for take; nothing of what could not be foreseen."""
        found: np.ndarray = np.nan_to_num(tally.maps * self.lasting + tally.anew * self.anew)
        return found


NOTHING = Probe(np.zeros(3), np.zeros(3))


def outlook(request: Request, folder: RunFolder) -> Outlook:
    """Return what a request would take into a folder, which stays as it is.

    Parameters
    ----------
    request
        What would be evaluated.
    folder
        Where the run would go, and whose pieces, with those that runs share, need not be made.

    Raises
    ------
    UsageError
        As :func:`harness.evaluation.evaluate` does before anything runs.
    """
    request = request.with_controls()
    check_faces(request.subject, request.faces)
    noted(request)
    with tempfile.TemporaryDirectory(prefix="harness-plan-") as place:
        own = RunFolder(Path(place), shared=BorrowedPieces(folder.path, store=folder.shared))
        if (folder.path / FEED_FILE).is_file():
            own.write_json(FEED_FILE, folder.read_json(FEED_FILE))
        return _Looking(request, prepared(request, own)).outlook()


class _Looking:
    """Looks ahead, on a folder of its own."""

    def __init__(self, request: Request, folder: RunFolder) -> None:
        self.request, self.folder = request, folder
        assert isinstance(folder.shared, BorrowedPieces)
        self.borrowed = folder.shared

    def outlook(self) -> Outlook:
        """Return what it would take."""
        request = self.request
        images, paces = self._paces()
        known, probabilities, predicted = self._answers(paces[0])
        seen = foreseen(replace(request, faces=known), probabilities, predicted)
        made = _Made.of(request, self.folder, self.borrowed)
        cost = _Costs(seen, made, paces)
        targets = torch.from_numpy(probabilities.argmax(1)[:PROBED]).to(request.subject.device)
        asked = [each for each in request.explainers if not made.whole(each.name, seen)]
        # In the order of the run: who comes later finds passes that others have made.
        probes = {each.name: _probe(each, request.subject, images[:PROBED], targets) for each in asked}
        everyone = [*(each.name for each in request.explainers), *seen.known]
        named = {name: probes.get(name, NOTHING) for name in everyone}
        return Outlook(
            seen.images,
            str(request.subject.feed),
            1 / paces[0],
            1 / paces[1],
            tuple(cost.of_explainer(name, probe) for name, probe in named.items()),
            (*self._pictures(paces), *cost.shared(list(probes.values()))),
            tuple(cost.of_measurement(name, named) for name in seen.measurements),
        )

    def _paces(self) -> tuple[Tensor, tuple[float, float]]:
        """Return some images, and the seconds of a pass forward, and of one forward and back."""
        subject, faces = self.request.subject, self.request.faces
        size = 4 * max(subject.feed.forward_batch, subject.feed.backward_batch)
        images = subject.prepare(faces.images[np.arange(size) % len(faces)])
        targets = torch.zeros(len(images), dtype=torch.long)
        forward = _seconds(lambda: subject.logits(images)) / size
        return images, (forward, _seconds(lambda: subject.gradients(images, targets)) / size)

    def _answers(self, pace: float) -> tuple[FaceSet, Float[np.ndarray, "m k"], Int[np.ndarray, " n"]]:
        """Return faces, what the network answers to them, and the classes that it answers to all faces, about."""
        request, everyone = self.request, self.request.faces
        if self.borrowed.holds(self.folder.piece(probabilities_key(request))):
            _, probabilities = case_of(request, self.folder)
            return everyone, probabilities, probabilities.argmax(1)
        some = min(len(everyone), max(LEAST, int(LOOK / pace)))
        faces = everyone.take(np.unique(np.linspace(0, len(everyone) - 1, some).astype(int)))
        subject = request.subject
        probabilities = subject.probabilities(subject.prepare(faces.images)).double().cpu().numpy()
        return faces, probabilities, np.resize(probabilities.argmax(1), len(everyone))

    def _pictures(self, paces: tuple[float, float]) -> list[Expected]:
        """Return what is asked before any map, and of the known parts of faces."""
        faces, guessing = self.request.faces, Guessing.of(self.request.subject)
        asked = {ANSWERS: len(faces)}
        if faces.counterfactuals is not None and faces.labels is not None and len(faces.counterfactuals.faces):
            part_effects(guessing, faces)
            asked[PICTURES] = guessing.passes.forward
        return [Expected(name, float(passes), 0.0, passes * paces[0]) for name, passes in asked.items()]


def _seconds(work: Callable[[], object]) -> float:
    """Return the least seconds of a piece of work that is repeated for a while."""
    found, until = list[float](), time.perf_counter() + SECONDS
    while len(found) < 2 or time.perf_counter() < until:
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def _probe(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor) -> Probe:
    """Ask an explainer for a few maps, and count."""
    fresh = subject.with_network(copied(subject.network), subject.name)

    def asked(of: Subject, some: Tensor, classes: Tensor) -> Float[np.ndarray, "3"]:
        before = np.array([of.passes.forward, of.passes.backward, time.perf_counter()])
        explainer.maps(of, some, classes, 0)
        after = np.array([of.passes.forward, of.passes.backward, time.perf_counter()])
        found: np.ndarray = (after - before) / len(some)
        return found

    try:
        asked(fresh, images[:1], targets[:1])  # whatever is imported at the first call is no map's
        return Probe(asked(subject, images, targets), asked(fresh, images, targets))
    except ExplainerFault as fault:
        return replace(NOTHING, fault=str(fault))


# ---------------------------------------------------------------------- what is there already


@dataclass(frozen=True)
class _Made:
    """Which pieces are there.

    Attributes
    ----------
    rows
        Measurements whose rows are there, by explainer.
    games
        How many pieces of the games, and of how many.
    """

    rows: Mapping[str, frozenset[str]]
    games: tuple[int, int] = (0, 0)

    @staticmethod
    def of(request: Request, folder: RunFolder, borrowed: BorrowedPieces) -> "_Made":
        """Look for the pieces of a request; where the network's answers are not kept, nothing is."""
        if not borrowed.holds(folder.piece(probabilities_key(request))):
            return _Made({})
        case, probabilities = case_of(request, folder)
        gate = ContractGate(request.subject, request.faces, request.seed, folder.remembered)
        runner = Runner(case, request.measurements(), folder, gate.behaviour)
        pieces = [piece for games in played(runner) for piece in games.pieces(case)]
        held = [borrowed.holds(folder.piece(runner.shared_key(piece.what))) for piece in pieces]
        known: Sequence[Explainer] = ()
        causes = borrowed.holds(folder.piece(runner.shared_key(("causes",))))
        if all(held) and (causes or not has_truth(request.subject, request.faces)):
            known = (*known_maps(case, request.faces, probabilities.argmax(1), runner.shared), *truths_of(case, runner))
        rows = {
            each.name: frozenset(
                measurement.name
                for measurement in runner.measurements
                if borrowed.holds(folder.piece(runner.rows_key(each, measurement)))
            )
            for each in (*request.explainers, *known)
        }
        return _Made(rows, (sum(held), len(held)))

    def has(self, explainer: str, measurement: str) -> bool:
        """Whether the rows of a measurement of an explainer are there."""
        return measurement in self.rows.get(explainer, ())

    def whole(self, explainer: str, seen: Foreseen) -> bool:
        """Whether all rows of an explainer are there, so that it is not asked."""
        return {*seen.measurements} <= {*self.rows.get(explainer, ())}

    def anywhere(self, measurement: str) -> bool:
        """Whether they are there of any explainer; then so is what serves all of them."""
        return any(measurement in held for held in self.rows.values())


# ---------------------------------------------------------------------- what it takes


@dataclass(frozen=True)
class _Costs:
    """From what is asked to what it takes."""

    seen: Foreseen
    made: _Made
    paces: tuple[float, float]

    def of_explainer(self, name: str, probe: Probe) -> Expected:
        """Return what one explainer takes beside what is shared."""
        if probe.fault:
            return Expected(name, 0.0, 0.0, 0.0, reason=probe.fault)
        asked = self._asked(name)
        left = [tally for measurement, tally in asked.items() if not self.made.has(name, measurement)]
        sums = np.sum([self._own(tally) + probe.of(tally) for tally in left], axis=0) if left else np.zeros(3)
        if left and len(left) == len(asked):
            sums = sums + probe.of(Tally(maps=self.seen.images))
        return _expected(name, sums, made=len(asked) - len(left), pieces=len(asked))

    def of_measurement(self, name: str, probes: Mapping[str, Probe]) -> Expected:
        """Return what one measurement takes of all explainers together, with what serves all of them."""
        total, made, of, maps = np.zeros(3), 0, 0, [0.0]
        for explainer, probe in probes.items():
            asked = self._asked(explainer)
            if name in asked and not probe.fault:
                there = self.made.has(explainer, name)
                total = total if there else total + self._own(asked[name]) + probe.of(asked[name])
                made, of, maps = made + there, of + 1, [*maps, asked[name].maps + asked[name].anew]
        if not self.made.anywhere(name):
            total = total + self._of_all(self.seen.measurements[name])
        reason = "cannot be foreseen" if np.isnan(self.seen.measurements[name].maps) else ""
        return _expected(name, total, maps=float(np.nan_to_num(maps).max()), made=made, pieces=of, reason=reason)

    def shared(self, probes: Sequence[Probe]) -> list[Expected]:
        """Return what is made once for all, by what needs it."""
        beside, rows = self.seen.beside, []
        share = 1 - self.made.games[0] / self.made.games[1] if self.made.games[1] else 1.0
        made, pieces = self.made.games
        rows.append(_expected(GAMES, share * self._of_all(beside[GAMES]), made=made, pieces=pieces))
        anything = bool(self.made.rows) and any(self.made.rows.values())
        if not anything:
            rows.append(_expected(KNOWN, self._of_all(beside[KNOWN])))
            rows.append(_expected(NETWORKS, self._of_all(beside[NETWORKS])))
            contract = np.sum([probe.of(beside[CONTRACT]) for probe in probes], axis=0)
            rows.append(_expected(CONTRACT, contract))
        banks = [tally for name, tally in self.seen.measurements.items() if not self.made.anywhere(name)]
        others = np.sum([self._of_all(tally) for tally in banks], axis=0) if banks else np.zeros(3)
        rows.append(_expected("banks and answers of measurements", others))
        return [row for row in rows if row.forward or row.backward or row.pieces]

    def _asked(self, explainer: str) -> dict[str, Tally]:
        """Return what measurements ask of an explainer, without those that one of known maps is not put to."""
        seen = self.seen
        asked = {**seen.measurements, **seen.by_kind.get(explainer, {})}
        return {name: tally for name, tally in asked.items() if explainer not in seen.known or name not in seen.again}

    def _own(self, tally: Tally) -> Float[np.ndarray, "3"]:
        """Return a measurement's own passes and all its seconds; nothing of one that could not be foreseen."""
        return self._took(tally.forward, tally.backward, tally.seconds)

    def _of_all(self, tally: Tally) -> Float[np.ndarray, "3"]:
        """Return passes and seconds of what serves all."""
        return self._took(tally.shared_forward, tally.shared_backward, tally.shared_seconds)

    def _took(self, forward: float, backward: float, beside: float) -> Float[np.ndarray, "3"]:
        """Return passes, and the seconds that they and all beside take; a pass back comes with one forward."""
        ahead, back = self.paces
        seconds = max(forward - backward, 0.0) * ahead + backward * back + beside
        found: np.ndarray = np.nan_to_num(np.array([forward, backward, seconds]))
        return found


def _expected(
    name: str, took: Float[np.ndarray, "3"], maps: float = 0.0, made: int = 0, pieces: int = 0, reason: str = ""
) -> Expected:
    """Return passes forward and back and seconds under a name."""
    forward, backward, seconds = took.tolist()
    return Expected(name, forward, backward, seconds, maps, made, pieces, reason)
