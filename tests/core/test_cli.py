"""The command line: its exit statuses, its one-line errors and what it prints."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch

from harness.checks import CHECKS
from harness.checks.asked import asked_checks
from harness.cli import asked_request, default_folder, main, runs
from harness.cli.main import FORMATS, command_parser
from harness.errors import UsageError
from harness.faces.loading import FACES
from harness.metrics.cards import metric_cards
from harness.models.bundled import SUBJECTS
from harness.report import ladder
from harness.store import RunFolder
from harness.store.folder import OWN_DIGEST
from harness.subject import Subject

ROOT = Path(__file__).parents[2]

SUBJECT = "from tiny import patch_subject as make\n"
FACES_FILE = "from tiny import bright_patch_faces as make\n"
MINE = """
def picture(subject, images, targets):
    return images[:, 0]

def broken(subject, images, targets):
    raise ValueError("it broke")

def stopped(subject, images, targets):
    raise KeyboardInterrupt
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with a network, faces and explainers; no time is spent on tuning and figures."""
    folder = tmp_path_factory.mktemp("place")
    for name, text in {"subj.py": SUBJECT, "faces.py": FACES_FILE, "mine.py": MINE, "bad.py": "def f(:\n"}.items():
        (folder / name).write_text(text)
    (folder / "file").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Subject, "tuned", lambda self: self)
        patch.setattr(runs, "write_report", lambda run: [run.path / "report.html"])
        yield folder


ASKED = ["run", "--subject", "subj.py:make", "--faces", "faces.py:make", "--check", "randomization"]


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    """A finished run of the gradient, which holds, and of the picture, which does not."""
    out = place / "run"
    assert main([*ASKED, "--explainer", "gradient", "--explainer", "mine.py:picture", "--out", str(out)]) == 0
    return out


# The shared run is checked against the annotations; repeating that in every test takes as long as the tests.
pytestmark = pytest.mark.usefixtures("place", "registry", "unchecked")


# ---------------------------------------------------------------------- exit statuses


def test_a_run_ends_with_zero_though_checks_fail(run: Path) -> None:
    assert "fail" in set(RunFolder.existing(run).verdicts["verdict"])


def test_a_run_prints_its_verdicts_scores_and_page(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ASKED, "--explainer", "gradient", "--out", "printed"]) == 0
    printed = capsys.readouterr().out
    for said in ("gradient", "targets-differ", "pass", "left", str(Path("printed", "report.html"))):
        assert said in printed


def test_a_run_ends_with_the_answer_and_then_its_files(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ASKED, "--explainer", "gradient", "--out", "printed"]) == 0
    whole = capsys.readouterr().out.splitlines()
    assert main([*ASKED, "--explainer", "gradient", "--out", "printed", "--quiet"]) == 0
    quiet = capsys.readouterr()
    last = [*ladder.lines(RunFolder.existing(Path("printed"))), "", str(Path("printed", "report.html"))]
    assert quiet.out.splitlines() == last
    assert quiet.err == ""
    assert whole[-len(last) :] == last
    assert len(whole) > len(last)


def test_a_program_reads_the_answer_as_json(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ASKED, "--explainer", "gradient", "--out", "printed", "--json"]) == 0
    said = capsys.readouterr()
    run, read = RunFolder.existing(Path("printed")), json.loads(said.out)
    assert read["run"] == "printed"
    assert read["answer"] == [*ladder.lines(run)]
    assert [(row["explainer"], row["rung"]) for row in read["ladder"]] == [
        *run.ladder[["explainer", "rung"]].itertuples(index=False, name=None)
    ]
    assert read["files"] == [str(Path("printed", "report.html"))]
    assert said.err == ""


@pytest.mark.parametrize(
    ("explainer", "status"), [("gradient", 0), ("mine.py:picture", 1), ("mine.py:broken", 1), ("control", 0)]
)
def test_strict_ends_with_one_where_an_explainer_fails_that_is_no_control(
    explainer: str, status: int, place: Path
) -> None:
    assert main([*ASKED, "--explainer", explainer, "--strict", "--out", "strict"]) == status


def test_a_run_without_image_scores_is_printed_too(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*ASKED[:-1], "confusion-mantel", "--explainer", "gradient", "--out", "mantel"]
    assert main(words) == 0
    assert "confusion-mantel" in capsys.readouterr().out


def test_a_stopped_run_says_how_to_go_on(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ASKED, "--explainer", "mine.py:stopped", "--out", "stopped"]) == 130
    assert capsys.readouterr().err.strip().endswith("harness: stopped; the same command goes on from here")


def test_the_command_is_noted_as_it_was_given(run: Path) -> None:
    assert RunFolder.existing(run).record.command.startswith("harness run --subject subj.py:make")


def test_images_of_each_class_can_be_limited(place: Path) -> None:
    assert main([*ASKED, "--explainer", "gradient", "--per-class", "2", "--out", "two"]) == 0
    assert RunFolder.existing(place / "two").record.chosen == {"left": 2, "middle": 2, "right": 2}


# ---------------------------------------------------------------------- wrong use is one line

RUN = ASKED[:5]
WRONG: dict[str, tuple[list[str], str]] = {
    "no command": ([], "the following arguments are required: COMMAND; see harness --help"),
    "unknown command": (["runn"], r"invalid choice: 'runn'.* \(did you mean 'run'\?\); see harness --help"),
    "misspelt option": (
        [*RUN, "--explaner", "gradient"],
        r"unrecognized arguments: --explaner gradient \(did you mean '--explainer'\?\); see harness",
    ),
    "an option like no other": ([*RUN, "--xyzzy"], "unrecognized arguments: --xyzzy; see harness"),
    "unknown subject": (
        ["run", "--subject", "faces-cn"],
        r"no subject is called 'faces-cn' \(did you mean 'faces-cnn'",
    ),
    "unknown faces": (
        ["run", "--subject", "subj.py:make", "--faces", "orll"],
        r"no images are called 'orll' \(did you",
    ),
    "unknown explainer": ([*RUN, "--explainer", "gradeint"], r"called 'gradeint' \(did you mean 'gradient'\?\)"),
    "unknown check": (
        [*RUN, "--check", "deletion-spectrm"],
        r"called 'deletion-spectrm' \(did you mean 'deletion-spec",
    ),
    "unknown profile": ([*RUN, "--profile", "quik"], r"--profile: invalid choice: 'quik'.* \(did you mean 'quick'\?\)"),
    "no number of workers": ([*RUN, "--workers", "-1"], "--workers -1 is no number of processes; give 1 or more"),
    "file without a name": ([*RUN, "--explainer", "mine.py"], r"called 'mine\.py'.*file\.py:function"),
    "subject file without a name": (
        ["run", "--subject", "subj.py"],
        r"no subject is called 'subj\.py'.*file\.py:factory",
    ),
    "name that is not there": (
        [*RUN, "--explainer", "mine.py:pictur"],
        r"mine\.py has no 'pictur' \(did you mean 'pict",
    ),
    "file that is not there": ([*RUN, "--explainer", "her.py:f"], r"there is no file her\.py"),
    "file with a syntax error": ([*RUN, "--explainer", "bad.py:f"], r"importing .*bad\.py failed \(SyntaxError: "),
    "twin that is not there": ([*RUN, "--random-labels", "twni"], "no subject is called 'twni'"),
    "no image of a class": ([*RUN, "--per-class", "0"], "--per-class 0: give 1 or more"),
    "no number": ([*RUN, "--per-class", "few"], "argument --per-class: invalid int value: 'few'"),
    "negative seed": ([*RUN, "--seed", "-1"], "argument --seed: '-1' is no seed; give a whole number from 0"),
    "huge seed": ([*RUN, "--seed", str(2**32)], "is no seed; give a whole number from 0 to 4294967295"),
    "no such device": (
        [*RUN, "--device", "cuda"],
        "--device cuda: this machine shows no CUDA device; use --device cpu",
    ),
    "unwritable folder": ([*RUN, "--out", "file/run"], "cannot write to file.run .*; choose another --out"),
    "empty folder name": ([*RUN, "--out", ""], "argument --out: the path is empty; name a folder or file"),
    "empty run name": (["table", " "], "the path is empty; name a folder or file"),
    "no run": (["table", "absent"], r"absent holds no finished run \(no run.json\); make one with: harness run --out"),
    "no run to compare": (["compare", "absent"], "absent holds no finished run"),
    "no run to report": (["report", "absent"], "absent holds no finished run"),
    "nothing to list": (["list", "checkz"], r"invalid choice: 'checkz'.* \(did you mean 'checks'\?\)"),
    "nothing to fetch": (["fetch", "orll"], "'orll'"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_use_is_one_line_and_status_two(mistake: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, said = WRONG[mistake]
    if "cuda" in words and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("harness: ")
    assert pd.Series(printed.err).str.contains(said).all(), printed.err


@pytest.mark.parametrize("command", ["table", "compare", "report"])
def test_a_run_of_the_schema_before_is_refused_in_one_line(
    command: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    folder = RunFolder(old)
    for name in ("scores", "verdicts", "curves", "matrices"):
        held = RunFolder.existing(run).table(name)
        # Schema 2 had the name of a score in the column metric.
        folder.write_table(name, held.drop(columns=["output", "fill", "kind"], errors="ignore"))
    told = json.loads((run / "run.json").read_text())
    del told[OWN_DIGEST]  # which came later
    folder.write_json("run.json", told | {"schema_version": 2, "files": {}})
    assert main([command, str(old)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"harness: {old} has schema version 2, this is 3; run it again into a new folder\n"


def test_a_wrong_metric_of_a_run_is_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(run), "--metric", "deletion"]) == 2
    assert "holds no metric 'deletion'; choose one of: efficient-mprt" in capsys.readouterr().err


def test_help_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--help"])
    assert ended.value.code == 0
    assert "--explainer" in capsys.readouterr().out


# ---------------------------------------------------------------------- tables


def printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(words) == 0
    return capsys.readouterr().out


READERS: dict[str, Callable[[str], object]] = {
    "text": lambda text: text.index("gradient"),
    "md": lambda text: [line for line in text.splitlines() if line.startswith("|")][1].index("---"),
    "csv": lambda text: pd.read_csv(io.StringIO(text)).columns.get_loc("gradient"),
    "latex": lambda text: text.index(r"\begin{tabular}"),
    "json": lambda text: json.dumps(json.loads(text)).index("gradient"),
}


@pytest.mark.parametrize("format", READERS)
def test_a_table_is_printed_in_each_format(format: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    READERS[format](printed(["table", str(run), "--format", format], capsys))


@pytest.mark.parametrize("by", ["class", "explainer"])
def test_a_table_has_a_row_for_each_class_or_explainer(by: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_csv(io.StringIO(printed(["table", str(run), "--by", by, "--format", "csv"], capsys)))
    rows = {"class": {"left", "middle", "right", "all"}, "explainer": {"gradient", "picture", "random", "edges"}}
    assert rows[by] <= set(table.iloc[:, 0])


def test_explainers_of_a_run_are_compared(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(["compare", str(run), "--explainer", "gradient", "--explainer", "picture"], capsys)
    assert "gradient" in text
    assert "picture" in text


SOUND = "def method(subject, images, targets):\n    return subject.gradients(images, targets).abs().mean(1)\n"
SPOILED = SOUND.replace(".mean(1)", ".mean(1) / images.mean()")


@pytest.fixture(scope="module")
def before_and_after(place: Path) -> list[str]:
    """Two runs: of a method, and of the same method once it looks at the whole batch."""
    for name, text in {"before": SOUND, "after": SPOILED}.items():
        (place / f"method_{name}.py").write_text(text)
        assert main([*ASKED, "--explainer", f"method_{name}.py:method", "--out", name]) == 0
    return [str(place / "before"), str(place / "after")]


def test_a_rung_that_is_lost_ends_a_strict_comparison_with_one(
    before_and_after: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *before_and_after, "--strict", "--junit", "rungs.xml"]) == 1
    said = capsys.readouterr().err
    assert "method has lost rung 1 (contract), which is refuted: method breaks its contract: batch-invariant" in said
    assert "failures=" in (place / "rungs.xml").read_text()


def test_nothing_is_lost_the_other_way_round(before_and_after: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *before_and_after[::-1], "--strict"]) == 0
    assert "0 of " in capsys.readouterr().err


def test_a_strict_comparison_with_a_run_that_holds_other_methods_compares_nothing_and_says_so(
    before_and_after: list[str], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", before_and_after[0], str(run), "--strict"]) == 2
    assert "holds none of the methods that reached a rung" in capsys.readouterr().err


def test_a_strict_comparison_takes_two_runs(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(run), "--explainer", "gradient", "--explainer", "picture", "--strict"]) == 2
    assert "takes two runs, the earlier one first" in capsys.readouterr().err


# ---------------------------------------------------------------------- the machine


def test_the_doctor_says_what_is_there_and_how_to_bring_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    (tmp_path / "piece").write_bytes(bytes(3 * 2**20))
    found = json.loads(printed(["doctor", "--json"], capsys))
    assert found["packages"]["torch"] == torch.__version__
    assert found["fetched"]["orl"].endswith("with: harness fetch orl")
    assert found["cache"] == {"folder": str(tmp_path), "size": "3.0 MiB"}
    assert found["arithmetic"]["threads"] == str(torch.get_num_threads())
    text = printed(["doctor"], capsys)
    assert all(part in text for part in found)


# ---------------------------------------------------------------------- lists

HELD = {
    "explainers": {"gradient", "random"},
    "checks": set(CHECKS),
    "metrics": set(metric_cards()),
    "subjects": set(SUBJECTS),
    "faces": set(FACES),
}


@pytest.mark.parametrize("what", HELD)
def test_a_list_is_strict_json_and_whole(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    rows = json.loads(printed(["list", what, "--json"], capsys), parse_constant=refuse)
    assert HELD[what] <= {row["name"] for row in rows}


@pytest.mark.parametrize("what", HELD)
def test_a_list_is_printed_for_people(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(["list", what], capsys)
    assert all(name in text for name in HELD[what])


# ---------------------------------------------------------------------- words


def names(words: list[str] | None) -> tuple[str, ...]:
    """The package's own checks among those that words name."""
    return tuple(check.name for check in asked_checks(words).checks if not check.origin)


