"""Controls made of what is known about the faces: the true causes, the causes with growing noise, the mean face.

No explainer makes these maps. They stand beside the explainers in every run, and a metric that cannot tell the causes
from noise judges nobody.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import rankdata
from torch import Tensor

from harness.digest import digest, image_keys
from harness.effects import additive_cells, cause_maps, cell_maps
from harness.evaluation_set import EvaluationSet
from harness.explainers.base import Explainer, Facts
from harness.explainers.controls import mean_face
from harness.faces.faceset import FaceSet
from harness.faces.naming import mean_name
from harness.perturbation import spectrum_null
from harness.subject import Subject
from harness.truth import Shared
from harness.truth.images import Games, target_maps

ORACLE = "oracle"
TRUTH = "truth"
MARK = "mark"
NOISE = (0.4, 0.7)
"""Shares of noise in the noisy oracles: about evenly spaced between the truth and its null."""


def oracle_name(noise: float, truth: str = ORACLE) -> str:
    """Return what the oracle, or another truth, with a share of noise is called.

    Examples
    --------
    >>> oracle_name(0.4), oracle_name(0.7, TRUTH)
    ('oracle-noise-40', 'truth-noise-70')
    """
    return f"{truth}-noise-{round(100 * noise)}" if noise else truth


def known_maps(
    case: EvaluationSet, faces: FaceSet, predicted: Int[np.ndarray, " all"], shared: Shared
) -> tuple[Explainer, ...]:
    """Return the controls that are known of an evaluation set.

    Parameters
    ----------
    case
        The images that are explained.
    faces, predicted
        All faces and the classes predicted for them, of which each class's mean face is made.
    shared
        Keeps the true causes, which the network is asked for once.

    Returns
    -------
    The mean face of the target's class, and the oracles where causes are known.
    """
    pictures, name = case.subject.prepare(faces.images), mean_name(case.subject.classes)
    portrait = mean_face(pictures, torch.from_numpy(predicted), name=name)
    return (replace(portrait, facts=replace(portrait.facts, fixed=True)), *oracles(case, shared))


def oracles(case: EvaluationSet, shared: Shared) -> tuple[Explainer, ...]:
    """Return the true causes as an explainer, and with growing shares of noise; none where no cause is known.

    The noise is the spectrum null of the truth, so that the last step of the row, the null itself, has the truth's own
    values and smoothness. Between them the pixels are ordered by a mean of both maps' ranks and given the truth's
    values in that order: had the values been mixed, the few large ones of the truth would stay on top whatever the
    noise. A map is zero where nothing is known of an image, and every score of it is then undefined.
    """
    if not has_truth(case.subject, case.faces):
        return ()
    truth = shared(("causes",), lambda: {"causes": true_causes(case)})["causes"]
    return _with_noise(case, truth, ORACLE, "oracles")


def truths(case: EvaluationSet, games: Games, shared: Shared) -> tuple[Explainer, ...]:
    """Return the truth of the exact games as an explainer, and with growing shares of noise, on any network.

    The maps add up, over the cells of every grid, to what the cells are worth to the target, the mean over fills; the
    noise is as that of :func:`oracles`. A map is zero, and its scores undefined, for an image that was not played on.
    None where the pictures are too small to be cut in cells.
    """
    if games.lacking(case):
        return ()
    chosen = games.chosen(case)
    maps = np.zeros((len(case.targets), *case.images.shape[-2:]), np.float32)
    maps[chosen] = target_maps(games.truth(case, shared))
    return _with_noise(case, maps, TRUTH, "truths")


def _with_noise(
    case: EvaluationSet, truth: Float[np.ndarray, "n h w"], name: str, origin: str
) -> tuple[Explainer, ...]:
    """Return known maps as explainers, alone and with growing shares of noise."""
    noise, keys = spectrum_null(truth, seed=case.seed, keys=case.keys), image_keys(case.images)
    return tuple(
        _control(oracle_name(share, name), keys, _noisy(truth, noise, share), origin) for share in (0.0, *NOISE)
    )


def has_causes(faces: FaceSet) -> bool:
    """Whether any cause is known: there are counterfactuals, or a mark that gives the class away."""
    return MARK in faces.evidence or (faces.counterfactuals is not None and len(faces.counterfactuals.faces) > 0)


def has_truth(subject: Subject, faces: FaceSet) -> bool:
    """Whether anything is known of what counts: causes on the faces, or a network that is a sum over cells."""
    return additive_cells(subject) > 0 or has_causes(faces)


def true_causes(case: EvaluationSet) -> Float[np.ndarray, "n h w"]:
    """Return where the causes of each target lie, signed, at the network's input size; zero where none is known.

    Of a network that is a sum over cells: what each cell adds, exactly (:func:`harness.effects.cell_maps`), whatever is
    known of the faces. On faces with counterfactuals: the pixels that each group of facial actions changes, times the
    change of the target's logit when the group is put to rest (:func:`harness.effects.cause_maps`). On marked faces:
    the mark.
    """
    faces = case.faces
    if additive_cells(case.subject):
        return cell_maps(case.subject, case.images, case.targets)
    causes = np.zeros(faces.images.shape[:3], np.float32)
    if MARK in faces.evidence:
        causes = faces.evidence[MARK].astype(np.float32)
    elif has_causes(faces):
        maps, index = cause_maps(case.subject, replace(faces, labels=case.targets))
        causes[index] = maps
    return case.subject.spec.resized(causes)


def _noisy(
    truth: Float[np.ndarray, "n h w"], noise: Float[np.ndarray, "n h w"], share: float
) -> Float[np.ndarray, "n h w"]:
    """Return the truth's values in an order that is the noise's to a share."""
    flat, null = (maps.reshape(len(maps), -1) for maps in (truth, noise))
    mixed = (1 - share) * rankdata(flat, axis=1) + share * rankdata(null, axis=1)
    made = np.empty_like(flat)
    np.put_along_axis(made, np.argsort(mixed, axis=1, kind="stable"), np.sort(flat, axis=1), axis=1)
    return made.reshape(truth.shape)


def _control(name: str, keys: Int[np.ndarray, " n"], maps: Float[np.ndarray, "n h w"], origin: str) -> Explainer:
    """Return known maps as an explainer that can be asked for the images of its case alone."""
    facts = Facts("oracle", cost="none", fixed=True)
    # The maps' digest is a setting, so that maps of other causes are not taken for these.
    return Explainer(name, _Known(keys, maps), {"maps": digest(keys, maps)}, facts, f"{__name__}:{origin}")


@dataclass(frozen=True, eq=False)
class _Known:
    """Gives each image the map that is known of it."""

    keys: Int[np.ndarray, " n"]
    known: Float[np.ndarray, "n h w"]

    def __call__(self, subject: object, images: Tensor, targets: Tensor, *, maps: str) -> Float[np.ndarray, "m h w"]:
        """Return the maps of some of the images; of copies of one picture, that of the first of which one is known."""
        place: dict[int, int] = {}
        for number, key in enumerate(map(int, self.keys)):
            if key not in place or not self.known[place[key]].any():
                place[key] = number
        found: np.ndarray = self.known[[place[int(key)] for key in image_keys(images)]]
        return found
