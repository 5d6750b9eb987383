"""A few images of a run with everybody's maps of them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Examples:
    """A few images with the maps of every explainer, for figures.

    Attributes
    ----------
    pictures
        Grey, 0 to 1, shape (k, h, w); a few a class, the first one that the network got right where there is one.
    images, labels, targets
        Source index, true class ("" where unknown) and explained class of each.
    explainers
        Names, length e.
    maps
        Shape (e, k, h, w), signed.
    """

    pictures: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    explainers: np.ndarray
    maps: np.ndarray
