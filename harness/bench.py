"""The workbench of a run: makes maps and measures them, keeping every piece under a key of its content."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

import harness
from harness.case import Case
from harness.digest import digest
from harness.engines.local import Job
from harness.explainers import Explainer
from harness.measurements import ClassSimilarity, MassOnMark, Measured, ParameterRandomization, Removal
from harness.random_networks import layer_groups, randomized
from harness.store import RunFolder
from harness.subject import Subject

BLOCK = 32
"""Images explained between two stops: what a killed run loses at most."""
CALIBRATION_IMAGES = 64
"""Images on which a random network's activations are brought to scale: past some dozens their spread hardly moves."""
EXPLAINING_CODE = ("explainers", "subject.py", "random_networks.py")
"""What makes maps, beside a user's own file: when it changes, maps are made anew."""
JUDGING_CODE = ("measurements", "metrics", "perturbation")
"""What turns maps into scores: when it changes, scores are measured anew and maps are kept."""


@dataclass(frozen=True)
class Instruments:
    """The measurements of a run; None is not made."""

    removal: Removal | None
    randomization: ParameterRandomization | None
    similarity: ClassSimilarity | None
    localization: MassOnMark | None = None


@dataclass
class Ledger:
    """Passes forward, passes backward and seconds, each booked once on what needed it."""

    subject: Subject
    booked: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def spent(self) -> np.ndarray:
        """Return what has been spent and not been booked since the subject was made."""
        passes = self.subject.passes
        total: np.ndarray = np.array([passes.forward, passes.backward, time.perf_counter()]) - self.booked
        return total

    def book(self, before: np.ndarray) -> np.ndarray:
        """Book and return what was spent since `before`, less what was booked on others meanwhile."""
        entry: np.ndarray = self.spent() - before
        self.booked = self.booked + entry
        return entry


