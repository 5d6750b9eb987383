"""How well each metric, each check and each rung agrees with exact truth: whom a judge of explanations may trust.

Registered explainers, planted faults and right ones are scored once by everything there is on each pair of network and
pictures (a run folder, so that a stopped call goes on). What is judged never enters the truth that it is judged by:

- `cells`: the share of pairs that an explainer's maps order as the exact game does, under the mean face alone and on
  the grid that is moved by half a cell. Removal metrics hide by a blur, the picture's mean or imputing neighbours, and
  the settled pairs that are judged here are of the mean and the blur, on the other grid.
- `tiles`: rank correlation with the exact contributions on mosaics, which no other score is made from.

Printed of each score, in its better direction: Spearman's correlation over explainers with either truth; over the
images of one explainer, the mean of all explainers; and the chance that a right explainer scores better than a faulty
one (AUROC, .5 by chance). Intervals are of 95 %, from bootstrapped people. A rung counts as reached, open or not, in
draws of people anew.

    python benchmarks/judge_the_judge.py
    python benchmarks/judge_the_judge.py --subjects faces-additive --figure docs/judging-the-judge.png
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.lines import Line2D
from tqdm import tqdm

from harness.checks import CHECKS
from harness.checks.ladder import RUNGS, Reached
from harness.cli.progress import shown_progress
from harness.evaluation.decision import stored_evidence
from harness.evaluation.planted import PAIRS, Pair, held_out, planted_request, planted_run
from harness.evaluation.redrawn import redrawn_ladders
from harness.measurements.base import MAP
from harness.metrics.score import SCORE, Score
from harness.oracles.blind_metrics import blind_metrics
from harness.oracles.making import CONTRACT
from harness.report import style
from harness.statistics import spearman_rows
from harness.store import IDENTITY, RunFolder

BESIDE = (
    "gradient", "saliency", "input-x-gradient", "integrated-gradients", "smoothgrad", "guided-backprop",
    "lrp-epsilon", "lrp-z-plus", "deeplift", "full-grad", "grad-cam", "hires-cam", "layer-cam", "eigen-cam",
    "occlusion", "kernel-shap",
)  # fmt: skip
"""Registered explainers of every family that are judged beside the planted ones."""
LEAST = 12
"""Explainers with a defined mean without which no correlation over explainers is told."""
RESAMPLES = 400
PER_CLASS = 20
"""Images of each class in the draws of people that rungs are told from."""
TILES, OTHER_HALF = "tile-ranks", "settled-pairs, other half"
OURS = frozenset(check.metric for check in CHECKS.values() if check.decides) | {OTHER_HALF}
NOT_HELD_OUT: Mapping[str, tuple[str, ...]] = {
    "cells": ("settled-pairs", "coalition-fit", "rung 3", "rung 4", "rung 5"),
    "tiles": ("tile-", "dead-tile-", "rung 6"),
}
"""Beginnings of names of scores that are made from the same answers as a truth, and are not held against it."""


@dataclass(frozen=True)
class Judged:
    """What one run says.

    Attributes
    ----------
    scores
        Of each score, in its better direction, by name: an explainer a column, an image a row.
    truth
        Of each truth by name, the same.
    persons
        Who is on each image.
    right, faulty
        Names of explainers that are known to be so.
    ladders
        Of draws of people, with their seed.
    """

    scores: Mapping[str, pd.DataFrame]
    truth: Mapping[str, pd.DataFrame]
    persons: Mapping[int, int]
    right: frozenset[str]
    faulty: frozenset[str]
    ladders: pd.DataFrame


def judged(pair: Pair, folder: RunFolder, draws: int, jobs: int) -> Judged:
    """Run what is judged, and return it with the truth."""
    request = planted_request(pair, beside=BESIDE, everything=True, metrics=blind_metrics())
    run = planted_run(request, folder, shown_progress, " ".join(sys.argv))
    known = [each for each in pair.faults if each.falsifies > CONTRACT]
    right = {pair.base, pair.probing, *(each.name for each in pair.goods if each.explainer)}
    sound = {each.name for each in run.record.explainers if each.status == "ok"}
    names = sorted(({each.name for each in request.explainers} | {"random", "edges", "centre"}) & sound)
    halves = held_out(request, folder, names)
    scores = directed(run, names)
    tiles = scores.pop(f"{TILES} map")
    return Judged(
        {**scores, OTHER_HALF: halves.judge},
        {"cells": halves.truth, "tiles": tiles},
        stored_evidence(run).persons,
        frozenset(right) & frozenset(names),
        frozenset(each.explainer.name for each in known) & frozenset(names),
        redrawn_ladders(run, [c for c in CHECKS.values() if c.decides], PER_CLASS, range(draws), jobs, _shown),
    )


def directed(run: RunFolder, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return each score that has a better end, higher being better: an explainer a column, an image a row.

    What null maps score judges nobody: maps' own scores, and what they gain. A score that is defined of nobody is left
    out.
    """
    better = {name: facts.higher_is_better for name, facts in run.record.metrics.items()}
    held = run.scores[run.scores["explainer"].isin(names)]
    found = {}
    for (*which, variant), rows in held.groupby([*IDENTITY, "variant"], sort=False):
        score = Score(*map(str, which))
        own = score.kind != SCORE or str(variant).split()[0] == MAP
        if own and better.get(score.name) is not None and rows["value"].notna().any():
            table = rows.pivot_table(index="image", columns="explainer", values="value")
            found[f"{score.name} {variant}"] = table if better[score.name] else -table
    return found


