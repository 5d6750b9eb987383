"""The one visible loop: choose, explain, measure, judge, store."""

import importlib.metadata
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from harness.arithmetic import AUTO, arithmetic, on_arithmetic
from harness.bench import Bench
from harness.case import Case, chosen_case
from harness.cell_truth import Games
from harness.checks import ALPHA, CONFIDENCE, Check, Evidence, barred, examination_table, examined, judged
from harness.checks.cells import resolutions
from harness.checks.contract import ContractGate
from harness.checks.ladder import RUNGS, calibrated_ladder
from harness.digest import code_digest, digest
from harness.effects import part_effects
from harness.engines.local import Progress, run_here
from harness.errors import UsageError
from harness.explainers import Explainer, registered
from harness.faces.faceset import FaceSet, is_right
from harness.known_maps import TRUTH, has_truth, known_maps, oracle_name, oracles, truths
from harness.measurements import (
    Agreement,
    Blind,
    Cells,
    CellsByClass,
    ClassSimilarity,
    Completeness,
    Complexity,
    EvidenceLocalization,
    Focus,
    Invariance,
    LabelRandomization,
    MaskBank,
    Measured,
    Measurement,
    OwnMetric,
    ParameterRandomization,
    Parts,
    Planted,
    RandomizationOrders,
    Regions,
    Removal,
    Road,
    Robustness,
    Seeds,
    SinglePatches,
    SmoothRandomization,
    TargetDependence,
    Tiles,
    TurnBack,
    confusion,
)
from harness.measurements.cells import of_the_network
from harness.metrics.cards import MetricCard, described
from harness.models.soundness import sound_network
from harness.networks.random import layer_groups
from harness.perturbation import BlurFill, MeanFill, NoisyLinearFill, PictureFill
from harness.profiles import Profile
from harness.store import BLANK, EFFECTS, PERSONS, SCORES, Examples, RunFolder, frame
from harness.subject import Subject
from harness.truth import games_of

PACKAGES = ("explanation-harness", "torch", "captum", "lime", "numpy", "scipy", "pandas", "scikit-image")


