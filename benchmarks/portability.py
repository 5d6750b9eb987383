"""Plays other machines on this one: the same tests, contract and quick suites under other arithmetic, and what moves.

A processor with other instructions, another number of threads or another memory layout sums in another order, so that
last bits differ. Nothing that is said of an explainer may hang on them. Each leg is a set of switches that make the
libraries in the process (oneDNN, ATen, MKL, OpenBLAS, NumPy) act as they would elsewhere; every part of a leg is
compared with the same part of the first leg. Parts that are done are kept under a name of the code, so that a stopped
call goes on; and what each says can be put on record, so that the hours of a whole matrix may be spread over calls and
machines.

    python benchmarks/portability.py                    # every leg, every part
    python benchmarks/portability.py --parts arithmetic --legs sse41 avx2
    python benchmarks/portability.py --recorded         # runs what is not on record for this code
"""

import argparse
import ast
import functools
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from numpy._core._multiarray_umath import __cpu_dispatch__

from harness.arithmetic import machine
from harness.digest import digest, file_sha256
from harness.report.agreement import differences
from harness.store import RunFolder

ROOT = Path(__file__).parents[1]
RECORD = Path(__file__).with_suffix(".json")
"""What parts of legs said, and by what code and on which processor."""
SWITCHES = (
    "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_CBWR", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES",
    "OMP_NUM_THREADS",
)  # fmt: skip
"""What a leg sets; a leg that does not name one runs without it."""
PAIRS = {"rendered": ("faces-cnn", "rendered"), "orl": ("fer2013-minixception", "orl")}
ARITHMETIC = ("tests/explainers", "tests/metrics", "tests/arithmetic")
"""Tests of numbers: the contract and its planted faults, parity with other implementations, exact cases."""
CONTRACTS = {f"{name}-contract": pair for name, pair in PAIRS.items()}
"""The contract of all explainers on each pair; the suites put it to those that they judge."""
COMPARED = {**CONTRACTS, **PAIRS}
"""Parts of which it is said what the first leg says otherwise; of the others, what failed."""
PARTS = ("unit", *COMPARED)


@dataclass(frozen=True)
class Leg:
    """One machine that is played.

    Attributes
    ----------
    name
        What the table calls it.
    switches
        Environment variables, from :data:`SWITCHES`.
    feed
        As ``--feed`` of the suites takes it; by default what is fastest on most CPUs, twofold and more.
    needs
        Flags that the processor must have for the leg to mean anything.
    """

    name: str
    switches: Mapping[str, str] = field(default_factory=dict)
    feed: str = "channels-last:64"
    needs: frozenset[str] = frozenset()

    @property
    def threads(self) -> int:
        """How many threads it computes with."""
        return int(self.switches.get("OMP_NUM_THREADS", "1"))

    def environment(self) -> dict[str, str]:
        """Return this process's environment with the leg's switches and no others."""
        kept = {name: value for name, value in os.environ.items() if name not in SWITCHES}
        own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "HARNESS_STORE": "off"}
        own |= {"HARNESS_TEST_ANNOTATIONS": "off"}  # arithmetic changes nothing of who passes what to whom
        return {**kept, **own, **self.switches}


def _numpy_without(*kept: str) -> str:
    """Return the kernels that NumPy was built with beside its baseline, but for those that are kept."""
    return " ".join(name for name in __cpu_dispatch__ if not name.startswith(kept))


AVX2, AVX512 = frozenset({"avx2"}), frozenset({"avx512f", "avx512bw", "avx512vl", "avx512dq"})
LEGS = (
    Leg("as it is"),
    Leg(
        "sse41",  # an x86-64 of before 2011 in every library at once
        {
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "ATEN_CPU_CAPABILITY": "default",
            "MKL_CBWR": "COMPATIBLE",
            "OPENBLAS_CORETYPE": "Nehalem",
            "NPY_DISABLE_CPU_FEATURES": _numpy_without("none"),
        },
    ),
    Leg(
        "avx2",
        {
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "ATEN_CPU_CAPABILITY": "avx2",
            "MKL_CBWR": "AVX2",
            "OPENBLAS_CORETYPE": "Haswell",
            "NPY_DISABLE_CPU_FEATURES": _numpy_without("X86_V3", "AVX2", "FMA3"),
        },
        needs=AVX2,
    ),
    Leg("avx512", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "ATEN_CPU_CAPABILITY": "avx512"}, "channels-last:32", AVX512),
    Leg("oneDNN at SSE41 alone, contiguous", {"ONEDNN_MAX_CPU_ISA": "SSE41"}, "contiguous:64"),
    Leg("ATen's plain kernels alone, batches of 16", {"ATEN_CPU_CAPABILITY": "default"}, "channels-last:16"),
    Leg("two threads", {"OMP_NUM_THREADS": "2"}),
)


