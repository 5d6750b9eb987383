"""What tables, figures and the page ask of a run: its names in one order, its counts, and the rows of one metric."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Int

from harness.errors import UsageError, closest
from harness.store import IDENTITY, RunFolder

DEFAULT_METRIC = "deletion-gain"
ALL = "all"
ORACLE = "oracle"
"""Family of what is made of the true causes, or of the truth of the games."""
TRUTH = "truth"
"""How the names of oracles begin that are made of the truth of the games, not of true causes."""
NO_MAPS = "maps"
"""What stands for a metric where an explainer has no maps."""
USUAL = ("map", "spectrum-null")
"""Variants that are meant where none is named: a gain has none of the map's own."""
APART = ("confusion", "mistakes")
"""Families that decide nothing: they are about classes, and about the few images on which the network was wrong."""


@dataclass(frozen=True)
class Measure:
    """What a reader needs to know of a metric.

    Attributes
    ----------
    meaning
        What the number is, in a few words.
    better
        "higher", "lower", or "" where neither end is better, or nothing is known of it.
    signed
        Whether zero lies within its range, so that the sign is always shown.
    relative
        Whether it is a difference from what a null map scores.
    """

    meaning: str
    better: str = ""
    signed: bool = False
    relative: bool = False


@dataclass(frozen=True)
class Counts:
    """How many images have a defined value, of how many that were asked for.

    Both are tables with a row a class (and "all") and a column an explainer.
    """

    defined: pd.DataFrame
    asked: pd.DataFrame


def classes(run: RunFolder) -> list[str]:
    """Return the classes that are judged, in the subject's order: all where they are few, else those that occur."""
    return list(run.record.subject.judged)


def people(runs: Sequence[RunFolder], images: Iterable[int]) -> Int[np.ndarray, " n"] | None:
    """Return who is on images of runs of one set, who are the sample then; None where nobody is known of one of them.

    True causes are shown of pictures too that no run explained: an older run does not name who is on these.
    """
    images, who = list(images), dict[int, int]()
    for run in runs:
        who |= dict(zip(run.persons["image"], run.persons["person"], strict=True))
    named = all(len(run.persons) for run in runs) and all(image in who for image in images)
    return np.array([who[image] for image in images], dtype=np.int64) if named else None


def families(run: RunFolder) -> dict[str, str]:
    """Return each explainer's family; methods come first, then controls, then oracles, each in the run's order."""
    held = {each.name: each.family for each in run.record.explainers}
    controls = {each.name for each in run.record.explainers if each.control}
    ordered = sorted(held, key=lambda name: (held[name] == ORACLE, name in controls))
    return {name: "control" if name in controls and held[name] != ORACLE else held[name] for name in ordered}


def family(run: RunFolder, name: str) -> str:
    """Return one explainer's family, "user" for one that the run does not name."""
    return families(run).get(name, "user")


def methods(run: RunFolder) -> list[str]:
    """Return the explainers that are neither controls nor oracles."""
    return [name for name, family in families(run).items() if family not in ("control", ORACLE)]


def controls(run: RunFolder) -> list[str]:
    """Return the controls, which cannot be faithful."""
    return [name for name, family in families(run).items() if family == "control"]


def oracles(run: RunFolder) -> list[str]:
    """Return the maps made of the true causes, without noise and with."""
    return [name for name, family in families(run).items() if family == ORACLE]


def deciding(run: RunFolder) -> list[str]:
    """Return the checks that decide whether an explainer is believed."""
    return [each.name for each in run.record.checks if each.decides and each.family not in APART]


def check_groups(run: RunFolder) -> dict[str, list[str]]:
    """Return the checks that apply to any explainer, under the titles "what decides" and "what is shown"."""
    held = verdicts(run)
    applied = set(held.loc[held["verdict"] != "not applicable", "check"])
    decisive = set(deciding(run))
    shown = [name for name in checks(run) if name in applied]
    groups = {
        "what decides": [name for name in shown if name in decisive],
        "what is shown": [name for name in shown if name not in decisive],
    }
    return {title: names for title, names in groups.items() if names}


def unapplied(run: RunFolder) -> list[str]:
    """Return the checks that apply to no explainer."""
    shown = {name for names in check_groups(run).values() for name in names}
    return [name for name in checks(run) if name not in shown]


