"""The kept pictures with every explainer's map beside them, as pictures that the page holds."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from harness.report import answer, ladder, queries
from harness.report.answer import Belief, State
from harness.report.style import SIGNED, limits
from harness.store import RunFolder

SIDE = 112
"""Most pixels of a map's longer side on the page."""
BUDGET = 3_000_000
"""Most characters that all pictures and maps may take of a page."""


@dataclass(frozen=True)
class Tile:
    """One map: whose, how its explainer stands for the class shown, and the picture, or why there is none to see."""

    explainer: str
    state: State
    method: bool
    source: str
    fault: str


@dataclass(frozen=True)
class Shown:
    """One kept picture: of which class it is explained as, what it truly is and was seen as, with all maps."""

    where: str
    title: str
    source: str
    tiles: tuple[Tile, ...]
    first: bool
    wide: int
    high: int

    @property
    def size(self) -> int:
        """Characters that it takes."""
        return len(self.source) + sum(len(tile.source) for tile in self.tiles)


@dataclass(frozen=True)
class Picker:
    """What a reader can choose from, and a line that says how much that is."""

    shown: tuple[Shown, ...]
    note: str


def picker(run: RunFolder) -> Picker | None:
    """Return the kept pictures of each class; nothing where the run kept none.

    The first of each class come first to the page, then the second, until :data:`BUDGET` is spent.
    """
    if not (run.path / "examples.npz").is_file() or not len(run.examples.targets):
        return None
    targets = [str(name) for name in run.examples.targets]
    rank = [targets[:i].count(target) for i, target in enumerate(targets)]
    order = [one.explainer for one in ladder.standings(run)] if len(run.ladder) else list(queries.families(run))
    beliefs, held, spent = answer.beliefs(run), dict[int, Shown](), 0
    for i in sorted(range(len(targets)), key=lambda i: (rank[i], i)):
        made = _shown(run, i, order, beliefs, first=rank[i] == 0)
        spent += made.size
        if spent > BUDGET and held:
            break
        held[i] = made
    places = {name: place for place, name in enumerate(queries.classes(run))}
    by_class = sorted(held, key=lambda i: (places.get(targets[i], len(places)), rank[i]))
    return Picker(tuple(held[i] for i in by_class), _note(run, len(held), len(set(targets))))


def _note(run: RunFolder, shown: int, classes: int) -> str:
    """Return how many pictures there are to choose from, and of which classes none."""
    kept, targets = len(run.examples.targets), {str(name) for name in run.examples.targets}
    most = max(list(map(str, run.examples.targets)).count(name) for name in targets)
    fewer = f"; {shown} of the {kept} that the run kept fit this page" if shown < kept else ""
    absent = [name for name in queries.classes(run) if name not in targets]
    missing = f" No picture of: {', '.join(absent)}." if absent else ""
    pictures = f"{shown} picture{'s' * (shown != 1)} of {classes} class{'es' * (classes != 1)}"
    return f"{pictures}, at most {most} of each, one that the network got right first{fewer}.{missing}"


def _shown(
    run: RunFolder, i: int, order: Sequence[str], beliefs: Mapping[tuple[str, str], Belief], *, first: bool
) -> Shown:
    """Return one picture with its maps, in an order of explainers."""
    held, where = run.examples, str(run.examples.targets[i])
    made, methods = [str(name) for name in held.explainers], queries.methods(run)
    tiles = tuple(
        Tile(
            name,
            beliefs[name, where].state if (name, where) in beliefs else State.UNJUDGED,
            name in methods,
            *_map_source(held.maps[made.index(name), i], unknown=name in queries.oracles(run)),
        )
        for name in order
        if name in made
    )
    picture = _small(np.asarray(held.pictures[i], dtype=np.float32))
    grey = Image.fromarray((255 * np.clip(picture, 0, 1)).round().astype(np.uint8))
    high, wide = picture.shape
    return Shown(where, _title(run, i), _encoded(grey), tiles, first, wide, high)


def _title(run: RunFolder, i: int) -> str:
    """Return which picture it is, and whether the network was right."""
    held = run.examples
    target, label, image = str(held.targets[i]), str(held.labels[i]), int(held.images[i])
    seen = run.scores.loc[run.scores["image"] == image, "predicted"]
    predicted = str(seen.iloc[0]) if len(seen) else target
    if not label:
        right = f"seen as {predicted}"
    else:
        right = "seen right" if label == predicted else f"misread: truly {label}, seen as {predicted}"
    return f"image {run.called(image)}, {right}" + (f", explained as {target}" if predicted != target else "")


def _small(values: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "a b"]:
    """Return means over boxes, so that no side is longer than :data:`SIDE`."""
    share = SIDE / max(values.shape)
    if share >= 1:
        return values
    size = (max(1, round(values.shape[1] * share)), max(1, round(values.shape[0] * share)))
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BOX))


def _map_source(map_: Float[np.ndarray, "h w"], *, unknown: bool = False) -> tuple[str, str]:
    """Return a signed map as text, white at zero, red for and blue against; or what is wrong with it.

    Of a map of known worth that is constant, the truth is `unknown` for this picture: nothing was asked there.
    """
    if not np.isfinite(map_).all():
        return "", "no map"
    if map_.min() == map_.max():
        return "", "not known for this picture" if unknown else "a constant map"
    level = np.clip(_small(map_.astype(np.float32)) / limits(map_), -1, 1)
    picture = Image.fromarray(np.round(127.5 * (level + 1)).astype(np.uint8), mode="L")
    picture.putpalette(_palette().tobytes())
    return _encoded(picture), ""


def _palette() -> UInt8[np.ndarray, "256 3"]:
    """Return the colours of signed maps."""
    made: UInt8[np.ndarray, "256 3"] = matplotlib.colormaps[SIGNED](np.arange(256), bytes=True)[:, :3]
    return made


def _encoded(picture: Image.Image) -> str:
    """Return a picture as text that a page can hold."""
    held = io.BytesIO()
    picture.save(held, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode("ascii")
