"""The suites over anyone's network and explainer, run as a user runs them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from guide import examples
from tiny import bright_patch_faces, no_progress, patch_subject

import harness
from harness.checks import CHECKS
from harness.checks.contract import contract_clauses
from harness.checks.registry import USER
from harness.evaluation import Request, evaluate
from harness.explainers import registered
from harness.explainers.asked import DEFAULT
from harness.explainers.gradient import gradient
from harness.models.bundled import SUBJECTS
from harness.profiles import PROFILES
from harness.pytest_plugin import known_findings, session
from harness.report import rendering, tables
from harness.store import RunFolder
from harness.subject import Subject

SUITES = Path(__file__).parents[2] / "suites"
PACKAGED = Path(harness.__file__).parent / "suites"
SUBJECT = "from tiny import patch_subject as make\n"
FACES = "from tiny import bright_patch_faces as make\n"
MINE = """
from harness import explainer
from harness.errors import UsageError
from harness.explainers.gradient import gradient as true

@explainer(target_free=True)
def picture(subject, images, targets):
    return images[:, 0]

def reversed_gradient(subject, images, targets):
    return -true(subject, images, targets)

def batch_dependent(subject, images, targets):
    return true(subject, images, targets) * (images - images.mean(0)).abs().sum(1)

def refusing(subject, images, targets):
    raise UsageError("this network has no layers; use gradient")

def broken(subject, images, targets):
    raise ValueError("it broke")
"""
RANDOMIZATION = ("--check", "randomization-full")
QUICK = PROFILES["quick"]

Run = Callable[..., pytest.RunResult]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run folder for all tests: maps and scores are made once, and modules are loaded that runs load late."""
    path = tmp_path_factory.mktemp("run")
    asked = Request(patch_subject(), bright_patch_faces(), (gradient,), (CHECKS["randomization-full"],), QUICK)
    rendering.render(tables.verdict_table(evaluate(asked, RunFolder(path), no_progress)), "text")
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, unchecked: None) -> None:
    """No time is spent on tuning, figures and annotations, which the shared run was checked against.

    These tests may run in a worker; the suites that they run do not.
    """
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.setattr(Subject, "tuned", lambda self: self)
    monkeypatch.setattr(session, "write_report", lambda run: [])


@pytest.fixture
def suites(pytester: pytest.Pytester, folder: Path, registry: dict[str, object]) -> Run:
    """Run a copy of the suites in a folder that holds a user's network, faces and explainers."""
    for file in SUITES.glob("*.py"):
        shutil.copy(file, pytester.path)
    pytester.makepyfile(subj=SUBJECT, faces=FACES, mine=MINE)
    here = (".", "--subject", "subj.py:make", "--faces", "faces.py:make", "--out", str(folder))
    # Loading hypothesis anew and rewriting assertions would take longer than the run.
    bare = ("-p", "no:hypothesispytest", "-p", "no:cacheprovider", "--assert=plain")
    declared = pytester.path / "findings.toml"

    def run(*words: str, findings: bool = True) -> pytest.RunResult:
        expected = ("--findings",) if findings and declared.is_file() else ()
        return pytester.runpytest_inprocess(*here, *bare, *expected, *words)

    return run


def items(result: pytest.RunResult) -> list[str]:
    """The ids of the items that were collected."""
    return [line.split("[")[1].removesuffix("]") for line in result.outlines if "::test_claim[" in line]


def find(pytester: pytest.Pytester, *, explainer: str, check: str, subject: str = "patches") -> None:
    """Declare a failure."""
    entry = f'subjects = "{subject}"\nexplainers = ["{explainer}"]\nchecks = ["{check}"]\nreason = "it is known"\n'
    (pytester.path / "findings.toml").write_text("[[finding]]\n" + entry)


# ---------------------------------------------------------------------- items


def test_there_is_one_item_for_each_explainer_and_check(suites: Run) -> None:
    result = suites(
        "--collect-only", "-q", "--explainer", "gradient", "--explainer", "mine.py:picture", "--check", "all"
    )
    assert sorted(items(result)) == sorted(f"{name}-{check}" for name in ("gradient", "picture") for check in CHECKS)


def test_without_an_explainer_the_default_ones_are_judged(suites: Run) -> None:
    found = items(suites("--collect-only", "-q", *RANDOMIZATION))
    assert found == [f"{name}-randomization-full" for name in DEFAULT]


