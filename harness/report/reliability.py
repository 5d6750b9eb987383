"""How far scores agree with themselves and with each other, and how far explainers agree on what is large."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import rankdata

from harness.report import queries, wording
from harness.report.queries import USUAL
from harness.report.ranks import SETTLED, Ranked, all_ranked, deciding_scores, ranked, values_of
from harness.statistics import (
    feature_agreement,
    kendall,
    kendall_w,
    krippendorff_alpha,
    rank_agreement,
    sign_agreement,
)
from harness.store import RunFolder

LEAST = 3
"""Methods that a score must rank, for any agreement on their order to say something."""
NOISY = "-noise-"
"""In the names of known maps with a share of noise."""
CELLS = 3
"""Rows and columns of the cells that a kept map is summed in, where a run's record does not say how its games cut."""

# ---------------------------------------------------------------------- scores


def reliability_table(run: RunFolder) -> pd.DataFrame:
    """Return Krippendorff's alpha of each score over people, methods and fills, and how it ranks beside settled pairs.

    Returns
    -------
    pd.DataFrame
        A row a score with a better end, of the map itself, and each that decides; "–" where nothing could be compared.
        ``people``: do people put the methods in one order? ``methods``: do methods find the same images hard?
        ``fills``: do fills rank the methods of an image alike? ``settled pairs``: Kendall's tau of the methods' mean
        ranks with those by settled pairs.

    References
    ----------
    Tomsett et al., Sanity checks for saliency metrics, AAAI (2020).
    """
    held = [one for one in all_ranked(run, _compared(run)) if len(one.names) >= LEAST]
    settled = ranked(run, SETTLED, USUAL[0]) if SETTLED in queries.metrics(run) else None
    fills = _over_fills(run)
    rows = [
        {
            "n": f"{len(one.places)} {one.unit}",
            "people": _shown(krippendorff_alpha(_ranks(one.places))),
            "methods": _shown(krippendorff_alpha(_ranks(one.values.T))),
            "fills": _shown(fills.get((_without_fill(run, one.metric), one.variant), np.nan)),
            "settled pairs": _shown(_beside(one, settled)),
        }
        for one in held
    ]
    columns = ["n", "people", "methods", "fills", "settled pairs"]
    made = pd.DataFrame(rows, columns=columns, dtype="object")
    made.index = pd.Index([one.score for one in held], name="score")
    made.attrs = {
        "title": "how reliable each score is: Krippendorff's alpha of ranks",
        "notes": [
            "1: all agree; 0: as chance has it. people: on the order of the methods (images, where nobody is known). "
            "methods: on which images are hard. fills: on the order of an image's methods, where several were tried.",
            "settled pairs: Kendall's tau with the order by settled pairs. After Tomsett et al. 2020; controls and "
            "maps made of the truth are left out.",
            *_concordance(run, held),
        ],
    }
    return made


def _compared(run: RunFolder) -> list[tuple[str, str]]:
    """Return the scores that decide, then every other one of the map itself."""
    others = [(metric, USUAL[0]) for metric, variants in queries.metrics(run).items() if USUAL[0] in variants]
    return list(dict.fromkeys([*deciding_scores(run), *others]))


