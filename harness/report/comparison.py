"""Explainers of one run, or one explainer in several runs, side by side: paired by image or not at all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float

from harness.errors import UsageError, closest
from harness.report import queries, wording
from harness.report.queries import DEFAULT_METRIC
from harness.statistics import Comparison, holm, pairwise
from harness.store import IDENTITY, CheckRecord, RunFolder, RunRecord


@dataclass(frozen=True)
class Pair:
    """One row of a comparison: two means and their difference over the images where both are defined.

    `first` and `second` are explainers of one run, where `explainer` is empty, or runs of that explainer.
    """

    explainer: str
    first: str
    second: str
    n: str
    first_mean: float
    second_mean: float
    effect: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    p_adjusted: float = np.nan
    ahead: str = ""
    reason: str = ""


def compare(runs: Sequence[RunFolder], explainers: Sequence[str] = (), metric: str = DEFAULT_METRIC) -> pd.DataFrame:
    """Compare explainers within one run, or each explainer between runs.

    Parameters
    ----------
    runs
        One run: every pair of explainers, paired by image. Several: the same explainer between every two runs, paired
        by image where both runs saw the same faces; otherwise the means stand side by side without a test.
    explainers
        Which; by default all, and between runs all that they share.
    metric
        A name, or name and variant as ``deletion-gain/transplant-null``.

    Returns
    -------
    pd.DataFrame
        Columns of :class:`Pair`: effect is the mean of first minus second with its interval; p is two-sided
        (sign flips, of people where they are known) and ``p_adjusted`` Holm's over all rows; ``ahead`` names the
        better one where ``p_adjusted`` is below alpha and the metric has a better end. ``attrs["notes"]`` say what the
        runs do not share.

    Raises
    ------
    UsageError
        For an unknown metric or explainer, or fewer than two things to compare.
    """
    if not runs:
        raise UsageError("nothing to compare; name one run folder or more")
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise UsageError("a run folder is named twice; name each once")
    names = _shared(runs, explainers)
    pairs = list(_within(runs[0], names, metric) if len(runs) == 1 else _between(runs, names, metric))
    if not pairs:
        raise UsageError(f"{runs[0].name} holds one explainer, {wording.listed(names)}; name two, or another run")
    name, variant = queries.chosen(runs[0], metric)
    fact = queries.measure(runs[0], name)
    judged = _judged(pairs, fact.better, runs[0].record.alpha)
    made = pd.DataFrame([asdict(pair) for pair in judged])
    made.attrs = {
        "kind": "comparison", "metric": name, "variant": variant, "signed": fact.signed,
        "score": queries.rows(runs[0], name, variant)[list(IDENTITY)].iloc[0].to_dict(),
        "confidence": runs[0].record.confidence,
        "title": f"{name} ({variant}), first minus second, paired by image", "notes": _notes(runs, name),
    }  # fmt: skip
    return made


def _labels(runs: Sequence[RunFolder]) -> list[str]:
    """Return what each run is called: the folder's name, or its path where two folders share a name."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]


def _shared(runs: Sequence[RunFolder], explainers: Sequence[str]) -> list[str]:
    """Return the explainers that were asked for, or that all runs hold."""
    held = [list(queries.families(run)) for run in runs]
    for run, names in zip(runs, held, strict=True):
        unknown = [name for name in explainers if name not in names]
        if unknown:
            near = closest(unknown[0], names)
            raise UsageError(f"{run.name} holds no explainer {unknown[0]!r}{near}; choose one of: {', '.join(names)}")
    common = [name for name in held[0] if all(name in names for names in held)]
    if not common:
        raise UsageError(f"{wording.listed(_labels(runs))} share no explainer; compare runs that do")
    return list(dict.fromkeys(explainers)) or common


def _values(run: RunFolder, metric: str) -> pd.DataFrame:
    """Return the defined values: a row an image, a column an explainer."""
    held = queries.rows(run, *queries.chosen(run, metric))
    wide = held[held["defined"]].pivot(index="image", columns="explainer", values="value")
    return wide.reindex(index=sorted(held["image"].unique()), columns=list(queries.families(run)))