@dataclass(frozen=True)
class Request:
    """What is to be evaluated, and how thoroughly.

    Attributes
    ----------
    subject, faces, explainers, checks, profile, seed
        As asked for.
    everything
        Whether metrics are measured that no check is judged by.
    random_labels
        The subject's architecture trained on permuted labels, or None where no such network is known.
    feed
        How images are handed to the network, as :func:`harness.arithmetic.settle_feed` takes it.
    metrics
        Metrics of somebody else, which are measured whatever the checks need.
    """

    subject: Subject
    faces: FaceSet
    explainers: tuple[Explainer, ...]
    checks: tuple[Check, ...]
    profile: Profile
    seed: int = 0
    everything: bool = False
    random_labels: Subject | None = None
    feed: str = AUTO
    metrics: tuple[MetricCard, ...] = ()

    def with_controls(self) -> "Request":
        """Return the request with the controls that it lacks."""
        held = {explainer.name for explainer in self.explainers}
        missing = tuple(registered()[name] for name in self.profile.controls if name not in held)
        return replace(self, explainers=self.explainers + missing)

    def measurements(self) -> tuple[Measurement, ...]:
        """Return the measurements that the checks need, or all of them where everything is to be measured."""
        size = self.profile
        needs = frozenset[str]().union(*(check.needs for check in self.checks))
        spec = self.subject.spec
        imputed = NoisyLinearFill(0.01 * (spec.high - spec.low))
        some, games = size.costly_per_class, self.games()
        known: tuple[Measurement, ...] = (
            Removal(BlurFill(), size.steps, size.spectrum_draws),
            # One null of other fills: they are compared over all images, never judged one by one.
            Removal(MeanFill(), -(-size.steps // 2), 1, "mean", some),
            Removal(imputed, size.imputed_steps, 1, "noisy-linear", some),
            Road(imputed, size.imputed_steps, 1),
            Regions(BlurFill(), size.steps, 1, some),
            ParameterRandomization(size.cascade_stages, size.random_networks, size.cascade_per_class),
            RandomizationOrders(size.cascade_stages, size.random_networks, size.cascade_per_class),
            SmoothRandomization(size.cascade_stages, size.random_networks, size.smooth_per_class, size.noisy_copies),
            LabelRandomization(self.random_labels, size.costly_per_class),
            TargetDependence(BlurFill(), size.steps, size.costly_per_class),
            TurnBack(BlurFill(), size.spectrum_draws, size.costly_per_class),
            ClassSimilarity(),
            Robustness(size.costly_per_class, size.noisy_copies),
            Seeds(size.costly_per_class, size.seeds),
            Agreement(),
            Focus(size.costly_per_class, size.spectrum_draws),
            Invariance(size.costly_per_class),
            EvidenceLocalization(size.spectrum_draws),
            Parts(size.spectrum_draws),
            MaskBank(BlurFill(), size.masks, size.spectrum_draws),
            SinglePatches(BlurFill(), size.spectrum_draws),
            Tiles(size.built_networks, size.built_images),
            Blind(size.built_networks, size.built_images),
            Planted(size.built_networks, size.built_images),
            Completeness(),
            Complexity(),
            Cells(games, size.spectrum_draws),
            CellsByClass(games, size.rivals_per_class),
        )
        own = tuple(OwnMetric.of(card, size.spectrum_draws) for card in self.metrics)
        return tuple(each for each in known if self.everything or each.name in needs) + own

    def games(self) -> Games:
        """Return the exact games that the profile affords, under three fills that leave different things behind.

        A mean keeps brightness, a blur keeps light and outline, the mean of all faces keeps what aligned faces have in
        common. A blur of an eighth of the side, because at a tenth a feature still shows that a cell takes away.
        """
        size, pictures = self.profile, self.subject.prepare(self.faces.images)
        mean_face = PictureFill(pictures.mean(dim=0, dtype=torch.float64).to(pictures.dtype))
        fills = (("mean", MeanFill()), ("blur", BlurFill(1 / 8)), ("mean-face", mean_face))
        played = games_of(size.cells_per_side, size.cell_grids, fills)
        return Games(played, size.cells_per_class, size.parts_per_class)


def evaluate(request: Request, folder: RunFolder, progress: Progress, command: str = "") -> RunFolder:
    """Evaluate and store a run; on the same folder it goes on where it was stopped.

    Parameters
    ----------
    request
        What is evaluated; missing controls are added.
    folder
        Where results and the cache go.
    progress
        Wraps the jobs, so that a caller can show how far they are.
    command
        Noted in the run.

    Returns
    -------
    RunFolder
        Holding scores, curves, matrices, examinations, verdicts, examples and ``run.json``.

    Raises
    ------
    UsageError
        Where the faces' classes are not the subject's, two faces have one id, or the folder cannot be written.
    """
    started = time.perf_counter()
    request = request.with_controls()
    _check_faces(request.subject, request.faces)
    notes = noted(request)
    folder.unfinished()
    folder = prepared(request, folder)
    probabilities = _probabilities(request, folder)
    case = chosen_case(request.subject, request.faces, probabilities, request.profile.per_class, request.seed)
    bench = Bench(case, request.measurements(), folder)
    known = (*known_maps(case, request.faces, probabilities.argmax(1), bench.shared), *_truths(case, bench))
    # Before anything else: who breaks the contract has no scores. Known maps come from no explainer that could.
    gate = ContractGate(request.subject, request.faces, request.seed, folder.remembered)
    jobs = gate.jobs(request.explainers)
    request = replace(request, explainers=request.explainers + known)
    faults = run_here([*jobs, *bench.plan(request.explainers)], progress)

    sound = [explainer for explainer in request.explainers if explainer.name not in faults]
    found = Measured.joined(
        [
            *_of_the_network(request, case, probabilities),
            *[of_the_network(games, case, bench.shared) for games in _played(bench)],
            *[bench.measured(explainer) for explainer in sound],
            *[_failed(case, name, fault) for name, fault in faults.items()],
        ]
    )
    blank = {explainer.name: _blank(case, bench.maps(explainer)) for explainer in sound}
    evidence = replace(_evidence(case, found), blank=blank)
    examinations = examined(evidence)
    evidence = replace(evidence, barred=barred(examinations))
    verdicts = judged(request.checks, evidence, [explainer.name for explainer in request.explainers])
    pairs = zip(verdicts["explainer"], verdicts["reason"], strict=True)
    verdicts["reason"] = [faults.get(explainer, reason) for explainer, reason in pairs]

    effects, effect_passes = _effects(request, folder)
    tables = {
        "ladder": _ladder(request, verdicts, found.scores, faults),
        "verdicts": verdicts,
        "persons": _persons(case),
        "blank": frame(BLANK, [{"explainer": name, "image": image} for name, held in blank.items() for image in held]),
        "effects": effects,
        "examinations": examination_table(examinations),
        **vars(found),
    }
    for name, table in tables.items():
        folder.write_table(name, table)
    folder.write_examples(_examples(case, bench, sound))
    explainers = [_about(explainer, bench, faults) for explainer in request.explainers]
    costs = [vars(gate.passes), bench.cost(), *(about["cost"] for about in explainers)]
    folder.write_info(
        {
            "command": command,
            **_provenance(request, case),
            "notes": list(notes),
            "explainers": explainers,
            "metrics": _measured_metrics(request, found),
            "shared_cost": bench.cost(),
            "passes": _passes(len(request.faces) + effect_passes, costs),
            "seconds": round(time.perf_counter() - started + _seconds_before(bench, costs), 2),
        }
    )
    return RunFolder(folder.path)


GRADIENTS = ("gradient", "backprop", "cam")
"""Families that ask the network for gradients."""


def noted(request: Request) -> tuple[str, ...]:
    """Examine the networks, and return what a reader of the results should know of how network and pictures meet.

    Raises
    ------
    UsageError
        Where a network cannot be explained; see :func:`harness.models.soundness.sound_network`.
    """
    subject, faces = request.subject, request.faces
    gradients = any(explainer.facts.family in GRADIENTS for explainer in request.explainers)
    notes = [*faces.notes, *sound_network(subject, faces, gradients=gradients)]
    if request.random_labels is not None:
        notes += sound_network(request.random_labels, faces, gradients=gradients)
    height, width = faces.images.shape[1:3]
    spec = subject.spec
    if (height, width) != (spec.height, spec.width):
        how = "enlarged" if height * width < spec.height * spec.width else "shrunk"
        notes.append(f"pictures of {width}x{height} are {how} to the {spec.width}x{spec.height} that the network reads")
    channels = 1 if faces.images.ndim == 3 else faces.images.shape[3]
    if channels != spec.channels:
        notes.append(
            "grey pictures are repeated for the network's three colours"
            if channels == 1
            else "colour pictures become grey (ITU-R 601 luma) for the network"
        )
    if any(explainer.facts.family == "cam" for explainer in request.explainers):
        notes.append(f"class activation maps read layer {subject.cam_layer}")
    return tuple(notes)


def _ladder(request: Request, verdicts: pd.DataFrame, scores: pd.DataFrame, faults: Mapping[str, str]) -> pd.DataFrame:
    """Return how far each explainer can be believed."""
    families = {explainer.name: explainer.facts.family for explainer in request.explainers}
    exact = {oracle_name(0.0), oracle_name(0.0, TRUTH)}
    return calibrated_ladder(
        verdicts,
        {check.name: check.rung for check in request.checks if check.decides},
        explainers={name: faults.get(name, "") for name in families},
        classes=request.subject.classes,
        resolutions=resolutions(request.checks, scores),
        truths=exact & set(families),
        nulls={name for name, family in families.items() if family == "control"},
    )


def prepared(request: Request, folder: RunFolder) -> RunFolder:
    """Give the networks of a request the feed of a run, and return the folder with the pieces of this arithmetic."""
    settled = on_arithmetic(request.subject, folder, request.feed)
    if request.random_labels is not None:
        request.random_labels.fed(request.subject.feed)
    return settled


def examine(request: Request, folder: RunFolder, progress: Progress) -> pd.DataFrame:
    """Return whether each metric tells true causes from noise on a subject, without judging any explainer.

    Parameters
    ----------
    request
        Subject, faces, profile and seed; explainers and checks do not matter.
    folder
        Where pieces are kept, so that it goes on where it was stopped.
    progress
        Wraps the jobs.

    Returns
    -------
    pd.DataFrame
        See :data:`harness.store.EXAMINATIONS`; metrics that ask an explainer again have no row.

    Raises
    ------
    UsageError
        Where no cause is known of the faces, and as :func:`evaluate`.
    """
    _check_faces(request.subject, request.faces)
    if not has_truth(request.subject, request.faces):
        raise UsageError(f"no cause is known of faces {request.faces.name!r}; examine metrics on rendered faces")
    folder = prepared(request, folder)
    probabilities = _probabilities(request, folder)
    case = chosen_case(request.subject, request.faces, probabilities, request.profile.per_class, request.seed)
    everything = replace(request, everything=True).measurements()
    bench = Bench(case, [each for each in everything if not each.asks_again], folder)
    known = (*oracles(case, bench.shared), *_truths(case, bench))
    run_here(bench.plan(known), progress)
    found = Measured.joined([bench.measured(oracle) for oracle in known])
    return examination_table(examined(_evidence(case, found)))


def _check_faces(subject: Subject, faces: FaceSet) -> None:
    """Refuse faces whose labels would index other classes than the subject's, or that scores could not be told of."""
    if len(np.unique(faces.ids)) < len(faces):
        raise UsageError(f"faces {faces.name!r} have one id for several images; give each image an id of its own")
    if faces.classes != subject.classes:
        raise UsageError(
            f"faces {faces.name!r} have classes {', '.join(faces.classes)}, but subject {subject.name!r} has "
            f"{', '.join(subject.classes)}; give both the same classes in the same order"
        )


def _probabilities(request: Request, folder: RunFolder) -> Float[np.ndarray, "n k"]:
    """Return the network's class probabilities of all faces."""
    subject, faces = request.subject, request.faces

    def predict() -> dict[str, np.ndarray]:
        return {"probabilities": subject.probabilities(subject.prepare(faces.images)).double().cpu().numpy()}

    key = digest("probabilities", subject.digest, faces.digest)
    found: np.ndarray = folder.remembered(key, predict)["probabilities"]
    return found


def _effects(request: Request, folder: RunFolder) -> tuple[pd.DataFrame, int]:
    """Return what each face part does for its class, empty where that cannot be known, and the images passed for it."""
    subject, faces = request.subject, request.faces
    known = faces.counterfactuals
    if known is None or faces.labels is None or not len(known.faces):
        return frame(EFFECTS), 0

    def make() -> dict[str, Any]:
        before = subject.passes.forward
        return {"effects": part_effects(subject, faces), "passes": np.array(subject.passes.forward - before)}

    key = digest("effects", subject.digest, faces.digest, *vars(known).values(), code_digest(part_effects))
    found = folder.remembered(key, make)
    return found["effects"], int(found["passes"])


def _of_the_network(request: Request, case: Case, probabilities: Float[np.ndarray, "n k"]) -> Sequence[Measured]:
    """Return what is measured once a run: likeness of class-mean images and, with labels, the confusion matrix."""
    found = [ClassSimilarity().of_images(case)]
    labels = request.faces.labels
    if labels is not None:
        found.append(confusion(request.subject.classes, labels, probabilities.argmax(1)))
    return found


def _played(bench: Bench) -> Sequence[Games]:
    """Return the games that a run plays: those of its measurements, or none."""
    return [each.games for each in bench.measurements if isinstance(each, Cells)]


def _truths(case: Case, bench: Bench) -> Sequence[Explainer]:
    """Return the truth of the games that a run plays as explainers, with shares of noise."""
    return [oracle for games in _played(bench) for oracle in truths(case, games, bench.shared)]


def _failed(case: Case, explainer: str, fault: str) -> Measured:
    """Return one row an image that says why an explainer has no scores."""
    rows = {
        "explainer": explainer,
        "metric": "maps",
        "variant": "map",
        "image": case.faces.ids,
        "label": case.label_names,
        "predicted": case.target_names,
        "target": case.target_names,
        "value": np.nan,
        "status": "failed",
        "reason": fault,
    }
    return Measured(scores=frame(SCORES, rows))


def _persons(case: Case) -> pd.DataFrame:
    """Return who is on each chosen image, nothing where nobody is known."""
    persons = case.faces.persons
    return frame(PERSONS, None if persons is None else {"image": case.faces.ids, "person": persons})


def _blank(case: Case, maps: Float[np.ndarray, "n h w"]) -> frozenset[int]:
    """Return the images whose map is constant."""
    constant = maps.min(axis=(1, 2)) == maps.max(axis=(1, 2))
    return frozenset(int(image) for image in case.faces.ids[constant])


def _evidence(case: Case, found: Measured) -> Evidence:
    """Return what was measured of a case, with who is on its images."""
    persons = _persons(case)
    who = dict(zip(persons["image"], persons["person"], strict=True))
    return Evidence(found.scores, found.matrices, case.subject.classes, case.seed, persons=who)


def _examples(case: Case, bench: Bench, explainers: Sequence[Explainer]) -> Examples:
    """Choose one image of each explained class, among those classified right where labels tell, with all maps."""
    right = is_right(case.faces.labels, case.targets)
    best = [np.flatnonzero(case.targets == k) for k in np.unique(case.targets)]
    index = np.array([members[right[members]][0] if right[members].any() else members[0] for members in best])
    return Examples(
        pictures=case.subject.spec.to_grey(case.images[index]),
        images=case.faces.ids[index],
        labels=case.label_names[index],
        targets=case.target_names[index],
        explainers=np.array([explainer.name for explainer in explainers]),
        maps=np.stack([bench.maps(explainer)[index] for explainer in explainers]),
    )


def _about(explainer: Explainer, bench: Bench, faults: dict[str, str]) -> dict[str, Any]:
    """Return what ``run.json`` says of an explainer."""
    return {
        "name": explainer.name,
        "family": explainer.facts.family,
        "control": explainer.is_control,
        "reference": explainer.facts.reference,
        "origin": explainer.origin,
        "settings": {key: repr(value) for key, value in explainer.settings.items()},
        "digest": explainer.digest,
        "status": "failed" if explainer.name in faults else "ok",
        "reason": faults.get(explainer.name, ""),
        "cost": bench.cost(explainer),
    }


def _measured_metrics(request: Request, found: Measured) -> dict[str, dict[str, Any]]:
    """Return what ``run.json`` says of each metric that was measured, so that a reader needs nothing else."""
    names = dict.fromkeys(map(str, found.scores["metric"]))
    return {name: asdict(facts) for name, facts in described(names, tuple(request.faces.evidence)).items()}


def _passes(before: int, costs: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the images passed for the run, however often it was stopped: those before any map, and the costs'."""
    forward, backward = (sum(cost[way] for cost in costs) for way in ("forward", "backward"))
    return {"forward": before + forward, "backward": backward}


def _seconds_before(bench: Bench, costs: Sequence[Mapping[str, Any]]) -> float:
    """Return the seconds spent on this run before it was stopped."""
    return max(0.0, float(sum(cost.get("seconds", 0) for cost in costs)) - bench.seconds_made())


def _provenance(request: Request, case: Case) -> dict[str, Any]:
    """Return what is needed to make the run again, and to tell whether two runs may be compared."""
    subject, faces, profile = request.subject, request.faces, request.profile
    chosen = pd.Series(case.target_names).value_counts()
    return {
        "subject": {
            "name": subject.name,
            "digest": subject.digest,
            "classes": list(subject.classes),
            "cam_layer": subject.cam_layer,
        },
        "faces": {
            "name": faces.name,
            "digest": faces.digest,
            "n": len(faces),
            "labelled": faces.labels is not None,
            "licence": faces.licence,
        },
        "case": case.digest,
        "chosen": {name: int(chosen.get(name, 0)) for name in subject.classes},
        "profile": asdict(profile),
        "seed": request.seed,
        "rungs": [asdict(rung) for rung in RUNGS],
        "alpha": ALPHA,
        "confidence": CONFIDENCE,
        "checks": [
            {
                key: getattr(check, key)
                for key in (
                    "name",
                    "family",
                    "claim",
                    "control",
                    "margin",
                    "margin_reason",
                    "reference",
                    "figure",
                    "metric",
                )
            }
            | {"at_most": check.at_most, "decides": check.decides, "rung": check.rung}
            for check in request.checks
        ],
        "random_labels": repr(request.random_labels) if request.random_labels else None,
        "cascade": [list(group) for group in layer_groups(subject, profile.cascade_stages)],
        "device": str(subject.device),
        "arithmetic": arithmetic(subject),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    """Return an installed package's version; None for one that is used from its folder."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
