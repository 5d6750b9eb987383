"""Whether two matrices over the same items are alike beyond what relabelling explains."""

import numpy as np
from jaxtyping import Float, Int, Num
from scipy.stats import rankdata

from harness.statistics._inputs import finite
from harness.statistics.correlation import RowCorrelation, pearson_rows, spearman_rows
from harness.statistics.relabelling import (
    MONTE_CARLO,
    Alternative,
    MonteCarlo,
    PermutationResult,
    relabelling_test,
    undefined,
)

# A correlation this near to 1 leaves a residual made of rounding.
_NO_RESIDUAL = 1e-12


def symmetrised(matrix: Num[np.ndarray, "k k"]) -> Float[np.ndarray, "k k"]:
    """Give the mean of a matrix and its transpose; the diagonal stays.

    Parameters
    ----------
    matrix
        Any square matrix, (k, k); a NaN makes both of its places NaN.

    Returns
    -------
    Float[np.ndarray, "k k"]
        Symmetric, in the units of the input.

    Examples
    --------
    >>> symmetrised(np.array([[1, 4], [2, 3]])).tolist()
    [[1.0, 3.0], [3.0, 3.0]]
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    mean: Float[np.ndarray, "k k"] = (matrix + matrix.T) / 2
    return mean


def mantel(
    a: Num[np.ndarray, "k k"],
    b: Num[np.ndarray, "k k"],
    *,
    statistic: RowCorrelation = pearson_rows,
    alternative: Alternative = Alternative.GREATER,
    monte_carlo: MonteCarlo = MONTE_CARLO,
) -> PermutationResult:
    """Correlate two symmetric matrices off the diagonal and test it by relabelling the items of one.

    Cells of a row depend on each other, so k(k - 1)/2 cells are no sample of that size: only whole items are
    exchanged, rows and columns together.

    Parameters
    ----------
    a, b
        Symmetric matrices over the same items in the same order, (k, k), finite off the diagonal, which is
        never read. Both similarities or both distances: with one of each, likeness is a negative statistic.
    statistic
        A row-wise correlation over the k(k - 1)/2 cells above the diagonal.
    alternative
        Which correlations speak against the null.
    monte_carlo
        What is drawn beyond k = 8; up to it all k! relabellings are counted (5,040 for seven items).

    Returns
    -------
    PermutationResult
        `n` is k. Undefined, with its reason, where k < 3 or a matrix is constant off the diagonal.

    Raises
    ------
    ValueError
        Where a matrix is not symmetric, not finite off the diagonal, or of another size.

    References
    ----------
    Mantel, The detection of disease clustering and a generalized regression approach, Cancer Res. 27 (1967).

    Examples
    --------
    >>> places = np.array([0.0, 1.0, 3.0, 7.0])
    >>> distances = np.abs(places[:, None] - places)
    >>> result = mantel(distances, distances)
    >>> round(result.statistic, 9), round(result.p * 24)
    (1.0, 1)
    """
    a, b = _matrix(a, "a"), _matrix(b, "b")
    _refuse_sizes(a, b)
    if reason := _constant(a=a, b=b):
        return undefined(len(a), reason)
    if statistic is spearman_rows:  # relabelling moves ranks with their cells: they are made once
        a, b, statistic = _ranked(a), _ranked(b), pearson_rows
    fixed = _cells(b, _unchanged(len(b)))

    def score(orders: Int[np.ndarray, "orders k"]) -> Float[np.ndarray, " orders"]:
        """Correlation under each relabelling of `a`."""
        return _correlations(statistic, _cells(a, orders), fixed)

    return relabelling_test(score, len(a), alternative, monte_carlo)


def partial_mantel(
    a: Num[np.ndarray, "k k"],
    b: Num[np.ndarray, "k k"],
    given: Num[np.ndarray, "k k"],
    *,
    statistic: RowCorrelation = pearson_rows,
    alternative: Alternative = Alternative.GREATER,
    monte_carlo: MonteCarlo = MONTE_CARLO,
) -> PermutationResult:
    """Correlate what two matrices share beyond a third, and test it by relabelling the items of the first.

    The statistic is the partial correlation from the three pairwise ones. With Pearson's it is the
    correlation of the residuals of `a` and of `b` on `given`; with Spearman's, of the residuals of ranks.

    Parameters
    ----------
    a, b, given
        Symmetric matrices over the same items in the same order, (k, k), finite off the diagonal, which is
        never read. The items of `a` are relabelled; `b` and `given` stay together.
    statistic
        A row-wise correlation over the k(k - 1)/2 cells above the diagonal.
    alternative
        Which partial correlations speak against the null.
    monte_carlo
        What is drawn beyond k = 8.

    Returns
    -------
    PermutationResult
        `n` is k. Undefined, with its reason, where k < 4, a matrix is constant off the diagonal, or `given`
        explains `a` or `b` wholly. A relabelling that `given` explains wholly counts as extreme.

    Raises
    ------
    ValueError
        Where a matrix is not symmetric, not finite off the diagonal, or of another size.

    References
    ----------
    Smouse, Long & Sokal, Multiple regression and correlation extensions of the Mantel test of matrix
    correspondence, Systematic Zoology 35 (1986).
    """
    a, b, given = _matrix(a, "a"), _matrix(b, "b"), _matrix(given, "given")
    _refuse_sizes(a, b, given)
    if len(a) < 4:
        return undefined(len(a), f"{len(a)} items, and a partial correlation of matrices needs at least 4")
    if reason := _constant(a=a, b=b, given=given):
        return undefined(len(a), reason)
    if statistic is spearman_rows:
        a, b, given, statistic = _ranked(a), _ranked(b), _ranked(given), pearson_rows
    unchanged = _unchanged(len(a))
    fixed, known = _cells(b, unchanged), _cells(given, unchanged)
    for name, cells in (("a", _cells(a, unchanged)), ("b", fixed)):
        if abs(_correlations(statistic, cells, known)[0]) >= 1 - _NO_RESIDUAL:
            return undefined(len(a), f"given explains {name} wholly")

    def score(orders: Int[np.ndarray, "orders k"]) -> Float[np.ndarray, " orders"]:
        """Partial correlation under each relabelling of `a`."""
        relabelled = _cells(a, orders)
        return _partial(
            _correlations(statistic, relabelled, fixed),
            _correlations(statistic, relabelled, known),
            _correlations(statistic, fixed, known),
        )

    return relabelling_test(score, len(a), alternative, monte_carlo)


def _partial(
    ab: Float[np.ndarray, " orders"], ac: Float[np.ndarray, " orders"], bc: Float[np.ndarray, " 1"]
) -> Float[np.ndarray, " orders"]:
    """Correlation of a and b given c, NaN where c leaves nothing of one of them."""
    left = (1 - ac**2) * (1 - bc**2)
    partial = np.full(ab.shape, np.nan)
    np.divide(ab - ac * bc, np.sqrt(left), out=partial, where=left > _NO_RESIDUAL**2)
    return partial


def _matrix(matrix: Num[np.ndarray, "k k"], name: str) -> Float[np.ndarray, "k k"]:
    """Give the matrix as float64 with a zero diagonal, refused unless symmetric and finite off it."""
    off = np.array(matrix, dtype=np.float64)
    np.fill_diagonal(off, 0)
    off = finite(off, f"{name} off its diagonal")
    if not np.allclose(off, off.T, rtol=1e-9, atol=1e-12 * float(np.abs(off).max(initial=0))):
        raise ValueError(f"{name} is not symmetric; pass symmetrised({name})")
    return off


def _refuse_sizes(*matrices: Float[np.ndarray, "_ _"]) -> None:
    """Refuse matrices over different numbers of items."""
    sizes = [len(matrix) for matrix in matrices]
    if len(set(sizes)) > 1:
        raise ValueError(f"matrices over {sizes} items; give the same items to each")


def _constant(**matrices: Float[np.ndarray, "_ _"]) -> str | None:
    """Say which matrix does not vary off its diagonal, if one does not."""
    for name, matrix in matrices.items():
        cells = matrix[np.triu_indices(len(matrix), 1)]
        if len(cells) > 1 and np.ptp(cells) == 0:
            return f"{name} is constant off its diagonal"
    return None


def _ranked(matrix: Float[np.ndarray, "k k"]) -> Float[np.ndarray, "k k"]:
    """Give the ranks of the cells above the diagonal, ties at their average, in both places of each."""
    above = np.triu_indices(len(matrix), 1)
    ranks = np.zeros_like(matrix)
    ranks[above] = rankdata(matrix[above])
    both: Float[np.ndarray, "k k"] = ranks + ranks.T
    return both


def _unchanged(k: int) -> Int[np.ndarray, "1 k"]:
    """Give the order that relabels nothing."""
    return np.arange(k)[None]


def _cells(matrix: Float[np.ndarray, "k k"], orders: Int[np.ndarray, "orders k"]) -> Float[np.ndarray, "orders d"]:
    """Cells above the diagonal under each relabelling."""
    rows, columns = np.triu_indices(len(matrix), 1)
    cells: Float[np.ndarray, "orders d"] = matrix[orders[:, rows], orders[:, columns]]
    return cells


def _correlations(
    statistic: RowCorrelation, moving: Float[np.ndarray, "orders d"], fixed: Float[np.ndarray, "1 d"]
) -> Float[np.ndarray, " orders"]:
    """Correlation of each row with the fixed cells."""
    return statistic(moving, np.broadcast_to(fixed, moving.shape))
