"""The words that choose an evaluation, which `harness run` and `pytest suites/` share."""

import argparse
import math
from pathlib import Path
from typing import Any

from harness.arithmetic import AUTO
from harness.engines import ENGINES, LOCAL
from harness.metrics.score import KINDS
from harness.profiles import PROFILES


def add_run_options(parser: Any) -> None:
    """Add the words that choose an evaluation; `harness run` and `pytest suites/` share them."""
    add = parser.addoption if hasattr(parser, "addoption") else parser.add_argument
    add(
        "--subject", metavar="S", default="faces-cnn", help="a bundled network or file.py:factory (default %(default)s)"
    )
    add(
        "--faces",
        "--images",
        dest="faces",
        metavar="F",
        default="rendered",
        help="a bundled face set or a path to pictures (default %(default)s)",
    )
    add(
        "--groups",
        metavar="G",
        help="who is on each picture: a column, array, pattern in pictures' paths or file.py:function",
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
    add("--seed", metavar="K", type=seed, default=0, help="of every random draw (default %(default)s)")
    add(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the network runs (default %(default)s)"
    )
    add_feed(add)
    add(
        "--time-limit",
        metavar="S",
        type=_seconds,
        help="most seconds of one call of an explainer (default: generous beside the pace of network and others)",
    )
    add(
        "--memory-limit",
        metavar="GIB",
        type=_gib,
        help="most memory that one call of an explainer may take (default: most of what the machine has free)",
    )
    add(
        "--workers",
        metavar="N",
        type=int,
        default=0,
        help="processes of one thread side by side (0: this one alone, or under Ray one a processor or GPU)",
    )
    add("--isolate", action="store_true", help="each explainer, metric and check of yours in a process of its own")
    add(
        "--no-store",
        action="store_true",
        help="take nothing that other runs have made, and give them nothing; what the folder holds is still used",
    )
    add("--engine", choices=ENGINES, default=LOCAL, help="where they work: this machine, or Ray (default %(default)s)")
    add("--address", metavar="A", default="", help="of a Ray cluster, as host:port or auto (default: one started here)")
    add("--out", metavar="DIR", type=some_path, help="run folder; the same folder goes on where it stopped")


def add_metric_options(parser: argparse.ArgumentParser) -> None:
    """Add the words that choose a score of a run: by its name, or by the columns of scores.parquet."""
    parser.add_argument("--metric", metavar="M", help="a score's name, with /variant where it has several")
    parser.add_argument("--kind", choices=KINDS, default="", help="with --metric as in that column: which kind (score)")
    parser.add_argument("--output", metavar="O", default="", help="with --metric as in that column: of which output")
    parser.add_argument("--fill", metavar="F", default="", help="with --metric as in that column: with which fill")


def add_feed(add: Any) -> None:
    """Add the word that says how images are handed to the network."""
    words = "memory layout and images a pass: auto, contiguous:64, channels-last:64 or channels-last:FORWARD:BACKWARD"
    add("--feed", metavar="L:N", default=AUTO, help=f"{words} (default: measured once for the run)")


def some_path(text: str) -> Path:
    """Return a path that was given; an empty one, as of a shell's variable that is not set, is none."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the path is empty; name a folder or file, . for this folder")
    return Path(text)


def _seconds(text: str) -> float:
    """Return a time that a call may take."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give seconds, more than 0")
    return seconds


def _gib(text: str) -> float:
    """Return how much memory a call may take."""
    try:
        gib = float(text)
    except ValueError:
        gib = math.nan
    if not 0 < gib < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of memory; give GiB, more than 0")
    return gib


def seed(text: str) -> int:
    """Return a seed that every generator takes."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; give a whole number from 0 to {2**32 - 1}")
    return int(text)
