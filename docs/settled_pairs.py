"""Draw docs/settled-pairs.png: one rendered face, what its cells are worth to the network, and what three maps say.

python docs/settled_pairs.py
"""

from pathlib import Path

import matplotlib
import numpy as np
import torch
from jaxtyping import Float, Int

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from harness.evaluation_set import EvaluationSet
from harness.explainers import registered
from harness.faces.loading import load_faces
from harness.measurements.cells import Ordered, share_right
from harness.models.loading import load_subject
from harness.perturbation import BlurFill, MeanFill, PictureFill
from harness.truth import games_of
from harness.truth.images import Games, Level

IMAGE = 147
MAPS = ("deeplift", "occlusion", "edges")
PICTURE = Path(__file__).parent / "settled-pairs.png"


def one_face() -> EvaluationSet:
    """Return the set of one rendered face."""
    subject, faces = load_subject("faces-cnn"), load_faces("rendered")
    some = faces.take(np.array([IMAGE]))
    return EvaluationSet(subject, some, subject.probabilities(subject.prepare(some.images)).double().numpy(), 0)


def played(case: EvaluationSet) -> Level:
    """Return the first grid's cells and what each is worth under three fills."""
    pictures = case.subject.prepare(load_faces("rendered").images)
    fills = (("mean", MeanFill()), ("blur", BlurFill(1 / 8)), ("mean-face", PictureFill(pictures.mean(dim=0))))
    games = Games(games_of(3, 1, fills), per_class=1, within_per_class=1)
    return games.truth(case, lambda what, make: dict(make())).cells[0]


def drawn(
    axes: Axes, cells: Int[np.ndarray, "h w"], sums: Float[np.ndarray, " d"], shown: Float[np.ndarray, "h w"]
) -> None:
    """Draw a signed picture with the lines of the cells, and each cell's number in shares of the largest."""
    top = np.abs(shown).max()
    axes.imshow(shown, cmap="RdBu_r", vmin=-top, vmax=top)
    for cell, value in enumerate(sums / np.abs(sums).max()):
        row, column = (places.mean() for places in np.nonzero(cells == cell))
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "linewidth": 0}
        axes.text(column, row, f"{value:+.2f}", ha="center", va="center", fontsize=8, bbox=box)
    lined(axes, cells)


def lined(axes: Axes, cells: Int[np.ndarray, "h w"]) -> None:
    """Draw the lines between cells."""
    for ends, line in ((cells[:, 0], axes.axhline), (cells[0], axes.axvline)):
        for border in np.flatnonzero(np.diff(ends)):
            line(border + 0.5, color="black", linewidth=0.8)
    axes.set_xticks([])
    axes.set_yticks([])


def main() -> None:
    """Draw the picture and say what stands in it."""
    torch.set_num_threads(1)
    case = one_face()
    level = played(case)
    values = level.of(case.targets)
    ordered = Ordered.of(level, values)
    settled = int((ordered.order != 0).sum())
    truth = values.mean(axis=0)[0]
    figure, panels = plt.subplots(1, 2 + len(MAPS), figsize=(11, 2.7))
    panels[0].imshow(case.images[0].permute(1, 2, 0).numpy(), cmap="gray")
    lined(panels[0], level.labels)
    panels[0].set_title(f"{case.target_names[0]}: nine cells", fontsize=9)
    drawn(panels[1], level.labels, truth, truth[level.labels])
    panels[1].set_title(f"what each is worth:\n{settled} of 36 pairs are settled", fontsize=9)
    print(f"{case.target_names[0]}, image {IMAGE}: {settled} of 36 pairs settled")
    for axes, name in zip(panels[2:], MAPS, strict=True):
        maps = registered()[name].maps(case.subject, case.images, case.target_tensor(), case.seed)
        share = float(share_right([ordered], maps)[0])
        drawn(axes, level.labels, level.sums(maps)[0], maps[0])
        axes.set_title(f"{name}:\n{round(share * settled)} of {settled} right", fontsize=9)
        print(f"{name}: {round(share * settled)} of {settled} right, {share:.2f}")
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    main()
