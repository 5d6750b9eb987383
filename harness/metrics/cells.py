"""Whether a map gives the cells of a picture what the exact game of the network says that they are worth.

Functions take what a map gives each cell, (n, d): its sum over the cell, signed. They return one score an image. A pair
of cells can be ordered right only where the truth has an order: where every fill, asked alone, puts the two the same
way round and clearly apart. Such a pair is called settled; in the others nobody can be right or wrong.
"""

import numpy as np
from jaxtyping import Float, Float64, Int, Shaped

from harness.metrics._rows import constant, doubles, ratio, undefined_where
from harness.metrics.cards import NEVER, NULL_SCORE, metric

_COALITIONS = "one forward a coalition, grid and fill, shared by all maps and classes of the image"
_SETTLED = "share of the settled pairs of cells that the map orders right"
_NETWORK = "one forward a coalition, grid and fill"

APART = 0.05
"""By what share of the largest absolute value two cells must differ, under every fill, to be settled."""
SAME = 1e-5
"""Cells whose sums differ by less than this share of the largest absolute sum are tied: what the answers of a network
in single precision, and the sums made of them, repeat to from one machine to the next."""


def settled_order(
    values: Float[np.ndarray, "fills n d"], pairs: Int[np.ndarray, "2 p"], apart: float = APART
) -> Int[np.ndarray, "n p"]:
    """Return the order of each pair of cells: 1 where the first is worth more under every fill, -1 the second.

    0 where it is not settled: fills disagree, or some fill sees a difference of no more than `apart` times the image's
    largest absolute value under that fill. An image with a value that is not finite has no settled pair.

    Parameters
    ----------
    values
        What each cell is worth to the class asked about, under each fill.
    pairs
        Which cells are compared.

    Examples
    --------
    >>> under_two_fills = np.array([[[3.0, 1.0, 2.0]], [[3.0, 1.0, 1.1]]])
    >>> settled_order(under_two_fills, np.array([[0, 0, 1], [1, 2, 2]]))
    array([[1, 1, 0]])
    """
    exact = doubles(values)
    difference = exact[..., pairs[0]] - exact[..., pairs[1]]
    least = apart * np.abs(exact).max(axis=-1, keepdims=True)
    order: np.ndarray = (difference > least).all(axis=0).astype(np.int64) - (difference < -least).all(axis=0)
    return np.where(np.isfinite(exact).all(axis=(0, 2))[:, None], order, 0)


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning=_SETTLED,
    variants={
        "settled-pairs-size": f"{_SETTLED}, of absolute values, for maps without sign",
        "settled-pairs-rival": f"{_SETTLED}, asked for the next likely class, of that class's pairs",
        "settled-pairs-contrast": f"{_SETTLED}, of both classes' difference, by the difference of the maps",
        "small-changes": "of the pairs of cells that a small change of one tells apart from the other, share ordered "
        "right",
        "small-changes-size": "of the pairs of cells of which a small change can do clearly more, either way, share "
        "ordered right",
    },
    undefined="no pair of cells is settled: fills disagree, or the network answers a coalition with no finite number",
    chance="0.5",
    cost=_COALITIONS,
    reference="Shapley 1953, A value for n-person games; settled pairs are this project's",
    compared_with="scipy.stats.kendalltau, where one fill settles every pair",
)
def settled_pairs(
    sums: Float[np.ndarray, "n d"], order: Int[np.ndarray, "n p"], pairs: Int[np.ndarray, "2 p"]
) -> Float64[np.ndarray, " n"]:
    """Return the share of settled pairs of cells that a map orders right, ties counting half, in [0, 1].

    Higher is better; a map that knows nothing has .5, the truth 1. NaN where no pair is settled. A map that gives all
    cells the same, whatever it does within them, has .5.

    Parameters
    ----------
    sums
        What the map gives each cell; their absolute values, where `order` is that of absolute values.
    order, pairs
        As :func:`settled_order` returns and takes them.

    Examples
    --------
    >>> pairs = np.array([[0, 0, 1], [1, 2, 2]])
    >>> settled_pairs(np.array([[5.0, 2.0, 5.0]]), np.array([[1, 1, 0]]), pairs)
    array([0.75])
    """
    exact = doubles(sums)
    difference = exact[:, pairs[0]] - exact[:, pairs[1]]
    tied = np.abs(difference) <= SAME * np.abs(exact).max(axis=1, keepdims=True)
    right = np.where(tied, 0.5, np.sign(difference) == order)
    settled = order != 0
    found = ratio(doubles((right * settled).sum(axis=1)), doubles(settled.sum(axis=1)))
    return undefined_where(~np.isfinite(exact).all(axis=1), found)


