"""A small world that tests share: networks whose truth is known, faces that fit them, explainers made on the spot."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from harness.engines import Job
from harness.evaluation_set import EvaluationSet, evaluation_set
from harness.explainers.base import Explainer, Facts, wrapped
from harness.faces.faceset import Counterfactuals, FaceSet
from harness.metrics.cards import metric_cards, names_of
from harness.metrics.score import Score
from harness.profiles import Profile
from harness.rounding import rounding
from harness.store import (
    IDENTITY,
    Cost,
    ExplainerRecord,
    FacesRecord,
    PassesRecord,
    RunFolder,
    RungRecord,
    RunRecord,
    SubjectRecord,
)
from harness.subject import InputSpec, Subject

SIDE = 12
CLASSES = ("left", "middle", "right")
SPEC = InputSpec(SIDE, SIDE)
EXACT = rounding("float64", 4 * SIDE**2)
"""How far two ways to compute a score of order 1 may lie apart in double precision: a mean, a centring, two sums of
squares or products, each over no more values than a small picture has pixels. 1e-13."""
AGAIN = rounding("float32", 9 + 4 * 9 + 6 * (SIDE // 2) ** 2)
"""How far an answer of order 1 may lie from itself in single precision, asked in another batch, layout or order: the
fan-ins of `tiny_network`, the deepest network here, added up. 3e-5; another image's answer is thousands of that off."""
SMALL = Profile(
    "small",
    per_class=6,
    steps=6,
    spectrum_draws=1,
    removal_draws=1,
    cascade_stages=2,
    cascade_per_class=2,
    random_networks=1,
    costly_per_class=2,
    noisy_copies=2,
    seeds=2,
    masks=4,
    imputed_steps=3,
    smooth_per_class=2,
    built_networks=2,
    built_images=2,
)
"""Sizes at which an explainer is judged in tenths of a second."""


def names_in(scores: pd.DataFrame) -> pd.Series:
    """What each row's score is called."""
    found = [Score(*row).name for row in scores[list(IDENTITY)].itertuples(index=False)]
    return pd.Series(found, scores.index, dtype="str", name="metric")


def score_called(name: str) -> Score:
    """The score of a name that a card tells of, else the usual one of a metric called so."""
    for card in metric_cards().values():
        if name in (told := names_of(card)):
            return Score(told[name][0], kind=told[name][1])
    return Score(name)


def fan_ins(network: nn.Module) -> int:
    """How many operations a value goes through on its way up a network: the fan-ins of all its layers."""
    return sum(weight[0].numel() for weight in network.parameters() if weight.ndim > 1)


def tiny_network(seed: int = 0) -> nn.Sequential:
    """A network of two convolutions and a dense layer, 3 classes, drawn from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(6 * (SIDE // 2) ** 2, 3),
        )


class PatchNetwork(nn.Module):
    """A network that sees one patch a class and nothing else: the logit is the patch's mean, steepened."""

    def __init__(self, patches: Sequence[tuple[slice, slice]], steepness: float = 5.0) -> None:
        super().__init__()
        masks = torch.zeros(len(patches), SIDE, SIDE)
        for mask, patch in zip(masks, patches, strict=True):
            mask[patch] = steepness / mask[patch].numel()
        self.read = nn.Linear(SIDE * SIDE, len(patches), bias=False)
        self.read.weight.data = masks.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.read(images.flatten(1))


PATCHES = ((slice(2, 4), slice(2, 4)), (slice(5, 7), slice(8, 10)), (slice(8, 10), slice(3, 5)))
"""Pixels that class 0, 1 and 2 of a patch network depend on: so few that a blur takes most of their light."""


def patch_subject() -> Subject:
    """The subject of a patch network."""
    return Subject(PatchNetwork(PATCHES), name="patches", classes=CLASSES, spec=SPEC)


def bright_patch_faces(n: int = 18, seed: int = 0) -> FaceSet:
    """Grey noise with the patch of the label lit, image i being of class i % 3."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = rng.integers(90, 130, (n, SIDE, SIDE), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[PATCHES[label]] = rng.integers(200, 250, (2, 2), dtype=np.uint8)
    return FaceSet("bright-patches", images, CLASSES, labels, ids=100 + np.arange(n))


def oracle_of(case: EvaluationSet) -> np.ndarray:
    """The true map of each image of a patch network: its target's patch."""
    maps = np.zeros((len(case.targets), SIDE, SIDE), np.float32)
    for found, target in zip(maps, case.targets, strict=True):
        found[PATCHES[target]] = 1
    # Pixels differ a little, as in any real map, so that order within the patch is the map's own.
    return maps + 0.01 * np.random.default_rng(1).random(maps.shape, dtype=np.float32)


PARTS = {"brows": (slice(1, 3), slice(1, 3)), "eyes": (slice(1, 4), slice(8, 11)), "mouth": (slice(7, 11), slice(4, 8))}
"""Groups of actions on a small face: 4, 9 and 16 pixels, so that their sizes say nothing of what they do."""
WEIGHTS = ((4.0, 3.0, 2.0), (2.0, 4.0, 3.0), (3.0, 2.0, 4.0))
"""What each part does for class 0, 1 and 2, when it is lit throughout."""
RESTING = 100
"""Grey of a part at rest, and of all that is no part."""


