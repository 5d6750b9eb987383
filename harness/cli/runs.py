"""``harness run``, and what reads runs: ``table``, ``compare``, ``report``, ``index``."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import pandas as pd

from harness.cli.asked import asked_request, default_folder
from harness.cli.planning import planned
from harness.cli.progress import shown_progress, silent_progress
from harness.cli.status import DONE, FAILED
from harness.errors import UsageError
from harness.evaluation import Request, evaluate
from harness.evaluation.early import passes_of_games, stops
from harness.store import RunFolder


def run_command(options: argparse.Namespace) -> int:
    """Evaluate and store a run, print its tables."""
    # matplotlib is slow to import, and `harness list` does not need it.
    from harness.report import queries, rendering, tables

    request = asked_request(options, options.per_class)
    folder = options.out or default_folder(request, options.profile)
    kept = RunFolder(folder) if options.no_store else RunFolder.sharing(folder)
    if options.plan:
        print(planned(request, kept, as_json=options.json))
        return DONE
    counted = partial(shown_progress, passes=request.subject.passes.total)
    quiet = options.quiet or options.json
    shown, say = (silent_progress, _unsaid) if quiet else (counted, told)
    where = {name: getattr(options, name) for name in ("workers", "engine", "address", "isolate")}
    run = evaluate(request, kept, shown, options.command_line, say, **where)
    for note in run.record.notes:
        say(f"note: {note}")
    for table in [] if quiet else [*tables.verdict_tables(run), *_ladder_tables(run), *_score_tables(run)]:
        print(rendering.render(table, "text"))
    files = list(write_report(run))
    print(_as_json(run, files) if options.json else _in_words(run, files))
    for line in [*queries.metric_faults(run).values(), *queries.check_faults(run).values()]:
        print(f"harness: {line}", file=sys.stderr)
    return FAILED if options.strict and _has_failures(run, request) else DONE


def _in_words(run: RunFolder, files: Sequence[Path]) -> str:
    """Return the answer and then the files worth opening."""
    from harness.report import ladder

    held = _early(run)
    return "\n".join([*ladder.lines(run), *(held.attrs["notes"][-1:] if len(held) else []), "", *map(str, files)])


def _as_json(run: RunFolder, files: Sequence[Path]) -> str:
    """Return the same for a program: the folder, the answer line by line, who reaches which rung, notes and files."""
    from harness.report import ladder

    said = {
        "run": str(run.path),
        "answer": [*ladder.lines(run)],
        "ladder": json.loads(run.ladder.to_json(orient="records")),
        "notes": [*run.record.notes],
        "files": [*map(str, files)],
    }
    return json.dumps(said, indent=2, ensure_ascii=False)


def told(line: str) -> None:
    """Say a line on standard error."""
    print(f"harness: {line}", file=sys.stderr)


def _unsaid(line: str) -> None:
    """Say nothing of what is used again or made again."""


def _score_tables(run: RunFolder) -> list[pd.DataFrame]:
    """Return the usual score class by class, where anything has a score."""
    from harness.report import tables

    return [tables.metric_table(run, default_metric(run))] if len(run.scores) else []


def _ladder_tables(run: RunFolder) -> list[pd.DataFrame]:
    """Return the ladder over all images and class by class, where anything decides."""
    from harness.report import ladder

    return [ladder.ladder_table(run), ladder.class_table(run)] if len(run.ladder) else []


def write_report(run: RunFolder) -> Iterable[Path]:
    """Write every table, figure and the page of a run in place of an earlier run's; return the files worth opening."""
    from harness.report import effects, page, tables

    for earlier in (*run.path.glob("figures/*.png"), *run.path.glob("tables/*.csv"), *run.path.glob("tables/*.md")):
        with suppress(OSError):  # where nothing can be written, writing says so
            earlier.unlink(missing_ok=True)
    tables.write_tables(run)
    effects.write_effects(run)
    held = _early(run)
    return [page.write_page(run, [] if held.empty else [held]), *sorted(run.path.glob("figures/*.png"))]


def _has_failures(run: RunFolder, request: Request) -> bool:
    """Whether a check failed or an explainer broke its contract, for one that is no control, or a check broke down."""
    asked = {explainer.name for explainer in request.explainers if not explainer.is_control}
    failed = set(run.verdicts.loc[run.verdicts["verdict"] == "fail", "explainer"])
    broken = {about.name for about in run.record.explainers if about.status == "failed"}
    return bool(asked & (failed | broken)) or any(about.fault for about in run.record.checks)


# ---------------------------------------------------------------------- reading runs


def table_command(options: argparse.Namespace) -> int:
    """Print a per-class comparison table: of the score that was named, else of the rungs, else of the usual score."""
    from harness.report import ladder, paper, rendering, tables

    run = RunFolder.existing(options.folder)
    if options.show:
        made = _agreement(options, run)
    elif options.metric or run.ladder.empty or any(getattr(options, key) for key in SCORE_PARTS):
        made = tables.metric_table(run, _asked_metric(options, run), by=options.by)
    else:
        made = ladder.class_table(run, by=options.by, controls=True)
    if options.format == "latex" and not options.show:
        made = paper.precise(run, made)
    print(rendering.render(made, options.format))
    return DONE


