"""Whether tokens fill the picture row by row, found by asking: which of them answers where the picture changes.

A network may hold its tokens in another order, windows one after the other or strides apart, and nothing in their shape
tells: a map laid over the picture row by row would be scrambled. Places of noise are changed one at a time; the token
that answers most, beside what it answers to others, has to move with them.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.errors import UsageError
from harness.subject.map_order import LAST, MAP, OPEN, all_passes, laid_maps
from harness.subject.network import Subject
from harness.subject.places import as_map

_SIDE = 5
"""Places along each side that are changed."""

_PATCH = 8
"""How many times a changed patch goes into a side of the picture."""

_TOLD = 0.6
"""Share of places that the same token has to answer in two pictures; of fewer, nothing can be told."""

_FOLLOWS = 0.8
"""Least correlation of the rows, and of the columns, of what changed with those of what answers, as a share of that
with the cells that hold it: 1 in order, about .9 where each answer lies a cell off. Of windows one after the other rows
or columns keep less."""

_ROUNDS = 2
"""How often, on other pictures at other places, the order has to be found wanting."""


def order_fault(subject: Subject, tokens: int) -> str:
    """Return why some layer of so many tokens cannot be laid over the picture, "" where none is known to.

    The tokens beside those of the picture are counted with them; 0 stands for any number.
    """
    known = disordered_tokens(subject)
    meant = [fault for count, fault in known.values() if count != OPEN and tokens in (0, abs(count))]
    return next((fault for fault in meant if fault), "")


def map_of(subject: Subject, layer: str, output: Tensor) -> Tensor | None:
    """Return a layer's output as channels over places, as :func:`as_map` does, by the axis that answers for them.

    Raises
    ------
    UsageError
        Where nothing tells which axis is that of channels.
    """
    count, fault = disordered_tokens(subject).get(layer, (output.shape[1] if output.ndim == 3 else MAP, ""))
    if count == OPEN:
        raise UsageError(fault)
    channels = output.ndim - 1 if count > 0 or count == LAST else 1
    return as_map(output, subject.spec, channels)


def disordered_tokens(subject: Subject) -> dict[str, tuple[int, str]]:
    """Return each layer that gives tokens or a map with their number, and why they cannot be laid over the picture.

    In the place of the number stands of a map where its channels stand, as :func:`laid_maps` says.

    The reason is "" where they follow it row by row, where something of the picture gets around the layer, and where
    nothing can be told: where the answer to a place is spread evenly, no token answers it twice. It is known once for a
    network and its variants, whose passes for it are not counted.
    """
    if not subject.token_orders:
        with torch.no_grad():
            found = _found(subject, 0)
            for number in range(1, _ROUNDS):
                if any(fault for _, fault in found.values()):
                    again = _found(subject, number)
                    found = {name: (count, fault and again[name][1]) for name, (count, fault) in found.items()}
            # A map by its channels' place overrides what its shape alone was taken for.
            found |= laid_maps(subject)
        subject.token_orders.update(found or {"": (MAP, "")})
    return subject.token_orders


def _found(subject: Subject, number: int) -> dict[str, tuple[int, str]]:
    """Return what one round finds."""
    places = _places(number)
    once, twice = _answers(subject, places, number)
    return {
        name: (count, _fault(name, subject, places, [moved, twice[name][1]])) for name, (count, moved) in once.items()
    }


def _places(seed: int) -> Float[Tensor, "m 2"]:
    """Return places in the picture, down and across, each 0 to 1: a lattice, each moved within its cell."""
    lattice = torch.cartesian_prod(torch.arange(_SIDE), torch.arange(_SIDE)).double()
    moved = torch.rand(lattice.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (lattice + moved) / _SIDE


def _answers(
    subject: Subject, places: Float[Tensor, "m 2"], number: int
) -> tuple[dict[str, tuple[int, Float[Tensor, "m y x"]]], ...]:
    """Return of each layer of tokens their number, and how far each moves when a picture changes at each place.

    This is for two pictures of noise, over the middle half of the input's range, to which the same changes are added.
    """
    spec, source = subject.spec, torch.Generator().manual_seed(number)
    sides = torch.tensor([spec.height, spec.width])
    patch = [int(side) for side in (sides / _PATCH).ceil()]
    corners = [
        [min(max(round(float(side * at - length / 2)), 0), int(side) - length)
         for side, at, length in zip(sides, place, patch, strict=True)]
        for place in places
    ]  # fmt: skip

    def noise(*shape: int) -> Tensor:
        drawn = torch.rand(*shape, generator=source)
        return ((spec.high - spec.low) / 2 * (drawn - 0.5)).to(subject.device, subject.dtype)

    changes = noise(len(places), spec.channels, *patch)
    pictures = (spec.low + spec.high) / 2 + noise(2, 1, spec.channels, spec.height, spec.width)
    return tuple(_moved(subject, picture, corners, changes) for picture in pictures)


def _moved(
    subject: Subject,
    picture: Float[Tensor, "1 c h w"],
    corners: list[list[int]],
    changes: Float[Tensor, "m c down across"],
) -> dict[str, tuple[int, Float[Tensor, "m y x"]]]:
    """Return of each layer of tokens their number, and how far each moves when changes are added at corners."""
    counts, found = dict[str, int](), dict[str, list[Tensor]]()
    named = [name for name, times in subject.runs.items() if name and times == 1]
    for start in range(0, len(corners), _SIDE):  # a few pictures at once, however large they are
        some = range(start, min(start + _SIDE, len(corners)))
        changed = picture.repeat(1 + len(some), 1, 1, 1)
        for copy, number in zip(changed[1:], some, strict=True):
            (top, left), (height, width) = corners[number], changes.shape[2:]
            copy[:, top : top + height, left : left + width] += changes[number]

        def note(name: str, output: Tensor, rows: int = len(changed)) -> None:
            laid = as_map(output, subject.spec) if output.ndim == 3 and len(output) == rows else None
            if laid is not None:
                counts[name] = output.shape[1]
                found.setdefault(name, []).append((laid[1:] - laid[:1]).double().norm(dim=1).cpu())

        with subject.listening(named, note):
            subject.network(changed)
        if not found:
            break
    return {name: (counts[name], torch.cat(moved)) for name, moved in found.items()}


def _fault(name: str, subject: Subject, places: Float[Tensor, "m 2"], moved: Sequence[Float[Tensor, "m y x"]]) -> str:
    """Return why a layer's tokens cannot be laid over the picture, by their answers in two pictures."""
    once, twice = (_answering(each) for each in moved)
    told = once == twice
    if told.double().mean() < _TOLD:
        return ""
    rows, columns = moved[0].shape[1:]
    grid = torch.tensor([rows, columns])
    at = torch.stack([once // columns, once % columns], 1)[told]
    meant = places[told]
    cells = (meant * grid).long()
    follows = [_along(meant[:, axis], at[:, axis]) / _along(meant[:, axis], cells[:, axis]) for axis in (0, 1)]
    # NaN, where one row answers all, tells nothing; and what gets around a layer may keep the order that it has not.
    if not any(each < _FOLLOWS for each in follows) or not all_passes(subject, name):
        return ""
    worst = int((at - cells).abs().sum(1).argmax())
    (down, across), (row, column) = cells[worst].tolist(), at[worst].tolist()
    return (
        f"the {rows} x {columns} tokens of layer {name!r} of {subject.name!r} answer other places of the picture than "
        f"those where they would lie, row by row (row {down + 1}, column {across + 1} is answered by row {row + 1}, "
        f"column {column + 1}), so that a map of them would be scrambled"
    )


def _along(places: Float[Tensor, " m"], cells: Int[Tensor, " m"]) -> float:
    """Return how places and cells along one side of the picture are correlated."""
    return float(torch.corrcoef(torch.stack([places, cells.double()]))[0, 1])


def _answering(moved: Float[Tensor, "m y x"]) -> Int[Tensor, " m"]:
    """Return for each place the token that answers it most, beside what it answers to all.

    A token that answers whatever changes counts by what it answers more here; one that hardly answers at all is kept
    down by the mean of all tokens.
    """
    flat = moved.flatten(1)
    usual = flat.mean(0)
    return (flat / (usual + usual.mean())).nan_to_num().argmax(1)
