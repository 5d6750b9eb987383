"""How often verdicts are wrong, by simulation: false passes, false fails, coverage, and what would settle a claim.

``python benchmarks/error_rates.py`` draws scores whose truth is known, of few and many people with several images each,
even and skewed, tied and heavy-tailed, judges them as a run does, and prints each rate beside what is stated. It fails
where a rate lies above what is stated by more than the draws leave open. ``--repeats N`` draws more.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import beta

from harness.checks import CHECKS
from harness.checks.correction import FINE, corrected
from harness.statistics import (
    Interval,
    Stopped,
    mean_interval,
    people_interval,
    people_to_settle,
    sign_flip_p_rows,
    skew_guarded_p_rows,
    spread,
    stopped,
)

ALPHA, CONFIDENCE, POWER = 0.01, 0.99, 0.75
COVERED, COVERAGE_REPEATS = 0.98, 400
"""What is stated of the interval that is shown, nominal .99, down to five people."""
PEOPLE = (5, 10, 20, 40)
IMAGES = (1, 3, 10)
STEPS, CLASSES = tuple(check.step for check in CHECKS.values() if check.decides), 7
"""The step of each claim that a run decides."""
CLAIMS = len(STEPS)
LEFT = (f"3{FINE}", "7")
"""Steps of several claims that are tested alone at the whole level once all others hold."""
CORRELATION = 0.35
"""Intraclass correlation: the largest seen among scores of photographs of one person."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


@dataclass(frozen=True)
class Shape:
    """A distribution of mean 0 and standard deviation 1.

    Attributes
    ----------
    name
        In the table.
    draw
        Draws as many as asked for.
    stated
        The family-wise error that is stated of it at ALPHA, by people: at least so many people, at most so often.
    """

    name: str
    draw: Draw
    stated: Mapping[int, float]

    def least_stated(self, people: int) -> float:
        """Return what is stated for so many people."""
        return self.stated[max(least for least in self.stated if least <= people)]


def _standard(draw: Draw, mean: float, deviation: float) -> Draw:
    """Return a draw moved and scaled to mean 0 and standard deviation 1."""
    return lambda rng, shape: (draw(rng, shape) - mean) / deviation


