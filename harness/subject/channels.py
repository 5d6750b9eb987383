"""How far the values of each channel go, which differs from channel to channel where mean and std do."""

import torch
from jaxtyping import Float
from torch import Tensor

from harness.subject.spec import InputSpec


def channel_ranges(spec: InputSpec) -> tuple[float, ...]:
    """Return how far a pixel's value goes from black to white in input units, channel by channel.

    Examples
    --------
    >>> channel_ranges(InputSpec(8, 8, (0.5, 0.5), (0.5, 0.25)))
    (2.0, 4.0)
    """
    return tuple(white - black for black, white in zip(spec.shade(0.0), spec.shade(1.0), strict=True))


def scaled_by_channel(
    noise: Float[Tensor, "*n c h w"], spec: InputSpec, share: float = 1.0
) -> Float[Tensor, "*n c h w"]:
    """Return noise times a share of each channel's own range, in the precision of the noise."""
    scales = [share * each for each in channel_ranges(spec)]
    return noise * torch.tensor(scales, dtype=noise.dtype, device=noise.device)[:, None, None]
