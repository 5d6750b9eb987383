"""What a blur takes from a map: the share of settled pairs, of cells and of their parts, that it still orders right.

A blurred map is right at its resolution and not below, but which resolution is that? The maps of a few methods, and the
truth itself, are blurred more and more (a Gaussian, round the borders, its standard deviation as a share of a cell's
side) and put to the exact games of both bundled pairs. Prints a table and draws it.

    python benchmarks/resolution.py
    python benchmarks/resolution.py --subjects faces-cnn --per-class 10
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float64
from scipy.ndimage import gaussian_filter
from tqdm import tqdm

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from harness.errors import UsageError
from harness.evaluation.planted import PAIRS, Pair
from harness.evaluation_set import EvaluationSet, evaluation_set
from harness.explainers import registered
from harness.measurements.cells import Ordered, share_right
from harness.perturbation import BlurFill, MeanFill, PictureFill
from harness.truth import games_of
from harness.truth.images import Games, Truth, target_maps

BLURS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5)
"""Standard deviations as shares of a cell's side."""
METHODS = ("deeplift", "integrated-gradients", "occlusion")
CONTROLS = ("edges", "centre")
TRUTH = "truth"
CELLS, PARTS = "cells", "parts"
SUBJECTS = ("faces-cnn", "fer2013-minixception")
PICTURE = Path(__file__).parents[1] / "docs" / "resolution.png"


@dataclass(frozen=True)
class Played:
    """The games of a pair's pictures.

    Attributes
    ----------
    case
        The pictures that they are played on.
    truth
        What they say.
    side, part
        Of a cell and of a part of one, in pixels of the network's input.
    """

    case: EvaluationSet
    truth: Truth
    side: int
    part: int

    @property
    def cells(self) -> list[Ordered]:
        """The pairs of cells that are settled, a grid each."""
        return [Ordered.of(level, level.of(self.case.targets)) for level in self.truth.cells]

    @property
    def parts(self) -> list[Ordered]:
        """The pairs of parts of one cell that are settled."""
        return [Ordered.of(self.truth.parts, self.truth.parts.of(self.case.targets[self.truth.deep]))]


def played(pair: Pair, per_class: int) -> Played:
    """Play the games on a few pictures of each class."""
    subject, pictures = pair.subject, pair.subject.prepare(pair.faces.images)
    case = evaluation_set(subject, pair.faces, subject.probabilities(pictures).double().cpu().numpy(), per_class, 0)
    fills = (("mean", MeanFill()), ("blur", BlurFill(1 / 8)), ("mean-face", PictureFill(pictures.mean(dim=0))))
    games = Games(games_of(3, 1, fills), per_class, per_class)
    grid = games.games.grids[0]
    side = min(grid.sides(*case.images.shape[-2:]))
    return Played(case, games.truth(case, lambda what, make: dict(make())), side, side // grid.split)


def rows(pair: Pair, per_class: int) -> list[dict[str, object]]:
    """Return what is right of every map under every blur, and of the controls as they are."""
    games = played(pair, per_class)
    case, found = games.case, []
    maps = {
        name: registered()[name].maps(case.subject, case.images, case.target_tensor(), case.seed)
        for name in (*METHODS, *CONTROLS)
    }
    for name, made in tqdm({TRUTH: target_maps(games.truth), **maps}.items(), desc=pair.name, leave=False):
        for share in BLURS if name not in CONTROLS else BLURS[:1]:
            right = shares(games, blurred(np.asarray(made, np.float64), share * games.side))
            found += [
                {"pair": pair.name, "map": name, "blur": share, "of": of, "side": side, "right": mean, "images": n}
                for of, side, (mean, n) in zip((CELLS, PARTS), (games.side, games.part), right, strict=True)
            ]  # fmt: skip
    return found


def blurred(maps: Float64[np.ndarray, "n h w"], pixels: float) -> Float64[np.ndarray, "n h w"]:
    """Return the maps blurred round the borders, as they are where `pixels` is 0."""
    smooth: np.ndarray = gaussian_filter(maps, (0, pixels, pixels), mode="wrap") if pixels else maps
    return smooth


def shares(games: Played, maps: Float64[np.ndarray, "n h w"]) -> tuple[tuple[float, int], tuple[float, int]]:
    """Return the mean share of settled pairs of cells, and of parts, that maps order right, and of how many images."""
    both = share_right(games.cells, maps), share_right(games.parts, maps[games.truth.deep])
    of_cells, of_parts = ((float(np.nanmean(each)), int(np.isfinite(each).sum())) for each in both)
    return of_cells, of_parts


def drawn(table: pd.DataFrame, to: Path) -> None:
    """Draw both levels of each pair over the blur, the controls as lines."""
    pairs = list(table["pair"].unique())
    figure, panels = plt.subplots(2, len(pairs), figsize=(5.2 * len(pairs), 6.4), sharex=True, sharey=True)
    for column, pair in enumerate(pairs):
        for row, of in enumerate((CELLS, PARTS)):
            mine = table[(table["pair"] == pair) & (table["of"] == of)]
            axes = np.asarray(panels).reshape(2, -1)[row, column]
            _lines(axes, mine)
            axes.set_title(f"{pair}: {of} of {mine['side'].iloc[0]} pixels", fontsize=10)
            axes.set_ylabel("settled pairs right" if column == 0 else "")
            axes.set_xlabel("blur, in sides of a cell" if row else "")
    np.asarray(panels).reshape(2, -1)[0, -1].legend(fontsize=8, frameon=False, ncols=2, loc="upper right")
    figure.tight_layout()
    figure.savefig(to, dpi=110, metadata={"Software": None})


def _lines(axes: Axes, mine: pd.DataFrame) -> None:
    """Draw one line a map."""
    for number, name in enumerate((TRUTH, *METHODS)):
        line = mine[mine["map"] == name]
        axes.plot(line["blur"], line["right"], marker="o", markersize=3, color=f"C{number}", label=name)
    for name, style in zip(CONTROLS, ("--", ":"), strict=True):  # they are not blurred
        height = mine.loc[mine["map"] == name, "right"].item()
        axes.axhline(height, color="grey", linestyle=style, linewidth=1, label=name)
    axes.set_ylim(0.5, 1.02)
    axes.spines[["top", "right"]].set_visible(False)


def main(words: Sequence[str] | None = None) -> int:
    """Print the table of each pair and draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", nargs="+", default=list(SUBJECTS), choices=list(PAIRS))
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--out", type=Path, default=PICTURE, help="the figure")
    asked = parser.parse_args(words)
    torch.set_num_threads(1)
    try:
        table = pd.DataFrame([row for name in asked.subjects for row in rows(PAIRS[name], asked.per_class)])
    except UsageError as error:
        print(error, file=sys.stderr)
        return 1
    for (pair, of), mine in table.groupby(["pair", "of"], sort=False):
        lines = [f"{row['map']} {row['right']:.2f}" for row in mine[mine["map"].isin(CONTROLS)].to_dict("records")]
        print(f"\n{pair}: {of} of {mine['side'].iloc[0]} pixels, {mine['images'].iloc[0]} images; {', '.join(lines)}")
        shown = mine[~mine["map"].isin(CONTROLS)].pivot(index="map", columns="blur", values="right")
        print(shown.loc[[TRUTH, *METHODS]].round(2).to_markdown())
    drawn(table, asked.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
