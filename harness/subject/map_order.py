"""Where a layer's places lie in the picture, found by asking: which rows and columns depend on bands of the picture.

A layer of so many rows and columns is laid over the whole picture. Its shape does not tell which of its axes those are
where channels are as many, nor whether the network cuts the picture, pads, turns or rolls it before. Rows of the
picture, and columns, are made no number band by band: that reaches all that depends on a band, through activations
that are zero, whatever the weights are, and nothing else. So it holds for untrained networks as well.

Where everything depends on everything, as behind attention to all places, nothing is told; what was wrong before it
stays wrong.
"""

import itertools
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from harness.subject.network import Subject
from harness.subject.passing import everything_passes, noise
from harness.subject.places import as_map, shaped, token_grid

MAP, LAST, OPEN = 0, -1, -2
"""Stand in the place of a number of tokens: a map with channels second; with channels last; with either."""

_BANDS = 8
"""Bands of rows, and of columns, that are made no number."""

_AT_ONCE = 4
"""Bands that are asked in one pass, each in a picture of its own."""

_OFF = 2
"""Bands that have to be answered elsewhere than where they would lie: of a flipped picture the middle ones are not."""

_NARROW = 0.5
"""Largest share of rows that a band reaches where rows are known to be in order."""

_CROSSED = 0.75
"""Share of the columns that most bands of rows do not reach where rows and columns are exchanged; else they do."""

_CHANNELS_SECOND = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)
"""Modules that give their channels second, whatever the shape."""

_MARGINS = (
    nn.modules.padding._ConstantPadNd,
    nn.modules.padding._ReflectionPadNd,
    nn.modules.padding._ReplicationPadNd,
)
"""Modules that put a margin around what they are given, for the next one to take off."""


def laid_maps(subject: Subject) -> dict[str, tuple[int, str]]:
    """Return each layer that gives a map with where its channels stand, and why it cannot be laid over the picture.

    The first is :data:`MAP`, :data:`LAST` or :data:`OPEN`, and less the number of tokens of a layer that gives tokens
    with their channels second. The second is "" where nothing is known against it. What is cut, padded or rolled by
    less than an eighth of a side, or than a place of the layer, is let pass.
    """
    found, before, heard = dict[str, tuple[int, str]](), "", _asked(subject)
    axes = _channel_axes(subject, heard)
    for name, axis in axes.items():
        if axis == OPEN:
            found[name] = OPEN, _undecided(subject, name)
            continue
        answers = heard[name].readings[axis]
        wrong = _cut(answers) or _disordered(answers)
        if wrong and all_passes(subject, name):
            before = wrong
        elif not wrong and all(float(reached.double().mean()) <= _NARROW for reached in answers.straight):
            before = ""
        stand = -answers.tokens or (MAP if axis == 1 else LAST)
        # A margin is what the next convolution takes off as a rule, so that it stays with the layer that has it.
        said = before or ("" if isinstance(subject.layer(name), _MARGINS) else _margin(answers))
        around = said != before and not all_passes(subject, name)
        found[name] = stand, _fault(subject, name, answers, said) if said and not around else ""
    return found


def all_passes(subject: Subject, layer: str) -> bool:
    """Whether nothing is known to get around a layer."""
    try:
        return everything_passes(subject, layer)
    except Exception:  # a network that cannot be derived
        return True


# ---------------------------------------------------------------------- asking


@dataclass
class _Answers:
    """Which rows and columns depend on each band, by one reading of a layer's axes."""

    tokens: int
    size: tuple[int, int]
    rows: tuple[list[Tensor], list[Tensor]] = field(default_factory=lambda: ([], []))
    columns: tuple[list[Tensor], list[Tensor]] = field(default_factory=lambda: ([], []))

    @property
    def straight(self) -> tuple[Bool[Tensor, "m y"], Bool[Tensor, "m x"]]:
        """Which rows depend on each band of rows, and which columns on each of columns."""
        return torch.cat(self.rows[0]), torch.cat(self.columns[1])

    @property
    def crossed(self) -> tuple[Bool[Tensor, "m x"], Bool[Tensor, "m y"]]:
        """Which columns depend on each band of rows, and which rows on each of columns."""
        return torch.cat(self.columns[0]), torch.cat(self.rows[1])


