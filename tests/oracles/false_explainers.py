"""A small sample of each quick pair, and what the checks' own measurements say of an explainer on it."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.checks import CHECKS, Evidence, Finding
from harness.checks.base import EVERYTHING
from harness.evaluation.runner import Runner
from harness.evaluation_set import evaluation_set
from harness.explainers import Explainer, registered
from harness.faces.loading import load_faces
from harness.measurements import Cells, CellsByClass, Measured, Measurement, ParameterRandomization
from harness.models.loading import load_subject
from harness.oracles.faults import PlantedFault, planted_faults
from harness.oracles.known import known_maps
from harness.perturbation import BlurFill, MeanFill, PictureFill
from harness.store import RunFolder
from harness.truth import games_of
from harness.truth.images import Games

PER_CLASS, WITHIN_PER_CLASS = 3, 2
CONTROLS = ("edges", "centre")
NETWORK = ("randomization-residual",)
COUNTED = ("cells-edges", "cells-centre", "cells-mean-face", "cells-scattered")
FINE = tuple(f"{name}-fine" for name in COUNTED)
CLASSES = ("cells-rival", "cells-contrast")
IMAGES = ("cells-another", "cells-portrait")


@dataclass
class Sample:
    """A pair at a few images a class, on which explainers are measured as far as a check needs, once each."""

    runner: Runner
    planted: dict[str, PlantedFault]
    mean_face: Explainer

    def _scores(self, explainer: Explainer, needs: frozenset[str]) -> pd.DataFrame:
        """Score an explainer by the measurements that a check needs."""
        needed = [each for each in self.runner.measurements if each.name in needs]
        return Runner(self.runner.case, needed, self.runner.folder).measured(explainer).scores

    def finding(self, explainer: Explainer, check: str) -> Finding:
        """What the check finds over all images, before it is corrected for other claims."""
        case, claim = self.runner.case, CHECKS[check]
        beside = [*(registered()[name] for name in CONTROLS), self.mean_face] if check in COUNTED + FINE else []
        scores = pd.concat([self._scores(each, claim.needs) for each in (explainer, *beside)])
        people = dict(zip(case.faces.ids.tolist(), case.faces.persons.tolist(), strict=True))
        evidence = Evidence(scores, Measured().matrices, case.subject.classes, case.seed, persons=people)
        return next(each for each in claim.judge(claim, evidence, explainer.name) if each.kind == EVERYTHING)

    def right_within(self, explainer: Explainer) -> float:
        """The share of settled pairs of parts of one cell that the explainer orders right, over all images."""
        scores = self._scores(explainer, CHECKS["cells-edges-fine"].needs)
        mine = scores[(scores["metric"] == "settled-pairs") & (scores["variant"] == "map within")]
        return float(mine["value"].mean())

    def sides(self, explainer: Explainer, checks: tuple[str, ...]) -> dict[str, bool]:
        """Whether each check's effect, whatever its interval, lies on the claim's side of its margin."""
        found = {}
        for check in checks:
            effect, claim = self.finding(explainer, check).effect, CHECKS[check]
            found[check] = effect < claim.margin if claim.at_most else effect > claim.margin
        return found


def sample(subject_name: str, faces_name: str, folder: Path) -> Sample:
    """The sample of a pair."""
    subject, faces = load_subject(subject_name), load_faces(faces_name)
    pictures = subject.prepare(faces.images)
    probabilities = subject.probabilities(pictures).double().cpu().numpy()
    predicted = probabilities.argmax(1)
    case = evaluation_set(subject, faces, probabilities, PER_CLASS, 0)
    fills = (("mean", MeanFill()), ("blur", BlurFill(1 / 8)), ("mean-face", PictureFill(pictures.mean(dim=0))))
    games = Games(games_of(3, 1, fills), PER_CLASS, WITHIN_PER_CLASS)
    measured: tuple[Measurement, ...] = (
        Cells(games, 1),
        CellsByClass(games, PER_CLASS),
        ParameterRandomization(1, 1, 1),
    )
    runner = Runner(case, measured, RunFolder(folder))
    donors = case.images, case.target_tensor()
    planted = planted_faults(subject, *donors, base="deeplift", probing="occlusion")
    by_name = {each.explainer.name.removeprefix("fault-"): each for each in planted}
    mean_face = next(each for each in known_maps(case, faces, predicted, runner.shared) if each.name == "mean-face")
    return Sample(runner, by_name, mean_face)
