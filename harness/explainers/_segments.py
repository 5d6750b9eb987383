"""Segments of a picture that follow its edges."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

SEGMENTS = 50
"""What SLIC is asked for; on a face of 48 x 48 it finds about 35."""


def segments_of(image: Float[Tensor, "c h w"], wanted: int = SEGMENTS) -> Int[np.ndarray, "h w"]:
    """Return each pixel's segment, numbered from 0 without gaps, by SLIC with about `wanted` seeds.

    The picture alone decides: there is no draw, and an even picture becomes a grid.
    """
    from skimage.segmentation import slic  # takes half a second to import

    picture = image.permute(1, 2, 0).cpu().double().numpy()
    found = slic(picture, n_segments=wanted, compactness=0.05, sigma=0.5, channel_axis=-1, convert2lab=False)
    return np.unique(found, return_inverse=True)[1].reshape(found.shape)


def painted(values: Float[Tensor, " segments"], labels: Int[np.ndarray, "h w"]) -> Float[Tensor, "h w"]:
    """Return a map in which every pixel has its segment's value."""
    return values[torch.from_numpy(labels).to(values.device)]
