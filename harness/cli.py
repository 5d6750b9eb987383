"""The command line: reads words, calls the library, prints tables. Its errors are one line and exit status 2."""

import argparse
import json
import math
import shlex
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
import torch
from tqdm import tqdm

from harness import __version__
from harness.arithmetic import AUTO, on_arithmetic
from harness.checks import CHECKS, Check
from harness.checks.record import contract_states
from harness.engines import Job
from harness.errors import HarnessError, UsageError
from harness.evaluation import Request, evaluate, examine
from harness.explainers import registered
from harness.explainers.asked import DEFAULT, asked_explainers, load_entry_points
from harness.faces import FaceSet
from harness.faces.loading import FACES, load_faces
from harness.fetching import fetch
from harness.importing import closest
from harness.measurements.asked import asked_metrics
from harness.metrics.cards import MetricCard, metric_cards
from harness.models.bundled import SUBJECTS
from harness.models.loading import load_subject, load_twin
from harness.profiles import PROFILES
from harness.store import RunFolder

DONE, FAILED, WRONG_USE = 0, 1, 2
FORMATS = ("text", "md", "csv", "latex", "json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 a check failed under --strict, 2 wrong use."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parser().parse_args(words)
        options.command_line = shlex.join(["harness", *words])
        load_entry_points()
        status: int = options.run(options)
        return status
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("harness: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return DONE


# ---------------------------------------------------------------------- harness run


def _run(options: argparse.Namespace) -> int:
    """Evaluate and store a run, print its tables."""
    # matplotlib is slow to import, and `harness list` does not need it.
    from harness.report import ladder, reading, tables

    request = asked_request(options, options.per_class)
    folder = options.out or default_folder(request, options.profile)
    run = evaluate(request, RunFolder(folder), shown_progress, options.command_line)
    for note in run.info.get("notes", []):
        print(f"harness: note: {note}", file=sys.stderr)
    for table in [*tables.verdict_tables(run), *_ladder_tables(run)]:
        print(tables.render(table, "text"))
    if len(run.scores):
        print(tables.render(tables.metric_table(run, default_metric(run)), "text"))
    for file in write_report(run):
        print(file)
    print("\n".join(["", *ladder.lines(run)]))
    for line in reading.metric_faults(run).values():
        print(f"harness: {line}", file=sys.stderr)
    return FAILED if options.strict and _has_failures(run, request) else DONE


def _ladder_tables(run: RunFolder) -> list[pd.DataFrame]:
    """Return the ladder over all images and class by class, where anything decides."""
    from harness.report import ladder

    return [ladder.ladder_table(run), ladder.class_table(run)] if len(run.ladder) else []


def default_folder(request: Request, profile: str) -> Path:
    """Return the run folder used where none is asked for; the same evaluation finds its own again."""
    return Path("results") / f"{request.subject.name}-{request.faces.name}-{profile}"


def asked_request(options: argparse.Namespace, per_class: int | None = None) -> Request:
    """Return the evaluation that the options ask for."""
    profile = PROFILES[options.profile].with_per_class(per_class)
    names = asked_checks(options.check)
    explainers = asked_explainers(options.explainer)
    subject = load_subject(options.subject, asked_device(options.device))
    faces = load_faces(options.faces, subject.classes, groups=options.groups)
    checks = tuple(CHECKS[name] for name in names if options.check or _has_evidence(CHECKS[name], faces))
    everything = not options.check or "all" in options.check
    twin = load_twin(options.random_labels, subject, options.subject)
    asked = asked_metrics(options.metric or (), everything=everything)
    for line in asked.refused:
        print(f"harness: {line}; the others go on", file=sys.stderr)
    feed, own = options.feed, asked.cards
    return Request(subject, faces, explainers, checks, profile, options.seed, everything, twin, feed, own)


def _has_evidence(check: Check, faces: FaceSet) -> bool:
    """Whether the faces have what the check needs to know; one that does not mean anything is not made by default."""
    known = {*faces.evidence, *(["counterfactuals"] if faces.counterfactuals is not None else [])}
    return not check.evidence or check.evidence in known


def asked_device(name: str) -> torch.device:
    """Return the device called `name`; auto takes a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: this machine shows no CUDA device; use --device cpu")
    return torch.device(name)


def asked_checks(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the checks asked for; a family's name or "all" stands for its checks."""
    if not names or "all" in names:
        return tuple(CHECKS)
    chosen: list[str] = []
    for name in names:
        held = [check.name for check in CHECKS.values() if name in (check.name, check.family)]
        if not held:
            families = dict.fromkeys(check.family for check in CHECKS.values())
            known = [*CHECKS, *families]
            raise UsageError(
                f"no check or family is called {name!r}{closest(name, known)}; there is {', '.join(known)} and all"
            )
        chosen += held
    return tuple(dict.fromkeys(chosen))


def shown_progress(jobs: Sequence[Job]) -> Iterator[Job]:
    """Pass jobs through under a progress bar on standard error that says what is being done."""
    with tqdm(jobs, unit="job", dynamic_ncols=True, disable=None) as bar:
        for job in bar:
            bar.set_description_str(job.title)
            yield job


def write_report(run: RunFolder) -> Iterable[Path]:
    """Write every table, figure and the page of a run, and return the files worth opening."""
    from harness.report import effects, page, tables

    tables.write_tables(run)
    effects.write_effects(run)
    return [page.write_page(run), *sorted(run.path.glob("figures/*.png"))]


def _has_failures(run: RunFolder, request: Request) -> bool:
    """Whether a check failed, or an explainer broke its contract, for an explainer that is no control."""
    asked = {explainer.name for explainer in request.explainers if not explainer.is_control}
    failed = set(run.verdicts.loc[run.verdicts["verdict"] == "fail", "explainer"])
    broken = {about["name"] for about in run.info["explainers"] if about["status"] == "failed"}
    return bool(asked & (failed | broken))


# ---------------------------------------------------------------------- reading runs


def _table(options: argparse.Namespace) -> int:
    """Print a per-class comparison table."""
    from harness.report import tables

    run = RunFolder.existing(options.folder)
    metric = options.metric or default_metric(run)
    print(tables.render(tables.metric_table(run, metric, by=options.by), options.format))
    return DONE


def default_metric(run: RunFolder) -> str:
    """Return settled pairs, else the deletion gain, else the first metric of a run that has neither."""
    held = list(run.scores["metric"].unique())
    return next((name for name in ("settled-pairs", "deletion-gain", *held) if name in held), "deletion-gain")


def _compare(options: argparse.Namespace) -> int:
    """Print explainers or runs side by side."""
    from harness.report import comparison, tables

    runs = [RunFolder.existing(folder) for folder in options.folders]
    metric = options.metric or default_metric(runs[0])
    print(tables.render(comparison.compare(runs, options.explainer or (), metric), options.format))
    return DONE


def _report(options: argparse.Namespace) -> int:
    """Write tables, figures and the page anew."""
    for file in write_report(RunFolder.existing(options.folder)):
        print(file)
    return DONE


# ---------------------------------------------------------------------- harness gallery


def _gallery(options: argparse.Namespace) -> int:
    """Write the gallery's figures and page, with the run that answers its question."""
    from harness.gallery import EXPLAINERS, Gallery, fill
    from harness.report.gallery_page import spoken, write_gallery
    from harness.report.gallery_reading import StoredGallery

    subject = load_subject(options.subject, asked_device(options.device))
    faces = load_faces(options.faces, subject.classes)
    gallery = Gallery(subject, faces, options.seed, options.image, options.after_activation)
    gallery.check()
    feed = options.feed
    if options.run_folder:
        run = RunFolder.existing(options.run_folder)
        gallery.check_run(run)
        feed = run.info.get("arithmetic", {}).get("feed", AUTO) if feed == AUTO else feed
    folder = RunFolder(options.out or Path("results") / f"gallery-{subject.name}-{faces.name}")
    folder = on_arithmetic(subject, folder, feed)
    if not options.run_folder:
        checks = tuple(check for check in CHECKS.values() if _has_evidence(check, faces))
        request = Request(
            subject,
            faces,
            asked_explainers(EXPLAINERS),
            checks,
            PROFILES["quick"],
            options.seed,
            feed=str(subject.feed),
        )
        run = evaluate(request, RunFolder(folder.path / "run"), shown_progress, options.command_line)
    fill(gallery, folder, run, options.command_line)
    held = StoredGallery(folder, run)
    files = write_gallery(held)
    print("\n".join([*spoken(held), *map(str, files)]))
    return DONE


# ---------------------------------------------------------------------- what there is


def _list(options: argparse.Namespace) -> int:
    """Print what there is."""
    rows = _examined_metrics(options) if options.examined else LISTS[options.what]()
    if options.json:
        print(json.dumps(rows, indent=2))
        return DONE
    from tabulate import tabulate

    widths = [None if key in ("name", "family") else 60 for key in rows[0]]
    shown = [{key: _cell(value) for key, value in row.items()} for row in rows]
    print(tabulate(shown, headers="keys", maxcolwidths=widths))
    return DONE


def _cell(value: Any) -> Any:
    """Return a value as a table shows it: of several under their names, the names where they differ."""
    if not isinstance(value, dict):
        return value
    return (
        value[next(iter(value))] if len(set(value.values())) == 1 else "; ".join(f"{k}: {v}" for k, v in value.items())
    )


def _listed_explainers() -> list[dict[str, Any]]:
    """Say what each explainer is."""
    return [
        {
            "name": explainer.name,
            "family": explainer.facts.family,
            "default": explainer.name in DEFAULT,
            "cost": explainer.facts.cost,
            "reference": explainer.facts.reference,
            "contract": contract_states(explainer),
        }
        for explainer in registered().values()
    ]


def _listed_checks() -> list[dict[str, Any]]:
    """Say what each check claims."""
    return [
        {
            "name": check.name,
            "family": check.family,
            "claim": check.claim,
            "control": check.control,
            "margin": check.margin,
            "margin_reason": check.margin_reason,
            "reference": check.reference,
        }
        for check in CHECKS.values()
    ]


def _listed_metrics() -> list[dict[str, Any]]:
    """Say what each metric measures."""
    return [_listed_metric(card) for card in metric_cards().values()]


LISTED_OF_METRICS = (
    *("name", "family", "low", "high", "higher_is_better", "meaning", "chance", "cost", "undefined", "reference"),
    *("compared_with", "largest_difference", "differs"),
)


def _listed_metric(card: MetricCard) -> dict[str, Any]:
    """Say what one metric measures; a range without bound is null."""
    about = {key: getattr(card, key) for key in LISTED_OF_METRICS}
    return {key: None if isinstance(value, float) and math.isinf(value) else value for key, value in about.items()}


def _examined_metrics(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Say of each metric whether it tells true causes from noise on a subject."""
    if options.what != "metrics":
        raise UsageError(f"--examined goes with metrics: harness list metrics --examined {options.examined}")
    subject = load_subject(options.examined, asked_device("auto"))
    faces = load_faces(options.faces, subject.classes)
    request = Request(subject, faces, (), (), PROFILES["quick"])
    folder = RunFolder(Path("results") / f"examination-{subject.name}-{faces.name}")
    table = examine(request, folder, shown_progress)
    found = {str(row["metric"]): {str(k): v for k, v in row.items()} for row in table.to_dict("records")}
    return [_examined_metric(card, found.get(card.name)) for card in metric_cards().values()]


def _examined_metric(card: MetricCard, row: dict[str, Any] | None) -> dict[str, Any]:
    """Say what came of one metric's examination, or why there was none."""
    why = "no direction is a virtue" if card.higher_is_better is None else "no oracle can be asked what it asks for"
    nothing = {"n": 0, "discrimination": None, "low": None, "high": None, "verdict": "not examined", "reason": why}
    held = nothing if row is None else {key: _known(row[key]) for key in nothing}
    return {"name": card.name, "family": card.family, **held}


def _known(value: Any) -> Any:
    """Return a value with None for what is undefined."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _listed_subjects() -> list[dict[str, Any]]:
    """Say what each bundled network is."""
    return [{"name": s.name, "what": s.what, "licence": s.licence, "reference": s.reference} for s in SUBJECTS.values()]


def _listed_faces() -> list[dict[str, Any]]:
    """Say what each bundled face set is."""
    return [{"name": f.name, "what": f.what, "licence": f.licence} for f in FACES.values()]


LISTS = {
    "explainers": _listed_explainers,
    "checks": _listed_checks,
    "metrics": _listed_metrics,
    "subjects": _listed_subjects,
    "faces": _listed_faces,
}


def _train(options: argparse.Namespace) -> int:
    """Train the bundled architecture on the user's faces, print how well it does, and write its weights."""
    from tabulate import tabulate

    from harness.models.training import train, writable

    writable(options.out)
    device = asked_device(options.device)
    made = train(load_faces(options.faces, training=True), seed=options.seed, epochs=options.epochs, device=device)
    made.save(options.out)
    held, rows = made.held, zip(made.classes, made.held.confusion.tolist(), made.held.recall, strict=True)
    table = [[name, *counts, None if math.isnan(recall) else f"{recall:.2f}"] for name, counts, recall in rows]
    print(tabulate(table, headers=["true \\ predicted", *made.classes, "recall"], missingval="no faces"))
    print(f"accuracy {held.accuracy:.3f} on {len(held.ids)} faces held out, after epoch {made.epoch} of {made.ran}")
    print(f"{options.out}   judge it with: harness run --subject {options.out} --faces {options.faces}")
    return DONE


def _fetch(options: argparse.Namespace) -> int:
    """Bring something from outside, once."""
    for name in options.names:
        print(fetch(name))
    return DONE


# ---------------------------------------------------------------------- words


class _OneLine(argparse.ArgumentParser):
    """Says what is wrong in one line instead of printing the usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def add_run_options(parser: Any) -> None:
    """Add the words that choose an evaluation; `harness run` and `pytest suites/` share them."""
    add = parser.addoption if hasattr(parser, "addoption") else parser.add_argument
    add(
        "--subject", metavar="S", default="faces-cnn", help="a bundled network or file.py:factory (default %(default)s)"
    )
    add("--faces", metavar="F", default="rendered", help="a bundled face set or a path (default %(default)s)")
    add(
        "--groups",
        metavar="G",
        help="who is on each picture: a column, array, pattern in file names or file.py:function",
    )
    add("--random-labels", metavar="S", help="the subject's architecture trained on permuted labels, as for --subject")
    add(
        "--explainer",
        metavar="E",
        action="append",
        help="a name, family, all or file.py:function, with :setting=value,... for other settings; repeat for more",
    )
    add("--metric", metavar="M", action="append", help="a metric of yours, as file.py:function; repeat for more")
    add("--profile", choices=tuple(PROFILES), default="quick", help="how much is measured (default %(default)s)")
    add("--seed", metavar="K", type=_seed, default=0, help="of every random draw (default %(default)s)")
    add(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the network runs (default %(default)s)"
    )
    _add_feed(add)
    add("--out", metavar="DIR", type=Path, help="run folder; the same folder goes on where it stopped")


def _add_feed(add: Any) -> None:
    """Add the word that says how images are handed to the network."""
    words = "memory layout and images a pass: auto, contiguous:64, channels-last:64 or channels-last:FORWARD:BACKWARD"
    add("--feed", metavar="L:N", default=AUTO, help=f"{words} (default: measured once for the run)")


def _seed(text: str) -> int:
    """Return a seed that every generator takes."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; give a whole number from 0 to {2**32 - 1}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _OneLine(prog="harness", description="Tells which explanations of an image classifier can be believed.")
    parser.add_argument("--version", action="version", version=f"harness {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_OneLine)

    run = commands.add_parser("run", help="evaluate explainers and store a run")
    add_run_options(run)
    run.add_argument("--check", metavar="C", action="append", help="a check, a family or all; repeat for more (all)")
    run.add_argument("--per-class", metavar="N", type=int, help="images of each predicted class (as the profile says)")
    run.add_argument("--engine", choices=("local",), default="local", help="where jobs run (default %(default)s)")
    run.add_argument("--strict", action="store_true", help="exit with 1 where a check failed")
    run.set_defaults(run=_run)

    table = commands.add_parser("table", help="print a per-class comparison table")
    table.add_argument("folder", metavar="RUN", type=Path)
    table.add_argument("--metric", metavar="M", help="as in scores.parquet, with /variant where it has several")
    table.add_argument("--by", choices=("class", "explainer"), default="class", help="rows (default %(default)s)")
    table.add_argument("--format", choices=FORMATS, default="text", help="(default %(default)s)")
    table.set_defaults(run=_table)

    compare = commands.add_parser("compare", help="explainers or runs side by side, paired by image")
    compare.add_argument("folders", metavar="RUN", nargs="+", type=Path)
    compare.add_argument("--explainer", metavar="E", action="append")
    compare.add_argument("--metric", metavar="M")
    compare.add_argument("--format", choices=FORMATS, default="text", help="(default %(default)s)")
    compare.set_defaults(run=_compare)

    report = commands.add_parser("report", help="write the tables, figures and page of a run")
    report.add_argument("folder", metavar="RUN", type=Path)
    report.set_defaults(run=_report)

    gallery = commands.add_parser("gallery", help="the figures of a classic report, and what measurement says of them")
    gallery.add_argument("--subject", metavar="S", default="faces-cnn", help="as in run (default %(default)s)")
    gallery.add_argument("--faces", metavar="F", default="rendered", help="as in run (default %(default)s)")
    gallery.add_argument("--out", metavar="DIR", type=Path, help="where figures, page and run go")
    gallery.add_argument("--run", metavar="RUN", type=Path, dest="run_folder", help="a run to take the numbers from")
    gallery.add_argument("--image", metavar="ID", type=int, help="whose filter outputs are shown (5607 where there is)")
    gallery.add_argument("--after-activation", action="store_true", help="show filter outputs after their activation")
    gallery.add_argument(
        "--seed", metavar="K", type=_seed, default=0, help="of every random draw (default %(default)s)"
    )
    gallery.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default %(default)s)")
    _add_feed(gallery.add_argument)
    gallery.set_defaults(run=_gallery)

    listing = commands.add_parser("list", help="say what there is")
    listing.add_argument("what", choices=tuple(LISTS))
    listing.add_argument("--json", action="store_true", help="for machines")
    listing.add_argument(
        "--examined", metavar="SUBJECT", help="metrics: whether each tells true causes from noise on this subject"
    )
    listing.add_argument(
        "--faces", metavar="F", default="rendered", help="on which --examined is made (default %(default)s)"
    )
    listing.set_defaults(run=_list)

    learn = commands.add_parser("train", help="train the bundled architecture on your faces")
    learn.add_argument("--faces", metavar="F", required=True, help="a bundled face set or a path")
    learn.add_argument("--out", metavar="W.safetensors", type=Path, required=True, help="where the weights go")
    learn.add_argument("--epochs", metavar="N", type=int, default=30, help="most epochs (default %(default)s)")
    learn.add_argument("--seed", metavar="K", type=_seed, default=0, help="of every random draw (default %(default)s)")
    learn.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default %(default)s)")
    learn.set_defaults(run=_train)

    bring = commands.add_parser("fetch", help="bring an outside network or face set once, verified")
    bring.add_argument("names", metavar="NAME", nargs="+")
    bring.set_defaults(run=_fetch)
    return parser


if __name__ == "__main__":
    warnings.simplefilter("default")
    raise SystemExit(main())