def test_a_control_is_not_put_against_itself(suites: Run) -> None:
    found = items(suites("--collect-only", "-q", "--explainer", "edges", "--check", "faithfulness"))
    assert "edges-deletion-spectrum" in found
    assert "edges-deletion-edges" not in found


def test_per_class_adds_an_item_for_each_class_of_a_claim_over_images(suites: Run) -> None:
    words = ("--collect-only", "-q", "--explainer", "gradient", "--each-class", *RANDOMIZATION)
    found = items(suites(*words, "--check", "confusion-mantel"))
    assert set(found) == {
        "gradient-randomization-full",
        *(f"gradient-randomization-full-{name}" for name in ("left", "middle", "right")),
        "gradient-confusion-mantel",
    }


def test_tests_of_a_family_that_is_not_asked_for_are_taken_out(suites: Run) -> None:
    result = suites("--explainer", "gradient", *RANDOMIZATION)
    result.assert_outcomes(passed=1, deselected=len(list(SUITES.glob("test_*.py"))) - 1)


# ---------------------------------------------------------------------- outcomes


def test_what_holds_passes(suites: Run, folder: Path) -> None:
    result = suites("--explainer", "gradient", *RANDOMIZATION)
    assert result.ret == 0
    assert RunFolder.existing(folder).record.command.startswith("pytest ")


def test_what_fails_fails_with_one_readable_line(suites: Run, folder: Path) -> None:
    result = suites("--explainer", "mine.py:picture", *RANDOMIZATION)
    result.assert_outcomes(failed=1, deselected=len(list(SUITES.glob("test_*.py"))) - 1)
    (line,) = [line for line in result.outlines if line.startswith("picture: ")]
    for said in (
        "picture: claimed that with every layer drawn at random the map is no more like the original than",
        "(effect at most 0.1); found +",
        "over 18 images, adjusted p = 7.6e-06; see ",  # 2**-18, at half of alpha: the classes have the other half
        str(folder / "figures" / "randomization-cascade.png"),
    ):
        assert said in line


def test_a_class_of_a_few_images_decides_nothing_and_is_named(suites: Run) -> None:
    # Whatever they show: the smallest p of six is 1/64, above a class's share of alpha.
    result = suites("--explainer", "mine.py:picture", "--each-class", *RANDOMIZATION, "-rs")
    said = "SKIPPED * 6 images can decide nothing; * at least are needed; picture for left: claimed * over 6 images, *"
    result.stdout.fnmatch_lines([said])


def test_what_is_not_settled_is_skipped_with_its_reason(suites: Run) -> None:
    result = suites("--explainer", "gradient", "--each-class", *RANDOMIZATION, "-rs")
    result.assert_outcomes(passed=1, skipped=3, deselected=len(list(SUITES.glob("test_*.py"))) - 1)
    result.stdout.fnmatch_lines(
        ["SKIPPED * inconclusive: 6 images can decide nothing; * are needed; gradient for left: *"]
    )


def test_what_cannot_be_judged_is_skipped_with_its_reason(suites: Run) -> None:
    result = suites("--explainer", "gradient", "--check", "mark-spectrum", "-rs")
    result.stdout.fnmatch_lines(["SKIPPED * not applicable: mass-on-mark-gain was not measured"])


def test_a_class_that_no_picture_shows_is_skipped_and_does_not_pass_by_the_others(
    suites: Run, pytester: pytest.Pytester, tmp_path: Path
) -> None:
    few = f"{FACES}def few():\n    faces = make()\n    return faces.take((faces.labels < 2).nonzero()[0])\n"
    pytester.makepyfile(few=few)
    words = ("--faces", "few.py:few", "--out", str(tmp_path / "few"), "--explainer", "gradient", "--each-class")
    result = suites(*words, "--check", "randomization-residual", *RANDOMIZATION, "-rs")
    result.stdout.fnmatch_lines(["SKIPPED * not applicable: no image is of this class"])


@pytest.mark.parametrize("words", [("--each-class", *RANDOMIZATION), ("--check", "mark-spectrum")])
def test_strict_turns_skips_into_failures(words: tuple[str, ...], suites: Run) -> None:
    outcomes = suites("--explainer", "gradient", "--strict", *words).parseoutcomes()
    assert "skipped" not in outcomes
    assert outcomes["failed"] > 0


