"""How many cells explainer x class of the rung of what counts come out as yes or no, by the number of people a class.

Draws people anew from a run's stored scores, with replacement, and corrects as a run does: a rung passes where all its
claims hold, a class under its claim over all images, and any claim may fail. The rungs below are taken for reached in
every class, and nothing is drawn for the other claims.

    python benchmarks/class_cells.py                       # of results/reference
    python benchmarks/class_cells.py --run results/orl --people 8 14
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from harness.checks import ALPHA, CHECKS
from harness.errors import UsageError
from harness.report import queries
from harness.statistics import hierarchical, mean_above_p
from harness.store import RunFolder

RUNG = 3
BESIDE = ("edges", "centre", "mean-face")
SCATTERED = "scattered"
JITTER = 0.03
"""Standard deviation of what is added to a drawn effect, so that a few repeated people make no atoms."""


def effects_of(run: RunFolder, explainer: str) -> pd.DataFrame:
    """Return an image's settled pairs beyond each thing that the rung compares them with, and its class."""
    scores = run.scores[run.scores["status"] == "ok"]
    pairs = scores[scores["metric"] == "settled-pairs"]
    shares = pairs[(pairs["kind"] == "score") & (pairs["variant"] == "map")]
    table = shares.pivot(index="image", columns="explainer", values="value")
    gains = pairs[(pairs["kind"] == "gain") & (pairs["variant"] == "spectrum-null")]
    own = gains[gains["explainer"] == explainer].set_index("image")["value"]
    found = {name: table[explainer] - table[name] for name in BESIDE} | {SCATTERED: own}
    classes = shares.drop_duplicates("image").set_index("image")["target"]
    return pd.DataFrame(found).dropna().assign(target=classes)


def p_of(effects: Float[np.ndarray, "r n"]) -> Float[np.ndarray, " r"]:
    """Return the p that a run gives a mean above 0.

    Sign flips are counted, as a run does: drawn ones have a least p, above what a class has to come below to fail.
    """
    return np.array([mean_above_p(row, 0.0) for row in effects])


def drawn_people(
    effects: pd.DataFrame, people: int, repeats: int, rng: np.random.Generator
) -> Float[np.ndarray, "classes r n claims"]:
    """Return effects of people drawn anew within each class that has two or more."""
    found = []
    for _, rows in effects.groupby("target"):
        held = rows.drop(columns="target").to_numpy(np.float64)
        if len(held) > 1:
            # Drawn with replacement, so few vary too little by (k - 1) / k.
            wide = held.mean(0) + (held - held.mean(0)) * np.sqrt(len(held) / (len(held) - 1))
            chosen = wide[rng.integers(0, len(held), (repeats, people))]
            found.append(chosen + rng.normal(0, JITTER, chosen.shape))
    return np.stack(found)


def decided(drawn: Float[np.ndarray, "classes r n claims"]) -> float:
    """Return the share of classes that come out as yes or no, over all draws."""
    classes, repeats, _, claims = drawn.shape
    beyond = drawn - CHECKS["cells-edges"].margin
    everyone = np.concatenate(list(beyond), axis=1)
    # One row for all images, then one a class.
    above, below = (
        np.stack([[p_of(side * rows[..., claim]) for claim in range(claims)] for rows in (everyone, *beyond)])
        for side in (1, -1)
    )
    rungs = len({check.rung for check in CHECKS.values() if check.decides and check.rung >= RUNG})
    others = sum(check.decides for check in CHECKS.values()) - claims
    made = 0
    for repeat in range(repeats):
        up = np.ones((rungs, 1 + classes))
        up[0] = above[:, :, repeat].max(axis=1)
        down = np.concatenate([below[:, :, repeat].T, np.ones((others, 1 + classes))])
        passes = hierarchical(up[:, 0], up[:, 1:], ALPHA, order=np.arange(rungs)).parts[0] < ALPHA
        fails = (hierarchical(down[:, 0], down[:, 1:], ALPHA).parts[:claims] < ALPHA).any(axis=0)
        made += int((passes | fails).sum())
    return float(made / (repeats * classes))


def main(words: Sequence[str] | None = None) -> int:
    """Print the share of cells that are decided, by people a class."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("results/reference"))
    parser.add_argument("--people", type=int, nargs="+", default=[8, 20, 26, 32])
    parser.add_argument("--repeats", type=int, default=60)
    asked = parser.parse_args(words)
    try:
        run = RunFolder.existing(asked.run)
    except UsageError as error:
        parser.error(str(error))
    rng, rows = np.random.default_rng(0), []
    for people in asked.people:
        shares = [
            decided(drawn_people(effects_of(run, name), people, asked.repeats, rng)) for name in queries.methods(run)
        ]
        rows.append({"people a class": people, "explainers": len(shares), "cells decided": f"{np.mean(shares):.0%}"})
    print(pd.DataFrame(rows).to_markdown(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
