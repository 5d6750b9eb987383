"""After how many people a run could have stopped asking about what counted, read from its stored scores."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from harness.checks import CHECKS, Check, Evidence, barred, examined
from harness.checks.base import IMAGES, PEOPLE
from harness.checks.correction import FINE
from harness.checks.paired import PairedScores
from harness.evaluation.decision import stored_evidence, stored_families
from harness.statistics import stopped
from harness.store import RunFolder, frame

RUNG = 3
"""What counted: its claims are differences of shares, so that they lie in [-1, 1] whoever explains."""
BOUND = 1.0
STOPS = {
    "explainer": "str", "holds": "str", "n": "int64", "of": "int64", "unit": "str", "images": "int64",
    "of_images": "int64",
}  # fmt: skip
"""One row an explainer: whether the rung's claims hold ("yes", "no", or "open"), after how many of how many people (or
images), and how many images of how many those are."""


def stops(run: RunFolder) -> pd.DataFrame:
    """Return for each explainer that is judged when its claims about what counted would have been decided.

    People come in an order drawn from the run's seed, the same for all, and everything is looked at after each of them;
    a false yes, and a false no, have each chance alpha at most (:func:`harness.statistics.stopped`). A person counts
    with the mean of their images, so that the mean over people is tested, where a verdict tests that over images. By a
    metric that did not pass its examination nobody would have been decided.

    Parameters
    ----------
    run
        A finished run; without settled pairs the table is empty.

    Returns
    -------
    pd.DataFrame
        See :data:`STOPS`.
    """
    evidence, known = stored_evidence(run), {each.name for each in run.record.checks}
    evidence = evidence.barring(barred(examined(evidence)))
    checks = [check for check in CHECKS.values() if check.name in known and check.rung == RUNG]
    checks = [check for check in checks if not check.name.endswith(FINE) and isinstance(check.judge, PairedScores)]
    methods = [name for name, family in stored_families(run).items() if family not in ("control", "oracle")]
    rows = [_stop(run, checks, evidence, name) for name in methods]
    return frame(STOPS, [row for row in rows if row is not None])


def passes_of_games(run: RunFolder) -> int:
    """Return how many passes the games over whole cells ask of the network for one image; 0 where none were played."""
    fills = run.scores.loc[run.scores["metric"] == "additivity", "variant"].nunique()
    size = run.record.profile
    return int(2 ** int(size.get("cells_per_side", 0)) ** 2 * int(size.get("cell_grids", 0)) * fills)


def _stop(run: RunFolder, checks: Sequence[Check], evidence: Evidence, explainer: str) -> dict[str, object] | None:
    """Return when one explainer is decided; None where nothing was measured of it."""
    effects = _effects(checks, evidence, explainer)
    if effects.empty:
        return None
    clusters = evidence.clusters(effects.index)
    who = np.asarray(effects.index) if clusters is None else clusters
    grouped = effects.groupby(who)
    order = np.random.default_rng(run.record.seed).permutation(sorted({*_everyone(evidence)}))
    seen = grouped.mean().reindex([each for each in order if each in grouped.groups])
    values: Float[np.ndarray, "claims n"] = seen.to_numpy(np.float64).T
    found = stopped(values, checks[0].margin, run.record.alpha, low=-BOUND, high=BOUND)
    if any(check.metric in evidence.barred for check in checks):
        found = replace(found, holds=None, n=values.shape[1])
    return {
        "explainer": explainer,
        "holds": {True: "yes", False: "no", None: "open"}[found.holds],
        "n": found.n,
        "of": values.shape[1],
        "unit": IMAGES if clusters is None else PEOPLE,
        "images": int(grouped.size().reindex(seen.index[: found.n]).sum()),
        "of_images": len(effects),
    }


def _effects(checks: Sequence[Check], evidence: Evidence, explainer: str) -> pd.DataFrame:
    """Return one row an image for which every claim has an effect, and a column a claim."""
    columns = []
    for check in checks:
        assert isinstance(check.judge, PairedScores)
        columns.append(check.judge.effects(check, evidence, explainer)["value"].rename(check.name))
    return pd.concat(columns, axis=1).dropna() if columns else pd.DataFrame()


def _everyone(evidence: Evidence) -> Sequence[int]:
    """Return all who may come: people, or images where nobody is known."""
    asked = {int(image): int(image) for image in evidence.scores["image"].unique()}
    return [who for image, who in evidence.persons.items() if image in asked] or [*asked]
