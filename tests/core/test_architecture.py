"""Who may import whom, who may write and draw: held over the source, and shown to be able to fail."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import TypeCheckError

import harness
from harness.subject import InputSpec

ROOT = Path(harness.__file__).parent

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"names", "origin", "process", "rounding"}),
    frozenset({"errors"}),
    frozenset({"digest", "class_names"}),
    frozenset({"identity", "containment"}),
    frozenset({"importing", "statistics", "perturbation", "metrics", "fixtures_folder", "profiles"}),
    frozenset({"fetching"}),
    frozenset({"store"}),
    frozenset({"faces", "subject"}),
    frozenset({"evaluation_set"}),
    frozenset({"truth"}),
    frozenset({"networks", "explainers", "models", "effects"}),
    frozenset({"oracles", "arithmetic"}),
    frozenset({"measurements", "engines", "retraining"}),
    frozenset({"checks", "gallery"}),
    frozenset({"evaluation"}),
    frozenset({"report"}),
    frozenset({"cli"}),
    frozenset({"api"}),
    frozenset({"pytest_plugin", "__main__"}),
    frozenset({"pytest_entry"}),
    frozenset({"suites"}),
)
"""Parts of the package from the bottom up; a part imports from itself and from below."""

ONLY: dict[str, frozenset[str]] = {
    "statistics": frozenset(),
    "metrics": frozenset({"errors", "origin"}),
    "perturbation": frozenset({"digest", "process"}),
    "truth": frozenset({"errors", "digest", "perturbation", "subject", "evaluation_set"}),
    "report": frozenset({"errors", "statistics", "store"}),
}
"""Parts that know of little: statistics of no image, metrics of no network, reports of nothing but stored runs."""

HOMES: dict[str, tuple[str, ...]] = {
    "captum": ("explainers/",),
    "lime": ("explainers/",),
    "pytest": ("pytest_plugin/", "pytest_entry.py", "api/parametrized.py", "suites/"),
    "matplotlib": ("report/", "gallery/", "api/run.py"),
    "h5py": ("models/",),
    "PIL": ("faces/", "report/", "gallery/"),
    "ray": ("engines/",),
}
"""Where an outside package may be imported."""

NO_TORCH = frozenset({"statistics", "metrics", "report", "store", "profiles", "errors", "importing"})

WRITES = frozenset({"to_parquet", "savez", "savez_compressed", "save_file", "savefig", "write_bytes", "mkstemp"})
WRITERS = ("store/folder.py", "fetching.py", "models/training.py", "report/style.py")
"""Modules that write files; everything else hands whole texts and tables to a run folder."""

GLOBAL_DRAWS = frozenset({"rand", "randn", "randint", "randperm", "normal", "manual_seed", "seed", "shuffle", "choice"})
DRAWERS = (
    "explainers/_randomness.py",
    "checks/contract/calls.py",
    "checks/contract/clauses.py",
    "models/training.py",
    "retraining/learning.py",
)
"""Modules that touch global generators, to put them back."""


LINES, LINES_AT_ROOT = 500, 300
"""Most lines of a file, and of one that lies in no room of the package."""


def violations(module: str, source: str) -> list[str]:
    """What a module of the package, named by its path, does that it may not."""
    tree = ast.parse(source)
    rules = (_imports_upwards, _imports_strangers, _writes, _draws_globally)
    broken = [said for rule in rules for said in rule(module, tree)]
    return [f"{module}: {said}" for said in [*broken, *_too_long(module, source)]]


def part_of(module: str) -> str:
    return module.split("/")[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """The full names that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _imports_upwards(module: str, tree: ast.AST) -> Iterator[str]:
    own = part_of(module)
    if own == "__init__":
        return
    height = {part: level for level, parts in enumerate(LAYERS) for part in parts}
    known = set(height)
    for name in imported(tree):
        if name.split(".")[0] != "harness":
            continue
        other = name.split(".")[1] if "." in name else "harness"
        if other == own or other not in known:
            continue
        if own not in known:
            yield f"{own} has no place among the layers"
        elif height[other] >= height[own]:
            yield f"{own} imports {other}, which does not lie below it"
        elif other not in ONLY.get(own, known):
            yield f"{own} imports {other}; it may know only {', '.join(sorted(ONLY[own])) or 'itself'}"


def _imports_strangers(module: str, tree: ast.AST) -> Iterator[str]:
    for name in imported(tree):
        package = name.split(".")[0]
        if package in HOMES and not module.startswith(HOMES[package]):
            yield f"{package} is imported outside {' and '.join(HOMES[package])}"
        if package == "torch" and part_of(module) in NO_TORCH:
            yield f"{part_of(module)} imports torch"


def _writes(module: str, tree: ast.AST) -> Iterator[str]:
    if module in WRITERS:
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Attribute):
            folder = isinstance(called.value, ast.Name) and called.value.id in ("run", "folder")
            if called.attr in WRITES or (called.attr == "write_text" and not folder):
                yield f"line {node.lineno} writes a file ({called.attr})"
        if getattr(called, "id", getattr(called, "attr", "")) == "open":
            modes = node.args[1:] if isinstance(called, ast.Name) else node.args[:1]
            modes += [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
            if any(isinstance(mode, ast.Constant) and set(mode.value) & set("wax+") for mode in modes):
                yield f"line {node.lineno} opens a file for writing"


def _draws_globally(module: str, tree: ast.AST) -> Iterator[str]:
    if module in DRAWERS:
        return
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in GLOBAL_DRAWS):
            continue
        owner = ast.unparse(node.func.value)
        seeded = any(keyword.arg == "generator" for keyword in node.keywords)
        if owner in ("torch", "np.random", "numpy.random", "random") and not seeded:
            yield f"line {node.lineno} draws from a global generator ({owner}.{node.func.attr})"