@dataclass(frozen=True)
class Job:
    """One part of one leg; tests are run by so many `hands` of one thread each, a suite by one."""

    leg: Leg
    part: str
    folder: Path
    hands: int = 1

    @property
    def done(self) -> bool:
        """Whether it has been run to its end."""
        return (self.folder / "seconds.json").is_file()

    @property
    def run(self) -> Path:
        """The run folder of a suite."""
        return self.folder / "run"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.leg.name}, {self.part}"

    @property
    def code(self) -> str:
        """A name of all that it hangs on but the machine: the code, and what its leg sets."""
        return digest(code_name(self.part), self.leg.switches, self.leg.feed)

    def command(self) -> list[str]:
        """Return what runs it."""
        pytest = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--junit-xml={self.folder / 'items.xml'}",
        ]
        if self.part in COMPARED:
            subject, faces = COMPARED[self.part]
            asked = ["--profile", "quick", "--subject", subject, "--faces", faces, "--feed", self.leg.feed]
            what = ["--findings"] if self.part in PAIRS else ["--check", "contract"]
            return [*pytest, "suites", *what, *asked, "--out", str(self.run)]
        where = ["tests"] if self.part == "unit" else [name for name in ARITHMETIC if (ROOT / name).exists()]
        # A cluster of Ray wants the machine to itself, as in `make cluster`.
        return [*pytest, "-n", str(self.hands), "--dist", "loadfile", "--ignore", "tests/core/test_ray.py", *where]

    def begin(self) -> None:
        """Go on from the same part's run under other code: of a run folder, what is the same is taken again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        leg, part = self.folder.parts[-2:]
        others = [each.parent for each in self.folder.parents[2].glob(f"*/{leg}/{part}/run/run.json")]
        if self.part in PAIRS and others and not self.run.exists():
            shutil.copytree(max(others, key=lambda run: (run / "run.json").stat().st_mtime), self.run)

    def execute(self) -> None:
        """Run it, keep what it said, and mark it as done."""
        self.begin()
        start = time.perf_counter()
        with (self.folder / "said.txt").open("w") as said:
            subprocess.run(self.command(), cwd=ROOT, env=self.leg.environment(), stdout=said, stderr=said, check=False)
        if not (self.folder / "items.xml").is_file():
            raise SystemExit(f"{self.name}: pytest did not finish; see {self.folder / 'said.txt'}")
        (self.folder / "seconds.json").write_text(json.dumps(round(time.perf_counter() - start, 1)))

    def outcomes(self) -> dict[str, str]:
        """Return what became of each item: passed, failed or skipped (known failures among them)."""
        found = {}
        for case in ElementTree.parse(self.folder / "items.xml").getroot().iter("testcase"):
            kinds = {child.tag for child in case}
            outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
            found[f"{case.get('classname')}::{case.get('name')}"] = outcome
        return found


@dataclass(frozen=True)
class Moved:
    """What differs between a part of a leg and the same part of the first leg.

    Attributes
    ----------
    items, failed
        Tests run, and the names of those that failed.
    clauses
        Clauses of the contract whose outcome is another.
    verdicts
        Verdicts that are others, in one line each, but for those that follow.
    on_margin
        Those whose effect lies on its margin: rounding moved it by a tenth of a standard error or less.
    scores, largest
        How many scores differ at all, of how many, and by how much at most, with the metric.
    """

    items: int
    failed: tuple[str, ...]
    clauses: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    on_margin: tuple[str, ...] = ()
    scores: str = ""
    largest: str = ""


def compared(job: Job, base: Job) -> Moved:
    """Return what a part of a leg says otherwise than the same part of the first leg."""
    outcomes = job.outcomes()
    failed = tuple(name for name, outcome in outcomes.items() if outcome == "failed")
    if job.part not in COMPARED:
        return Moved(len(outcomes), failed)
    others = base.outcomes()
    clauses = tuple(name for name, outcome in outcomes.items() if "clause" in name and others.get(name) != outcome)
    if job.part in CONTRACTS:
        return Moved(len(outcomes), failed, clauses)
    found = differences(RunFolder(base.run), RunFolder(job.run))
    worst = found.metrics.iloc[0] if len(found.metrics) else None
    largest = "" if worst is None else f"{worst['largest']:.2g} ({worst['metric']}, {worst['of']})"
    lacking = [f"{found.unmatched} scores or verdicts are in one run alone"] if found.unmatched else []
    return Moved(
        len(outcomes),
        failed,
        clauses,
        (*found.lines(on_margin=False), *lacking),
        tuple(found.lines(on_margin=True)),
        f"{found.differ} of {found.scores}",
        largest,
    )


class Record:
    """What parts of legs said, in a file that is written anew at each; a newer run of a part replaces what is there.

    Parameters
    ----------
    file
        JSON by what a part is called; need not be there.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._held = json.loads(file.read_text()) if file.is_file() else {}

    def told(self, job: Job) -> Moved | None:
        """Return what a part said when the code was what it is, or None."""
        held = self._held.get(job.name)
        if held is None or held["code"] != job.code:
            return None
        said: dict[str, Any] = {
            name: tuple(found) if isinstance(found, list) else found for name, found in held["said"].items()
        }
        return Moved(**said)

    def processor(self, job: Job) -> str:
        """Return where a part that was told of ran."""
        return str(self._held[job.name]["processor"])

    def keep(self, job: Job, moved: Moved) -> None:
        """Write down what a part said that ran here."""
        self._held[job.name] = {"code": job.code, "processor": machine()["processor"], "said": asdict(moved)}
        self._file.write_text(json.dumps(self._held, indent=1, sort_keys=True) + "\n")