def _within(run: RunFolder, names: Sequence[str], metric: str) -> Iterator[Pair]:
    """Yield every pair of explainers of one run."""
    table = _values(run, metric)[list(names)]
    confidence = run.record.confidence
    who = queries.people([run], table.index)
    for row in pairwise(names, table.to_numpy(dtype=np.float64), clusters=who, confidence=confidence):
        yield _paired("", row, (table[row.first].to_numpy(), table[row.second].to_numpy()))


def _between(runs: Sequence[RunFolder], names: Sequence[str], metric: str) -> Iterator[Pair]:
    """Yield the same explainer between every two runs."""
    tables = [_values(run, metric) for run in runs]
    labels = _labels(runs)
    confidence = runs[0].record.confidence
    for name in names:
        for i, j in combinations(range(len(runs)), 2):
            called = (labels[i], labels[j])
            paired = pd.concat([tables[i][name], tables[j][name]], axis=1)
            both = paired.to_numpy(dtype=np.float64)
            columns = (both[:, 0], both[:, 1])
            if not _same_faces(runs[i], runs[j]):
                yield _side_by_side(name, called, columns)
                continue
            who = queries.people((runs[i], runs[j]), paired.index)
            row = pairwise(called, both, clusters=who, confidence=confidence)[0]
            yield _paired(name, row, columns)


def _same_faces(first: RunFolder, second: RunFolder) -> bool:
    """Return whether an image's index means the same picture in both runs."""
    return first.record.faces.digest == second.record.faces.digest


def _paired(explainer: str, row: Comparison, columns: tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]) -> Pair:
    """Return a comparison as a row of the table."""
    effect = row.effect
    reason = "" if effect.n else "no image in common"
    both = np.isfinite(columns[0]) & np.isfinite(columns[1])
    return Pair(
        explainer=explainer,
        first=row.first,
        second=row.second,
        n=f"{effect.n} of {effect.n + row.undefined}",
        first_mean=_mean(columns[0][both]),
        second_mean=_mean(columns[1][both]),
        effect=effect.estimate,
        low=effect.low,
        high=effect.high,
        p=row.p,
        reason=reason,
    )


def _side_by_side(
    explainer: str, called: tuple[str, str], columns: tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]
) -> Pair:
    """Return two means that cannot be paired."""
    return Pair(
        explainer=explainer,
        first=called[0],
        second=called[1],
        n=" and ".join(str(int(np.isfinite(values).sum())) for values in columns),
        first_mean=_mean(columns[0]),
        second_mean=_mean(columns[1]),
        reason="not paired",
    )


def _mean(values: Float[np.ndarray, " n"]) -> float:
    """Return the mean of what is defined, NaN where nothing is."""
    good = values[np.isfinite(values)]
    return float(good.mean()) if len(good) else float("nan")


def _judged(pairs: Sequence[Pair], better: str, alpha: float) -> list[Pair]:
    """Correct p over all rows and name the one ahead."""
    adjusted = holm(np.array([pair.p for pair in pairs], dtype=np.float64))
    return [
        replace(pair, p_adjusted=float(p), ahead=_ahead(pair, better) if p < alpha else "")
        for pair, p in zip(pairs, adjusted, strict=True)
    ]


def _ahead(pair: Pair, better: str) -> str:
    """Return the better of the two, "" where the metric has no better end."""
    if not better:
        return ""
    return pair.first if (pair.effect > 0) == (better == "higher") else pair.second


def _notes(runs: Sequence[RunFolder], metric: str) -> list[str]:
    """Return what the numbers are, and what the runs do not share."""
    fact = queries.measure(runs[0], metric)
    notes = [f"{metric}: {fact.meaning}" + (f"; {fact.better} is better." if fact.better else ".")]
    notes += [
        "n: images where both are defined, of images; means, effect and interval are over these.",
        f"p: two-sided sign flips of {_unit(runs)}; corrected p: Holm's, over all rows.",
    ]
    return notes + [line for a, b in combinations(range(len(runs)), 2) for line in _differences(runs, a, b)]


def _unit(runs: Sequence[RunFolder]) -> str:
    """Say what the sample is made of."""
    known = all(len(run.persons) for run in runs)
    return "people, the images of each together" if known else "images"


