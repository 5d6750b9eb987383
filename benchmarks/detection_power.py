"""How often the ladder believes a false explainer, and doubts a right one, by the number of images a class.

Explainers of known fault, and of known worth, are measured once on a pool of images of each subject (kept in a run
folder, so that a stopped call goes on). Then, for every seed, people are drawn anew from the pool and the project's own
decision is made on their scores: a fault is believed where it reaches the rung that it falsifies, or a resolution
below which it is false; it is shown to be false where that rung, or one below, is not reached. Intervals are
Clopper-Pearson's at 95 %, over the draws: of other people like those of the pool, not of other networks. "-" stands
where no rung decides at that number of images: the truth does not reach it, or edges do. Then nobody is believed.

    python benchmarks/detection_power.py --seeds 20
    python benchmarks/detection_power.py --subjects faces-cnn --per-class 20 --explainers fault-mirrored truth
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import binomtest
from tqdm import tqdm

from harness.checks import CHECKS
from harness.checks.ladder import COUNTED, Reached, highest
from harness.cli.progress import shown_progress
from harness.errors import UsageError
from harness.evaluation.planted import PAIRS, Pair, planted_request, planted_run
from harness.evaluation.redrawn import redrawn_ladders
from harness.oracles.good import KnownGood
from harness.oracles.making import CONTRACT, PlantedFault
from harness.store import RunFolder

PER_CLASS = (5, 10, 20, 50)
DECIDING = tuple(check for check in CHECKS.values() if check.decides)
CAUGHT, ALARMS = 0.95, 0.01
"""What is aimed at: faults kept off their rung, and right explainers said to miss one, at most."""
KNOWN_REASONS: Mapping[str, str] = {
    "blurred": (
        "it is not false there: which part of a cell is worth more follows from what lies around it, and a blur below "
        "half a cell keeps that; python benchmarks/resolution.py shows what each blur takes, from the truth itself too"
    ),
}
"""Why a fault is not kept off, where that is known."""


def fault_row(pair: Pair, fault: PlantedFault, per_class: int, ladders: pd.DataFrame) -> dict[str, object]:
    """Return how often a fault was believed, left open or shown to be false, by what and at which resolution."""
    name = fault.explainer.name
    tables = _by_seed(ladders, name)
    believed = sum(_believed(fault, table) for table in tables)
    false = [_shown_false(fault, table) for table in tables]
    return {
        "subject": pair.subject_name,
        "explainer": name.removeprefix("fault-"),
        "what": fault.why,
        "falsifies": fault.falsifies,
        "finer than": fault.finer_than,
        "per class": per_class,
        "draws": len(tables),
        "kept off": len(tables) - believed,
        "shown false": sum(rung > 0 for rung in false),
        "caught by": _mode(_catcher(fault, table) for table in tables),
        "resolution": _mode(_resolution(table) for table in tables),
        "judged": sum(_judged(fault, table) for table in tables),
    }


def good_row(pair: Pair, good: KnownGood, per_class: int, ladders: pd.DataFrame) -> dict[str, object]:
    """Return how often a right explainer was said to miss a rung that it stands on, and to reach them."""
    tables = _by_seed(ladders, good.name)
    owed = [table[table["rung"].isin(good.owes)]["reached"] for table in tables]
    missed = [table.loc[table["rung"].isin(good.owes) & (table["reached"] == Reached.NO)] for table in tables]
    return {
        "subject": pair.subject_name,
        "explainer": good.name,
        "what": good.why,
        "owes": " ".join(map(str, sorted(good.owes))),
        "per class": per_class,
        "draws": len(tables),
        "false alarms": sum(len(rows) > 0 for rows in missed),
        "by": _mode(str(rows["check"].iloc[0]) for rows in missed if len(rows)),
        "reaches all": sum(bool(each[each != Reached.NOT_APPLICABLE].eq(Reached.YES).all()) for each in owed),
        "judged": sum(bool((each != Reached.NOT_APPLICABLE).any()) for each in owed),
    }


def _by_seed(ladders: pd.DataFrame, name: str) -> list[pd.DataFrame]:
    """Return an explainer's ladder of each draw."""
    return [rows.sort_values("rung") for _, rows in ladders[ladders["explainer"] == name].groupby("seed")]


def _reached(table: pd.DataFrame, rung: int) -> str:
    """Return whether one explainer stands on a rung."""
    return str(table.loc[table["rung"] == rung, "reached"].iloc[0])


