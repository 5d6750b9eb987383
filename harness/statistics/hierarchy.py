"""Many claims and their parts, tested so that the chance of any error stays below alpha, with power where it counts."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class Hierarchy(NamedTuple):
    """Adjusted p-values and the share of alpha at which each claim stands once the procedure has stopped.

    `whole` and `whole_share` have one entry a claim, (m,); `parts` and `part_share` one a claim and part, (m, k).
    A claim is made where its adjusted p is below alpha; one that is not made was tested at share * alpha.
    """

    whole: Float[np.ndarray, " m"]
    parts: Float[np.ndarray, "m k"]
    whole_share: Float[np.ndarray, " m"]
    part_share: Float[np.ndarray, "m k"]


def hierarchical(
    whole: Float[np.ndarray, " m"],
    parts: Float[np.ndarray, "m k"],
    alpha: float,
    *,
    own: float = 0.5,
    order: Int[np.ndarray, " m"] | None = None,
) -> Hierarchy:
    """Adjust p-values of m claims and of each claim's k parts, so that alpha bounds the chance of any error.

    An inheritance procedure. Alpha is shared among the claims with something left to show: equally, or, where they
    come in an `order`, in inverse proportion to their places among those that are left, so that what has to be
    known first is tested at the largest share and leaves it to what follows. A claim keeps the part `own` of its
    share for itself and lends the rest equally to its parts; once the claim is made they have all of it, and a
    part that is made leaves its share to its siblings. A claim whose parts are all made has the whole share, and
    one that is made with all its parts leaves its share to the other claims. So of claims of equal rank a part is
    tested at ``alpha / (m k)`` or better under a claim that is made, and at half of that where the claim is not
    or goes the other way: a class may be found to differ from the whole.

    Proof: at every stage shares sum to at most 1, and no share falls as more claims are made (each step above only adds
    to what is left; a claim's place among those left only comes nearer to the first, and the shares of those left
    are divided by a smaller sum). By the sequential rejection principle of Goeman & Solari the chance of making any
    false claim is then at most alpha, under any dependence among the p-values.

    Parameters
    ----------
    whole
        p-value of each claim, (m,); NaN where there is none to test, whose parts may be tested nonetheless.
    parts
        p-values of its parts, (m, k); NaN where there is none. k may be 0.
    alpha
        Where the procedure stops, for the shares; adjusted p-values do not hang on it.
    own
        Share of its alpha that a claim keeps while it is open, inside (0, 1).
    order
        Claims are placed by it, smallest first, those of one number in the order given; set before p-values are seen.
        None for claims of equal rank.

    Returns
    -------
    Hierarchy
        Adjusted p at most 1, NaN where p is.

    Raises
    ------
    ValueError
        For a p-value outside [0, 1], or alpha or `own` outside (0, 1).

    References
    ----------
    Goeman & Solari, The sequential rejection principle of familywise error control, Ann. Statist. 38 (2010); Goeman &
    Finos, The inheritance procedure, SAGMB 11 (2012), after Meinshausen, Hierarchical testing of variable
    importance, Biometrika 95 (2008); Wiens, A fixed sequence Bonferroni procedure for testing multiple endpoints,
    Pharm. Stat. 2 (2003), for claims in an order; Bretz et al., A graphical approach to sequentially rejective
    multiple test procedures, Stat. Med. 28 (2009).

    Examples
    --------
    >>> found = hierarchical(np.array([0.001, 0.2]), np.array([[0.001, 0.3], [0.6, 0.7]]), 0.05)
    >>> found.whole.tolist(), found.parts[0].tolist()
    ([0.004, 0.6], [0.004, 0.6])
    """
    p = np.concatenate([whole[:, None], parts], axis=1)
    if np.any((p < 0) | (p > 1)):
        raise ValueError("a p-value lies outside [0, 1]; give probabilities, NaN where a test was not made")
    if not 0 < alpha < 1 or not 0 < own < 1:
        raise ValueError(f"alpha is {alpha} and own {own}; give numbers between 0 and 1")
    open_ = ~np.isnan(p)
    adjusted, stopped, reached = np.full(p.shape, np.nan), _shares(open_, own, order), 0.0
    while open_.any():
        shares = _shares(open_, own, order)
        if reached < alpha:
            stopped = np.where(open_, shares, stopped)
        needed = np.where(open_, p / np.where(open_, shares, 1.0), np.inf)
        lowest = np.unravel_index(needed.argmin(), p.shape)
        reached = min(max(reached, float(needed[lowest])), 1.0)
        adjusted[lowest] = reached
        open_[lowest] = False
    return Hierarchy(adjusted[:, 0], adjusted[:, 1:], stopped[:, 0], stopped[:, 1:])


def _shares(
    open_: Bool[np.ndarray, "m k1"], own: float, order: Int[np.ndarray, " m"] | None = None
) -> Float[np.ndarray, "m k1"]:
    """Return each open claim's and part's share of alpha: whole claims in column 0."""
    alive: Bool[np.ndarray, " m"] = np.asarray(open_.any(axis=1), dtype=bool)
    places = np.ones(len(alive), np.int64) if order is None else _places(alive, order)
    weights: Float[np.ndarray, " m"] = alive / places
    each = (weights / max(float(weights.sum()), 1.0))[:, None]
    whole, count = open_[:, :1], open_[:, 1:].sum(axis=1, keepdims=True)
    kept = np.where(count == 0, 1.0, own) * whole
    lent = (1 - kept) / np.maximum(count, 1)
    shares: np.ndarray = each * np.concatenate([kept, lent * open_[:, 1:]], axis=1)
    return shares


def _places(alive: Bool[np.ndarray, " m"], order: Int[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
    """Return the place from 1 of each claim among those alive; of others, that of the next before them, or 1."""
    rank = np.argsort(order, kind="stable")
    places = np.empty(len(order), np.int64)
    places[rank] = np.maximum(np.cumsum(alive[rank]), 1)
    return places