class Bench:
    """Makes what a run needs, each piece once.

    Parameters
    ----------
    case
        The network and the images.
    instruments
        What is measured.
    folder
        Where pieces are kept.
    """

    def __init__(self, case: Case, instruments: Instruments, folder: RunFolder) -> None:
        self.case = case
        self.instruments = instruments
        self.folder = folder
        self._ledger = Ledger(case.subject)
        self._networks: dict[tuple[tuple[str, ...], int], Subject] = {}
        self._keys: dict[str, list[str]] = {}

    # ------------------------------------------------------------------ the plan

    def plan(self, explainers: Sequence[Explainer]) -> list[Job]:
        """Return the jobs of every explainer, in the order in which their results are needed."""
        return [job for explainer in explainers for job in self._jobs(explainer)]

    def _jobs(self, explainer: Explainer) -> list[Job]:
        """Return the jobs of one explainer: maps of the network, maps of random networks, measurements."""
        jobs = self._map_jobs(explainer, (), 0, np.arange(len(self.case.targets)))
        if self.instruments.randomization is not None:
            for layers, draw, index in self._random_networks(self.instruments.randomization):
                jobs += self._map_jobs(explainer, layers, draw, index)
        return [*jobs, Job(f"{explainer.name}: scores", explainer.name, partial(self._measure, explainer))]

    def _map_jobs(
        self, explainer: Explainer, layers: tuple[str, ...], draw: int, index: Int[np.ndarray, " m"]
    ) -> list[Job]:
        """Return one job for each block of images."""
        what = "maps" if not layers else f"maps, {len(layers)} layers random"
        return [
            Job(f"{explainer.name}: {what}", explainer.name, partial(self._block, explainer, layers, draw, block))
            for block in _blocks(index)
        ]

    def _random_networks(
        self, measurement: ParameterRandomization
    ) -> list[tuple[tuple[str, ...], int, Int[np.ndarray, " m"]]]:
        """Return each random network that maps are needed of, with the images they are needed for."""
        groups = layer_groups(self.case.subject, measurement.stages)
        some, everyone = self.case.some(measurement.cascade_per_class), np.arange(len(self.case.targets))
        return [
            (
                tuple(name for group in groups[:stage] for name in group),
                draw,
                everyone if stage == len(groups) else some,
            )
            for stage in range(1, len(groups) + 1)
            for draw in range(measurement.draws)
        ]

    # ------------------------------------------------------------------ the pieces

    def maps(
        self,
        explainer: Explainer,
        layers: Sequence[str] = (),
        draw: int = 0,
        index: Int[np.ndarray, " m"] | None = None,
    ) -> Float[np.ndarray, "m h w"]:
        """Return an explainer's maps, of the trained network or with `layers` random.

        Raises
        ------
        ExplainerFault
            Where the explainer breaks its contract.
        """
        index = np.arange(len(self.case.targets)) if index is None else index
        return np.concatenate([self._block(explainer, tuple(layers), draw, block) for block in _blocks(index)])

    def measured(self, explainer: Explainer) -> Measured:
        """Return all rows of one explainer."""
        found = self._measure(explainer)
        tables = {name: found[name].assign(explainer=explainer.name) for name in ("scores", "curves", "matrices")}
        return Measured(**tables)

    def cost(self, explainer: Explainer) -> dict[str, int | float]:
        """Return the passes and seconds that an explainer's maps and scores took, whenever they were made."""
        entries = [self.folder.remembered(key, dict)["cost"] for key in self._keys.get(explainer.name, [])]
        forward, backward, seconds = np.sum(entries, axis=0) if entries else np.zeros(3)
        return {"forward": int(forward), "backward": int(backward), "seconds": round(float(seconds), 3)}

    def seconds_made(self) -> float:
        """Return the seconds of the pieces that this bench made itself, as part of every explainer's cost."""
        return float(self._ledger.booked[2])

    def _block(
        self, explainer: Explainer, layers: tuple[str, ...], draw: int, index: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "m h w"]:
        """Return the maps of one block of images."""
        case = self.case
        key = digest("maps", case.digest, explainer.digest, layers, draw, index, _code_digest(EXPLAINING_CODE))

        def explain() -> Mapping[str, Any]:
            subject = self._network(layers, draw) if layers else case.subject
            targets = torch.from_numpy(case.targets[index]).to(case.subject.device)
            return {"maps": explainer.maps(subject, case.images[torch.from_numpy(index)], targets, case.seed)}

        maps: np.ndarray = self._kept(explainer, key, explain)["maps"]
        return maps

    def _network(self, layers: tuple[str, ...], draw: int) -> Subject:
        """Return a random network, drawn once for all explainers."""
        if (layers, draw) not in self._networks:
            images = self.case.images[:CALIBRATION_IMAGES]
            self._networks[layers, draw] = randomized(
                self.case.subject, layers, seed=self.case.seed + draw, images=images
            )
        return self._networks[layers, draw]

    def _measure(self, explainer: Explainer) -> dict[str, Any]:
        """Return the score, curve and matrix rows of one explainer."""
        code = _code_digest(EXPLAINING_CODE + JUDGING_CODE)
        key = digest("rows", self.case.digest, explainer.digest, repr(self.instruments), code)
        return self._kept(explainer, key, lambda: vars(self._measured_anew(explainer)))

    def _measured_anew(self, explainer: Explainer) -> Measured:
        """Put one explainer's maps through every instrument."""
        case, tools, maps = self.case, self.instruments, self.maps(explainer)
        explainer.refuse_sameness(maps)
        alone = (tools.removal, tools.similarity, tools.localization)
        found = [tool.measure(case, maps) for tool in alone if tool is not None]
        if tools.randomization is not None:
            found.append(tools.randomization.measure(case, maps, lambda *which: self.maps(explainer, *which)))
        return Measured.joined(found)

    def _kept(self, explainer: Explainer, key: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return what is kept under `key`, making it where it is not, and note whose it is."""
        before = self._ledger.spent()
        found = self.folder.remembered(key, lambda: {**make(), "cost": self._ledger.book(before)})
        keys = self._keys.setdefault(explainer.name, [])
        if key not in keys:
            keys.append(key)
        return found


@cache
def _code_digest(names: tuple[str, ...]) -> str:
    """Return a digest of modules and folders of the package."""
    root = Path(harness.__file__).parent
    files = [sorted((root / name).rglob("*.py")) if "." not in name else [root / name] for name in names]
    return digest(*[file.read_text() for group in files for file in group])


def _blocks(index: Int[np.ndarray, " m"]) -> list[Int[np.ndarray, " b"]]:
    """Cut image indices into blocks."""
    return [index[start : start + BLOCK] for start in range(0, len(index), BLOCK)]