Means = Float[np.ndarray, "r explainers"]


class Resampled:
    """Means over images, people drawn anew many times, the first row being everyone once."""

    def __init__(self, persons: Mapping[int, int], seed: int = 0) -> None:
        self._persons = persons
        people = sorted(set(persons.values()))
        drawn = np.random.default_rng(seed).multinomial(len(people), [1 / len(people)] * len(people), RESAMPLES)
        counts = np.concatenate([np.ones((1, len(people))), drawn])
        self._counts = dict(zip(people, counts.T, strict=True))

    def means(self, table: pd.DataFrame) -> Means:
        """Return each explainer's mean of what is defined; of everyone where no one drawn has anything."""
        weights = np.stack([self._counts[self._persons[int(image)]] for image in table.index], axis=1)
        values = table.to_numpy(np.float64)
        defined = ~np.isnan(values)
        total, held = weights @ np.where(defined, values, 0.0), weights @ defined
        found: Means = np.divide(total, held, out=np.full(total.shape, np.nan), where=held > 0)
        return np.where(np.isnan(found), found[:1], found)


def agreement(judge: Means, truth: Means) -> Float[np.ndarray, " r"]:
    """Return Spearman's correlation over explainers of each row; NaN where too few have both, or all are alike."""
    both = ~np.isnan(judge[0]) & ~np.isnan(truth[0])
    if both.sum() < LEAST:
        return np.full(len(judge), np.nan)
    found: Float[np.ndarray, " r"] = spearman_rows(judge[:, both], truth[:, both])
    return found


def auroc(judge: Means, right: np.ndarray, faulty: np.ndarray) -> Float[np.ndarray, " r"]:
    """Return the chance, in each row, that a right explainer scores better than a faulty one, ties counting half."""
    known = ~np.isnan(judge[0])
    right, faulty = right & known, faulty & known
    if not right.any() or not faulty.any():
        return np.full(len(judge), np.nan)
    wins: Float[np.ndarray, " r"] = (
        np.sign(judge[:, right][:, :, None] - judge[:, faulty][:, None, :]).mean(axis=(1, 2)) / 2 + 0.5
    )
    return wins


