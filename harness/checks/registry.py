"""Every check that can be asked for: the package's own, and what somebody else registered."""

from dataclasses import replace

from harness.checks import (
    axioms,
    cells,
    confusion,
    constructed,
    faithfulness,
    localization,
    mistakes,
    parts,
    randomization,
    robustness,
)
from harness.checks.base import Check
from harness.errors import DefinitionError
from harness.origin import said_origin, same_code

FAMILIES = (
    cells,
    constructed,
    faithfulness,
    parts,
    localization,
    randomization,
    robustness,
    axioms,
    confusion,
    mistakes,
)

CHECKS: dict[str, Check] = {check.name: check for family in FAMILIES for check in family.CHECKS}
"""Every check of the package by name, in the order in which tables show them."""
USER = "user"
"""Family of a check of somebody else."""
OTHER_WORDS = ("all", "contract", USER)
"""What ``--check`` takes beside names and families."""

_registered: dict[str, Check] = {}


def all_checks() -> dict[str, Check]:
    """Return every check by name: the package's own, then those of somebody else as they were registered."""
    return CHECKS | _registered


def _same(held: Check, made: Check) -> bool:
    """Whether a name is given again to the same claim, as where a file that was run is imported by another."""
    first, second = (getattr(each.judge, "function", None) for each in (held, made))
    read_twice = first is not None and second is not None and same_code(first, second)
    return held == made or (read_twice and replace(held, judge=made.judge, origin=made.origin) == made)


def register(made: Check) -> None:
    """Add a check of somebody else to those that can be asked for by name.

    Raises
    ------
    DefinitionError
        Where its name is taken, by a check, by a family of them or by another word of ``--check``.
    """
    called = f"check {made.name!r} of {said_origin(made.origin)}"
    held = _registered.get(made.name)
    if held is not None and not _same(held, made):
        raise DefinitionError(
            f'{called} has the name of {said_origin(held.origin)}; choose another: @check(name="...")'
        )
    if made.name in CHECKS:
        raise DefinitionError(f'{called} has the name of one of this package; choose another: @check(name="...")')
    if made.name in {*OTHER_WORDS, *(check.family for check in CHECKS.values())}:
        raise DefinitionError(
            f'{called} has the name of a family or word of --check; choose another: @check(name="...")'
        )
    _registered[made.name] = made