# ---------------------------------------------------------------------- the call


def processor_flags() -> frozenset[str]:
    """Return what the processor can do, as Linux names it; empty elsewhere."""
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return frozenset()
    lines = [line.split(":", 1)[1] for line in file.read_text().splitlines() if line.startswith("flags")]
    return frozenset(lines[0].split()) if lines else frozenset()


def playable(legs: Sequence[Leg]) -> list[Leg]:
    """Return the legs that this machine can play."""
    flags, is_x86 = processor_flags(), platform.machine() in ("x86_64", "AMD64")
    can = [leg for leg in legs if leg.needs <= flags and (is_x86 or set(leg.switches) <= {"OMP_NUM_THREADS"})]
    return [leg for leg in can if leg.threads <= (os.cpu_count() or 1)]


OF_SCORES = ("gallery", "measurements", "metrics", "report", "retraining")
"""Folders of the harness that make something of maps; the contract compares maps, and asks none of them."""


@functools.cache
def code_name(part: str) -> str:
    """Return a name of what a part runs: code but for words, libraries, networks, faces; a suite runs no tests."""
    folders = ("harness", "suites") if part in COMPARED else ("harness", "suites", "tests")
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*")) if runs(part, file)]
    texts = [
        without_words(file.read_text()) if file.suffix == ".py" else file.read_text()
        for file in files
        if file.suffix in (".py", ".toml", ".json", ".html", ".j2")
    ]
    data = [
        file_sha256(file) for file in sorted((ROOT / "fixtures").glob("*/*")) if file.suffix in (".npz", ".safetensors")
    ]
    return digest(*texts, *data, (ROOT / "constraints.txt").read_text())[:12]


def runs(part: str, file: Path) -> bool:
    """Return whether a part may run a file: the contract runs no other checks, and nothing that they are judged by."""
    folders = file.relative_to(ROOT).parts[:-1]
    if part not in CONTRACTS or folders[0] != "harness" or set(folders) & {"contract"}:
        return True
    return not set(folders) & {"checks", *OF_SCORES}


WORDS = frozenset({"help", "reference", "description", "compared_with", "cost"})
"""Arguments that are read by people alone."""


