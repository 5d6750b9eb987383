"""What passes through a layer on the way from a baseline to the image, summed over channels and enlarged."""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.explainers.base import explainer
from harness.explainers.cam import as_pictures, enlarged
from harness.subject import Subject


@explainer(name="conductance", family="gradient", reference="Dhamdhere et al. 2018", cost="17 backward")
def conductance(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, steps: int = 16
) -> Float[Tensor, "n h w"]:
    """Return the part of integrated gradients that flows through each place of the subject's `cam_layer`, signed.

    The baseline is zero in input units. Before enlargement the map adds up to the logit of the image less that of the
    baseline, up to the error of the steps, and of tokens less what flows through those that are of no place.

    Parameters
    ----------
    steps
        Even steps of the path; each weighs the change of the layer by the mean gradient at its two ends.
    """
    along = [float(share) for share in np.linspace(0, 1, steps + 1)]
    total: Tensor | None = None
    for (start, before), (end, after) in itertools.pairwise(_layer_on_path(subject, images, targets, along)):
        step = ((end - start) * (before + after) / 2).sum(1)
        total = step if total is None else total + step
    assert total is not None
    return enlarged(total, images)


@explainer(name="internal-influence", family="gradient", reference="Leino et al. 2018", cost="16 backward")
def internal_influence(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, steps: int = 16
) -> Float[Tensor, "n h w"]:
    """Return the gradient at the subject's `cam_layer`, averaged from a baseline of zero to the image, signed.

    Parameters
    ----------
    steps
        Points of the Gauss-Legendre quadrature.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    found = _layer_on_path(subject, images, targets, [(1 + float(node)) / 2 for node in nodes])
    total = torch.stack([float(w) / 2 * gradient.sum(1) for w, (_, gradient) in zip(weights, found, strict=True)])
    return enlarged(total.sum(0), images)


def _layer_on_path(
    subject: Subject, images: Tensor, targets: Tensor, along: list[float]
) -> Iterator[tuple[Float[Tensor, "n k y x"], Float[Tensor, "n k y x"]]]:
    """Yield the layer's output and gradient at shares of the way from zero to the images."""
    for share in along:
        output, gradient = subject.layer_gradients(share * images, targets, subject.cam_layer)
        yield as_pictures(subject, output), as_pictures(subject, gradient)