def within_explainers(judge: pd.DataFrame, truth: pd.DataFrame) -> float:
    """Return Spearman's correlation over the images of one explainer, the mean of all explainers."""
    images = judge.index.intersection(truth.index)
    found = []
    for name in judge.columns.intersection(truth.columns):
        pair = pd.concat([judge.loc[images, name], truth.loc[images, name]], axis=1).dropna()
        if len(pair) >= LEAST and pair.nunique().min() > 1:
            found.append(float(spearman_rows(*(pair.iloc[:, [k]].to_numpy(np.float64).T for k in (0, 1)))[0]))
    return float(np.mean(found)) if found else np.nan


def score_rows(of: Judged) -> pd.DataFrame:
    """Return what is printed of each score."""
    resampled, rows = Resampled(of.persons), []
    names = sorted(of.right | of.faulty | set(map(str, of.truth["cells"])))
    truth = {name: resampled.means(table.reindex(columns=names)) for name, table in of.truth.items()}
    right, faulty = (np.isin(names, list(group)) for group in (of.right, of.faulty))
    for name, table in of.scores.items():
        judge = resampled.means(table.reindex(columns=names))
        row: dict[str, object] = {"score": name, "kind": kind_of(name), "explainers": int((~np.isnan(judge[0])).sum())}
        for what, means in truth.items():
            row |= interval(what, agreement(judge, means) if held_out_of(what, name) else NOTHING)
        row |= interval("auroc", auroc(judge, right, faulty))
        row["images"] = within_explainers(table, of.truth["cells"]) if held_out_of("cells", name) else np.nan
        rows.append(row)
    found = pd.DataFrame(rows)
    told = found[["cells", "tiles"]].notna().any(axis=1)
    return found[told].sort_values(["cells", "tiles"], ascending=False, ignore_index=True)


def rung_rows(of: Judged) -> pd.DataFrame:
    """Return the same of rungs: reached counts 1, open or not judged 0, not reached -1; of draws the mean and interval.

    The agreement of the mean of all draws would be another number: what is reached in some draws has fewer ties there.
    """
    names = sorted(set(map(str, of.ladders["explainer"])) & (of.right | of.faulty | set(map(str, of.truth["cells"]))))
    reached = of.ladders[of.ladders["explainer"].isin(names)]
    worth = reached["reached"].map({Reached.YES: 1.0, Reached.NO: -1.0}).fillna(0.0)
    truth = {name: Resampled(of.persons).means(table.reindex(columns=names))[:1] for name, table in of.truth.items()}
    right, faulty = (np.isin(names, list(group)) for group in (of.right, of.faulty))
    rows = []
    for rung in RUNGS[1:]:
        held = reached.assign(worth=worth)[reached["rung"] == rung.number]
        judge = (
            held.pivot(index="seed", columns="explainer", values="worth").reindex(columns=names).to_numpy(np.float64)
        )
        row: dict[str, object] = {"score": f"rung {rung.number}: {rung.name}", "kind": "rung", "explainers": len(names)}
        for what, means in truth.items():
            found = _of_draws(agreement(judge, np.repeat(means, len(judge), axis=0)))
            row |= interval(what, found if held_out_of(what, str(row["score"])) else NOTHING)
        rows.append(row | interval("auroc", _of_draws(auroc(judge, right, faulty))))
    return pd.DataFrame(rows)


def _of_draws(found: Float[np.ndarray, " r"]) -> Float[np.ndarray, " r1"]:
    """Return what draws gave behind their mean; NaN where none is defined."""
    known = found[~np.isnan(found)]
    return np.concatenate([[known.mean() if len(known) else np.nan], found])


NOTHING: Float[np.ndarray, " r"] = np.full(2, np.nan)


def held_out_of(truth: str, name: str) -> bool:
    """Whether a score has no part in a truth."""
    return name == OTHER_HALF or not name.startswith(NOT_HELD_OUT[truth])


def kind_of(name: str) -> str:
    """Return whose a score is: published, of this project's deciding checks, or blind to the network."""
    metric = name.split()[0].removesuffix(",")
    if metric.startswith(tuple(each.name for each in blind_metrics())):
        return "blind"
    return "deciding" if metric in OURS or name in OURS else "published"