SHOWN = ("ranks", "reliability", "agreement", "early", "power", "cost")
"""What ``table --show`` shows."""


def _agreement(options: argparse.Namespace, run: RunFolder) -> pd.DataFrame:
    """Return the table that ``--show`` asks for; ranks of the score that is named, else of those that decide."""
    from harness.report import queries, ranks, tables, workings

    named = bool(options.metric) or any(getattr(options, key) for key in SCORE_PARTS)
    if named and options.show != "ranks":
        raise UsageError(f"--show {options.show} is of all scores; name one for --show ranks alone")
    if named:
        made = ranks.rank_table(run, [queries.chosen(run, _asked_metric(options, run))])
        if made.empty:
            raise UsageError(f"{options.metric} ranks nobody in {run.name}: it needs a better end and two methods")
        return made
    apart = {"early": _early, "power": workings.power_table, "cost": workings.cost_table}
    held = {options.show: apart[options.show](run)} if options.show in apart else tables.agreement_tables(run)
    held = {name: table for name, table in held.items() if len(table)}
    if options.show not in held:
        raise UsageError(f"{run.name} holds {_LACKING[options.show]}")
    return held[options.show]


_LACKING = {
    "ranks": "no score that decides; name one with --metric",
    "reliability": "no score that ranks three methods",
    "agreement": "no maps of two methods to set beside each other; judge two or more",
    "early": "no settled pairs of a method; ask for --check cells",
    "power": "no claim that decides and has an interval; ask for --check cells, of two people or more",
}


def _early(run: RunFolder) -> pd.DataFrame:
    """Return after how many people asking about what counted could have stopped."""
    from harness.report import early

    return early.early_table(run, stops(run), passes_of_games(run))


SCORE_PARTS = ("output", "fill", "kind")
"""Options that say which score of a metric."""


def _asked_metric(options: argparse.Namespace, run: RunFolder) -> str:
    """Return the name of the score that the options ask for."""
    from harness.report import queries

    parts = {key: getattr(options, key) for key in SCORE_PARTS}
    if any(parts.values()) and not options.metric:
        raise UsageError("--kind, --output and --fill say which score of a metric; name it with --metric")
    return queries.called(run, options.metric or default_metric(run), **parts)


def default_metric(run: RunFolder) -> str:
    """Return settled pairs, else the deletion gain, else the first metric of a run that has neither."""
    held = list(run.named_scores["name"].unique())
    return next((name for name in ("settled-pairs", "deletion-gain", *held) if name in held), "deletion-gain")


def compare_command(options: argparse.Namespace) -> int:
    """Print explainers or runs side by side."""
    from harness.report import comparison, rendering

    runs = [RunFolder.existing(folder) for folder in options.folders]
    metric = _asked_metric(options, runs[0])
    print(rendering.render(comparison.compare(runs, options.explainer or (), metric), options.format))
    return _rungs_lost(options, runs) if options.strict or options.junit else DONE


def _rungs_lost(options: argparse.Namespace, runs: Sequence[RunFolder]) -> int:
    """Say which rungs the later of two runs has lost, and return the exit status."""
    from harness.report import losses

    if len(runs) != 2 or not options.strict:
        raise UsageError("--strict (and --junit with it) takes two runs, the earlier one first")
    kept = losses.kept_rungs(*runs)
    asked = [one for one in kept if not options.explainer or one.explainer in options.explainer]
    lost = losses.lost_rungs(asked)
    if options.junit:
        losses.write_junit(asked, options.junit)
    gone = list(dict.fromkeys(one.explainer for one in asked if not one.after))
    if gone and all(not one.after for one in asked):
        raise UsageError(
            f"{runs[1].path} holds none of the methods that reached a rung in {runs[0].path} ({', '.join(gone)}), so "
            "that nothing is compared; run the same methods"
        )
    for line in losses.lines(lost):
        print(f"harness: {line}", file=sys.stderr)
    for name in gone:
        count = sum(one.explainer == name for one in asked)
        print(f"harness: {count} not asked: {name} is not in {runs[1].name}", file=sys.stderr)
    print(f"{len(lost)} of {len(asked)} rungs lost from {runs[0].name} to {runs[1].name}", file=sys.stderr)
    return FAILED if lost else DONE


def report_command(options: argparse.Namespace) -> int:
    """Write tables, figures and the page anew."""
    for file in write_report(RunFolder.existing(options.folder)):
        print(file)
    return DONE


def index_command(options: argparse.Namespace) -> int:
    """Write one page over all runs below a folder; say which could not be read."""
    from harness.report import index_page

    made = index_page.write_index(options.folder)
    for line in made.refused:
        told(line)
    print(made.path)
    return DONE
