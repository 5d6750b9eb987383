"""How soon a blurred picture is recognised as its map's pixels are told, over how much they tell (AIC and SIC)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from scipy.interpolate import griddata

from harness.evaluation_set import EvaluationSet
from harness.faces.pictures import lossless_size
from harness.measurements.base import MAP, SPECTRUM, TRANSPLANT, Attributions, Measured, score_rows
from harness.measurements.outputs import Outputs, outputs
from harness.measurements.scored import rows_against_nulls
from harness.metrics.faithfulness import accuracy_information_curve, softmax_information_curve
from harness.perturbation import removal_order, removed_steps
from harness.store import NOT_SCORABLE, SCORES, joined

SHARES = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.13, 0.21, 0.34, 0.5, 0.75)
"""Shares of pixels told, most relevant first: those of the authors' own example."""
KNOWN = 0.01
"""Share of pixels, drawn at random, that the fully blurred picture is made of, beside its corners."""
PURPOSE = 1201
"""Sets the draw of those pixels apart from others of one seed and image."""
NAMES = ("softmax-information-curve", "accuracy-information-curve")

Told = tuple[Int[np.ndarray, "n steps"], Outputs]


@dataclass(frozen=True)
class Information:
    """Areas under the softmax and the accuracy information curve (Kapishnikov et al. 2019).

    A picture of which few pixels are known is blurred: what lies between them is interpolated. The map's pixels are
    told, most relevant first, and the network is asked at each of thirteen steps; how much has been told is the size of
    the picture's file. Pixels are counted, and ties drawn. Grey and colour pictures alone have such a file.

    Attributes
    ----------
    per_class
        Images of each class: each step is a pass and a triangulation.
    """

    per_class: int

    name = "information"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return both areas and their gains over one spectrum null and the transplant null."""
        few = attributions.some(self.per_class)
        case = few.case
        pictures = bytes_of(case)
        lacking = lacking_file(pictures)
        if lacking:
            nothing = np.full(len(case.targets), np.nan)
            unscored = [score_rows(case, name, MAP, nothing, lacking, NOT_SCORABLE) for name in NAMES]
            return Measured(scores=joined(SCORES, unscored))
        maps = {MAP: few.maps, SPECTRUM: next(few.spectrum_nulls(1)), TRANSPLANT: few.transplanted}
        told = {variant: told_step_by_step(case, pictures, one) for variant, one in maps.items()}
        scores = {
            NAMES[0]: {v: softmax_information_curve(sizes, said.probability) for v, (sizes, said) in told.items()},
            NAMES[1]: {v: accuracy_information_curve(sizes, said.recognised == 1) for v, (sizes, said) in told.items()},
        }
        rows = []
        for name, found in scores.items():
            rows += rows_against_nulls(few, name, found)
        return Measured(scores=joined(SCORES, rows))


def bytes_of(case: EvaluationSet) -> UInt8[np.ndarray, "n h w c"]:
    """Return the pictures as the network is given them, in bytes, channels last."""
    low, high = (np.array(case.subject.spec.shade(end), dtype=np.float64) for end in (0.0, 1.0))
    shares = (case.images.permute(0, 2, 3, 1).double().cpu().numpy() - low) / (high - low)
    found: np.ndarray = np.clip(np.rint(255 * shares), 0, 255).astype(np.uint8)
    return found


def lacking_file(pictures: UInt8[np.ndarray, "n h w c"]) -> str:
    """Say why pictures have no file whose size could be taken, "" where they have."""
    if pictures.shape[3] not in (1, 3):
        return f"pictures of {pictures.shape[3]} channels have no file whose size would say how much they tell"
    return "" if file_size(pictures[0]) else "this Pillow writes no WebP, whose size says how much a picture tells"


def file_size(picture: UInt8[np.ndarray, "h w c"]) -> int:
    """Return the size of a picture's file, 0 where there is none."""
    return lossless_size(picture[..., 0] if picture.shape[2] == 1 else picture) or 0


def known_pixels(case: EvaluationSet) -> Bool[np.ndarray, "n h w"]:
    """Return the pixels of each picture that are known before anything is told; drawn from the seed and the image."""
    height, width = case.images.shape[-2:]
    known = np.zeros((len(case.targets), height * width), dtype=bool)
    for one, key in zip(known, case.keys, strict=True):
        drawn = np.random.default_rng([case.seed, int(key) % 2**64, PURPOSE])
        one[drawn.choice(one.size, size=int(one.size * KNOWN), replace=False)] = True
    found: np.ndarray = known.reshape(-1, height, width)
    return found


def interpolated(picture: UInt8[np.ndarray, "h w c"], known: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w c"]:
    """Return a picture of which the known pixels and the corners are kept, and the others interpolated linearly."""
    kept = known.copy()
    kept[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    if kept.all():
        return picture
    points, unknown = np.argwhere(kept), np.argwhere(~kept)
    between = griddata(points, picture[kept].astype(np.float64), unknown, method="linear")
    between = np.where(np.isnan(between), picture.mean(axis=(0, 1)), between)
    found = picture.copy()
    # In single precision what lies halfway between two values does so on every processor, before it is rounded.
    found[~kept] = np.rint(between.astype(np.float32)).astype(np.uint8)
    return found


def told_step_by_step(
    case: EvaluationSet, pictures: UInt8[np.ndarray, "n h w c"], maps: Float[np.ndarray, "n h w"]
) -> Told:
    """Return the size of each picture's file, and what the network says of it, from fully blurred to whole."""
    order = removal_order(maps, seed=case.seed, keys=case.keys)
    known, told = known_pixels(case), removed_steps(order, SHARES, maps.shape[1:])
    steps = [known, *(known | told[:, step] for step in range(len(SHARES))), np.ones_like(known)]
    sizes, said = [], []
    for shown in steps:
        blurred = np.stack([interpolated(*each) for each in zip(pictures, shown, strict=True)])
        sizes.append([file_size(one) for one in blurred])
        said.append(outputs(case, _in_units(case, blurred), case.targets))
    return np.array(sizes, dtype=np.int64).T, Outputs.joined(said, lambda values: np.stack(values, axis=1))


def _in_units(case: EvaluationSet, pictures: UInt8[np.ndarray, "n h w c"]) -> torch.Tensor:
    """Return pictures of the network's own size and channels in its input units."""
    return case.subject.prepare(pictures[..., 0] if pictures.shape[3] == 1 else pictures)
