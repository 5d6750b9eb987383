"""Plant faults in the metrics, one at a time, and count those that the tests catch.

``python benchmarks/planted_faults.py`` prints each fault that got through and the share that was caught; it fails below
95 %. A fault is a change of one place in a source file of ``harness/metrics``, from the list in
``planted_faults.toml``. The file itself is left as it is: a child process compiles the changed source in its stead and
runs ``tests/metrics`` until a test fails. ``--match WORD`` plants those whose description holds the word, ``--some N``
a handful of N that ``--seed`` draws, no two of one file, which the project's own tests do every time.
"""

import argparse
import os
import random
import signal
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
METRICS = ROOT / "harness" / "metrics"
LIST = Path(__file__).with_suffix(".toml")
TESTS = ROOT / "tests" / "metrics"
# Agreement with other libraries is a witness of its own: what is shown here holds where they are not installed.
LEFT_OUT = ("test_parity_quantus.py", "test_metric_planted_faults.py")
REQUIRED = 0.95
SECONDS = 300


@dataclass(frozen=True)
class Fault:
    """One place of one file, what stands there, what is put in its stead, and what that does."""

    family: str
    what: str
    old: str
    new: str

    @property
    def path(self) -> Path:
        """The file."""
        return METRICS / f"{self.family}.py"

    @property
    def own_tests(self) -> Path:
        """The tests of its family, which need not be there."""
        return TESTS / f"test_metric_{self.family.split('/')[0]}.py"

    def source(self) -> str:
        """Return the changed source.

        Raises
        ------
        ValueError
            If what should stand there does not, or stands in several places.
        """
        text = self.path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(
                f"{self.family}: {self.old!r} occurs {text.count(self.old)} times; give a place of its own"
            )
        return text.replace(self.old, self.new)


# The control: were it caught, so would be everything.
NOTHING = Fault("_rows", "nothing at all", '"""Row-wise arithmetic', '"""Row-wise arithmetic ')


def listed() -> tuple[Fault, ...]:
    """Return the faults of the list beside this file."""
    return tuple(Fault(**fault) for fault in tomllib.loads(LIST.read_text())["fault"])


def handful(faults: Sequence[Fault], count: int, seed: int) -> tuple[Fault, ...]:
    """Return faults of so many different files with tests of their own, the same for the same list and seed."""
    source = random.Random(seed)
    tested = [fault for fault in faults if fault.own_tests.exists()]
    families = source.sample(sorted({fault.family for fault in tested}), count)
    return tuple(source.choice([fault for fault in tested if fault.family == family]) for family in families)


def caught(fault: Fault, places: Sequence[Path] = ()) -> bool:
    """Run the tests in a child process that sees the fault; say whether one of them failed.

    Without `places` all of them, the nearest first.
    """
    source, target = fault.source(), str(fault.path)
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    status = 2
    try:
        _silence()
        _replace(target, compile(source, target, "exec"))
        status = _tests_fail(places or _nearest_first(fault))
    finally:
        os._exit(status)


def _silence() -> None:
    """Send what the child prints nowhere, and end it should it hang."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    signal.alarm(SECONDS)


def _replace(target: str, code: CodeType) -> None:
    """Have every later import of the file at `target` run `code`, and forget what was imported."""
    usual = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str) -> CodeType | None:
        return code if os.path.realpath(loader.path) == os.path.realpath(target) else usual(loader, name)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]
    for name in [name for name in sys.modules if name.split(".")[0] == "harness"]:
        del sys.modules[name]


def _nearest_first(fault: Fault) -> list[Path]:
    """Return all tests of the metrics, those of a fault's family first."""
    own = [fault.own_tests] if fault.own_tests.exists() else []
    return [*own, TESTS / "test_metric_white_box.py", TESTS / "test_metric_laws.py", TESTS]


def _tests_fail(places: Sequence[Path]) -> int:
    """Return 1 where a test fails, 0 where none does."""
    hypothesis.settings.register_profile("planted", database=None, derandomize=True)
    hypothesis.settings.load_profile("planted")
    # Plain assertions: the package is a plugin of pytest, whose rewriting of assertions would load the file as it is.
    options = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain"]
    left_out = [f"--ignore={TESTS / name}" for name in LEFT_OUT]
    return int(any(pytest.main([*options, *left_out, str(place)]) != 0 for place in places))


def main(arguments: list[str] | None = None) -> int:
    """Plant the faults and print what got through; return 1 if too many did."""
    parser = argparse.ArgumentParser(description="Plant faults in the metrics and count those that the tests catch.")
    parser.add_argument("--match", default="", help="plant only those whose description or file holds this word")
    parser.add_argument("--some", type=int, metavar="N", help="plant a handful, of so many different files")
    parser.add_argument("--seed", type=int, default=0, help="which handful (default %(default)s)")
    asked = parser.parse_args(arguments)
    os.chdir(ROOT)
    # Imported once here, so that no child has to.
    for heavy in ("harness", "scipy.stats", "scipy.ndimage", "skimage.metrics", "skimage.feature", "sklearn.metrics"):
        import_module(heavy)
    chosen = [fault for fault in listed() if asked.match in f"{fault.family}: {fault.what}"]
    chosen = list(handful(chosen, asked.some, asked.seed)) if asked.some else chosen
    # Of a handful the tests that are nearest to it have to pass without a fault, else all.
    if caught(NOTHING, [fault.own_tests for fault in chosen] if asked.some else ()):
        print("the tests fail without a fault; mend them first")
        return 2
    through = []
    for fault in chosen:
        if not caught(fault):
            through.append(fault)
            print(f"got through: {fault.family}: {fault.what}", flush=True)
    share = 1 - len(through) / len(chosen) if chosen else 0.0
    print(f"{len(chosen) - len(through)} of {len(chosen)} planted faults caught ({share:.1%})")
    return int(share < REQUIRED)


if __name__ == "__main__":
    sys.exit(main())