def test_a_broken_explainer_fails_by_name(suites: Run) -> None:
    result = suites("--explainer", "mine.py:broken", *RANDOMIZATION)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["broken raised ValueError: it broke: no score was computed"])


def test_the_summary_shows_every_verdict_and_the_folder(suites: Run, folder: Path) -> None:
    result = suites("--explainer", "mine.py:picture", *RANDOMIZATION)
    result.stdout.fnmatch_lines(
        ["*explainers and checks*", "*picture*FAIL*", "*random*FAIL*", "1 pass, 3 fail, *", f"run: {folder}   page: *"]
    )


# ---------------------------------------------------------------------- the contract

CONTRACT = ("--check", "contract")


def clauses(result: pytest.RunResult) -> list[str]:
    """The ids of the contract's items, in the order in which they would run."""
    return [line.split("[")[1].removesuffix("]") for line in result.outlines if "::test_clause[" in line]


def test_the_contract_has_an_item_for_each_explainer_and_clause(suites: Run) -> None:
    words = ("--explainer", "gradient", "--explainer", "mine.py:batch_dependent", *CONTRACT)
    found = clauses(suites("--collect-only", "-q", *words))
    assert found == [f"{name}-{clause}" for name in ("gradient", "batch-dependent") for clause in contract_clauses()]


@pytest.mark.parametrize(("words", "owing"), [(CONTRACT, tuple(registered())), ((), DEFAULT)])
def test_without_an_explainer_the_contract_is_put_to_who_is_judged_and_itself_to_all(
    words: tuple[str, ...], owing: tuple[str, ...], suites: Run
) -> None:
    found = clauses(suites("--collect-only", "-q", *words))
    assert found == [f"{name}-{clause}" for name in owing for clause in contract_clauses()]


def test_the_contract_comes_before_anything_else(suites: Run) -> None:
    result = suites("--collect-only", "-q", "--explainer", "gradient")
    kinds = ["clause" if "::test_clause[" in line else "claim" for line in result.outlines if "::test_" in line]
    assert kinds == sorted(kinds, reverse=True)
    assert set(kinds) == {"clause", "claim"}


BOTH = ("--explainer", "mine.py:batch_dependent", "--explainer", "gradient", *CONTRACT, *RANDOMIZATION)


@pytest.mark.parametrize("strict", [(), ("--strict",)], ids=["", "strict"])
def test_who_breaks_the_contract_fails_once_and_is_not_judged_while_others_are(
    strict: tuple[str, ...], suites: Run
) -> None:
    result = suites(*BOTH, "-rs", *strict)
    outcomes = result.parseoutcomes()
    # What is not looked into is the clause of targets and the claim; the other explainer keeps all and passes.
    assert (outcomes["failed"], outcomes["skipped"]) == (1, 2)
    assert outcomes["passed"] == 2 * len(contract_clauses()) - 2 + 1
    broken = "batch-dependent breaks its contract: batch-invariant"
    found = "the map of image * differs by * of its norm with the images that stand beside it"
    result.stdout.fnmatch_lines([f"{broken}, {found} (owed: the explainer explains an *)"])
    result.stdout.fnmatch_lines_random(
        [
            "SKIPPED * not looked into, since batch-dependent breaks batch-invariant",
            f"SKIPPED * not judged: {broken} ({found})",
        ]
    )


def test_with_workers_the_same_items_end_the_same(suites: Run) -> None:
    words = ("--check", "contract", "--check", "deletion-spectrum", "--explainer", "mine.py:batch_dependent")
    alone, beside = (suites(*words, "--explainer", "gradient", *more) for more in ((), ("--workers", "2")))
    assert alone.parseoutcomes() == beside.parseoutcomes()
    assert beside.parseoutcomes()["passed"] > 1


def test_who_breaks_the_contract_fails_once_where_its_clauses_are_not_asked_for(suites: Run) -> None:
    words = ("--check", "mark-spectrum", "--check", "randomization-full")
    outcomes = suites("--explainer", "mine.py:batch_dependent", *words).parseoutcomes()
    assert (outcomes["failed"], outcomes["skipped"]) == (1, 1)


def test_the_contract_holds_the_gate_where_its_items_are_not_asked_for(suites: Run) -> None:
    suites("--explainer", "mine.py:batch_dependent", *RANDOMIZATION).assert_outcomes(
        failed=1, deselected=len(list(SUITES.glob("test_*.py"))) - 1
    )