def interval(name: str, rows: Float[np.ndarray, " r"]) -> dict[str, object]:
    """Return the first row's value and the 95 % interval of the others."""
    known = rows[1:][~np.isnan(rows[1:])]
    low, high = np.quantile(known, (0.025, 0.975)) if len(known) else (np.nan, np.nan)
    return {name: float(rows[0]), f"{name} low": float(low), f"{name} high": float(high)}


def printed(rows: pd.DataFrame) -> str:
    """Return the table as it is read."""
    shown = rows[["score", "kind", "explainers"]].copy()
    for name, head in (("cells", "cells"), ("tiles", "tiles"), ("auroc", "right above faulty")):
        shown[head] = [
            "-" if np.isnan(value) else f"{value:.2f} ({low:.2f} to {high:.2f})"
            for value, low, high in rows[[name, f"{name} low", f"{name} high"]].to_numpy(np.float64)
        ]
    shown["images"] = ["-" if np.isnan(value) else f"{value:.2f}" for value in rows["images"]]
    text: str = shown.to_markdown(index=False)
    return text


SHOWN = (
    "selectivity map", "irof map",
    "deletion-gain spectrum-null", "insertion-gain spectrum-null", "road-gain spectrum-null",
    "deletion-gain transplant-null", "planted-patch-gain unplanted", "settled-pairs, other half",
    "symmetric-relevance-gain map", "deletion-auc map", "insertion-auc map", "road map", "comprehensiveness map",
    "sufficiency map", "infidelity map", "faithfulness-correlation map", "sensitivity-n map",
    "monotonicity-nguyen map", "monotonicity-arya map", "completeness map", "random-logit map",
    "target-specificity map", "mprt-last map", "randomization-full map", "randomization-residual map",
    "max-sensitivity map", "avg-sensitivity map", "sparseness map", "effective-complexity map", "blind-share map",
    "likeness-to-edges map", "likeness-to-centre map", "in-oval map",
)  # fmt: skip
"""What the figure draws, where it was measured."""
COLOURS = {"published": "#0072B2", "deciding": "#009E73", "blind": "#D55E00", "rung": "#CC79A7"}


def draw(tables: Mapping[str, pd.DataFrame], file: Path) -> None:
    """Draw each score's agreement with cells, a panel a pair."""
    first = next(iter(tables.values()))
    shown = first[first["score"].isin(SHOWN) | (first["kind"] == "rung")]
    order = list(shown.dropna(subset="cells").sort_values("cells")["score"])
    with style.styled():
        margins = style.Margins(left=2.1, top=0.55)
        figure, axes = style.panels(len(tables), len(tables), (2.3, 0.15 * len(order) + 0.3), margins)
        for (name, table), ax in zip(tables.items(), axes[0], strict=True):
            held = table.set_index("score").reindex(order)
            for place, row in enumerate(held.to_dict("records")):
                colour = COLOURS[str(row["kind"])]
                ax.plot([row["cells low"], row["cells high"]], [place, place], color=colour, linewidth=1.2)
                ax.plot(row["cells"], place, "o", color=colour, markersize=3.2)
            ax.axvline(0, color=style.LINE, linewidth=0.8, zorder=0)
            ax.set_title(name, loc="left", fontsize=8)
            ax.set_yticks(range(len(order)), order if ax is axes[0][0] else [""] * len(order))
            ax.set_xlim(-1, 1)
            ax.set_xticks([-0.5, 0.0, 0.5, 1.0])  # -1 would meet the 1 of the panel beside it
            ax.set_ylim(-0.7, len(order) - 0.3)
        marks = [Line2D([], [], marker="o", linestyle="", color=ink, label=kind) for kind, ink in COLOURS.items()]
        axes[0][-1].legend(handles=marks, loc="lower right", fontsize=7, frameon=False)
        style.heading(figure, "Agreement with the exact truth of cells, between explainers")
        style.around(figure, "Spearman: 1 ranks explainers as the truth does; 95 % over people (rungs: over draws)")
        style.save(figure, file)


