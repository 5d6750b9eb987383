"""No tolerance below 1e-5 is a number out of the air: it follows from the arithmetic, by `harness.rounding`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(file for folder in ("tests", "benchmarks") for file in (ROOT / folder).rglob("*.py"))
BELOW = 1e-5
TOLERANCES = frozenset({"rtol", "atol", "abs", "rel", "tol"})
NAMES = ("tolerance", "close", "slack", "allowed", "within")
"""What a number that is compared with later is called."""


def tiny_tolerances(source: str) -> Iterator[str]:
    """What of a module is a tolerance written as a number below `BELOW`: passed as one, compared with, or named so."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg in TOLERANCES:
            yield from _numbers(node.value)
        elif isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                yield from _numbers(side)
        elif isinstance(node, ast.Assign) and any(_says_tolerance(target) for target in node.targets):
            yield from _numbers(node.value)


def _says_tolerance(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and any(name in target.id.lower() for name in NAMES)


def _numbers(node: ast.expr) -> Iterator[str]:
    """The small numbers that a value is added up from; what stands in a call is its affair, but for max and min."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, float) and 0 < abs(node.value) < BELOW:
            yield f"line {node.lineno}: {node.value}"
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("max", "min"):
        for part in node.args:
            yield from _numbers(part)
    elif not isinstance(node, ast.Call | ast.Subscript | ast.Attribute):
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                yield from _numbers(part)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_tolerances_are_derived(file: Path) -> None:
    assert list(tiny_tolerances(file.read_text())) == []


WRONG = {
    "a keyword": "np.testing.assert_allclose(a, b, atol=1e-7)",
    "in approx": "assert a == pytest.approx(b, abs=2e-16)",
    "compared": "assert error(a, b) < 2e-6",
    "added to what is compared": "assert a >= b - 1e-9",
    "the largest of two": "assert error(a, b) <= max(3 * measured, 1e-12)",
    "multiplied": "CLOSE = 3 * 1e-8",
    "kept for several": 'CLOSE = {"rtol": 1e-5, "atol": 2e-6}',
    "named": "TOLERANCE = 5e-6",
}


@pytest.mark.parametrize("what", WRONG)
def test_a_number_out_of_the_air_is_found(what: str) -> None:
    assert len(list(tiny_tolerances(WRONG[what]))) == 1


RIGHT = {
    "derived": 'assert a == pytest.approx(b, abs=rounding("float32", 100))',
    "wide": "assert error(a, b) < 1e-5",
    "an epsilon of a method": "assert relevances(of, images, epsilon_rule(1e-9)) < EQUAL",
    "nothing at all": "assert a == pytest.approx(b, abs=0.0)",
    "a value": "EFFECTS = [3.0, 1e-9]",
}


@pytest.mark.parametrize("what", RIGHT)
def test_what_is_right_is_not_found(what: str) -> None:
    assert list(tiny_tolerances(RIGHT[what])) == []