def test_a_family_stands_for_its_checks() -> None:
    assert names(["confusion"]) == tuple(name for name in CHECKS if name.startswith("confusion"))


@pytest.mark.parametrize("words", [None, [], ["all"], ["confusion", "all"]])
def test_nothing_asked_is_every_check(words: list[str] | None) -> None:
    assert names(words) == tuple(CHECKS)


def test_a_check_asked_twice_is_made_once() -> None:
    assert names(["confusion-recall", "confusion", "confusion-recall"])[0] == "confusion-recall"
    assert len(names(["confusion-recall", "confusion"])) == 3


def test_an_unknown_check_lists_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"there is cells-edges, .*, faithfulness, .* and all"):
        asked_checks(["nothing"])


def test_the_same_evaluation_finds_its_own_folder(place: Path) -> None:
    options = command_parser().parse_args(ASKED)
    folder = default_folder(asked_request(options), "quick")
    assert folder == Path("results") / "patches-bright-patches-quick"
    assert not os.path.isabs(folder)


@pytest.mark.parametrize(
    ("typed", "follows"),
    [("harness tab", "table"), ("harness run --quie", "--quiet"), ("harness run --explainer grad-c", "grad-cam")],
)
def test_a_shell_completes_commands_options_and_names(typed: str, follows: str, tmp_path: Path) -> None:
    pytest.importorskip("argcomplete")
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": typed, "COMP_POINT": str(len(typed)), "_ARGCOMPLETE_IFS": "\n"}
    environment = os.environ | asked | {"_ARGCOMPLETE_STDOUT_FILENAME": str(answer)}
    # A process of its own: argcomplete ends it, and takes files for its own that others may have open.
    subprocess.run([sys.executable, "-m", "harness"], env=environment, check=True)
    assert follows in answer.read_text().replace(" ", "\n").split("\n")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("what", runs.SHOWN)
def test_what_stands_beside_verdicts_is_shown_in_every_form(
    what: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table", str(ROOT / "results" / "reference"), "--show", what, "--format", form]) == 0
    assert {"reliability": "settled", "power": "cells-edges"}.get(what, "integrated") in capsys.readouterr().out


def test_list_examined_goes_with_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "checks", "--examined", "faces-cnn"]) == 2
    assert capsys.readouterr().err == (
        "harness: --examined goes with metrics: harness list metrics --examined faces-cnn\n"
    )


@pytest.mark.parametrize("command", ["run", "gallery"])
def test_pictures_that_are_no_faces_are_named_as_images(command: str) -> None:
    assert command_parser().parse_args([command, "--images", "digits"]).faces == "digits"


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 3000])
def test_a_name_that_no_file_can_have_is_told_in_a_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["table", name], ["compare", name, name], ["run", "--subject", "faces-cnn", "--faces", name]):
        assert main(words) == 2
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1
        assert said[0].startswith("harness: ")
