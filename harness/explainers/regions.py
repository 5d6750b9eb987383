"""Regions ranked by the attribution inside them."""

import warnings

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from harness.explainers.base import explainer
from harness.explainers.baselines import plain
from harness.explainers.gradient import path_integral
from harness.subject import Subject

SCALES = (50, 100, 150, 250, 500, 1200)
"""Of the segmentations, for a picture of 224 x 224; smaller pictures take smaller ones in proportion to their area."""

USUAL_AREA = 224 * 224
SMALLEST_SEGMENT = 150
SMALLEST_GAIN = 50
REACH = 5


@explainer(name="xrai", family="gradient", reference="Kapishnikov et al. 2019", cost="32 backward")
def xrai(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, steps: int = 16
) -> Float[np.ndarray, "n h w"]:
    """Return each pixel's region's mean integrated gradient, regions being taken by how much they add.

    Integrated gradients are averaged over a black and a white baseline and summed over channels, signed. Regions come
    from segmentations at six scales (Felzenszwalb and Huttenlocher 2004), each widened by a few pixels.

    Parameters
    ----------
    steps
        Points of the quadrature for each baseline.
    """
    shades = [plain(subject.spec, images, shade) for shade in (0.0, 1.0)]
    attributions = torch.stack([path_integral(subject, shade, images, targets, steps) for shade in shades]).mean(0)
    pictures = subject.spec.to_unit(images).permute(0, 2, 3, 1).squeeze(-1).cpu().numpy()
    found = [
        ranked_regions(attribution, segmentations(picture))
        for attribution, picture in zip(attributions.double().cpu().numpy(), pictures, strict=True)
    ]
    return np.stack(found)


def segmentations(picture: Float[np.ndarray, "h w *colour"]) -> Bool[np.ndarray, "m h w"]:
    """Return the segments of a picture, grey or with its channels last, at every scale, widened over their borders."""
    from skimage.segmentation import felzenszwalb  # takes half a second to import

    share = picture.shape[0] * picture.shape[1] / USUAL_AREA
    span = np.ptp(picture)
    even = 2 * (picture - picture.min()) / span - 1 if span else np.zeros_like(picture)
    smallest = max(1, round(SMALLEST_SEGMENT * share))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Got image with third dimension")  # of channels that are not three
        labels = [felzenszwalb(even, scale=scale * share, sigma=0.8, min_size=smallest) for scale in SCALES]
    masks = np.concatenate([label[None] == np.unique(label)[:, None, None] for label in labels])
    wide = _widened(masks, round(REACH * share**0.5))
    return np.stack(list({mask.tobytes(): mask for mask in wide}.values()))


def ranked_regions(
    attribution: Float64[np.ndarray, "h w"], regions: Bool[np.ndarray, "m h w"]
) -> Float64[np.ndarray, "h w"]:
    """Return a map in which each region, as it is taken, has the mean attribution of what it adds.

    At each turn the region of the highest mean over its pixels not yet taken is taken; regions that would add next to
    nothing are dropped, and what none covers gets its own mean.
    """
    flat, inside = attribution.ravel(), regions.reshape(len(regions), -1)
    counts, sums = inside.sum(1), inside @ flat
    found, open_pixels = np.zeros_like(flat), np.ones(flat.size, bool)
    smallest = max(1.0, SMALLEST_GAIN * flat.size / USUAL_AREA)
    while (counts >= smallest).any():
        gains = np.divide(sums, counts, out=np.full(len(sums), -np.inf), where=counts >= smallest)
        taken = np.flatnonzero(inside[gains.argmax()] & open_pixels)
        found[taken] = flat[taken].mean()
        open_pixels[taken] = False
        counts, sums = counts - inside[:, taken].sum(1), sums - inside[:, taken] @ flat[taken]
    if open_pixels.any():
        found[open_pixels] = flat[open_pixels].mean()
    return found.reshape(attribution.shape)


def _widened(masks: Bool[np.ndarray, "m h w"], radius: int) -> Bool[np.ndarray, "m h w"]:
    """Return masks with every pixel within `radius` of theirs."""
    height, width = masks.shape[1:]
    padded = np.pad(masks, ((0, 0), (radius, radius), (radius, radius)))
    moves = [(y, x) for y in range(2 * radius + 1) for x in range(2 * radius + 1)]
    near = [(y, x) for y, x in moves if (y - radius) ** 2 + (x - radius) ** 2 <= radius**2]
    wide: np.ndarray = np.logical_or.reduce([padded[:, y : y + height, x : x + width] for y, x in near])
    return wide
