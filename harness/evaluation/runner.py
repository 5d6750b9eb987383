"""The runner of an evaluation: makes maps and measures them, keeping every piece under a key of its content."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

import harness
from harness.digest import digest
from harness.engines.local import Job
from harness.evaluation_set import EvaluationSet
from harness.explainers import Explainer
from harness.identity import Reads, as_read, reads_of
from harness.measurements import Attributions, Measured, Measurement
from harness.networks.random import randomized
from harness.store import Cost, RunFolder
from harness.subject import Subject
from harness.truth.games import Piece

BLOCK = 32
"""Images explained between two stops: what a killed run loses at most."""
CALIBRATION_IMAGES = 64
"""Images on which a random network's activations are brought to scale: past some dozens their spread hardly moves."""
EXPLAINING_CODE = ("explainers", "subject", "networks", "truth")
"""What makes maps, beside a user's own file: when it changes, maps are made anew."""
JUDGING_CODE = ("measurements", "metrics", "perturbation", "truth")
"""What turns maps into scores: when it changes, scores are measured anew and maps are kept."""
SHARED = ""
"""Owner of what depends on no explainer."""
TABLES = ("scores", "curves", "matrices")


@dataclass
class Ledger:
    """Passes forward, passes backward and seconds, each booked once on what needed it; seconds `waited` on nothing."""

    subject: Subject
    waited: Callable[[], float] = lambda: 0.0
    booked: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def spent(self) -> np.ndarray:
        """Return what has been spent and not been booked since the subject was made."""
        passes, seconds = self.subject.passes, time.perf_counter() - self.waited()
        total: np.ndarray = np.array([passes.forward, passes.backward, seconds]) - self.booked
        return total

    def book(self, before: np.ndarray) -> np.ndarray:
        """Book and return what was spent since `before`, less what was booked on others meanwhile."""
        entry: np.ndarray = self.spent() - before
        self.booked = self.booked + entry
        return entry