class PartsNetwork(nn.Module):
    """A linear network that sees the parts: the logit is the sum of each part's mean, weighted."""

    def __init__(self) -> None:
        super().__init__()
        weights = torch.zeros(len(WEIGHTS), SIDE, SIDE)
        for kind, parts in enumerate(WEIGHTS):
            for part, weight in zip(PARTS.values(), parts, strict=True):
                weights[kind][part] = weight / weights[kind][part].numel()
        self.read = nn.Linear(SIDE * SIDE, len(WEIGHTS), bias=False)
        self.read.weight.data = weights.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.read(images.flatten(1))


def parts_subject(classes: tuple[str, ...] = CLASSES) -> Subject:
    """The subject of a parts network."""
    return Subject(PartsNetwork(), name="parts", classes=classes, spec=SPEC)


def acting_faces(n: int = 60, seed: int = 0, classes: tuple[str, ...] = CLASSES) -> FaceSet:
    """Faces whose parts act by chance, each rendered again with every part at rest, labelled as the network says."""
    rng = np.random.default_rng(seed)
    images = np.full((n, SIDE, SIDE), RESTING, np.uint8)
    for image in images:
        for part in PARTS.values():
            image[part] += np.uint8(rng.integers(10, 150))
    rested = np.repeat(images[:, None], len(PARTS) + 1, axis=1)
    for place, part in enumerate(PARTS.values()):
        rested[:, place][:, *part] = RESTING
    rested[:, -1] = RESTING
    alone = np.repeat(rested[:, -1:], len(PARTS), axis=1)
    subject = parts_subject(classes)
    labels = subject.logits(subject.prepare(images)).argmax(1).numpy()
    known = Counterfactuals(np.arange(n), (*PARTS, "all"), rested, alone)
    return FaceSet("acting", images, classes, labels, counterfactuals=known)


def contributions(case: EvaluationSet) -> np.ndarray:
    """The true map of each image of a parts network: what each pixel adds to the target's logit over its rest."""
    weights = case.subject.network.read.weight.detach().numpy().reshape(-1, SIDE, SIDE)
    lit = (case.faces.images.astype(np.float32) - RESTING) / 127.5
    return weights[case.targets] * lit


def kept_once() -> Callable[..., dict[str, object]]:
    """What shares answers between explainers as a run does."""
    held: dict[tuple[object, ...], dict[str, object]] = {}

    def shared(what: tuple[object, ...], make: Callable[[], dict[str, object]]) -> dict[str, object]:
        if what not in held:
            held[what] = dict(make())
        return held[what]

    return shared


def make_case(subject: Subject, faces: FaceSet, per_class: int | None = None, seed: int = 0) -> EvaluationSet:
    """The case of some faces."""
    probabilities = subject.probabilities(subject.prepare(faces.images)).double().numpy()
    return evaluation_set(subject, faces, probabilities, per_class, seed)


def noise_by_channel(measure: Callable[[EvaluationSet, Callable[..., Tensor]], object], per_class: int) -> list[float]:
    """How large the noise in a measurement's three copies of each image is, as a share of each channel's own range."""
    spec = InputSpec(SIDE, SIDE, (0.1, 0.9, 0.5), (0.05, 0.3, 0.2))
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 3))
    case = make_case(Subject(network, name="colours", classes=CLASSES, spec=spec), bright_patch_faces(30))
    seen: list[Tensor] = []

    def spying(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        seen.append(images)
        return images[:, 0]

    measure(case, spying)
    images = case.images[case.some(per_class)]
    copies = next(each for each in seen if len(each) == 3 * len(images)).unflatten(0, (-1, 3))
    spread = (copies - images[:, None]).std((0, 1, 3, 4))
    shares: list[float] = (spread * torch.tensor(spec.std)).tolist()
    return shares


def no_progress(jobs: Sequence[Job]) -> Sequence[Job]:
    """Jobs without a bar."""
    return jobs


def named(name: str, function: Callable[..., object], **facts: object) -> Explainer:
    """A function as an explainer that is not registered."""
    return replace(wrapped(function, name=name), facts=replace(Facts(), **facts))


def a_record(**changes: object) -> RunRecord:
    """What run.json says of a run of no explainer."""
    plain = RunRecord(
        command="harness run",
        subject=SubjectRecord("patches", "5b1e", CLASSES, CLASSES, None),
        faces=FacesRecord("bright", "a0c4", 3, True, "CC0"),
        evaluation_set="c45e",
        chosen=dict.fromkeys(CLASSES, 1),
        profile={"name": "quick", "per_class": 1},
        seed=0,
        rungs=(RungRecord(1, "contract", "keeps its contract", "do not read it at all"),),
        alpha=0.01,
        confidence=0.99,
        checks=(),
        random_labels=None,
        cascade=(("fc2", "fc1"), ("conv1",)),
        device="cpu",
        arithmetic={"threads": "1", "feed": "contiguous:64"},
        versions={"python": "3.11.2", "torch": "2.13.0", "explanation-harness": None},
        notes=(),
        explainers=(),
        metrics={},
        shared_cost=Cost(10, 0, 0.5),
        passes=PassesRecord(10, 0),
        seconds=1.5,
    )
    return replace(plain, **changes)


def an_explainer(name: str, family: str = "user", *, control: bool = False, **changes: object) -> ExplainerRecord:
    """What run.json says of an explainer."""
    plain = ExplainerRecord(name, family, control, "", "", {}, "d1", "ok", "", Cost(10, 0, 0.5))
    return replace(plain, **changes)


def with_record(run: RunFolder, **changes: object) -> RunFolder:
    """The same run, of which run.json says something else."""
    other = RunFolder(run.path)
    other.__dict__["record"] = replace(run.record, **changes)
    return other