def _resolution(table: pd.DataFrame) -> int:
    """Return the side in pixels of the cells at which what counts is said to be shown, 0 where it is not."""
    row = table[table["rung"] == COUNTED.number].iloc[0]
    return int(row["resolution"]) if row["reached"] == Reached.YES else 0


def _believed(fault: PlantedFault, table: pd.DataFrame) -> bool:
    """Whether a false thing is said of a fault: up to which rung it is believed, or at which resolution."""
    top, resolution = highest(table, str(table["explainer"].iloc[0])), _resolution(table)
    if top >= COUNTED.number and 0 < resolution < fault.finer_than:
        return True
    if fault.falsifies == COUNTED.number and fault.finer_than:
        # What it is said to show is right at this resolution.
        return False
    return top >= fault.falsifies


def _shown_false(fault: PlantedFault, table: pd.DataFrame) -> int:
    """Return the lowest rung, up to that which it falsifies, that a fault is said to miss; 0 where there is none."""
    below = table[(table["rung"] <= fault.falsifies) & (table["reached"] == Reached.NO)]
    return int(below["rung"].iloc[0]) if len(below) else 0


def _judged(fault: PlantedFault, table: pd.DataFrame) -> bool:
    """Whether the rung that it falsifies decides in this draw, or one below has shown it to be false."""
    return bool(_shown_false(fault, table)) or _reached(table, fault.falsifies) != Reached.NOT_APPLICABLE


def _catcher(fault: PlantedFault, table: pd.DataFrame) -> str:
    """Return the check that shows a fault to be false, else the one that leaves it open, "" where it is believed."""
    if _believed(fault, table):
        return ""
    rung = _shown_false(fault, table)
    if rung == CONTRACT:
        return "contract"
    held = table[table["rung"] == rung] if rung else table[table["reached"] == Reached.OPEN]
    held = held[held["rung"] <= max(fault.falsifies, COUNTED.number)]
    said = str(held["check"].iloc[0]) if len(held) else "no rung decides"
    return said if rung or not len(held) else f"open: {said}"


def _mode(values: Iterable[Any]) -> Any:
    """Return the most frequent value, "" of none."""
    counted = pd.Series(list(values), dtype=object).value_counts()
    return counted.index[0] if len(counted) else ""


def rate(hits: int, draws: int) -> str:
    """Return a share with its interval after Clopper and Pearson.

    Examples
    --------
    >>> rate(19, 20)
    '95 % (75-100)'
    """
    if not draws:
        return "-"
    low, high = binomtest(hits, draws).proportion_ci(0.95, "exact")
    return f"{hits / draws:.0%}".replace("%", f" % ({100 * low:.0f}-{100 * high:.0f})")


def fault_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row a fault: kept off its rung at each number of images, how many were shown to be false, by what."""
    made = []
    for name, held in rows.groupby("explainer", sort=False):
        most = held.iloc[-1]
        cells = {
            f"{row['per class']} a class": rate(row["kept off"], row["draws"])
            + (f", {row['shown false'] / row['draws']:.0%} no" if row["judged"] else " -")
            for row in held.to_dict("records")
        }
        finer = f" below {most['finer than']} px" if most["finer than"] else ""
        caught = {"caught by": most["caught by"], "px": most["resolution"] or ""}
        made.append({"fault": name, "falsifies": f"{most['falsifies']}{finer}", **cells, **caught})
    return pd.DataFrame(made)


def good_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row a right explainer: how often a rung that it owes is denied, and how often all are reached."""
    made = []
    for name, held in rows.groupby("explainer", sort=False):
        cells = {
            f"{row['per class']} a class": rate(row["false alarms"], row["draws"])
            + (f", {row['reaches all'] / row['draws']:.0%} yes" if row["judged"] else " -" * bool(row["draws"]))
            for row in held.to_dict("records")
        }
        made.append({"right": name, "owes": held.iloc[0]["owes"], **cells, "by": held.iloc[-1]["by"]})
    return pd.DataFrame(made)


def summary(faults: pd.DataFrame, goods: pd.DataFrame) -> pd.DataFrame:
    """Return, by subject and images a class, the share of faults kept off in at least 95 % of draws, and of alarms."""
    made = []
    for (subject, per_class), held in faults.groupby(["subject", "per class"], sort=False):
        right = goods[(goods["subject"] == subject) & (goods["per class"] == per_class)]
        kept = held["kept off"] / held["draws"]
        made.append(
            {
                "subject": subject,
                "images a class": per_class,
                "faults": len(held),
                f"kept off in {CAUGHT:.0%} of draws": rate(int((kept >= CAUGHT).sum()), len(held)),
                "draws kept off": f"{held['kept off'].sum() / held['draws'].sum():.1%}",
                "draws shown false": f"{held['shown false'].sum() / held['draws'].sum():.1%}",
                "false alarms on right ones": rate(int(right["false alarms"].sum()), int(right["draws"].sum())),
            }
        )
    return pd.DataFrame(made)