class Runner:
    """Makes what a run needs, each piece once.

    Parameters
    ----------
    case
        The network and the images.
    measurements
        What is measured.
    folder
        Where pieces are kept.
    behaviour
        Names what an explainer does, beside what its code is: maps of another behaviour are not taken for its own.
    """

    def __init__(
        self,
        case: EvaluationSet,
        measurements: Sequence[Measurement],
        folder: RunFolder,
        behaviour: Callable[[Explainer], str] = lambda _explainer: "",
    ) -> None:
        self.case = case
        self.measurements = tuple(measurements)
        self.folder = folder
        self._ledger = Ledger(case.subject, lambda: folder.waited)
        self._networks: dict[tuple[tuple[str, ...], int], Subject] = {}
        self._keys: dict[str, dict[str, None]] = {}
        self._costs: dict[str, np.ndarray] = {}
        self._within: list[list[tuple[str, str]]] = []
        self._reads: dict[str, dict[str, str]] = {}
        self._behaviour = behaviour
        self.made_beside = 0.0

    # ------------------------------------------------------------------ the plan

    def plan(self, explainers: Sequence[Explainer]) -> list[Job]:
        """Return the jobs of every explainer, in the order in which their results are needed."""
        return [job for explainer in explainers for job in self._jobs(explainer)]

    def shared_jobs(self, title: str, pieces: Sequence[Piece]) -> list[Job]:
        """Return jobs that make what depends on no explainer, piece by piece."""
        named = [(f"{title}: piece {number}", piece) for number, piece in enumerate(pieces, start=1)]
        return [Job(said, SHARED, partial(self.shared, *piece)) for said, piece in named]

    def _jobs(self, explainer: Explainer) -> list[Job]:
        """Return the jobs of one explainer: its maps block by block, in any order, then each measurement."""
        case, name = self.case, explainer.name
        blocks = [
            Job(f"{name}: maps", name, partial(self._block, explainer, block), True)
            for block in _blocks(np.arange(len(case.targets)))
        ]
        return blocks + [
            Job(f"{name}: {measurement.name}", name, partial(self._measure, explainer, measurement), True, 1)
            for measurement in self._measurements_of(explainer)
        ]

    def _measurements_of(self, explainer: Explainer) -> list[Measurement]:
        """Return what can be measured of an explainer: one of known maps cannot be asked for others."""
        return [each for each in self.measurements if not (each.asks_again and explainer.facts.fixed)]

    # ------------------------------------------------------------------ the pieces

    def maps(self, explainer: Explainer) -> Float[np.ndarray, "n h w"]:
        """Return an explainer's maps of the trained network.

        Raises
        ------
        ExplainerFault
            Where the explainer breaks its contract.
        """
        return self.explain(explainer, self.case.images, self.case.targets)

    def explain(
        self,
        explainer: Explainer,
        images: Float[Tensor, "m c h w"],
        targets: Int[np.ndarray, " m"],
        subject: Subject | None = None,
        seed: int | None = None,
    ) -> Float[np.ndarray, "m h w"]:
        """Return an explainer's maps of any images and targets, under any network and seed, each block made once.

        Raises
        ------
        ExplainerFault
            Where the explainer breaks its contract.
        """
        blocks = _blocks(np.arange(len(targets)))
        found = [self._explained(explainer, images[block], targets[block], subject, seed) for block in blocks]
        return np.concatenate(found)

    def measured(self, explainer: Explainer) -> Measured:
        """Return all rows of one explainer."""
        rows = [self._measure(explainer, measurement) for measurement in self._measurements_of(explainer)]
        found = Measured.joined([Measured(**{name: held[name] for name in TABLES}) for held in rows])
        return Measured(**{name: table.assign(explainer=explainer.name) for name, table in vars(found).items()})

    def cost(self, explainer: Explainer | None = None) -> Cost:
        """Return the passes and seconds of an explainer's maps and scores, or of what serves all of them.

        They count whenever they were made.
        """
        name = SHARED if explainer is None else explainer.name
        entries = [self._costs[key] for key in self._keys.get(name, {})]
        forward, backward, seconds = np.sum(entries, axis=0) if entries else np.zeros(3)
        return Cost(int(forward), int(backward), round(float(seconds), 3))

    def seconds_made(self) -> float:
        """Return the seconds of the pieces that this runner and its copies made, as part of every explainer's cost."""
        return float(self._ledger.booked[2]) + self.made_beside

    def _block(self, explainer: Explainer, index: Int[np.ndarray, " m"]) -> Float[np.ndarray, "m h w"]:
        """Return the maps of some of the set's images; a job holds their numbers, not the images once more."""
        return self._explained(explainer, self.case.images[torch.from_numpy(index)], self.case.targets[index])

    def _explained(
        self,
        explainer: Explainer,
        images: Tensor,
        targets: Int[np.ndarray, " m"],
        subject: Subject | None = None,
        seed: int | None = None,
    ) -> Float[np.ndarray, "m h w"]:
        """Return the maps of one block of images."""
        subject, seed = subject or self.case.subject, self.case.seed if seed is None else seed
        code = package_digest(EXPLAINING_CODE)
        key = digest("maps", subject.digest, images, targets, *self._named(explainer), seed, code)

        def make() -> Mapping[str, Any]:
            classes = torch.from_numpy(targets).to(subject.device)
            return {"maps": explainer.maps(subject, images, classes, seed)}

        maps: np.ndarray = self._kept(explainer.name, key, make, lambda: explainer.reads)["maps"]
        return maps

    def random_network(self, layers: Sequence[str], draw: int) -> Subject:
        """Return the network with `layers` drawn at random, drawn once for all explainers."""
        which = (tuple(layers), draw)
        if which not in self._networks:
            images = self.case.images[:CALIBRATION_IMAGES]
            self._networks[which] = randomized(self.case.subject, layers, seed=self.case.seed + draw, images=images)
        return self._networks[which]

    def shared(self, what: tuple[object, ...], make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return arrays that depend on the set alone and serve every explainer, made once by `make`.

        Parameters
        ----------
        what
            Names them, with every setting they depend on.
        make
            Returns arrays by name.
        """
        return self._kept(SHARED, self.shared_key(what), make)

    def _measure(self, explainer: Explainer, measurement: Measurement) -> dict[str, Any]:
        """Return the score, curve and matrix rows that one measurement gives for one explainer."""
        key = self.rows_key(explainer, measurement)

        def make() -> Mapping[str, Any]:
            return vars(measurement.measure(self._attributions(explainer)))

        return self._kept(explainer.name, key, make, lambda: {**explainer.reads, **reads_of(measurement.name)})

    def rows_key(self, explainer: Explainer, measurement: Measurement) -> str:
        """Return under which key the rows of one measurement of one explainer are kept."""
        code = package_digest(EXPLAINING_CODE + JUDGING_CODE)
        return digest("rows", self.case.digest, *self._named(explainer), repr(measurement), code)

    def shared_key(self, what: tuple[object, ...]) -> str:
        """Return under which key is kept what serves every explainer."""
        return digest("shared", self.case.digest, *map(repr, what), package_digest(("subject", *JUDGING_CODE)))

    def _named(self, explainer: Explainer) -> tuple[str, str]:
        """Return what an explainer is and does, by name."""
        return explainer.digest, self._behaviour(explainer)

    def _attributions(self, explainer: Explainer) -> Attributions:
        """Return an explainer's maps and the ways to ask for more, as measurements want them."""
        maps = self.maps(explainer)
        explainer.refuse_sameness(maps, self.case.subject, self.case.images, self.case.target_tensor())
        return Attributions(
            self.case,
            maps,
            partial(self.explain, explainer),
            self.random_network,
            self.shared,
            explainer.facts.axioms,
            explainer.is_seeded,
            lambda images, subject=None: explainer.baselines(subject or self.case.subject, images, self.case.seed),
        )

    def _kept(
        self, owner: str, key: str, make: Callable[[], Mapping[str, Any]], read: Callable[[], Reads] = dict
    ) -> dict[str, Any]:
        """Return what is kept under `key`, making it where it is not, and note whose it is.

        It is made again where a file has changed that was read by then: what was `read` in this process, and what the
        owner's pieces that were found say that they read; and where a piece that went into it is lost.
        """
        before, reads = self._ledger.spent(), self._reads.setdefault(owner, {})

        def noted() -> Mapping[str, Any]:
            self._within.append([])
            try:
                made = make()
            finally:
                inner = self._within.pop()
            reads.update(read())
            uses, files = (np.array(pairs, dtype=str).reshape(-1, 2) for pairs in (inner, [*reads.items()]))
            return {**made, "cost": self._ledger.book(before), "uses": uses, "reads": files}

        found = self.folder.remembered(key, noted, self._holds)
        reads.update(found["reads"].tolist())
        self._costs[key] = found["cost"]
        # A piece that is found was not made again, nor the pieces that went into it; they cost what they cost.
        pieces = [(owner, key), *((str(whose), str(used)) for whose, used in found["uses"])]
        for whose, used in pieces:
            self._keys.setdefault(whose, {})[used] = None
        if self._within:
            self._within[-1] += pieces
        return found

    def _holds(self, held: Mapping[str, Any]) -> bool:
        """Whether a piece stands for what it was made of: files as they were, and pieces that say what they cost."""
        if "cost" not in held or not as_read(held):
            return False
        for _, used in held["uses"]:
            if str(used) not in self._costs:
                piece = self.folder.kept(str(used))
                if piece is None or "cost" not in piece:
                    return False
                self._costs[str(used)] = piece["cost"]
        return True


@cache
def package_digest(names: tuple[str, ...]) -> str:
    """Return a digest of modules and folders of the package."""
    root = Path(harness.__file__).parent
    files = [sorted((root / name).rglob("*.py")) if "." not in name else [root / name] for name in names]
    return digest(*[file.read_text(encoding="utf-8") for group in files for file in group])


def _blocks(index: Int[np.ndarray, " m"]) -> list[Int[np.ndarray, " b"]]:
    """Cut image indices into blocks."""
    return [index[start : start + BLOCK] for start in range(0, len(index), BLOCK)]