HEAD = """# Judging the judge

Which published metric, which check and which rung says the same of explainers as exact truth does.
Written by `python -m benchmarks.judge_the_judge --page docs/judging-the-judge.md` (`--subjects` chooses the pairs); its
first lines say how what is judged is kept out of the truth that it is judged by.

- **cells**: Spearman's correlation, over explainers, with the share of pairs of cells that each orders as the exact
  game does. 1: ranks explainers as the truth; 0: says nothing of it; below 0: prefers the worse.
- **tiles**: the same with exact contributions on mosaics. "-": the score is made from the same answers as the truth.
- **right above faulty**: the chance that an explainer known to be right scores better than one known to be faulty; .5
  is chance.
- **images**: over the images of one explainer, the mean of all: whether the score says *on which image* a map is right.

Every score is taken in the direction that its paper calls better. Brackets: 95 %, from bootstrapped people. Published
scores are named with what they are beside: a map alone, or what it gains over null maps. "blind" are three scores that
never ask the network: what cannot be told from them says nothing of faithfulness.

![Agreement with the exact truth of cells](judging-the-judge.png)
"""


def page(tables: Mapping[str, pd.DataFrame], heads: Mapping[str, str]) -> str:
    """Return the page: of each pair what the figure draws, and the rungs."""
    parts = [HEAD]
    for name, table in tables.items():
        kept = table[table["score"].isin(SHOWN) | (table["kind"] == "rung")]
        said = printed(kept.sort_values("cells", ascending=False, na_position="last"))
        parts.append(f"## {name}\n\n{heads[name]}\n\n{said}\n")
    return "\n".join(parts)


def main(words: Sequence[str] | None = None) -> int:
    """Print the table of each pair, write all of them, and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--pool", type=int, help="images of each class that are measured")
    parser.add_argument("--draws", type=int, default=20, help="of people, for rungs (default %(default)s)")
    parser.add_argument("--cheap", action="store_true", help="leave out what asks a thousand times an image")
    parser.add_argument("--jobs", type=int, default=2, help="processes that decide at once (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("results/known-worth"))
    parser.add_argument("--page", type=Path, help="a markdown page to write, with the figure beside it")
    parser.add_argument("--figure", type=Path, help="by default judging-the-judge.png beneath --out")
    asked = parser.parse_args(words)
    tables, heads = {}, {}
    for name in asked.subjects:
        pair = PAIRS[name] if asked.pool is None else replace(PAIRS[name], per_class=asked.pool)
        pair = replace(pair, costly=False) if asked.cheap else pair
        found = judged(pair, RunFolder(asked.out / pair.name), asked.draws, asked.jobs)
        tables[name] = pd.concat([score_rows(found), rung_rows(found)], ignore_index=True)
        images = len(found.truth["cells"])
        right, faulty = len(found.right), len(found.faulty)
        heads[name] = f"{pair.name}: {images} images, {right} right explainers, {faulty} faulty ones"
        print(f"\n{heads[name]}\n\n{printed(tables[name])}")
    asked.out.mkdir(parents=True, exist_ok=True)
    pd.concat([t.assign(subject=n) for n, t in tables.items()]).to_csv(asked.out / "judge-the-judge.csv", index=False)
    figure = asked.figure or (asked.page.with_suffix(".png") if asked.page else asked.out / "judging-the-judge.png")
    draw(tables, figure)
    if asked.page:
        asked.page.write_text(page(tables, heads), encoding="utf-8")
    print(f"\n{asked.out / 'judge-the-judge.csv'}\n{figure}")
    return 0


def _shown(draws: Iterable[pd.DataFrame], title: str, count: int) -> Iterable[pd.DataFrame]:
    """Show how many draws are decided."""
    return tqdm(draws, title, count, disable=None)


if __name__ == "__main__":
    sys.exit(main())
