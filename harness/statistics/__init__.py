"""Intervals, permutation tests, multiple testing and rankings; knows nothing of images or networks."""

from harness.statistics.correlation import (
    RowCorrelation,
    kendall,
    kendall_rows,
    pearson,
    pearson_rows,
    spearman,
    spearman_rows,
)
from harness.statistics.equivalence import Tost, noninferiority_p, tost
from harness.statistics.intervals import Interval, mean_interval
from harness.statistics.mantel import mantel, partial_mantel, symmetrised
from harness.statistics.multiple import benjamini_hochberg, holm
from harness.statistics.permutation import (
    exact_correlation,
    sign_flip_p,
    sign_flip_p_clustered,
    sign_flip_p_two_sided,
)
from harness.statistics.power import images_to_settle
from harness.statistics.rankings import Comparison, Friedman, average_ranks, friedman, pairwise
from harness.statistics.relabelling import Alternative, MonteCarlo, PermutationResult

__all__ = [
    "Alternative",
    "Comparison",
    "Friedman",
    "Interval",
    "MonteCarlo",
    "PermutationResult",
    "RowCorrelation",
    "Tost",
    "average_ranks",
    "benjamini_hochberg",
    "exact_correlation",
    "friedman",
    "holm",
    "images_to_settle",
    "kendall",
    "kendall_rows",
    "mantel",
    "mean_interval",
    "noninferiority_p",
    "pairwise",
    "partial_mantel",
    "pearson",
    "pearson_rows",
    "sign_flip_p",
    "sign_flip_p_clustered",
    "sign_flip_p_two_sided",
    "spearman",
    "spearman_rows",
    "symmetrised",
    "tost",
]
