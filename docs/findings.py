"""Write docs/findings.json and README's table of what was found from two finished runs.

    make reference                                # runs both pairs, then this
    python docs/findings.py RENDERED PHOTOGRAPHS  # from runs that there are

The table holds numbers of the runs alone. What decided them (checks with their margins, rungs, error rates, profile) is
kept beside them, so that a test says when the table is older than the rule.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.checks import ALPHA, CHECKS, CONFIDENCE
from harness.checks.ladder import RUNGS
from harness.digest import digest
from harness.profiles import QUICK
from harness.report import ladder, queries
from harness.store import RunFolder

ROOT = Path(__file__).parents[1]
KEPT, PAGE = ROOT / "docs" / "findings.json", ROOT / "README.md"
BEGIN, END = "<!-- findings: written by docs/findings.py -->", "<!-- end of findings -->"
FACTS = ("name", "claim", "control", "margin", "metric", "at_most", "rung", "unit")
"""What of a check makes a verdict."""


def rule(
    checks: Sequence[Mapping[str, Any]], rungs: Sequence[Mapping[str, Any]], profile: Mapping[str, Any], *rates: float
) -> str:
    """Return a name of all that decides: checks that do, rungs, sizes and error rates."""
    decisive = sorted([[str(check[fact]) for fact in FACTS] for check in checks])
    return digest(decisive, [dict(rung) for rung in rungs], dict(profile), list(rates))


def rule_now() -> str:
    """Return the rule of the code as it is, on the quick profile."""
    checks = [{fact: getattr(check, fact) for fact in FACTS} for check in CHECKS.values() if check.decides]
    return rule(checks, [asdict(rung) for rung in RUNGS], _sizes(asdict(QUICK)), ALPHA, CONFIDENCE)


def rule_of(run: RunFolder) -> str:
    """Return the rule by which a run was decided."""
    record = run.record
    checks = [vars(check) for check in record.checks if check.decides]
    return rule(checks, [vars(rung) for rung in record.rungs], record.profile, record.alpha, record.confidence)


def _sizes(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return a profile's sizes as JSON would hold them."""
    return {str(k): v for k, v in json.loads(json.dumps(profile)).items()}


def found(run: RunFolder) -> dict[str, Any]:
    """Return what a run found of every explainer, in the order of their standing."""
    rows = [
        {
            "explainer": one.explainer,
            "control": one.explainer not in queries.methods(run),
            "share": None if one.share is None else str(one.share),
            "rung": one.rung,
            "pixels": one.resolution,
            "stopped": None if one.stopped is None else [one.stopped["name"], one.stopped["reached"]],
        }
        for one in ladder.standings(run)
    ]
    return {
        "subject": run.record.subject.name,
        "images": run.record.faces.name,
        "rule": rule_of(run),
        "explainers": rows,
    }


def table(pairs: Sequence[Mapping[str, Any]]) -> str:
    """Return the table: a row an explainer, a column a pair."""
    held = [{row["explainer"]: row for row in pair["explainers"]} for pair in pairs]
    names = dict.fromkeys(name for rows in held for name in rows)
    ordered = sorted(names, key=lambda name: any(name in rows and rows[name]["control"] for rows in held))
    titles = [f"`{pair['subject']}`, {pair['images']}" for pair in pairs]
    lines = [f"| settled pairs right | {' | '.join(titles)} |", "|---" * (1 + len(pairs)) + "|"]
    lines += [f"| {name} | {' | '.join(_cell(rows.get(name)) for rows in held)} |" for name in ordered]
    return "\n".join(lines)


def _cell(row: Mapping[str, Any] | None) -> str:
    """Return one explainer on one pair."""
    if row is None:
        return "not there"
    share = row["share"] or "not asked"
    if row["control"]:
        return share
    fine = f", down to {row['pixels']} px" if row["pixels"] else ""
    stopped = f"; {row['stopped'][0]}: {row['stopped'][1]}" if row["stopped"] else ""
    return f"{share}{fine}, rung {row['rung']}{stopped}"


def within_page(text: str, made: str) -> str:
    """Return the page with the table between its marks."""
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def main(folders: Sequence[str]) -> int:
    """Write both files from the runs named."""
    if not folders:
        print("name the folders of finished runs, or say: make reference", file=sys.stderr)
        return 2
    pairs = [found(RunFolder.existing(Path(folder))) for folder in folders]
    for pair in pairs:
        if pair["rule"] != rule_now():
            print(f"{pair['subject']} was decided by another rule or profile: run it again", file=sys.stderr)
            return 2
    KEPT.write_text(json.dumps(pairs, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(within_page(PAGE.read_text(encoding="utf-8"), table(pairs)), encoding="utf-8")
    print(table(pairs))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