def metrics(run: RunFolder) -> dict[str, list[str]]:
    """Return the scores that the run holds by name, each with its variants; one that only failed is none."""
    scores = run.named_scores
    pairs = scores.loc[scores["status"] != "failed", ["name", "variant"]].drop_duplicates()
    return {str(name): [str(v) for v in group["variant"]] for name, group in pairs.groupby("name", sort=False)}


def measure(run: RunFolder, metric: str) -> Measure:
    """Return what the run says of a metric; of one that it says nothing of, the name alone."""
    fact = run.record.metrics.get(metric)
    if fact is None:
        return Measure(metric)
    return Measure(
        fact.meaning,
        {True: "higher", False: "lower", None: ""}[fact.higher_is_better],
        fact.low is None or fact.low < 0,
        fact.kind != "score",
    )


def check_faults(run: RunFolder) -> dict[str, str]:
    """Return the checks of somebody else that broke down, and how, by name."""
    return {each.name: each.fault for each in run.record.checks if each.fault}


def metric_faults(run: RunFolder) -> dict[str, str]:
    """Return why a metric has no scores of some explainer, for each that has none."""
    scores = run.named_scores
    lost = scores[(scores["status"] == "failed") & (scores["metric"] != NO_MAPS)]
    return dict(zip(lost["name"], lost["reason"], strict=True))


def chosen(run: RunFolder, metric: str, variant: str = "") -> tuple[str, str]:
    """Return the metric and variant meant.

    Parameters
    ----------
    run
        Where to look.
    metric
        A name, or name and variant as ``deletion-gain/transplant-null``.
    variant
        By default what stands in `metric`, else the map's own score; of a gain, the one over the spectrum null; else
        the first.

    Raises
    ------
    UsageError
        Where the run holds no such metric or variant; the message lists those it holds.
    """
    name, _, given = metric.partition("/")
    held, wanted = metrics(run), variant or given
    if name not in held:
        near, there = closest(name, held), ", ".join(sorted(held)) or "none"
        raise UsageError(f"{run.name} holds no metric {name!r}{near}; choose one of: {there}")
    if wanted and wanted not in held[name]:
        near, there = closest(wanted, held[name]), ", ".join(held[name])
        raise UsageError(f"{name} has no variant {wanted!r} in {run.name}{near}; choose one of: {there}")
    return name, wanted or next((each for each in USUAL if each in held[name]), held[name][0])


def called(run: RunFolder, metric: str, *, output: str = "", fill: str = "", kind: str = "") -> str:
    """Return the name of the score of a metric with an output, a fill and of a kind; a variant after "/" stays.

    Parameters
    ----------
    run
        Where to look.
    metric
        A score's name; or, where anything else is given, what stands in the column ``metric``.
    output, fill, kind
        As in those columns; "" for the usual output and fill, and the metric's own score.

    Raises
    ------
    UsageError
        Where the run holds none like it; the message lists those of the metric.
    """
    if not (output or fill or kind):
        return metric
    plain, slash, variant = metric.partition("/")
    held = run.named_scores[["name", *IDENTITY]].drop_duplicates()
    names = {tuple(which): name for name, *which in held.itertuples(index=False)}
    wanted = (plain, output, fill, kind or "score")
    if wanted in names:
        return f"{names[wanted]}{slash}{variant}"
    mine = [_options(*which) for which in names if which[0] == plain]
    if not mine:
        there = ", ".join(sorted(set(held["metric"]))) or "none"
        raise UsageError(f"{run.name} holds no metric {plain!r} in the column metric; choose one of: {there}")
    raise UsageError(f"{run.name} holds no {_options(*wanted)} of {plain!r}; there is {'; '.join(mine)}")


def _options(metric: str, output: str, fill: str, kind: str) -> str:
    """Return how the command line asks for this score of its metric."""
    said = {"kind": kind, "output": output, "fill": fill}
    return " ".join(f"--{key} {value}" for key, value in said.items() if value)


def layers(run: RunFolder) -> list[str]:
    """Return a short name for each step of the randomisation cascade: its first layer, and how many more."""
    groups = run.record.cascade
    first = [name if len(name) <= 14 else f"{name[:13]}…" for name, *_ in groups]
    return [f"{name} +{len(group) - 1}" if len(group) > 1 else name for name, group in zip(first, groups, strict=True)]