def test_what_cannot_be_looked_into_is_skipped(suites: Run) -> None:
    outcomes = suites("--explainer", "mine.py:broken", *CONTRACT).parseoutcomes()
    assert (outcomes["failed"], outcomes["skipped"]) == (1, len(contract_clauses()) - 1)


def test_a_refusal_is_skipped_with_its_reason(suites: Run) -> None:
    result = suites("--explainer", "mine.py:refusing", *CONTRACT, *RANDOMIZATION, "-rs")
    assert result.parseoutcomes()["skipped"] == len(contract_clauses()) + 1
    result.stdout.fnmatch_lines(
        ["SKIPPED * refuses: refusing does not explain patches: this network has no layers; use gradient"]
    )


def test_only_bundled_networks_are_recorded(suites: Run) -> None:
    result = suites("--explainer", "gradient", *CONTRACT, "--record")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--record is kept for faces-cnn and fer2013-minixception, not for 'patches'" in result.stderr.str()


# ---------------------------------------------------------------------- known findings


def test_a_known_failure_is_expected(suites: Run, pytester: pytest.Pytester) -> None:
    find(pytester, explainer="picture", check="randomization-full")
    result = suites("--explainer", "mine.py:picture", *RANDOMIZATION)
    result.assert_outcomes(xfailed=1, deselected=len(list(SUITES.glob("test_*.py"))) - 1)


def test_what_is_known_is_no_answer_to_a_users_question(suites: Run, pytester: pytest.Pytester) -> None:
    find(pytester, explainer="picture", check="randomization-full")
    result = suites("--explainer", "mine.py:picture", *RANDOMIZATION, findings=False)
    result.assert_outcomes(failed=1, deselected=len(list(SUITES.glob("test_*.py"))) - 1)


def test_an_unexpected_pass_fails(suites: Run, pytester: pytest.Pytester) -> None:
    find(pytester, explainer="gradient", check="randomization-full")
    result = suites("--explainer", "gradient", *RANDOMIZATION)
    result.assert_outcomes(failed=1, deselected=len(list(SUITES.glob("test_*.py"))) - 1)
    result.stdout.fnmatch_lines(["unexpected pass (declared: it is known); gradient: claimed that *"])


def test_a_class_may_pass_where_a_failure_is_known(suites: Run, pytester: pytest.Pytester) -> None:
    find(pytester, explainer="gradient", check="randomization-full")
    pytester.makepyfile(many="from tiny import bright_patch_faces\ndef make(): return bright_patch_faces(60)")
    words = ("--faces", "many.py:make", "--out", "many", "--each-class", *RANDOMIZATION)
    outcomes = suites("--explainer", "gradient", *words).parseoutcomes()
    assert (outcomes["failed"], outcomes["passed"]) == (1, 3)


def test_a_finding_of_another_network_does_not_count(suites: Run, pytester: pytest.Pytester) -> None:
    find(pytester, explainer="picture", check="randomization-full", subject="faces-cnn")
    assert suites("--explainer", "mine.py:picture", *RANDOMIZATION).ret == 1


FINDING = '[[finding]]\nsubjects = ["patches"]\nexplainers = ["{}"]\nchecks = ["{}"]\nreason = "known"\n'
MISSPELT = {
    "an explainer": (
        FINDING.format("gradeint", "randomization-full"),
        "names explainer 'gradeint', which does not exist",
    ),
    "a check": (
        FINDING.format("gradient", "randomisation-full"),
        "names check 'randomisation-full', which does not exist",
    ),
    "a key": (
        FINDING.replace("reason", "why").format("gradient", "randomization-full"),
        "needs exactly subjects, expl",
    ),
    "declared twice": (2 * FINDING.format("gradient", "randomization-full"), "is declared twice"),
    "no TOML": ("[[finding]\n", "findings.toml: "),
}


@pytest.mark.parametrize("mistake", MISSPELT)
def test_a_misspelt_finding_is_an_error(mistake: str, suites: Run, pytester: pytest.Pytester) -> None:
    text, said = MISSPELT[mistake]
    (pytester.path / "findings.toml").write_text(text)
    result = suites("--explainer", "gradient", *RANDOMIZATION)
    assert result.ret not in (0, 1)
    assert said in result.stdout.str() + result.stderr.str()