def _ranks(rows: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """Return each row's ranks, ties at their average; NaN stays."""
    made: np.ndarray = rankdata(rows, axis=1, nan_policy="omit")
    return made


def _shown(value: float) -> str:
    """Return a coefficient in words, a dash for none."""
    return "–" if np.isnan(value) else f"{value:.2f}"


def _without_fill(run: RunFolder, metric: str) -> tuple[str, ...]:
    """Return what a score is but for its fill."""
    scores = run.named_scores
    first = scores.loc[scores["name"] == metric].iloc[0]
    return tuple(str(first[part]) for part in ("metric", "output", "kind"))


def _over_fills(run: RunFolder) -> dict[tuple[tuple[str, ...], str], float]:
    """Return how far fills agree on the order of each image's methods, for each score that several were tried for."""
    names = run.named_scores[["name", "metric", "output", "kind", "variant", "fill"]].drop_duplicates()
    found = {}
    for which, group in names.groupby(["metric", "output", "kind", "variant"]):
        *score, variant = map(str, which)
        tables = [values_of(run, name, variant) for name in group["name"]] if len(group) > 1 else []
        if len(tables) > 1 and min(table.shape[1] for table in tables) >= LEAST:
            ranks = [table.rank(axis=1).stack() for table in tables]
            found[tuple(score), variant] = krippendorff_alpha(pd.concat(ranks, axis=1).to_numpy(np.float64).T)
    return found


def _beside(one: Ranked, settled: Ranked | None) -> float:
    """Return how far a score ranks the methods as settled pairs do; NaN for those themselves."""
    if settled is None or one.score == settled.score:
        return np.nan
    both = [name for name in one.names if name in settled.names]
    if len(both) < LEAST:
        return np.nan
    return kendall(*(_means(each, both) for each in (one, settled)))


def _means(one: Ranked, names: Sequence[str]) -> Float[np.ndarray, " k"]:
    """Return the mean ranks of some methods."""
    return one.means[[one.names.index(name) for name in names]]


def _concordance(run: RunFolder, held: Sequence[Ranked]) -> list[str]:
    """Say how far scores that rank every method put them in one order."""
    decisive = {"/".join(each) for each in deciding_scores(run)}
    groups = {
        "the scores that decide": [one for one in held if f"{one.metric}/{one.variant}" in decisive],
        "all scores": list(held),
    }
    said = []
    for what, group in groups.items():
        names = max((one.names for one in group), key=len, default=())
        whole = [one for one in group if set(one.names) == set(names)]
        if len(whole) > 1:
            w = kendall_w(np.stack([_means(one, names) for one in whole]))
            said.append(f"{what}: W {w:.2f} ({len(whole)} of {len(group)}; by chance {1 / len(whole):.2f})")
    return [f"Kendall's W between scores that rank all methods: {'; '.join(said)}."] if said else []


# ---------------------------------------------------------------------- explainers


@dataclass(frozen=True)
class Shared:
    """How far two explainers agree on kept images: shares of the largest cells, and of how many images they are."""

    first: str
    second: str
    features: float
    signs: float
    ranks: float
    n: int


def agreement_table(run: RunFolder) -> pd.DataFrame | None:
    """Return how far each method agrees with the others on the largest cells; None where no maps are kept.

    Returns
    -------
    pd.DataFrame
        A row a method: the share of the largest third of its cells that another has too (``cells``), with the same
        ``sign``, at the same ``rank``, each the mean over the others; the method ``most alike`` with its share; and the
        share of each map made of the truth without noise.

    References
    ----------
    Krishna et al., The disagreement problem in explainable machine learning (2022).
    """
    if not (run.path / "examples.npz").is_file():
        return None
    side = int(run.record.profile.get("cells_per_side", CELLS))
    sums, top = _kept_sums(run, side), max(1, side**2 // 3)
    methods = [name for name in queries.methods(run) if name in sums]
    if len(methods) < 2:
        return None
    pairs = [_shared(sums, *pair, top) for pair in combinations(methods, 2)]
    true = [name for name in queries.oracles(run) if name in sums and NOISY not in name]
    rows = [_row(name, pairs, {each: _shared(sums, name, each, top) for each in true}) for name in methods]
    made = pd.DataFrame(rows, index=pd.Index(methods, name="explainer"), dtype="object")
    counts = [pair.n for pair in pairs]
    made.attrs = {
        "title": "how far explainers agree on what is large",
        "notes": [
            f"cells: of a map's {top} largest of {side**2} cells in size, the share that another method has too, mean "
            f"over the other methods (by chance {top / side**2:.2f}); sign: with the same sign; rank: at the same "
            f"place (by chance {1 / side**2:.2f}). n: of the {len(run.examples.images)} images whose maps are kept, "
            f"those where no tie leaves the largest open: {wording.span(counts)} a pair. After Krishna et al. 2022.",
            "To agree is not to be right. Maps made of the truth are compared and not counted among the others; "
            "controls are left out.",
        ],
    }
    return made


def _kept_sums(run: RunFolder, count: int) -> dict[str, Float[np.ndarray, "n d"]]:
    """Return what each explainer's kept maps sum to in `count` rows and columns of cells, the rest left at borders."""
    maps = run.examples.maps.astype(np.float64)
    down, across = (side // count for side in maps.shape[-2:])
    top, left = ((side - count * of) // 2 for side, of in zip(maps.shape[-2:], (down, across), strict=True))
    inner = maps[..., top : top + count * down, left : left + count * across]
    cells = inner.reshape(*maps.shape[:2], count, down, count, across).sum(axis=(3, 5))
    return {str(name): held.reshape(len(held), -1) for name, held in zip(run.examples.explainers, cells, strict=True)}


def _shared(sums: dict[str, Float[np.ndarray, "n d"]], first: str, second: str, top: int) -> Shared:
    """Return how far two explainers agree on the `top` largest cells."""
    both = sums[first], sums[second]
    found = [share(*both, top) for share in (feature_agreement, sign_agreement, rank_agreement)]
    known = ~np.isnan(found[0])
    features, signs, ranks = (float(each[known].mean()) if known.any() else np.nan for each in found)
    return Shared(first, second, features, signs, ranks, int(known.sum()))


def _row(name: str, pairs: Sequence[Shared], true: dict[str, Shared]) -> dict[str, str]:
    """Return one method's agreement with the others and with the truth."""
    mine = [pair for pair in pairs if name in (pair.first, pair.second) and pair.n]
    best = max(mine, key=lambda pair: pair.features, default=None)
    other = "–" if best is None else best.second if best.first == name else best.first
    means = {
        what: _shown(float(np.mean([getattr(pair, part) for pair in mine])) if mine else np.nan)
        for what, part in (("cells", "features"), ("sign", "signs"), ("rank", "ranks"))
    }
    alike = {"most alike": other if best is None else f"{other} {best.features:.2f}"}
    return {**means, **alike, **{what: _shown(pair.features) for what, pair in true.items()}}