def faults(run: RunFolder) -> dict[str, str]:
    """Return why an explainer has no maps, for each that has none."""
    return {
        each.name: f"{each.status} ({each.reason})" if each.reason else each.status
        for each in run.record.explainers
        if each.status != "ok"
    }


def sound(run: RunFolder) -> list[str]:
    """Return the explainers that made maps, in the order of all."""
    lost = faults(run)
    return [name for name in families(run) if name not in lost]


def rows(run: RunFolder, metric: str, variant: str) -> pd.DataFrame:
    """Return the scores of one metric and variant, with a column ``defined``."""
    scores = run.named_scores
    held = scores[(scores["name"] == metric) & (scores["variant"] == variant)].copy()
    held["defined"] = (held["status"] == "ok") & held["value"].notna()
    return held


def means(run: RunFolder, held: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of the defined values: a row a class and "all", a column an explainer, NaN where none is."""
    good = held[held["defined"]]
    by_class = good.groupby(["target", "explainer"])["value"].mean().unstack("explainer")
    whole = good.groupby("explainer")["value"].mean().rename(ALL).to_frame().T
    return pd.concat([by_class, whole]).reindex(index=[*classes(run), ALL], columns=list(families(run))).astype(float)


def counts(run: RunFolder, held: pd.DataFrame) -> Counts:
    """Return how many values are defined of how many images were asked for.

    An explainer without rows was asked for the same images as the others and defined none.
    """
    index, columns = [*classes(run), ALL], list(families(run))
    by = [held["target"], held["explainer"]]
    defined = held["defined"].groupby(by).sum().unstack("explainer")
    whole = held["defined"].groupby(held["explainer"]).sum().rename(ALL).to_frame().T
    images = held[["image", "target"]].drop_duplicates()["target"].value_counts()
    images = pd.concat([images, pd.Series({ALL: images.sum()})]).reindex(index).fillna(0).astype(int)
    filled = pd.concat([defined, whole]).reindex(index=index, columns=columns).fillna(0).astype(int)
    asked = pd.DataFrame(np.tile(images.to_numpy()[:, None], len(columns)), index=index, columns=columns)
    return Counts(filled, asked)


def curves(run: RunFolder, metric: str, explainer: str) -> dict[str, pd.DataFrame]:
    """Return an explainer's curves, variant by variant: a row an image (index image, target), a column a point.

    Images that lack a point are left out.
    """
    held = run.curves[(run.curves["metric"] == metric) & (run.curves["explainer"] == explainer)]
    wide = held.set_index(["variant", "image", "target", "x"])["value"].unstack("x").dropna()
    return {str(name): group.droplevel("variant") for name, group in wide.groupby(level="variant")}


def curve_images(run: RunFolder, metric: str) -> dict[str, int]:
    """Return how many images have curves of some explainer, for each class and all."""
    held = run.curves.loc[run.curves["metric"] == metric, ["image", "target"]].drop_duplicates()
    return {ALL: len(held)} | {str(name): int(count) for name, count in held["target"].value_counts().items()}


def matrix(run: RunFolder, name: str, explainer: str = "") -> pd.DataFrame | None:
    """Return a class by class table in the order of the classes, or None where the run has none."""
    held = run.matrices[(run.matrices["matrix"] == name) & (run.matrices["explainer"] == explainer)]
    if held.empty:
        return None
    square = held.pivot(index="row", columns="column", values="value")
    return square.reindex(index=classes(run), columns=classes(run))


def recalls(run: RunFolder) -> pd.Series | None:
    """Return each class's recall and, as "all", the accuracy; None without labels, NaN for a class without faces."""
    confusion = matrix(run, "confusion")
    if confusion is None:
        return None
    held = confusion.fillna(0)
    right = np.append(np.diag(held), np.trace(held))
    given = np.append(held.sum(axis=1), held.to_numpy().sum())
    return pd.Series(right, index=[*held.index, ALL]) / np.where(given > 0, given, np.nan)


def checks(run: RunFolder) -> list[str]:
    """Return the checks that have verdicts, in the order in which the run states them."""
    stated = [each.name for each in run.record.checks]
    found = [str(name) for name in run.verdicts["check"].unique()]
    return [name for name in stated if name in found] + [name for name in found if name not in stated]


def verdicts(run: RunFolder, where: str = ALL) -> pd.DataFrame:
    """Return the verdicts over all images or over one class."""
    return run.verdicts[run.verdicts["class"] == where]
