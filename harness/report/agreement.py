"""How far two runs of the same request agree: scores and verdicts that are others, as on another machine."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.report import wording
from harness.store import RunFolder, deciding_p

SCORE = ["explainer", "name", "variant", "image", "target"]
CLAIM = ["explainer", "check", "class"]
NOTED = 1e-3
"""Scores that differ by more are counted apart: below it stand the fourth digit of a mean and less."""
ON_MARGIN = 0.02
"""By what share of its interval's width an effect may move for a verdict that is another to have lain on its margin.

A tenth of a standard error, where the interval is one of 99 %: other people would move the effect ten times as far, so
that either verdict is as right as the other, and no arithmetic can choose between them.
"""


@dataclass(frozen=True)
class Differences:
    """What two runs do not share.

    Attributes
    ----------
    metrics
        One row a metric of which a score differs, the largest difference first, above 1 as a share of the score: ``n``
        scores in both runs, how many ``differ`` at all and by more than :data:`NOTED`, the ``largest`` difference in
        the metric's unit, the explainer it is ``of``, and how many are ``defined`` in one run alone.
    verdicts
        One row a verdict that is another: its two values, with effect, interval, deciding p of both and the margin, and
        whether it is ``on_margin`` (:data:`ON_MARGIN`).
    scores, differ
        Scores in both runs, and how many of them differ at all.
    unmatched
        Scores and verdicts that one run has and the other has not: then the requests were not the same.
    """

    metrics: pd.DataFrame
    verdicts: pd.DataFrame
    scores: int
    differ: int
    unmatched: int

    def lines(self, *, on_margin: bool | None = None) -> list[str]:
        """Return each verdict that is another in one line with its numbers, or those (not) on their margin alone."""
        return [
            f"{row['explainer']} / {row['check']} / {row['class']}: "
            + " -> ".join(_verdict({str(k): v for k, v in row.items()}, run) for run in ("first", "second"))
            + f", margin {row['margin']:g}"
            for row in self.verdicts.to_dict("records")
            if on_margin in (None, row["on_margin"])
        ]


def differences(first: RunFolder, second: RunFolder) -> Differences:
    """Compare two runs score by score and verdict by verdict.

    Parameters
    ----------
    first, second
        Runs of the same request, made on whatever arithmetic.

    Raises
    ------
    UsageError
        Where a table of a run is missing or damaged.
    """
    scores = _paired(first.named_scores, second.named_scores, SCORE)
    verdicts = _paired(_deciding(first.verdicts), _deciding(second.verdicts), CLAIM)
    matched = scores[scores["_merge"] == "both"]
    both = verdicts[verdicts["_merge"] == "both"].rename(columns={"margin_first": "margin"})
    kept = [*CLAIM, "margin", "on_margin", *(f"{name}_{run}" for run in ("first", "second") for name in VERDICT)]
    moved = (both["effect_first"] - both["effect_second"]).abs()
    turned = zip(both["verdict_first"], both["verdict_second"], strict=True)
    near = moved <= ON_MARGIN * (both["high_first"] - both["low_first"])
    both = both.assign(on_margin=near & np.array([set(pair) in TURNS for pair in turned], bool))
    values = matched["value_first"], matched["value_second"]
    gap = (values[0] - values[1]).abs()
    alone = values[0].isna() != values[1].isna()
    share: pd.Series = gap / np.maximum(1.0, np.maximum(values[0].abs(), values[1].abs()))
    return Differences(
        metrics=_by_metric(matched.assign(gap=gap, share=share, alone=alone)),
        verdicts=both.loc[both["verdict_first"] != both["verdict_second"], kept].reset_index(drop=True),
        scores=len(matched),
        differ=int((gap.gt(0) | alone).sum()),
        unmatched=int((scores["_merge"] != "both").sum() + (verdicts["_merge"] != "both").sum()),
    )


TURNS = ({"pass", "inconclusive"}, {"fail", "inconclusive"})
"""Between what a verdict on its margin may turn: rounding makes no claim its opposite, nor one that does not apply."""
VERDICT = ("verdict", "effect", "low", "high", "p_adjusted")


def _deciding(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return verdicts with the p that stands for each in place of that for the claim."""
    return verdicts.assign(p_adjusted=[deciding_p(row) for row in verdicts.to_dict("records")])


def _paired(first: pd.DataFrame, second: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the rows of two tables side by side, those of one alone too."""
    return first.merge(second, on=list(keys), how="outer", suffixes=("_first", "_second"), indicator=True)


def _by_metric(scores: pd.DataFrame) -> pd.DataFrame:
    """Count the scores of each metric that differ."""
    rows = [
        {
            "metric": metric,
            "n": len(held),
            "differ": int((held["gap"].gt(0) | held["alone"]).sum()),
            f"by more than {NOTED:g}": int(held["gap"].gt(NOTED).sum()),
            "largest": float(held["gap"].max()),
            "of": str(held["explainer"].iloc[int(np.nanargmax(held["gap"]))]) if held["gap"].notna().any() else "",
            "defined": int(held["alone"].sum()),
            "share": float(held["share"].max()),
        }
        for metric, held in scores.groupby("name", sort=False)
    ]
    columns = ["metric", "n", "differ", f"by more than {NOTED:g}", "largest", "of", "defined", "share"]
    table = pd.DataFrame(rows, columns=columns).query("differ > 0")
    return table.sort_values("share", ascending=False, ignore_index=True, na_position="last").drop(columns="share")


def _verdict(row: dict[str, object], run: str) -> str:
    """Return one run's verdict with its numbers."""
    effect, low, high, p = (float(str(row[f"{name}_{run}"])) for name in VERDICT[1:])
    found = (
        f"{wording.number(effect, signed=True)} ({wording.interval(low, high)})" if np.isfinite(effect) else "no effect"
    )
    return f"{row[f'verdict_{run}']} {found}, adjusted p {p:.3g}"