def test_the_projects_own_findings_are_well_formed() -> None:
    found = known_findings(SUITES / "findings.toml", registered())
    assert {subject for subject, _, _ in found} <= set(SUBJECTS)
    assert all(finding.reason.strip() for finding in found.values())


# ---------------------------------------------------------------------- wrong use


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--explainer", "gradeint"), "harness: no explainer or family is called 'gradeint'"),
        (("--check", "randomisation"), "harness: no check or family is called 'randomisation'"),
        (("--subject", "faces-cn"), "harness: no subject is called 'faces-cn'"),
        (("--faces", "nowhere"), "harness: no images are called 'nowhere'"),
        (("--seed", "-1"), "'-1' is no seed"),
    ],
)
def test_wrong_words_are_one_line(words: tuple[str, ...], said: str, suites: Run) -> None:
    result = suites(*words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in result.stderr.str() + result.stdout.str()
    assert "Traceback" not in result.stderr.str() + result.stdout.str()


def test_a_folder_that_cannot_be_written_ends_the_run_with_one_line(suites: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "file").write_text("")
    result = suites("--explainer", "gradient", *RANDOMIZATION, "--out", "file/run")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*harness: cannot write to file*; choose another --out*"])


def test_a_claim_without_a_family_is_wrong_use(suites: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_mine="def test_claim(claim): claim.settle()")
    result = suites()
    assert "asks for a claim but has no mark family(name)" in result.stdout.str() + result.stderr.str()
    assert result.ret not in (0, 1)


# ---------------------------------------------------------------------- somebody else's checks

CLAIMS = """
from harness.checks import check

@check(metric="share-on-bright", claim="c", control="k", margin=2.0, margin_reason="no share is so large")
def too_much(scores):
    return scores["value"]

@check(metric="share-on-bright", claim="c", control="k", margin=0.0, margin_reason="r")
def broken(scores):
    raise ValueError("it broke")

@check(metric="sparseness", claim="c", control="k", margin=0.0, margin_reason="r")
def needy(scores):
    return scores["value"]
"""


@pytest.mark.usefixtures("check_registry", "metric_registry")
def test_a_file_adds_an_explainer_a_metric_and_a_check(suites: Run, pytester: pytest.Pytester, folder: Path) -> None:
    pytester.makepyfile(outside="\n".join([*examples().values(), CLAIMS]))
    words = ("--explainer", "outside.py:blurred_gradient", "--check", "outside.py:looks_at_bright")
    result = suites("-v", *words, "--check", "outside.py:too_much", "--check", "outside.py:broken")
    found = {line.split("[")[1].split("]")[0] for line in result.outlines if "::test_claim[blurred" in line}
    assert found == {f"blurred-gradient-{name}" for name in ("broken", "looks-at-bright", "too-much")}
    outcomes = result.parseoutcomes()
    assert (outcomes["failed"], outcomes["passed"]) == (2, 1)
    said = result.stdout.str()
    assert "check 'broken' of" in said
    assert "it broke" in said
    assert "blurred-gradient: claimed that c (effect more than 2); found +" in said
    assert "share-on-bright" in set(RunFolder.existing(folder).scores["metric"])


@pytest.mark.usefixtures("check_registry", "metric_registry")
def test_a_check_that_cannot_be_judged_ends_the_session(suites: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(outside2=CLAIMS)
    result = suites("--explainer", "gradient", "--check", "outside2.py:needy", *RANDOMIZATION)
    said = result.stdout.str() + result.stderr.str()
    assert "needs the measurement 'metric sparseness', which does not exist" in said
    assert result.ret not in (0, 1)


# ---------------------------------------------------------------------- the suites folder


def test_every_family_of_checks_has_a_suite() -> None:
    text = "".join(file.read_text() for file in PACKAGED.glob("test_*.py"))
    assert all(f'family("{family}")' in text for family in {USER, *(check.family for check in CHECKS.values())})


def test_the_suites_here_are_the_packages() -> None:
    for file in PACKAGED.glob("test_*.py"):
        front = (SUITES / file.name).read_text()
        assert f"from harness.suites.{file.stem} import" in front
    assert {file.name for file in SUITES.glob("test_*.py")} == {file.name for file in PACKAGED.glob("test_*.py")}
