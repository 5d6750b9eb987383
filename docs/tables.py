"""Writes the reference tables beside it from what the package says of itself: ``python docs/tables.py``.

A test holds the tables to what this prints, so that they cannot fall behind.
"""

import tomllib
from pathlib import Path

from harness.checks import CHECKS
from harness.checks.ladder import RUNGS
from harness.explainers import registered
from harness.metrics.cards import MetricCard, metric_cards
from harness.profiles import PROFILES, Profile

HERE = Path(__file__).parent
GENERATED = "Written by `python docs/tables.py`.\n"


def metrics() -> str:
    """Return what each metric is, and how far it is from the implementation that it was compared with."""
    head = (
        "metric",
        "family",
        "range",
        "better",
        "chance",
        "cost",
        "compared with (after)",
        "largest difference",
        "differs",
    )
    rows = [_metric(card) for card in metric_cards().values() if card.family != "user"]
    return _page(
        "Metrics",
        "What is in scores, by name. The largest difference is the largest absolute one from that implementation on "
        "the same maps and network, as `python -m benchmarks.metrics_parity` measures it and the tests hold it; where "
        "none is given the two are not comparable number by number, and an exact case stands in the tests instead. "
        "The last column says where the difference is meant.",
        head,
        rows,
    )


def _metric(card: MetricCard) -> list[str]:
    """Return one metric's row."""
    better = {None: "neither", True: "higher", False: "lower"}[card.higher_is_better]
    largest = "" if card.largest_difference is None else f"{card.largest_difference:.0e}".replace("0e+00", "0")
    span = f"{card.low:g} to {card.high:g}".replace("inf", "∞")
    held = (card.name, card.family, span, better, card.chance, card.cost)
    return [*held, _compared(card), largest, card.differs]


def _compared(card: MetricCard) -> str:
    """Return what a metric's values were compared with, and the paper that it is of."""
    return (card.compared_with or "exact cases in the tests") + (f" ({card.reference})" if card.reference else "")


def explainers() -> str:
    """Return what each explainer is."""
    rows = [
        [each.name, each.facts.family, each.facts.cost, ", ".join(sorted(each.facts.axioms)), each.facts.reference]
        for each in registered().values()
        if each.facts.family != "user"
    ]
    page = _page(
        "Explainers",
        "By family. Cost is in images passed for one map. `python -m benchmarks.explainers_parity` prints how far each "
        "is from its reference implementation, and `harness list explainers` whether it keeps the contract.",
        ("explainer", "family", "cost", "claims", "reference"),
        rows,
    )
    return f"{page}\n{_elsewhere()}"


def elsewhere() -> dict[str, dict[str, str]]:
    """Return, by package and by its name for an explainer, ours, or why there is none."""
    return tomllib.loads((HERE / "explainers_elsewhere.toml").read_text(encoding="utf-8"))


def _elsewhere() -> str:
    """Return what other packages have under which name, and what of theirs is not here."""
    rows = [
        [package, theirs, "", ours.removeprefix("none: ")] if ours.startswith("none: ") else [package, theirs, ours, ""]
        for package, names in elsewhere().items()
        for theirs, ours in names.items()
    ]
    said = "What other packages offer for pictures and classes, and why some of it is not here."
    return f"## Elsewhere\n\n{said}\n\n{_table(('package', 'its name', 'here', 'why not'), rows)}\n"


def checks() -> str:
    """Return what each check claims."""
    rows = [
        [
            check.name,
            check.claim,
            check.control,
            f"{'at most' if check.at_most else 'more than'} {check.margin:g}: {check.margin_reason}",
            "yes" if check.decides else "shown",
            check.reference,
        ]
        for check in CHECKS.values()
    ]
    return _page(
        "Checks",
        "Each is a claim about an explainer, judged over images; the margin was set before any result was seen. What "
        "decides is what an explainer has to pass to be believed.",
        ("check", "claim", "against", "margin and why", "decides", "reference"),
        rows,
    )


def rungs() -> str:
    """Return what each rung lets one say, and which checks decide it."""
    rows = [
        [
            f"{rung.number} {rung.name}",
            f"it {rung.claim}",
            rung.gap,
            ", ".join(check.name for check in CHECKS.values() if check.rung == rung.number)
            or "every clause of the contract",
        ]
        for rung in RUNGS
    ]
    return _page(
        "The seven rungs",
        "From the bottom. A rung is reached where every claim holds that decides it and is asked of the explainer; "
        "claims named `-fine` are about parts of cells, and say how finely rung 3 is reached, not whether. What is "
        "said of an explainer is the highest rung that it reaches without a gap; one that does not apply is no gap.",
        ("rung", "reached: of a map may be said", "not reached", "checks that decide it"),
        rows,
    )


def profiles() -> str:
    """Return how much each profile measures."""
    head = (
        "profile", "images a class", "exact games: cells, grids", "their passes an image", "images a class in games",
        "played within cells", "steps of a curve", "null maps", "for what is costly", "built networks, images",
    )  # fmt: skip
    return _page(
        "Profiles",
        "`--profile` says how much is measured, `--per-class` takes another number of images of each predicted class, "
        "and `--plan` what that costs before anything runs.",
        head,
        [_profile(each) for each in PROFILES.values()],
    )


def _profile(size: Profile) -> list[str]:
    """Return one profile's row."""
    side, fills = size.cells_per_side, 3
    passes = 2 ** (side * side) * size.cell_grids * fills
    numbers = (
        f"{side} x {side}, {size.cell_grids}", f"{passes:,}", size.cells_per_class, size.parts_per_class, size.steps,
        size.spectrum_draws, size.costly_per_class, f"{size.built_networks} of each kind, {size.built_images} each",
    )  # fmt: skip
    return [size.name, str(size.per_class or "all"), *map(str, numbers)]


def _page(title: str, said: str, head: tuple[str, ...], rows: list[list[str]]) -> str:
    """Return a page of one table."""
    return f"# {title}\n\n{said}\n\n{GENERATED}\n{_table(head, rows)}\n"


def _table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    # Not padded to equal columns: one long cell would make every line as long.
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


PAGES = {
    "metrics.md": metrics,
    "explainers.md": explainers,
    "checks.md": checks,
    "rungs.md": rungs,
    "profiles.md": profiles,
}

if __name__ == "__main__":
    for name, made in PAGES.items():
        (HERE / name).write_text(made())
        print(HERE / name)