@dataclass
class _Heard:
    """What one layer answered: by the axis that may be that of channels, and along which axes all was alike."""

    shape: tuple[int, ...]
    readings: dict[int, _Answers] = field(default_factory=dict)
    varied: set[int] = field(default_factory=set)


def _asked(subject: Subject) -> dict[str, _Heard]:
    """Return what each layer of places answers, in running order."""
    spec, heard = subject.spec, dict[str, _Heard]()
    named = [name for name, times in subject.runs.items() if name and times == 1]
    try:
        for axis, side in enumerate((spec.height, spec.width)):
            cuts = [round(side * k / min(_BANDS, side)) for k in range(min(_BANDS, side) + 1)]
            bands = list(itertools.pairwise(cuts))
            for start in range(0, len(bands), _AT_ONCE):
                pictures = _without(subject, axis, bands[start : start + _AT_ONCE])
                named = _listened(subject, named, pictures, axis, heard)
                if not named:
                    return {}
    except Exception:  # a network that looks at what it is given
        return {}
    return {name: heard[name] for name in named}


def _without(subject: Subject, axis: int, bands: list[tuple[int, int]]) -> Float[Tensor, "m c h w"]:
    """Return a picture of noise as often as there are bands of rows (axis 0) or columns (1), each without one."""
    pictures = noise(subject).detach()[:1].repeat(len(bands), 1, 1, 1)
    for picture, (start, stop) in zip(pictures, bands, strict=True):
        picture.narrow(1 + axis, start, stop - start).fill_(torch.nan)
    return pictures


def _listened(subject: Subject, named: list[str], pictures: Tensor, bands: int, heard: dict[str, _Heard]) -> list[str]:
    """Note which places of the named layers are lost with bands of rows (0) or columns (1); return those with any."""
    answering = []

    def note(name: str, output: Tensor) -> None:
        readings = _readings(subject, name, output) if len(output) == len(pictures) else []
        lost = output.isnan() if readings else output
        for axis in readings:
            laid = as_map(lost, subject.spec, axis)
            if laid is None:
                continue
            reached, tokens = laid.any(1), output.shape[3 - axis] if output.ndim == 3 else 0
            layer = heard.setdefault(name, _Heard(tuple(output.shape[1:])))
            answers = layer.readings.setdefault(axis, _Answers(tokens, (int(laid.shape[2]), int(laid.shape[3]))))
            if len(readings) > 1 and axis not in layer.varied and not torch.equal(reached, laid.all(1)):
                layer.varied.add(axis)
            answers.rows[bands].append(reached.any(2).cpu())
            answers.columns[bands].append(reached.any(1).cpu())
            answering.append(name)

    with torch.no_grad(), subject.listening(named, note):
        subject.network(pictures)
    return list(dict.fromkeys(answering))


def _readings(subject: Subject, name: str, output: Tensor) -> list[int]:
    """Return the axes of a layer's output that may be that of channels."""
    if output.ndim not in (3, 4) or not output.is_floating_point():
        return []
    if isinstance(subject.layer(name), _CHANNELS_SECOND):
        return [1]
    if output.ndim == 4 and min(output.shape[2:]) == 1:
        return [shaped(output.shape, subject.spec)]  # one side is no place, and nothing else could be
    both = output.ndim == 4 or all(token_grid(side, subject.spec) for side in output.shape[1:])
    return [1, output.ndim - 1] if both else []


# ---------------------------------------------------------------------- judging


