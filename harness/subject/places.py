"""Where in the picture the values of a layer are, as far as their shape tells."""

from collections.abc import Sequence

from torch import Tensor

from harness.subject.spec import InputSpec

_PREFIXES = (0, 1, 2, 5)
"""Tokens before those of the picture: none, a class token, one of distillation beside it, four registers beside it."""


def as_map(output: Tensor, spec: InputSpec, channels: int | None = None) -> Tensor | None:
    """Return a layer's output as channels over places, (n, channels, y, x), where it has places; else None.

    Channels may stand first or last: the axes of places are those whose sides are nearer to the picture's. Tokens
    (n, tokens, channels) fill a grid row by row, after 0, 1, 2 or 5 that are of no place; the grid has the picture's
    proportions. A side of 1 is no place.

    Parameters
    ----------
    output, spec
        What a layer gave, and what the network reads.
    channels
        The axis of the channels, 1 or the last one, where it is known: :func:`harness.subject.token_order.map_of`
        finds it by asking, which the shape does not tell of a map out of proportion.
    """
    found: Tensor | None = None
    if output.ndim == 4:
        if channels is None:
            channels = shaped(output.shape, spec)
        found = output if channels == 1 else output.permute(0, 3, 1, 2)
    elif output.ndim == 3:
        by_token = output if channels == 1 else output.transpose(1, 2)
        grid = token_grid(by_token.shape[2], spec)
        if grid is not None:
            tokens = by_token[:, :, -grid[0] * grid[1] :]
            found = tokens.view(*tokens.shape[:2], *grid)
    return found if found is not None and min(found.shape[2:]) > 1 else None


def shaped(shape: Sequence[int], spec: InputSpec) -> int:
    """Return which axis of a map (n, a, b, c) holds its channels by its shape alone."""
    first, last = _odds(shape[2:], spec), _odds(shape[1:3], spec)
    # A map may be a little out of proportion; channels are taken for a side only where they stand far out.
    return 3 if first > 2 > last else 1


def _odds(sides: Sequence[int], spec: InputSpec) -> float:
    """Return how many times longer one side is, against the other, than the picture's."""
    shape = sides[0] * spec.width / (sides[1] * spec.height)
    return max(shape, 1 / shape)


def token_grid(tokens: int, spec: InputSpec) -> tuple[int, int] | None:
    """Return rows and columns of the grid that tokens fill."""
    for prefix in _PREFIXES:
        count = tokens - prefix
        rows = round((max(count, 0) * spec.height / spec.width) ** 0.5)
        if rows > 1 and count % rows == 0 and count // rows == round(rows * spec.width / spec.height) > 1:
            return rows, count // rows
    return None