def _too_long(module: str, source: str) -> Iterator[str]:
    lines, most = len(source.splitlines()), LINES if "/" in module else LINES_AT_ROOT
    if lines > most:
        yield f"has {lines} lines, more than {most}; split it by what belongs together"


# ---------------------------------------------------------------------- the package holds them


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_keeps_the_rules(file: Path) -> None:
    assert violations(str(file.relative_to(ROOT)), file.read_text()) == []


def test_every_part_has_its_place() -> None:
    parts = {file.stem for file in ROOT.glob("*.py")} | {file.parent.name for file in ROOT.glob("*/__init__.py")}
    assert parts - {"__init__"} <= frozenset().union(*LAYERS)


# ---------------------------------------------------------------------- and they can fail

PLANTED = {
    "metrics know the network": ("metrics/new.py", "from harness.subject import Subject"),
    "statistics know metrics": ("statistics/new.py", "from harness.metrics import similarity"),
    "statistics know torch": ("statistics/new.py", "import torch"),
    "perturbation knows the network": ("perturbation/new.py", "import harness.subject"),
    "the subject knows its explainers": ("subject/new.py", "from harness.explainers import registered"),
    "the truth knows an explainer": ("truth/new.py", "from harness.explainers import registered"),
    "the truth knows metrics": ("truth/new.py", "from harness.metrics import cells"),
    "an explainer knows the checks": ("explainers/new.py", "from harness.checks import CHECKS"),
    "checks know the evaluation": ("checks/new.py", "from harness.evaluation import evaluate"),
    "the evaluation knows its report": ("evaluation/new.py", "from harness import report"),
    "a report computes scores": ("report/new.py", "from harness.metrics.faithfulness import deletion_auc"),
    "an import inside a function": ("metrics/new.py", "def f():\n    from harness.subject import Subject"),
    "captum outside the explainers": ("metrics/new.py", "from captum.attr import Saliency"),
    "lime outside the explainers": ("evaluation/new.py", "import lime.lime_image"),
    "ray outside the engines": ("evaluation/new.py", "from ray import cloudpickle"),
    "pytest in a check": ("checks/new.py", "import pytest"),
    "matplotlib in the evaluation": ("evaluation/new.py", "import matplotlib.pyplot as plt"),
    "a check writes": ("checks/new.py", "Path('x').write_text('')"),
    "a check opens for writing": ("checks/new.py", "open('x', 'w')"),
    "a check opens a path for writing": ("checks/new.py", "path.open(mode='ab')"),
    "a table is written beside the store": ("evaluation/new.py", "table.to_parquet('x')"),
    "numpy's global generator": ("measurements/new.py", "import numpy as np\nnp.random.rand(3)"),
    "torch's global generator": ("explainers/new.py", "import torch\ntorch.randn(3)"),
    "a long file": ("metrics/new.py", "x = 0\n" * 501),
    "a long file at the root": ("new.py", "x = 0\n" * 301),
    "a seed for all": ("explainers/new.py", "import torch\ntorch.manual_seed(0)"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_violation_is_found(what: str) -> None:
    assert len(violations(*PLANTED[what])) == 1


ALLOWED = {
    "downwards": ("evaluation/new.py", "from harness.checks import CHECKS\nfrom harness import __version__"),
    "beside": ("metrics/new.py", "from harness.metrics._rows import flat"),
    "captum at home": ("explainers/new.py", "from captum.attr import Saliency"),
    "a file as long as may be": ("metrics/new.py", "x = 0\n" * 500),
    "a file at the root as long as may be": ("case.py", "x = 0\n" * 300),
    "through the folder": ("report/new.py", "run.write_text('a', 'b')"),
    "reading": ("faces/new.py", "open('x')\npath.open('rb')"),
    "a generator of one's own": ("explainers/new.py", "torch.randn(3, generator=g)\nrng.normal()\nrng.choice(3)"),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_what_is_allowed_is_not_found(what: str) -> None:
    assert violations(*ALLOWED[what]) == []


# ---------------------------------------------------------------------- annotations


@pytest.mark.skipif(os.environ.get("HARNESS_TEST_ANNOTATIONS") == "off", reason="asked to leave them unchecked")
def test_annotations_are_checked_while_tests_run() -> None:
    with pytest.raises(TypeCheckError, match="pictures"):
        InputSpec(12, 12).prepare(np.zeros((1, 12, 12)))


def described_parts(readme: str) -> list[str]:
    """The rooms and modules that the architecture section names at the head of its lines, from the top."""
    block = readme.split("## Architecture")[1].split("```")[1]
    heads = [line[:28].split() for line in block.splitlines()]
    return [word.rstrip("/").removesuffix(".py") for head in heads for word in head if word.endswith(("/", ".py"))]


def misplaced(readme: str) -> list[str]:
    """What the architecture section leaves out, names though it is not there, or puts above what it imports."""
    named = described_parts(readme)
    rooms = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    height = {part: level for level, parts in enumerate(LAYERS) for part in parts}
    return [
        *[f"{room} is not named" for room in sorted(rooms - set(named))],
        *[f"{name} does not exist" for name in named if name not in height],
        *[
            f"{high} stands above {low}"
            for place, high in enumerate(named)
            for low in named[place + 1 :]
            if high in height and low in height and height[high] > height[low]
        ],
    ]


def test_the_readmes_architecture_is_the_tree() -> None:
    readme = (ROOT.parent / "README.md").read_text()
    assert misplaced(readme) == []
    assert "store is not named" in misplaced(readme.replace("store/ ", "       "))
    assert "shop does not exist" in misplaced(readme.replace("store/ ", "shop/ "))
    assert "suites stands above store" in misplaced(readme.replace("store/ ", "suites/ store/"))
