"""Whether verdicts stay the same under other seeds, and whoever else is in the run.

Three things are told. Of a stored run: how many verdicts and rungs are the same when it is decided again under other
seeds of the statistics, and when two of its explainers are left out, whose company the others then lack. Of small runs
made for it: how many are the same when everything is drawn anew (images, nulls, networks, games) from other seeds, and
when two more explainers are asked for.

    python benchmarks/stability.py                            # of results/reference, and small runs of faces-additive
    python benchmarks/stability.py --run results/orl --seeds 0
    python benchmarks/stability.py --decisions 0 --seeds 2 --per-class 2 --explainer gradient
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pandas as pd

from harness.checks import CHECKS, EVERYTHING, Evidence
from harness.cli.progress import shown_progress
from harness.digest import digest
from harness.evaluation import Request, evaluate
from harness.evaluation.decision import decided, stored_evidence, stored_families, stored_faults
from harness.evaluation.planted import PAIRS, pool_profile
from harness.explainers.asked import asked_explainers
from harness.report import queries
from harness.store import RunFolder

SEEDS = 5
ALONE = ("deeplift", "occlusion", "gradient", "grad-cam")
MORE = ("saliency", "lrp-epsilon", "input-x-gradient", "smoothgrad")
"""The first two that are not asked for come to the others."""
ROW = ["explainer", "check", "class"]
RUNG = ["explainer", "class", "rung"]


def same(tables: Sequence[pd.DataFrame], row: Sequence[str], said: str) -> pd.Series:
    """Return whether each row that all tables have says the same in all of them."""
    columns = [table.set_index(list(row))[said] for table in tables]
    joint = pd.concat(columns, axis=1, join="inner")
    return joint.nunique(axis=1) == 1


def shares(what: str, verdicts: Sequence[pd.DataFrame], ladders: Sequence[pd.DataFrame]) -> dict[str, object]:
    """Return a row: verdicts, and rungs, that are the same in all, of how many; over all images and by class."""
    held, stood = same(verdicts, ROW, "verdict"), same(ladders, RUNG, "reached")
    whole = [each.index.get_level_values("class") == EVERYTHING for each in (held, stood)]
    turned = _turned(verdicts)
    return {
        "compared": what,
        "decisions": len(verdicts),
        "verdicts the same": f"{int(held.sum())} of {len(held)} ({held.mean():.1%})",
        "over all images": f"{held[whole[0]].mean():.1%}",
        "rungs the same": f"{int(stood.sum())} of {len(stood)} ({stood.mean():.1%})",
        "rungs over all images": f"{stood[whole[1]].mean():.1%}",
        "pass turned to fail": turned,
    }


def _turned(verdicts: Sequence[pd.DataFrame]) -> int:
    """Return how many claims pass in one decision and fail in another."""
    columns = [table.set_index(ROW)["verdict"] for table in verdicts]
    joint = pd.concat(columns, axis=1, join="inner")
    return int(((joint == "pass").any(axis=1) & (joint == "fail").any(axis=1)).sum())


def of_stored(run: RunFolder, seeds: int) -> list[dict[str, object]]:
    """Return what becomes of a stored run's decisions."""
    evidence, families, faults = stored_evidence(run), stored_families(run), stored_faults(run)
    known = {each.name for each in run.record.checks}
    checks = [check for check in CHECKS.values() if check.name in known]

    def decision(held: Evidence, names: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        made = decided(held, checks, {name: families[name] for name in names}, faults)
        return made.verdicts, made.ladder

    everyone = list(families)
    made = [decision(replace(evidence, seed=seed), everyone) for seed in range(max(seeds, 2))]
    rows = [shares(f"{run.name}: seeds of the statistics", *zip(*made, strict=True))]
    alone = [
        decision(evidence, [name for name in everyone if name not in pair])
        for pair in list(combinations(queries.methods(run), 2))[:3]
    ]
    for fewer in alone:
        rows.append(shares(f"{run.name}: without two explainers", *zip(made[0], fewer, strict=True)))
    return rows


def small(seed: int, explainers: Sequence[str], per_class: int, subject: str, out: Path) -> RunFolder:
    """Run a few explainers on a few images of each class; what was made before is kept."""
    pair, folder = PAIRS[subject], RunFolder(out / f"{subject}-{seed}-{per_class}-{digest(*explainers)}")
    request = Request(
        pair.subject,
        pair.faces,
        asked_explainers(list(explainers)),
        tuple(check for check in CHECKS.values() if check.decides and not check.evidence),
        pool_profile(per_class),
        seed,
    )
    return evaluate(request, folder, shown_progress, " ".join(sys.argv))


def of_small(seeds: int, explainers: Sequence[str], per_class: int, subject: str, out: Path) -> list[dict[str, object]]:
    """Return what becomes of decisions when everything is drawn anew, and when two more explainers are asked for."""
    others = [name for name in MORE if name not in explainers][:2]
    runs = [small(seed, explainers, per_class, subject, out) for seed in range(seeds)]
    rows = []
    if len(runs) > 1:
        tables = [run.verdicts for run in runs], [run.ladder for run in runs]
        rows.append(shares(f"{subject}: everything drawn from other seeds", *tables))
    first, more = runs[0], small(0, [*explainers, *others], per_class, subject, out)
    pairs = (first.verdicts, more.verdicts), (first.ladder, more.ladder)
    return [*rows, shares(f"{subject}: two more explainers in the run", *pairs)]


def main(words: Sequence[str] | None = None) -> int:
    """Print the table; return 1 where company changes a verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("results/reference"))
    parser.add_argument("--decisions", type=int, default=SEEDS, help="of the stored run; 0 leaves it (%(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="small runs; 0 makes none (default %(default)s)")
    parser.add_argument("--subject", default="faces-additive", choices=list(PAIRS), help="of small runs")
    parser.add_argument("--explainer", metavar="E", action="append", help=f"of small runs ({', '.join(ALONE)})")
    parser.add_argument("--per-class", type=int, default=6, help="images of small runs (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("results/stability"))
    asked = parser.parse_args(words)
    rows = of_stored(RunFolder.existing(asked.run), asked.decisions) if asked.decisions else []
    if asked.seeds:
        rows += of_small(asked.seeds, asked.explainer or ALONE, asked.per_class, asked.subject, asked.out)
    if not rows:
        parser.error("nothing is compared: give --decisions or --seeds")
    table = pd.DataFrame(rows)
    print(table.to_markdown(index=False))
    company = table["compared"].str.contains("explainers")
    moved = not table.loc[company, "verdicts the same"].str.contains("(100.0%)", regex=False).all()
    return int(moved)


if __name__ == "__main__":
    sys.exit(main())