def without_words(source: str) -> str:
    """Return a module's code without comments, docstrings and :data:`WORDS`: none of these moves a number."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            said = [each for each in body if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)]
            node.body = [each for each in body if each not in said] or [ast.Pass()]  # type: ignore[attr-defined]
        if isinstance(node, ast.keyword) and node.arg in WORDS and _is_text(node.value):
            node.value = ast.Constant("")
    return ast.unparse(tree)


def _is_text(value: ast.expr) -> bool:
    """Return whether an argument is a text that stands there."""
    return isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and isinstance(value.value, str))


def executed(jobs: Sequence[Job], processes: int) -> Iterator[Job]:
    """Run jobs side by side where each computes with one thread, the others alone; yield each as it ends."""
    waiting = [job for job in jobs if not job.done]
    yield from (job for job in jobs if job.done)
    with ThreadPoolExecutor(processes) as pool:
        single = {pool.submit(job.execute): job for job in waiting if job.leg.threads == 1}
        for finished in as_completed(single):
            finished.result()
            yield single[finished]
    for job in waiting:
        if job.leg.threads > 1:
            job.execute()
            yield job


def planned(legs: Sequence[Leg], parts: Sequence[str], processes: int, out: Path) -> list[Job]:
    """Return the jobs, parts in the outer loop and suites first: what is compared is at hand early.

    A part that is compared has the first leg of all, asked for or not: beside itself a leg would differ in nothing.
    """
    folders = {part: out / code_name(part) for part in parts}
    # What no other part needs of the machine is left to the one that there is.
    cores = os.cpu_count() or 1
    hands = max(1, cores // max(1, min(processes, len(legs) * len(parts))))
    return [
        Job(leg, part, folders[part] / leg.name.replace(" ", "-") / part, hands if leg.threads == 1 else cores)
        for part in sorted(parts, key=lambda part: part not in PAIRS)
        for leg in (legs if part not in COMPARED or LEGS[0] in legs else [LEGS[0], *legs])
    ]


def first_of_parts(jobs: Sequence[Job]) -> dict[str, Job]:
    """Return by part, where it is compared, the job that its others are compared with."""
    return {job.part: job for job in reversed(jobs) if job.part in COMPARED}


def lacking(jobs: Sequence[Job], told: Collection[str]) -> list[Job]:
    """Return the jobs that are not told of, and those that they are compared with."""
    parts = {job.part for job in jobs if job.name not in told}
    first = first_of_parts(jobs)
    return [job for job in jobs if job.name not in told or (job.part in parts and job == first.get(job.part))]


def run_and_compared(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Moved]]:
    """Run jobs, and yield each with what it says, as soon as the one is done that it may be compared with."""
    first, waiting = first_of_parts(jobs), list(jobs)
    for number, job in enumerate(executed(jobs, processes), start=1):
        seconds = json.loads((job.folder / "seconds.json").read_text())
        print(f"[{number}/{len(jobs)}] {job.name}, {seconds:.0f} s", file=sys.stderr, flush=True)
        for each in [each for each in waiting if each.done and first.get(each.part, each).done]:
            waiting.remove(each)
            yield each, compared(each, first.get(each.part, each))


def table_lines(said: Sequence[tuple[Job, Moved]]) -> Iterator[str]:
    """Yield the table, and each thing in it by its name."""
    rows = [
        {
            "leg": job.leg.name, "part": job.part, "items": found.items, "failed": len(found.failed),
            "clauses flipped": len(found.clauses), "verdicts flipped": len(found.verdicts),
            "on their margin": len(found.on_margin),
            "scores that differ": found.scores, "largest difference": found.largest,
        }
        for job, found in said
    ]  # fmt: skip
    yield pd.DataFrame(rows).to_markdown(index=False)
    for job, found in said:
        named = {"failed": found.failed, "clause": found.clauses, "verdict": found.verdicts, "margin": found.on_margin}
        yield from (f"{job.name}, {what}: {line}" for what, lines in named.items() for line in lines)


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for, print the table, and return 1 where anything failed or flipped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--legs", nargs="+", metavar="LEG", choices=[leg.name for leg in LEGS], help="by default all")
    parser.add_argument("--parts", nargs="+", choices=[*PARTS, "arithmetic"], default=list(PARTS))
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="legs of one thread side by side")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "portability")
    parser.add_argument("--record", action="store_true", help=f"put on record what is run, in {RECORD.name}")
    parser.add_argument("--recorded", action="store_true", help="the same, but run only what it lacks for this code")
    asked = parser.parse_args(words)

    legs = [leg for leg in LEGS if not asked.legs or leg.name in asked.legs]
    jobs = planned(legs, asked.parts, asked.processes, asked.out)
    record, can = Record(RECORD), playable(LEGS)
    told = {job.name: said for job in jobs if asked.recorded and (said := record.told(job)) is not None}
    ran: dict[str, Moved] = {}
    for job, said in run_and_compared(lacking([job for job in jobs if job.leg in can], told), asked.processes):
        ran[job.name] = said
        if asked.record or asked.recorded:
            record.keep(job, said)

    found = told | ran
    all_said = [(job, found[job.name]) for job in jobs if job.name in found]
    earlier = [job for job in jobs if job.name in told.keys() - ran.keys()]
    for line in table_lines(all_said):
        print(line)
    for processor in sorted({record.processor(job) for job in earlier}):
        there = [job.name for job in earlier if record.processor(job) == processor]
        print(f"on record for this code, {processor}: {'; '.join(there)}")
    for job in jobs:
        if job.name not in found:
            print(f"not run, since this machine lacks it: {job.name}")
    failed, clauses, verdicts, close = (
        sum(len(getattr(said, what)) for _, said in all_said) for what in ("failed", "clauses", "verdicts", "on_margin")
    )
    print(
        f"{failed} tests failed, {clauses} clauses flipped, {verdicts} verdicts flipped over "
        f"{len({job.leg.name for job, _ in all_said})} legs, beside {close} whose effect lies on its margin"
    )
    return 1 if failed or clauses or verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