def _channel_axes(subject: Subject, heard: dict[str, _Heard]) -> dict[str, int]:
    """Return the axis of each layer's channels, :data:`OPEN` where nothing tells it.

    All channels of a place depend on the same bands. Where every place depends on every band, a layer of the same shape
    before it tells, or its shape alone where that agrees with what the last layer before it was found to be.
    """
    found, known, latest = dict[str, int](), dict[tuple[int, ...], int](), 1
    for name, layer in heard.items():
        alike = [axis for axis in layer.readings if axis not in layer.varied]
        if len(layer.readings) == 1 or len(alike) == 1:
            axis = alike[0] if alike else next(iter(layer.readings))
            known[layer.shape], latest = axis, axis
        elif layer.shape in known:
            axis = known[layer.shape]
        elif len(layer.shape) == 2:
            axis = 2  # as is the custom of tokens
        else:
            axis = shaped((0, *layer.shape), subject.spec)
            axis = axis if axis in (1, latest) else OPEN
        if axis == OPEN or axis == 1 or len(layer.shape) == 3:
            found[name] = axis
    return found


def _cut(answers: _Answers) -> str:
    """Return which rows or columns of the picture fill all of the layer, "" where all of them do.

    A stride leaves less than a place of the layer out, at one end; what is left out at both ends is cut.
    """
    for what, reached in zip(("rows", "columns"), answers.straight, strict=True):
        if reached.any():
            seen, held = _ends(reached.any(1)), _ends(reached.any(0))
            gaps = [unseen - empty for unseen, empty in zip(seen, held, strict=True)]
            if max(gaps) >= max(1 / reached.shape[1], 1 / _BANDS) or min(gaps) >= 1 / _BANDS:
                return f"the network looks at the {what} of it from {seen[0]:.0%} to {1 - seen[1]:.0%} alone"
    return ""


def _margin(answers: _Answers) -> str:
    """Return which rows or columns of the layer the picture fills, "" where it fills all but a place at each end."""
    for what, reached in zip(("rows", "columns"), answers.straight, strict=True):
        if reached.any():
            held = _ends(reached.any(0))
            if max(held) > 1 / reached.shape[1] and max(held) >= 1 / _BANDS and reached.any(1).all():
                return f"the picture fills the {what} from {held[0]:.0%} to {1 - held[1]:.0%} of the layer alone"
    return ""


def _ends(reached: Bool[Tensor, " m"]) -> tuple[float, float]:
    """Return the shares before the first and after the last that is reached."""
    at = reached.nonzero()[:, 0]
    return float(at[0]) / len(reached), float(len(reached) - 1 - at[-1]) / len(reached)


def _disordered(answers: _Answers) -> str:
    """Return which rows or columns depend on other bands than those that they would lie on."""
    for what, reached in zip(("rows", "columns"), answers.crossed, strict=True):
        seen, held = reached[reached.any(1)], reached.any(0)
        few = seen.sum(1) < _CROSSED * held.sum()
        if 2 * int(few.sum()) > len(few):
            return f"{what} of it are answered by {'columns' if what == 'rows' else 'rows'} of the layer"
    for what, reached in zip(("rows", "columns"), answers.straight, strict=True):
        if sum(_off(band, number, len(reached)) for number, band in enumerate(reached)) >= _OFF:
            return f"its {what} are answered by others of the layer than would lie there"
    return ""


def _off(reached: Bool[Tensor, " places"], band: int, bands: int) -> bool:
    """Whether the places that a band reaches lie apart from those that would be laid over it."""
    places = len(reached)
    at = reached.nonzero()[:, 0].double()
    if not len(at):
        return False
    start, stop = band * places / bands, (band + 1) * places / bands
    away = torch.maximum(start - (at + 1), at - stop).clamp(min=0)
    # A padding, or a stride, moves a map by a place or so.
    return float(away.min()) > 1 + places / _BANDS


def _fault(subject: Subject, name: str, answers: _Answers, wrong: str) -> str:
    """Say why a layer's map cannot be laid over the picture."""
    rows, columns = answers.size
    what = f"{rows} x {columns} {'tokens' if answers.tokens else 'map'} of layer {name!r} of {subject.name!r}"
    return f"the {what} would be laid over the whole picture, but {wrong}, so that it would lie elsewhere"


def _undecided(subject: Subject, name: str) -> str:
    """Say that nothing tells a layer's channels from its places."""
    return (
        f"layer {name!r} of {subject.name!r} gives maps out of the picture's proportions, and neither their shape nor "
        "what they depend on tells which of their axes is that of channels"
    )
