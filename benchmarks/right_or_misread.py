"""Whether an image that is read right is explained more faithfully than one of the same class that is not.

And whether faithfulness follows the margin, the target's probability less the next one's. Of each explainer of a run
that knows labels: the slope of an image's faithfulness over being right, or over the margin, within the image's true
class, people being the sample. The p is that of a mean within-class product above or below 0, two-sided, corrected by
Holm over explainers and both questions: a family of their own. Beside it stands the least slope that would have been
seen in four of five draws of people, by simulation.

    python benchmarks/right_or_misread.py --run results/faces-cnn-rendered
    python benchmarks/right_or_misread.py --metric insertion-gain --variant spectrum-null
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.special import softmax
from scipy.stats import norm

from harness.checks import ALPHA
from harness.errors import UsageError
from harness.evaluation.decision import stored_evidence
from harness.faces.loading import load_faces
from harness.models.loading import load_subject
from harness.report import queries
from harness.statistics import holm, mean_above_p, mean_below_p, people_interval
from harness.store import RunFolder

QUESTIONS = ("right", "margin")
POWER = 0.8
REPEATS = 400


@dataclass(frozen=True)
class Asked:
    """One question to one explainer, (n,) each.

    Attributes
    ----------
    scores, over
        Faithfulness, and what it may follow, less their class's means.
    persons
        Who is on each image.
    """

    scores: Float[np.ndarray, " n"]
    over: Float[np.ndarray, " n"]
    persons: Int[np.ndarray, " n"]

    @property
    def weight(self) -> float:
        """Mean square of what may be followed: what turns a mean product into a slope."""
        return float((self.over**2).mean())

    @property
    def slope(self) -> float:
        """How much more faithful an image is for one unit more."""
        return float((self.scores * self.over).mean() / self.weight)

    def p(self, slope: float = 0.0) -> float:
        """Return the two-sided p of a slope: twice the smaller one-sided, of products of what it leaves over."""
        products = (self.scores - slope * self.over) * self.over
        return min(1.0, 2 * min(mean_above_p(products, 0.0, self.persons), mean_below_p(products, 0.0, self.persons)))

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the slope."""
        found = people_interval(self.scores * self.over, self.persons, confidence=0.95)
        return found.low / self.weight, found.high / self.weight

    def least_seen(self, level: float, seed: int = 0) -> float:
        """Return the least slope that is seen at a level in POWER of draws of people, by simulation.

        People are drawn anew from those of whom the slope is taken away, and the spread of slopes found is that of a
        slope of 0; a slope that is larger by both quantiles of a normal of that spread is seen so often.
        """
        rng, people = np.random.default_rng(seed), np.unique(self.persons)
        products = (self.scores - self.slope * self.over) * self.over
        sums = np.array([products[self.persons == one].sum() for one in people])
        weights = np.array([(self.over[self.persons == one] ** 2).sum() for one in people])
        drawn = rng.integers(0, len(people), (REPEATS, len(people)))
        slopes = sums[drawn].sum(axis=1) / weights[drawn].sum(axis=1)
        return float(slopes.std() * (norm.isf(level / 2) + norm.ppf(POWER)))


def margins(run: RunFolder, images: Sequence[int]) -> Float[np.ndarray, " n"]:
    """Return by how much each image's likeliest class is likelier than the next."""
    subject = load_subject(run.record.subject.name)
    faces = load_faces(run.record.faces.name, subject.classes)
    place = {int(image): number for number, image in enumerate(faces.ids)}
    some = faces.images[[place[int(image)] for image in images]]
    found = np.sort(softmax(subject.logits(subject.prepare(some)).double().cpu().numpy(), axis=1), axis=1)
    apart: Float[np.ndarray, " n"] = found[:, -1] - found[:, -2]
    return apart


def questions(run: RunFolder, metric: str, variant: str) -> dict[tuple[str, str], Asked]:
    """Return what can be asked of each explainer.

    Raises
    ------
    UsageError
        Where the run knows no labels, no people, or not the score.
    """
    evidence = stored_evidence(run)
    about = run.scores.drop_duplicates("image").set_index("image")[["label", "predicted"]]
    if (about["label"] == "").all():
        raise UsageError(f"{run.path} knows no labels; whether an image is read right cannot be told")
    if not evidence.persons:
        raise UsageError(f"{run.path} knows nobody on its images; name them by --groups when it is made")
    found = {}
    for name in queries.methods(run):
        rows = evidence.of(name, metric, variant)["value"].dropna()
        if not len(rows):
            raise UsageError(f"{run.path} has no {metric} {variant} of {name}; name another by --metric and --variant")
        here = about.loc[rows.index]
        over = {"right": (here["label"] == here["predicted"]).to_numpy(float), "margin": margins(run, list(rows.index))}
        who = np.array([evidence.persons[int(image)] for image in rows.index], np.int64)
        for question in QUESTIONS:
            scores, followed = (_within(values, here["label"]) for values in (rows.to_numpy(), over[question]))
            if np.abs(followed).max() > 0:
                found[name, question] = Asked(scores, followed, who)
    return found


def _within(values: Float[np.ndarray, " n"], classes: pd.Series) -> Float[np.ndarray, " n"]:
    """Return values less the mean of their class."""
    held = pd.Series(values, index=classes.index)
    left: Float[np.ndarray, " n"] = (held - held.groupby(classes).transform("mean")).to_numpy(np.float64)
    return left


def main(words: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("results/reference"))
    parser.add_argument("--metric", default="deletion-gain")
    parser.add_argument("--variant", default="spectrum-null")
    asked = parser.parse_args(words)
    held = questions(RunFolder.existing(asked.run), asked.metric, asked.variant)
    adjusted = holm(np.array([each.p() for each in held.values()]))
    rows = []
    for ((name, question), each), p in zip(held.items(), adjusted, strict=True):
        low, high = each.interval()
        rows.append(
            {
                "explainer": name,
                "over": question,
                "images": len(each.scores),
                "people": len(np.unique(each.persons)),
                "slope (95 %)": f"{each.slope:+.3f} ({low:+.3f} to {high:+.3f})",
                "adjusted p": f"{p:.2g}",
                "answer": ("yes" if each.slope > 0 else "the other way") if p < ALPHA else "not shown",
                "seen in four of five from": f"{each.least_seen(ALPHA / len(held)):.3f}",
            }
        )
    print(f"{asked.metric} over {asked.variant}, within the true class\n")
    print(pd.DataFrame(rows).to_markdown(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
