"""Each measurement beside the metrics of Quantus that it holds, on the same maps and images, at about as many steps.

A measurement asks the network once for all of its scores and scores null maps beside the map, so that both are told:
what it takes as it is, and how many maps and scores that was.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from benchmarks.speed.peers import COPIES, SUBSETS, Work, explainers, metrics, scored, work_of
from harness.evaluation.loop import case_of, prepared
from harness.evaluation.request import Request
from harness.evaluation.runner import Runner
from harness.explainers import registered
from harness.faces.loading import load_faces
from harness.measurements import Measurement
from harness.measurements.base import MAP, SPECTRUM, TRANSPLANT
from harness.metrics.score import SCORE
from harness.models.loading import load_subject
from harness.profiles import Profile
from harness.store import IDENTITY, RunFolder

HELD: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "removal": ("PixelFlipping",),
        "regions": ("RegionPerturbation", "Selectivity"),
        "bank": ("FaithfulnessCorrelation", "SensitivityN", "Infidelity"),
        "patches": ("FaithfulnessEstimate", "MonotonicityCorrelation"),
        "road": ("ROAD",),
        "robustness": (
            "MaxSensitivity", "AvgSensitivity", "LocalLipschitzEstimate", "RelativeInputStability",
            "RelativeOutputStability",
        ),
        "randomization": ("MPRT",),
        "smooth-randomization": ("SmoothMPRT",),
        "targets": ("RandomLogit",),
        "invariance": ("InputInvariance",),
        "completeness": ("Completeness",),
        "complexity": ("Sparseness", "Complexity", "EffectiveComplexity"),
        "localization": (
            "PointingGame", "RelevanceMassAccuracy", "RelevanceRankAccuracy", "TopKIntersection", "AUC",
            "AttributionLocalisation",
        ),
    }
)  # fmt: skip
"""The metrics of Quantus that each measurement holds, by its name."""
METHOD = "integrated-gradients"
"""Whose maps are scored: it claims completeness, draws nothing, and its maps cost what most do."""
ALL = 1000
"""More images, and more groups of layers, than there are."""


def sizes(per_class: int) -> Profile:
    """Return a profile that takes as many steps as the peers are asked for, and all images for everything."""
    return Profile(
        "as the peers",
        per_class=per_class,
        steps=9,
        spectrum_draws=1,
        removal_draws=1,
        cascade_stages=ALL,
        cascade_per_class=ALL,
        random_networks=1,
        costly_per_class=ALL,
        noisy_copies=COPIES,
        seeds=1,
        masks=SUBSETS // 4,  # of each of four sizes
        imputed_steps=5,
        smooth_per_class=ALL,
        built_networks=1,
        built_images=1,
        controls=(),
    )


@dataclass(frozen=True)
class Took:
    """CPU seconds, and pictures passed through the network, forward and forward again with a pass back."""

    seconds: float
    passes: int

    def __add__(self, other: "Took") -> "Took":
        """Return both together."""
        return Took(self.seconds + other.seconds, self.passes + other.passes)


class Ours:
    """Our measurements of one explainer's maps; images and network are those of a run."""

    def __init__(self, per_class: int, folder: Path) -> None:
        subject = load_subject("faces-cnn")
        faces = load_faces("rendered", subject.classes)
        size, self.explainer = sizes(per_class), registered()[METHOD]
        request = Request(subject, faces, (self.explainer,), (), size, everything=True, feed="channels-last:64")
        self._folder = prepared(request, RunFolder(folder))
        self.case, _ = case_of(request, self._folder)
        self._measurements = [each for each in request.measurements() if each.name in HELD]
        Runner(self.case, [], self._folder).maps(self.explainer)

    @property
    def ids(self) -> list[int]:
        """The images."""
        found: list[int] = self.case.faces.ids.tolist()
        return found

    def took(self) -> tuple[dict[str, Took], dict[str, str]]:
        """Return what each measurement takes where nothing is kept of it, and what it scored, in words."""
        found, told = dict[str, Took](), dict[str, str]()
        for measurement in self._measurements:
            runner, passed = Runner(self.case, [measurement], self._folder), self.case.subject.passes.forward
            began = time.process_time()
            scores = runner.measured(self.explainer).scores
            passes = self.case.subject.passes.forward - passed
            found[measurement.name] = Took(time.process_time() - began, passes)
            told[measurement.name] = _scored(measurement, scores)
        return found, told


def _scored(measurement: Measurement, scores: pd.DataFrame) -> str:
    """Say how many scores a measurement gives, of how many maps an image."""
    own = scores[(scores["variant"].str.split().str[0] == MAP) & (scores["kind"] == SCORE)]
    drawn = getattr(measurement, "spectrum_draws", 1)
    others = set(scores["variant"]) & {SPECTRUM, TRANSPLANT}
    maps = 1 + sum(drawn if name == SPECTRUM else 1 for name in others)
    return f"{own.groupby([*IDENTITY, 'variant']).ngroups} scores of {maps} maps"


def theirs(work: Work) -> dict[str, Took]:
    """Return what each metric of Quantus takes on the maps of captum's explainer."""
    explain = explainers(work)[METHOD]
    maps = explain(work.network, work.images, work.targets).detach().sum(1, keepdim=True).numpy()
    wanted = {name for names in HELD.values() for name in names}
    passed: list[int] = []
    # Copies of the network, which some metrics make, have it too.
    handle = work.network.register_forward_hook(lambda _module, given, _answers: passed.append(len(given[0])))
    found = dict[str, Took]()
    for name, settings in metrics(work):
        if name in wanted:
            passed.clear()
            began = time.process_time()
            scored(work, name, settings, maps, explain)
            found[name] = Took(time.process_time() - began, sum(passed))
    handle.remove()
    return found


def side_by_side(per_class: int, folder: Path, rounds: int) -> Iterator[tuple[str, Took, Took, str]]:
    """Yield what is compared, what ours and the peers take at the least in several rounds, and what ours scored.

    Both are asked in turn, so that what else runs here slows both alike.
    """
    own, others = list[dict[str, Took]](), list[dict[str, Took]]()
    for number in range(rounds):
        ours = Ours(per_class, folder / f"round-{number}")
        made, told = ours.took()
        own.append(made)
        others.append(theirs(work_of("faces-cnn", "rendered", ours.ids, layout=False)))
    for name, held in HELD.items():
        least = min((each[name] for each in own), key=_seconds)
        peers = [reduce(add, (each[metric] for metric in held)) for each in others]
        yield f"{name} / {', '.join(held)}", least, min(peers, key=_seconds), told[name]


def _seconds(took: Took) -> float:
    """Return the seconds."""
    return took.seconds