def _differences(runs: Sequence[RunFolder], a: int, b: int) -> list[str]:
    """Return one line for each thing that two runs do not share."""
    first, second = runs[a], runs[b]
    names = (_labels(runs)[a], _labels(runs)[b])
    held = [(run.record.subject.digest, run.record.faces.digest) for run in (first, second)]
    lines = [*_other_arithmetic(names, first, second), *_other_rules(names, first, second)]
    if held[0][0] != held[1][0]:
        lines.append(f"other subjects: {_told(names, (held[0][0], held[1][0]))}: the networks differ.")
    if held[0][1] != held[1][1]:
        told = _told(names, (held[0][1], held[1][1]))
        lines.append(f"other images: {told}: images cannot be paired, so there is no effect and no p.")
    else:
        lines += _other_targets(names, first, second)
    sizes = [run.record.profile for run in (first, second)]
    unlike = [each for each in {**sizes[0], **sizes[1]} if sizes[0].get(each) != sizes[1].get(each)]
    if unlike:
        told = "; ".join(f"{each} {sizes[0].get(each, 'none')} and {sizes[1].get(each, 'none')}" for each in unlike)
        lines.append(f"other sizes in {names[0]} and {names[1]}, so scores may differ by them: {told}.")
    digests = [{each.name: each.digest for each in run.record.explainers} for run in (first, second)]
    changed = [name for name in digests[0] if name in digests[1] and digests[0][name] != digests[1][name]]
    if changed:
        lines.append(f"other code or settings in {names[0]} and {names[1]}: {', '.join(changed)}.")
    return lines


def _other_arithmetic(names: tuple[str, str], first: RunFolder, second: RunFolder) -> list[str]:
    """Return in what the arithmetic of two runs differs."""
    told = _unlike(first.record.arithmetic, second.record.arithmetic)
    return [f"other arithmetic in {names[0]} and {names[1]}, so last bits differ: {told}."] if told else []


DECIDING = ("control", "margin", "metric", "at_most", "unit", "rung", "decides")
"""What of a check decides what it says."""


def _other_rules(names: tuple[str, str], first: RunFolder, second: RunFolder) -> list[str]:
    """Return by which seed, versions and rules two runs decide otherwise."""
    records, of = (first.record, second.record), f"in {names[0]} and {names[1]}"
    general = _unlike(*(_in_general(record) for record in records))
    lines = [f"decided by other rules {of}: {general}."] if general else []
    checks = [{check.name: check for check in record.checks} for record in records]
    both = {name: [_deciding(held[name]) for held in checks] for name in checks[0] if name in checks[1]}
    moved = [f"{name} ({_unlike(*rules)})" for name, rules in both.items() if rules[0] != rules[1]]
    return lines + ([f"checks that decide otherwise {of}: {'; '.join(moved)}."] if moved else [])


def _in_general(record: RunRecord) -> dict[str, object]:
    """Return what all verdicts of a run hang on, but for what its arithmetic names."""
    versions = {name: record.versions.get(name) for name in ("explanation-harness", "python")}
    return {"seed": record.seed, **versions, "alpha": record.alpha, "confidence": record.confidence}


def _deciding(check: CheckRecord) -> dict[str, object]:
    """Return what of a check decides what it says."""
    return {part: getattr(check, part) for part in DECIDING}


def _unlike(first: Mapping[str, object], second: Mapping[str, object]) -> str:
    """Return in words what two hold otherwise, "" where nothing."""
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    return "; ".join(f"{name} {first.get(name, 'unknown')} and {second.get(name, 'unknown')}" for name in names)


def _other_targets(names: tuple[str, str], first: RunFolder, second: RunFolder) -> list[str]:
    """Return how many pictures are explained as another class."""
    targets = [run.scores.drop_duplicates("image").set_index("image")["target"] for run in (first, second)]
    both = pd.concat(targets, axis=1, join="inner", keys=("first", "second"))
    other = int((both["first"] != both["second"]).sum())
    told = f"{other} of {len(both)} images are explained as another class in {names[1]} than in {names[0]}."
    return [told] if other else []


def _told(names: tuple[str, str], digests: tuple[str, str]) -> str:
    """Return each run with its digest."""
    return ", ".join(f"{name} {digest}" for name, digest in zip(names, digests, strict=True))
