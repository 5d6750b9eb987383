"""Every check that can be asked for: the package's own, and what somebody else registered."""

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


def register(made: Check) -> None:
    """Add a check of somebody else to those that can be asked for by name.

    Raises
    ------
    DefinitionError
        Where its name is taken, by a check, by a family of them or by another word of ``--check``.
    """
    called = f"check {made.name!r} of {made.origin}"
    held = _registered.get(made.name)
    if held is not None and held != made:
        raise DefinitionError(f'{called} has the name of {held.origin}; choose another: @check(name="...")')
    if made.name in CHECKS:
        raise DefinitionError(f'{called} has the name of one of this package; choose another: @check(name="...")')
    if made.name in {*OTHER_WORDS, *(check.family for check in CHECKS.values())}:
        raise DefinitionError(
            f'{called} has the name of a family or word of --check; choose another: @check(name="...")'
        )
    _registered[made.name] = made
