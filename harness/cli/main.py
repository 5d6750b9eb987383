"""The command line: reads words, calls the library, prints tables. Its errors are one line and exit status 2."""

import argparse
import re
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from harness import __version__
from harness.cli.cleaning import clean_command
from harness.cli.completion import actions, complete
from harness.cli.doctor import doctor_command
from harness.cli.listing import LISTS, list_command
from harness.cli.making import fetch_command, gallery_command, train_command
from harness.cli.options import add_feed, add_metric_options, add_run_options, seed, some_path
from harness.cli.runs import SHOWN, compare_command, index_command, report_command, run_command, table_command
from harness.cli.status import DONE, WRONG_USE
from harness.errors import HarnessError, UsageError, closest
from harness.explainers.asked import load_entry_points
from harness.names import LONGEST, printable

FORMATS = ("text", "md", "csv", "latex", "json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its status: 0 done, 1 what ``--strict`` stops at, 2 wrong use, 130 stopped."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parser = command_parser()
        complete(parser)
        options = parser.parse_args(words)
        options.command_line = shlex.join(["harness", *words])
        load_entry_points()
        status: int = options.run(options)
        return status
    except HarnessError as error:
        print(f"harness: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return WRONG_USE
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()
            return DONE
        where = f"{printable(str(error.filename))[:LONGEST]}: " if error.filename else ""
        print(f"harness: {where}{error.strerror or error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("harness: stopped; the same command goes on from here", file=sys.stderr)
        return 130


class _OneLine(argparse.ArgumentParser):
    """Says what is wrong in one line instead of printing the usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}{self._meant(message)}; see {self.prog} --help")

    def _meant(self, message: str) -> str:
        """Return the nearest word to one that is unknown."""
        if (chosen := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)) is not None:
            return closest(chosen[1], [word.strip(" '") for word in chosen[2].split(",")])
        if (option := re.search(r"unrecognized arguments: (--[\w-]+)", message)) is not None:
            return closest(option[1], {word for action in actions(self) for word in action.option_strings})
        return ""


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _OneLine(prog="harness", description="Tells which explanations of an image classifier can be believed.")
    parser.add_argument("--version", action="version", version=f"harness {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_OneLine)

    run = commands.add_parser("run", help="evaluate explainers and store a run")
    add_run_options(run)
    run.add_argument(
        "--check",
        metavar="C",
        action="append",
        help="a check, a family, all or file.py:function; repeat for more (all that the pictures can answer)",
    )
    run.add_argument("--per-class", metavar="N", type=int, help="images of each predicted class (as the profile says)")
    run.add_argument("--strict", action="store_true", help="exit with 1 where a check failed or a contract is broken")
    run.add_argument("--plan", action="store_true", help="say what it would take, passes and minutes, and make nothing")
    run.add_argument("--quiet", action="store_true", help="say the answer and the files alone, and what went wrong")
    run.add_argument("--json", action="store_true", help="say the same as JSON, for a program to read")
    run.set_defaults(run=run_command)

    table = commands.add_parser("table", help="print a per-class comparison table")
    table.add_argument("folder", metavar="RUN", type=some_path)
    add_metric_options(table)
    table.add_argument(
        "--show",
        choices=SHOWN,
        default="",
        help="instead: who is told apart by ranks; how reliable scores are; how far explainers agree; when asking "
        "could have stopped; what claims could have shown; what it cost",
    )
    table.add_argument("--by", choices=("class", "explainer"), default="class", help="rows (default %(default)s)")
    table.add_argument("--format", choices=FORMATS, default="text", help="(default %(default)s)")
    table.set_defaults(run=table_command)

    compare = commands.add_parser("compare", help="explainers or runs side by side, paired by image")
    compare.add_argument("folders", metavar="RUN", nargs="+", type=some_path)
    compare.add_argument("--explainer", metavar="E", action="append")
    add_metric_options(compare)
    compare.add_argument("--format", choices=FORMATS, default="text", help="(default %(default)s)")
    compare.add_argument(
        "--strict", action="store_true", help="of an earlier and a later run: exit with 1 where a rung is lost"
    )
    compare.add_argument("--junit", metavar="FILE", type=some_path, help="with --strict: a test case for each rung")
    compare.set_defaults(run=compare_command)

    report = commands.add_parser("report", help="write the tables, figures and page of a run")
    report.add_argument("folder", metavar="RUN", type=some_path)
    report.set_defaults(run=report_command)

    index = commands.add_parser("index", help="write one page over all runs below a folder")
    index.add_argument("folder", metavar="FOLDER", type=some_path)
    index.set_defaults(run=index_command)

    clean = commands.add_parser("clean", help="take away the pieces that runs keep, to give back the room")
    clean.add_argument("folders", metavar="RUN", nargs="*", type=some_path)
    clean.add_argument("--store", action="store_true", help="those that runs share")
    clean.set_defaults(run=clean_command)

    gallery = commands.add_parser("gallery", help="the figures of a classic report, and what measurement says of them")
    gallery.add_argument("--subject", metavar="S", default="faces-cnn", help="as in run (default %(default)s)")
    gallery.add_argument(
        "--faces", "--images", dest="faces", metavar="F", default="rendered", help="as in run (default %(default)s)"
    )
    gallery.add_argument("--out", metavar="DIR", type=some_path, help="where figures, page and run go")
    gallery.add_argument(
        "--run", metavar="RUN", type=some_path, dest="run_folder", help="a run to take the numbers from"
    )
    gallery.add_argument("--image", metavar="ID", help="number or file whose filter outputs are shown")
    gallery.add_argument("--after-activation", action="store_true", help="show filter outputs after their activation")
    gallery.add_argument("--seed", metavar="K", type=seed, default=0, help="of every random draw (default %(default)s)")
    gallery.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default %(default)s)")
    add_feed(gallery.add_argument)
    gallery.set_defaults(run=gallery_command)

    listing = commands.add_parser("list", help="say what there is")
    listing.add_argument("what", choices=tuple(LISTS))
    listing.add_argument("--json", action="store_true", help="for machines")
    listing.add_argument(
        "--examined",
        metavar="SUBJECT",
        help="metrics: whether each puts the truth before noise and blind controls on this subject",
    )
    listing.add_argument(
        "--faces",
        "--images",
        dest="faces",
        metavar="F",
        default="rendered",
        help="on which --examined is made (default %(default)s)",
    )
    listing.set_defaults(run=list_command)

    doctor = commands.add_parser("doctor", help="say what this machine has, and how to bring what it lacks")
    doctor.add_argument("--json", action="store_true", help="for machines")
    doctor.set_defaults(run=doctor_command)

    learn = commands.add_parser("train", help="train the bundled architecture on your faces")
    learn.add_argument(
        "--faces", "--images", dest="faces", metavar="F", required=True, help="a bundled face set or a path"
    )
    learn.add_argument("--out", metavar="W.safetensors", type=some_path, required=True, help="where the weights go")
    learn.add_argument("--epochs", metavar="N", type=int, default=30, help="most epochs (default %(default)s)")
    learn.add_argument("--seed", metavar="K", type=seed, default=0, help="of every random draw (default %(default)s)")
    learn.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default %(default)s)")
    learn.set_defaults(run=train_command)

    bring = commands.add_parser("fetch", help="bring an outside network or face set once, verified")
    bring.add_argument("names", metavar="NAME", nargs="+")
    bring.set_defaults(run=fetch_command)
    return parser
