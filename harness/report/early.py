"""After how many people a run could have stopped asking about what counted, in a table and a line."""

import pandas as pd

from harness.report import wording
from harness.report.ladder import COUNTED, ELSEWHERE
from harness.report.queries import ALL
from harness.store import RunFolder


def early_table(run: RunFolder, stops: pd.DataFrame, passes: int) -> pd.DataFrame:
    """Return when each method would have been decided, had everything been looked at after every person.

    Parameters
    ----------
    run
        A finished run.
    stops
        A row a method: whether it ``holds`` (yes, no or open), after ``n`` of so many (``of``) people or images
        (``unit``), and how many ``images`` of how many (``of_images``) those are.
    passes
        Images that the games pass through the network for one image.
    """
    rows, rung = stops.to_dict("records"), run.ladder[(run.ladder["rung"] == COUNTED) & (run.ladder["class"] == ALL)]
    elsewhere = set(rung.loc[rung["reached"] == ELSEWHERE, "explainer"])
    made = pd.DataFrame(
        {
            "what counted": [_said(row["holds"], row["explainer"] in elsewhere) for row in rows],
            "after": [f"{row['n']} of {row['of']} {row['unit']}" for row in rows],
            "images": [f"{row['images']} of {row['of_images']}" for row in rows],
        },
        dtype="object",
    )
    made.index = pd.Index(stops["explainer"].tolist(), name="explainer")
    made.attrs = {
        "title": "after how many people asking could have stopped",
        "notes": [
            "Had everything been looked at after every person, in an order drawn from the seed: a false yes, and a "
            f"false no, have each chance {run.record.alpha} at most, whenever one stops (betting on bounded means, "
            "Waudby-Smith & Ramdas 2024). Over people, each by the mean of their images; no class is decided. It needs "
            "more people than a verdict, which is looked at once; games serve all methods and end with the last.",
            saved(stops, passes),
        ],
    }
    return made


def _said(holds: str, elsewhere: bool) -> str:
    """Return what was decided; who answers another question is not refused."""
    return ELSEWHERE if elsewhere and holds == "no" else holds


def saved(stops: pd.DataFrame, passes: int) -> str:
    """Say in a line who would have been decided before the last person, and what that would have saved."""
    early = stops[(stops["holds"] != "open") & (stops["n"] < stops["of"])]
    if early.empty:
        return "Had one looked after every person, nobody would have been decided before the last."
    told = [f"{row['explainer']} after {row['n']} of {row['of']}" for row in early.to_dict("records")]
    spared = int(stops["of_images"].max() - stops["images"].max()) * passes
    games = int(stops["of_images"].max()) * passes
    return f"Decided early: {wording.listed(told)}. Of the {games:,} passes of the games {spared:,} would be saved."