def _tied(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Six of ten are one value, the others exponential beyond it: what a score with a floor looks like."""
    values: np.ndarray = np.where(rng.random(shape) < 0.6, 0.0, rng.exponential(size=shape))
    return values


EVEN = {0: ALPHA}
SKEWED = {0: 2 * ALPHA}
VERY_SKEWED = {0: 4 * ALPHA}
SHAPES = (
    Shape("normal", _standard(lambda rng, s: rng.normal(size=s), 0, 1), EVEN),
    Shape("heavy tails (t with 4)", _standard(lambda rng, s: rng.standard_t(4, s), 0, 2**0.5), EVEN),
    Shape("few values (-1, 0, 1)", _standard(lambda rng, s: rng.choice([-1.0, 0, 0, 1], s), 0, 0.5**0.5), EVEN),
    Shape("bounded, skewed (beta 1, 8)", _standard(lambda rng, s: rng.beta(1, 8, s), 1 / 9, (8 / 810) ** 0.5), SKEWED),
    Shape(
        "log-normal (.5)",
        _standard(lambda rng, s: rng.lognormal(0, 0.5, s), np.exp(0.125), ((np.exp(0.25) - 1) * np.exp(0.25)) ** 0.5),
        SKEWED,
    ),
    Shape(
        "log-normal (1)",
        _standard(lambda rng, s: rng.lognormal(0, 1, s), np.exp(0.5), ((np.e - 1) * np.e) ** 0.5),
        VERY_SKEWED,
    ),
    Shape("exponential", _standard(lambda rng, s: rng.exponential(size=s), 1, 1), SKEWED),
    Shape("six tenths tied, exponential", _standard(_tied, 0.4, (0.8 - 0.16) ** 0.5), SKEWED),
)


def scores(
    shape: Shape, rng: np.random.Generator, repeats: int, people: int, images: int
) -> Float[np.ndarray, "repeats people images"]:
    """Draw scores of mean 0: what a person's images share holds CORRELATION of their variance."""
    own = shape.draw(rng, (repeats, people, images))
    shared = shape.draw(rng, (repeats, people, 1))
    share = CORRELATION if images > 1 else 0.0
    drawn: np.ndarray = np.sqrt(share) * shared + np.sqrt(1 - share) * own
    return drawn


def p_above(sums: Float[np.ndarray, "r k"], upto: float = 1.0) -> Float[np.ndarray, " r"]:
    """Return the p-values of a run's test, :func:`harness.statistics.mean_above_p`, for many samples at once.

    What lies above `upto` may be too small: signs are flipped only where the guard lets a claim through.
    """
    p = skew_guarded_p_rows(sums)
    near = p < upto
    p[near] = np.maximum(p[near], sign_flip_p_rows(sums[near]))
    return p


# ---------------------------------------------------------------------- one claim


def one_claim(shape: Shape, people: int, images: int, repeats: int, rng: np.random.Generator) -> dict[str, object]:
    """Return how often one claim at its margin is decided, by three tests at ALPHA: the larger of pass and fail."""
    drawn = scores(shape, rng, repeats, people, images)
    sums, flat = drawn.sum(2), drawn.reshape(repeats, -1)
    tests: Mapping[str, Callable[[int], np.ndarray]] = {
        "images, signs": lambda sign: sign_flip_p_rows(sign * flat[: repeats // 4], draws=1_999),
        "people, signs": lambda sign: sign_flip_p_rows(sign * sums, draws=1_999),
        "people, guarded": lambda sign: p_above(sign * sums, ALPHA),
    }
    rates = {name: max(float((test(sign) < ALPHA).mean()) for sign in (1, -1)) for name, test in tests.items()}
    return {"scores": shape.name, "people": people, "images each": images, **rates}


# ---------------------------------------------------------------------- an explainer's claims together


def _family(
    shape: Shape, people: int, images: int, repeats: int, rng: np.random.Generator, effect: Float[np.ndarray, "m k"]
) -> tuple[Float[np.ndarray, "side r m k1"], Float[np.ndarray, "m k1"]]:
    """Return the p-values for and against an explainer's claims, whole first, then classes, and their true effects.

    Each class has `people` of its own. The checks score the same maps: they share half of their variance.
    """
    k, m = effect.shape[1], len(effect)
    shared = scores(shape, rng, repeats * k, people, images).sum(2)
    found = np.empty((2, repeats, m, k + 1))
    for claim in range(m):
        own = scores(shape, rng, repeats * k, people, images).sum(2)
        apart = ((shared + own) / 2**0.5).reshape(repeats, k, people) + images * effect[claim][:, None]
        for side, sign in enumerate((1, -1)):
            found[side, :, claim, 0] = p_above(sign * apart.reshape(repeats, -1), ALPHA)
            found[side, :, claim, 1:] = p_above(sign * apart.reshape(repeats * k, people), ALPHA).reshape(repeats, k)
    return found, np.concatenate([effect.mean(1, keepdims=True), effect], axis=1)


def all_at_margin(shape: Shape, people: int, images: int, repeats: int, rng: np.random.Generator) -> dict[str, object]:
    """Return how often an explainer has a false pass, and a false fail, where all effects are at their margins."""
    p, _ = _family(shape, people, images, repeats, rng, np.zeros((CLAIMS, CLASSES)))
    # The first claim to be made is made at its first level, and here it is false.
    nothing = np.ones((CLAIMS, CLASSES + 1))
    first = corrected(nothing, nothing, STEPS, ALPHA)
    fails = (p[1] < first.level_fail).any(axis=(1, 2)).mean()
    passes = np.zeros(repeats, bool)
    for step in set(STEPS):
        mine = np.array([each == step for each in STEPS])
        ascending, left = np.sort(p[0][:, mine], axis=1), np.arange(mine.sum(), 0, -1)
        passes |= (ascending * left[:, None] < first.level[mine][0]).any(axis=(1, 2))
    return _rates(shape, people, images, float(passes.mean()), fails)


def some_at_margin(
    shape: Shape, people: int, images: int, repeats: int, rng: np.random.Generator, kept: str
) -> dict[str, object]:
    """Return the same where the claims of all steps but `kept` hold: what is made frees what is not."""
    effect = np.where([[step == kept] for step in STEPS], 0.0, 3.0) * np.ones(CLASSES)
    p, truth = _family(shape, people, images, repeats, rng, effect)
    made = np.zeros((2, repeats, *truth.shape), bool)
    for repeat in range(repeats):
        found = corrected(p[0, repeat], p[1, repeat], STEPS, ALPHA)
        made[:, repeat] = found.p < ALPHA, found.p_fail < ALPHA
    passes = (made[0] & (truth <= 0)).any(axis=(1, 2)).mean()
    fails = (made[1] & (truth >= 0)).any(axis=(1, 2)).mean()
    row = _rates(shape, people, images, passes, fails) | {"true passes found": float(made[0][:, truth > 0].mean())}
    return {"at margin": kept} | row


def _rates(shape: Shape, people: int, images: int, passes: float, fails: float) -> dict[str, object]:
    """Return one row beside what is stated."""
    row = {"scores": shape.name, "people a class": people, "images each": images}
    return row | {"false passes": float(passes), "false fails": float(fails), "stated": shape.least_stated(people)}


# ---------------------------------------------------------------------- intervals, and what would settle a claim


def coverage(shape: Shape, people: int, images: int, repeats: int, rng: np.random.Generator) -> dict[str, object]:
    """Return how often the interval that is shown holds the truth, beside bootstraps of people and of images."""
    drawn = scores(shape, rng, repeats, people, images).reshape(repeats, -1)
    who = np.repeat(np.arange(people), images)
    kinds: Mapping[str, Callable[[np.ndarray], Interval]] = {
        "shown": lambda values: people_interval(values, who, confidence=CONFIDENCE),
        "people, BCa": lambda values: mean_interval(values, confidence=CONFIDENCE, clusters=who, resamples=999),
        "images, BCa": lambda values: mean_interval(values, confidence=CONFIDENCE, resamples=999),
    }
    rates = {}
    for name, interval in kinds.items():
        found = [interval(values) for values in drawn]
        rates[name] = float(np.mean([each.low <= 0 <= each.high for each in found]))
    return {"scores": shape.name, "people": people, "images each": images, **rates, "least": COVERED}


def settling(
    shape: Shape, effect: float, level: float, images: int, repeats: int, rng: np.random.Generator
) -> dict[str, object]:
    """Return how often as many people as are said to settle a claim do, effect and spread being what they are."""
    known = scores(shape, rng, 1, 20_000, images)[0] + effect
    told = spread(known.ravel(), 0.0, np.repeat(np.arange(len(known)), images))
    people = None if told is None else people_to_settle(told, level)
    if people is None:
        raise AssertionError("an effect that is not 0 can be settled")
    sums = (scores(shape, rng, repeats, people, images) + effect).sum(2)
    p = p_above(np.sign(effect) * sums, level)
    row = {"scores": shape.name, "effect": effect, "level": level, "images each": images, "people": people}
    return row | {"power": float((p < level).mean()), "goal": POWER}


# ---------------------------------------------------------------------- looking after every person


MARGIN, TOGETHER = 0.05, 4
"""Of the claims about what counted, and how many have to hold together."""
BOUNDED: Mapping[str, Draw] = {
    "all or nothing": lambda rng, shape: np.where(rng.random(shape) < 0.5, 1.0, -1.0),
    "even": lambda rng, shape: rng.uniform(-1, 1, shape),
    "rarely very low": lambda rng, shape: np.where(rng.random(shape) < 0.05, -1.0, 1 / 19),
    "rarely very high": lambda rng, shape: np.where(rng.random(shape) < 0.05, 1.0, -1 / 19),
}
"""Differences of shares, in [-1, 1] and of mean 0."""


def looked_at_always(
    name: str, people: int, repeats: int, rng: np.random.Generator, effect: float = 0.3
) -> dict[str, object]:
    """Return how often claims are falsely said to hold, and falsely refuted, with a look after every person.

    For false passes one claim is at its margin and the others far beyond it; for false fails all are at their margins.
    Beside that how often a true `effect` is found, and after how many people.
    """

    def found(means: Sequence[float]) -> list[Stopped]:
        # Half of what a person does is shared by the claims: they score the same maps.
        shared, own = BOUNDED[name](rng, (repeats, 1, people)), BOUNDED[name](rng, (repeats, TOGETHER, people))
        drawn = np.where(rng.random((repeats, TOGETHER, people)) < 0.5, shared, own)
        values = np.array(means)[:, None] + drawn * (1 - np.abs(means))[:, None]
        return [stopped(each, MARGIN, ALPHA, low=-1.0, high=1.0) for each in values]

    one, none, true = (found(means) for means in ([MARGIN, 0.8, 0.8, 0.8], [MARGIN] * TOGETHER, [effect] * TOGETHER))
    settled = [each.n for each in true if each.holds]
    return {
        "scores": name,
        "people": people,
        "false passes": float(np.mean([each.holds is True for each in one])),
        "false fails": float(np.mean([each.holds is False for each in none])),
        "stated": ALPHA,
        f"effect {effect} found": len(settled) / repeats,
        "after, median": float(np.median(settled)) if settled else np.nan,
    }


# ---------------------------------------------------------------------- the command


def tables(repeats: int, seed: int = 0) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each table under its title."""
    rng = np.random.default_rng(seed)
    cells = [(shape, people, images) for shape in SHAPES for people in PEOPLE for images in IMAGES]
    rows = [one_claim(*cell, repeats, rng) for cell in cells]
    yield f"one claim at its margin: share decided at level {ALPHA}, the larger of passes and fails", pd.DataFrame(rows)
    rows = [all_at_margin(*cell, repeats, rng) for cell in cells]
    yield "an explainer, all effects at their margins: share with a false pass, a false fail", pd.DataFrame(rows)
    rows = [some_at_margin(shape, 20, 3, repeats // 4, rng, kept) for shape in SHAPES for kept in LEFT]
    yield "an explainer, all claims true but those of one step", pd.DataFrame(rows)
    rows = [coverage(shape, people, 3, COVERAGE_REPEATS, rng) for shape in SHAPES[::3] for people in PEOPLE]
    yield "intervals: share that hold the truth", pd.DataFrame(rows)
    rows = [looked_at_always(name, people, repeats, rng) for name in BOUNDED for people in (20, 40, 100)]
    yield f"{TOGETHER} claims together, looked at after every person", pd.DataFrame(rows)
    levels = (ALPHA, ALPHA / 2 / CLAIMS, ALPHA / CLAIMS / CLASSES)
    told = [(shape, effect, level) for shape in SHAPES for effect in (0.4, -0.8) for level in levels]
    rows = [settling(*each, 3, 1_000, rng) for each in told]
    yield "people to settle: share settled by as many as were said", pd.DataFrame(rows)


def exceeding(table: pd.DataFrame, repeats: int) -> pd.DataFrame:
    """Return the rows whose rate lies beyond what is stated by more than chance: once in a thousand rows."""
    if "goal" in table:
        return table[beta.ppf(0.999, 1_000 * table["power"] + 1, 1_000 * (1 - table["power"]) + 1e-9) < table["goal"]]
    if "least" in table:
        held = table["shown"] * COVERAGE_REPEATS
        return table[beta.ppf(0.999, held + 1, COVERAGE_REPEATS - held + 1e-9) < table["least"]]
    if "stated" not in table:
        return table.iloc[:0]
    worst = table[["false passes", "false fails"]].max(axis=1)
    return table[beta.ppf(0.001, np.maximum(repeats * worst, 1e-9), repeats * (1 - worst) + 1) > table["stated"]]


def main() -> int:
    """Print the tables; 1 where a rate exceeds what is stated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1_500, help="samples drawn for each rate (default 1500)")
    repeats = parser.parse_args().repeats
    wrong = 0
    for title, table in tables(repeats):
        print(f"\n{title}\n{table.to_string(index=False, float_format='{:.4g}'.format)}", flush=True)
        beyond = exceeding(table, repeats // 4 if "true passes found" in table else repeats)
        wrong += len(beyond)
        if len(beyond):
            print(f"beyond what is stated:\n{beyond.to_string(index=False)}")
    print(f"\n{wrong} rates lie beyond what is stated")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
