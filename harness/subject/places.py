"""Where in the picture the values of a layer are, as far as their shape tells."""

from collections.abc import Sequence

from torch import Tensor

from harness.subject.spec import InputSpec

_PREFIXES = (0, 1, 2, 5)
"""Tokens before those of the picture: none, a class token, one of distillation beside it, four registers beside it."""


def as_map(output: Tensor, spec: InputSpec) -> Tensor | None:
    """Return a layer's output as channels over places, (n, channels, y, x), where it has places; else None.

    Channels may stand first or last: the axes of places are those whose sides are nearer to the picture's. Tokens
    (n, tokens, channels) fill a grid row by row, after 0, 1, 2 or 5 that are of no place; the grid has the picture's
    proportions. A side of 1 is no place.
    """
    found: Tensor | None = None
    if output.ndim == 4:
        first, last = _odds(output.shape[2:], spec), _odds(output.shape[1:3], spec)
        # A map may be a little out of proportion; channels are taken for a side only where they stand far out.
        found = output.permute(0, 3, 1, 2) if first > 2 > last else output
    elif output.ndim == 3:
        grid = token_grid(output.shape[1], spec)
        if grid is not None:
            tokens = output[:, -grid[0] * grid[1] :].transpose(1, 2)
            found = tokens.view(*tokens.shape[:2], *grid)
    return found if found is not None and min(found.shape[2:]) > 1 else None


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