@metric(
    higher_is_better=True,
    range=(-1.0, 1.0),
    meaning="how well the map's cells account for all coalitions, of what any could",
    undefined="no cell counts in the map or for the network, or an answer is not finite",
    chance=NULL_SCORE,
    cost=_COALITIONS,
    reference="Hammer and Holzman 1992, Approximations of pseudo-Boolean functions",
    compared_with="least squares over all coalitions",
)
def coalition_fit(sums: Float[np.ndarray, "n d"], answers: Float[np.ndarray, "n s"]) -> Float64[np.ndarray, " n"]:
    """Return how well the map's cells add up to the answers to all coalitions, beside the best additive account.

    The share of the answers' variance over all 2**d coalitions that the sum of a coalition's cells explains, up to one
    scale and one constant, divided by the share that the best weights of the cells explain; the sign is that of the
    scale. In [-1, 1], higher is better: 1 is the best additive surrogate itself, -1 its negative. The best weights are
    the Banzhaf values (Hammer and Holzman 1992), and over all coalitions players are uncorrelated, so that the quotient
    is the squared cosine between them and the map's sums. NaN where the map gives every cell 0, or no cell counts.

    Parameters
    ----------
    answers
        What each coalition is worth to the class asked about; coalition s holds cell j where bit j of s is set.

    Examples
    --------
    >>> coalition_fit(np.array([[1.0, 2.0], [1.0, 0.0]]), np.array([[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 1.0, 2.0]]))
    array([1. , 0.5])
    """
    exact, best = doubles(sums), _slopes(answers)
    both = (exact * best).sum(axis=1)
    found = ratio(both * np.abs(both), (exact**2).sum(axis=1) * (best**2).sum(axis=1))
    return undefined_where(constant(answers), found)


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of the answers to all coalitions that the best sum over cells accounts for",
    undefined="all answers are alike, or one is not finite",
    chance="that of answers at random: the number of cells over that of coalitions",
    cost=_NETWORK,
    reference="Hammer and Holzman 1992, Approximations of pseudo-Boolean functions",
    compared_with="least squares over all coalitions",
)
def additivity(answers: Float[np.ndarray, "n s"]) -> Float64[np.ndarray, " n"]:
    """Return the share of the answers' variance over all coalitions that the best additive account explains, in [0, 1].

    It is no score of a map: it says how much of what the network does any map could tell. NaN where all answers are
    the same.

    Examples
    --------
    >>> additivity(np.array([[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 1.0, 0.0]]))
    array([1., 0.])
    """
    # An indicator of half the coalitions has a variance of 1/4.
    found = ratio((_slopes(answers) ** 2).sum(axis=1) / 4, doubles(answers).var(axis=1))
    return undefined_where(constant(answers), found)


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of pairs of cells that all fills order alike",
    undefined=NEVER,
    chance="0 where fills have nothing in common",
    cost=_NETWORK,
    compared_with="orders known by hand",
)
def settled_share(order: Int[np.ndarray, "n p"]) -> Float64[np.ndarray, " n"]:
    """Return the share of each image's pairs of cells that is settled, in [0, 1].

    It is no score of a map: in the pairs that are not settled nobody can be right or wrong.

    Parameters
    ----------
    order
        From :func:`settled_order`.

    Examples
    --------
    >>> settled_share(np.array([[1, 0, -1, 0]]))
    array([0.5])
    """
    return doubles((order != 0).mean(axis=1))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of coalitions of half of the cells or more still taken for the class",
    undefined="an answer is not finite",
    chance="the class's share of the network's answers",
    cost=_NETWORK,
    reference="after Bluecher et al. 2024, Decoupling pixel flipping and occlusion strategy",
    compared_with="answers known by hand",
)
def fill_recognition(recognised: Shaped[np.ndarray, "grids n s"]) -> Float64[np.ndarray, " n"]:
    """Return the share of each image's coalitions that are still taken for its class, in [0, 1].

    It is no score of a map: the nearer to 1, the less the fill takes the network away from what it knows. NaN where an
    answer is.

    Parameters
    ----------
    recognised
        Of each coalition that keeps at least half of the cells, whether it is, NaN where that is not known.

    Examples
    --------
    >>> fill_recognition(np.array([[[True, True, False, True]]]))
    array([0.75])
    """
    return doubles(recognised.mean(axis=(0, 2)))


@metric(
    higher_is_better=False,
    range=(0.0, 1.0),
    meaning="smallest share of the cells, most relevant first, that are taken for the class without the others",
    undefined="under every fill the filled picture alone is taken for the class, or an answer is not finite",
    chance=NULL_SCORE,
    cost=_COALITIONS,
    reference="after Carter et al. 2019, What made you do this? Understanding black-box decisions with sufficient "
    "input subsets",
    compared_with="every coalition asked about by hand",
)
def minimal_subset(order: Int[np.ndarray, "n d"], recognised: Shaped[np.ndarray, "n s"]) -> Float64[np.ndarray, " n"]:
    """Return the smallest share of cells, in a map's order, that suffices for the answer; lower is better.

    From 1 / d to 1. After Carter et al. 2019, whose subset is the smallest that a search finds; here the map's order is
    what is judged, and the subset is the smallest of its beginnings. NaN where the fill alone suffices, or not even all
    cells do, or an answer is not finite.

    Parameters
    ----------
    order
        Each image's cells, most relevant first.
    recognised
        Whether each coalition of cells is taken for the class, NaN where that is not known; cell i is in those whose
        number has 2**i in it.

    Examples
    --------
    >>> minimal_subset(np.array([[1, 0]]), np.array([[False, True, False, True]]))
    array([1.])
    """
    growing = np.cumsum(1 << order, axis=1)
    known = doubles(recognised)
    kept = np.take_along_axis(known, growing, axis=1)
    unknown = np.isnan(kept).any(axis=1) | (known[:, 0] != 0) | (known[:, -1] != 1)
    return undefined_where(unknown, (1 + (kept == 1).argmax(axis=1)) / order.shape[1])


def _slopes(answers: Float[np.ndarray, "n s"]) -> Float64[np.ndarray, "n d"]:
    """Return by how much the mean answer of the coalitions with each cell exceeds that of those without."""
    size = answers.shape[1]
    held = np.arange(size) >> np.arange(size.bit_length() - 1)[:, None] & 1
    found: np.ndarray = doubles(answers) @ (2 * held - 1).T * (2 / size)
    return found