def not_kept_off(faults: pd.DataFrame) -> Iterator[str]:
    """Yield each fault that is believed too often at the most images a class, with the reason where it is known."""
    most = faults[faults["per class"] == faults["per class"].max()]
    for row in most[most["kept off"] / most["draws"] < CAUGHT].to_dict("records"):
        why = KNOWN_REASONS.get(str(row["explainer"]), "why is not known")
        kept = rate(int(row["kept off"]), int(row["draws"]))
        yield f"not kept off: {row['explainer']} on {row['subject']}, kept off in {kept}: {why}"


def main(words: Sequence[str] | None = None) -> int:
    """Print the tables and write them; return 1 where too many faults are believed or right ones doubted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--per-class", type=int, nargs="+", default=list(PER_CLASS))
    parser.add_argument("--explainers", nargs="+", default=[], help="by name, as the run has them (fault-mirrored)")
    parser.add_argument("--seeds", type=int, default=20, help="draws of people (default %(default)s)")
    parser.add_argument("--pool", type=int, help="images of each class that are measured")
    parser.add_argument("--cheap", action="store_true", help="leave out what asks a thousand times an image")
    parser.add_argument("--jobs", type=int, default=2, help="processes that decide at once (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("results/known-worth"))
    asked = parser.parse_args(words)
    faults, goods = [], []
    for name in asked.subjects:
        pair = PAIRS[name] if asked.pool is None else replace(PAIRS[name], per_class=asked.pool)
        pair = replace(pair, costly=False) if asked.cheap else pair
        request = planted_request(pair, only=_needed(asked.explainers, pair))
        run = planted_run(request, RunFolder(asked.out / pair.name), shown_progress, " ".join(sys.argv))
        known = [each for each in pair.faults if not asked.explainers or each.explainer.name in asked.explainers]
        right = [each for each in pair.goods if not asked.explainers or each.name in asked.explainers]
        for per_class in asked.per_class:
            ladders = redrawn_ladders(run, DECIDING, per_class, range(asked.seeds), asked.jobs, _shown)
            faults += [fault_row(pair, each, per_class, ladders) for each in known]
            goods += [good_row(pair, each, per_class, ladders) for each in right]
    _print(pd.DataFrame(faults), pd.DataFrame(goods))
    asked.out.mkdir(parents=True, exist_ok=True)
    pd.concat([pd.DataFrame(faults), pd.DataFrame(goods)]).to_csv(asked.out / "detection-power.csv", index=False)
    print(f"\n{asked.out / 'detection-power.csv'}")
    return 0


def _shown(draws: Iterable[pd.DataFrame], title: str, count: int) -> Iterable[pd.DataFrame]:
    """Show how many draws are decided."""
    return tqdm(draws, title, count, disable=None)


def _needed(asked: Sequence[str], pair: Pair) -> Sequence[str]:
    """Return what has to run for the explainers that are asked for."""
    names = [each.explainer.name for each in pair.faults] + [each.name for each in pair.goods]
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise UsageError(f"no fault and nothing right is called {unknown[0]!r}; there is {', '.join(names)}")
    return asked


def _print(faults: pd.DataFrame, goods: pd.DataFrame) -> None:
    """Print the tables of each subject, then all together."""
    for subject in dict.fromkeys(faults.get("subject", pd.Series(dtype=str))):
        print(f"\n{subject}: faults kept off the rung that they falsify (95 % interval), shown false\n")
        print(fault_table(faults[faults["subject"] == subject]).to_markdown(index=False))
    for subject in dict.fromkeys(goods.get("subject", pd.Series(dtype=str))):
        print(f"\n{subject}: right explainers said to miss a rung that they owe (95 % interval), reaching all\n")
        print(good_table(goods[goods["subject"] == subject]).to_markdown(index=False))
    if len(faults) and len(goods):
        print(f"\n{summary(faults, goods).to_markdown(index=False)}\n")
    if len(faults):
        print("\n".join(not_kept_off(faults)))


if __name__ == "__main__":
    sys.exit(main())
