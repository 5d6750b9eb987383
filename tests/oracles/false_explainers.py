"""A small sample of each quick pair, and what the checks' own measurements say of an explainer on it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from harness.bench import Bench
from harness.cell_truth import Games
from harness.known_maps import known_maps
from torch import Tensor

from harness.case import chosen_case
from harness.checks import ALPHA, CHECKS, Evidence, Finding
from harness.checks.base import EVERYTHING
from harness.digest import digest
from harness.explainers import Explainer, registered
from harness.faces.loading import load_faces
from harness.measurements import Cells, CellsByClass, Measured, Measurement, ParameterRandomization
from harness.models.loading import load_subject
from harness.oracles import faults
from harness.oracles.faults import PlantedFault, planted_faults
from harness.perturbation import BlurFill, MeanFill, PictureFill
from harness.store import RunFolder
from harness.truth import games_of

PER_CLASS, WITHIN_PER_CLASS = 3, 2
CONTROLS = ("edges", "centre")
NETWORK = ("randomization-residual",)
COUNTED = ("cells-edges", "cells-centre", "cells-mean-face", "cells-scattered")
FINE = tuple(f"{name}-fine" for name in COUNTED)
CLASSES = ("cells-rival", "cells-contrast")
IMAGES = ("cells-another", "cells-portrait")
CLAIMS = {2: NETWORK, 3: COUNTED, 4: CLASSES, 5: IMAGES}


@dataclass
class Sample:
    """A pair at a few images a class, on which explainers are measured once each."""

    bench: Bench
    planted: dict[str, PlantedFault]
    probing: dict[str, PlantedFault]
    mean_face: Explainer

    @cached_property
    def _controls(self) -> pd.DataFrame:
        """Scores of the maps that know nothing of the network."""
        cells = [each for each in self.bench.measurements if isinstance(each, Cells)]
        bench = Bench(self.bench.case, cells, self.bench.folder)
        made = [*(registered()[name] for name in CONTROLS), self.mean_face]
        return pd.concat([bench.measured(each).scores for each in made])

    def finding(self, explainer: Explainer, check: str) -> Finding:
        """What the check finds over all images, before it is corrected for other claims."""
        scores = pd.concat([self.bench.measured(explainer).scores, self._controls])
        case, claim = self.bench.case, CHECKS[check]
        people = dict(zip(case.faces.ids.tolist(), case.faces.persons.tolist(), strict=True))
        evidence = Evidence(scores, Measured().matrices, case.subject.classes, case.seed, persons=people)
        return next(each for each in claim.judge(claim, evidence, explainer.name) if each.kind == EVERYTHING)

    def holds(self, explainer: Explainer, check: str) -> bool:
        """Whether the check would pass alone."""
        return bool(self.finding(explainer, check).p < ALPHA)

    def right_side(self, explainer: Explainer, check: str) -> bool:
        """Whether the effect, whatever its interval, lies on the claim's side of its margin."""
        claim, effect = CHECKS[check], self.finding(explainer, check).effect
        return effect < claim.margin if claim.at_most else effect > claim.margin


def sample(subject_name: str, faces_name: str, folder: Path, measurements: tuple[str, ...] | None = None) -> Sample:
    """The sample of a pair."""
    subject, faces = load_subject(subject_name), load_faces(faces_name)
    pictures = subject.prepare(faces.images)
    probabilities = subject.probabilities(pictures).double().cpu().numpy()
    predicted = probabilities.argmax(1)
    case = chosen_case(subject, faces, probabilities, PER_CLASS, 0)
    fills = (("mean", MeanFill()), ("blur", BlurFill(1 / 8)), ("mean-face", PictureFill(pictures.mean(dim=0))))
    games = Games(games_of(3, 1, fills), PER_CLASS, WITHIN_PER_CLASS)
    measured: tuple[Measurement, ...] = (
        Cells(games, 1),
        CellsByClass(games, PER_CLASS),
        ParameterRandomization(1, 1, 0),
    )
    bench = Bench(case, measured, RunFolder(folder))
    donors = case.images, case.target_tensor()
    by_name = [
        {each.explainer.name.removeprefix("fault-"): each for each in planted_faults(subject, *donors, base=base)}
        for base in ("integrated-gradients", "occlusion")
    ]
    mean_face = next(each for each in known_maps(case, faces, predicted, bench.shared) if each.name == "mean-face")
    return Sample(bench, *by_name, mean_face)


def remembering(maps: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """The same maps of registered methods, each made once: faults spoil the same few."""
    held: dict[str, np.ndarray] = {}

    def base_maps(base: str, subject: object, images: Tensor, targets: Tensor, seed: int) -> np.ndarray:
        key = digest(base, subject.digest, images, targets, seed)
        if key not in held:
            held[key] = maps(base, subject, images, targets, seed)
        return held[key].copy()

    return base_maps


faults._base_maps = remembering(faults._base_maps)
