"""Intervals, permutation tests, multiple testing and rankings; knows nothing of images or networks."""

from harness.statistics.agreement import (
    Level,
    feature_agreement,
    krippendorff_alpha,
    rank_agreement,
    sign_agreement,
)
from harness.statistics.betting import Stopped, betting_wealth, decided_at, stopped
from harness.statistics.clusters import (
    Spread,
    images_of,
    least_units,
    mean_above_p,
    mean_below_p,
    people_interval,
    people_to_settle,
    sign_flip_p_rows,
    skew_guarded_p_rows,
    spread,
)
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
from harness.statistics.hierarchy import Hierarchy, hierarchical
from harness.statistics.intervals import Interval, mean_interval
from harness.statistics.mantel import mantel, partial_mantel, symmetrised
from harness.statistics.multiple import benjamini_hochberg, hochberg, holm
from harness.statistics.permutation import (
    exact_correlation,
    sign_flip_p,
    sign_flip_p_clustered,
    sign_flip_p_two_sided,
)
from harness.statistics.rankings import Comparison, Friedman, average_ranks, friedman, pairwise
from harness.statistics.ranks import critical_difference, kendall_w, nemenyi, not_told_apart
from harness.statistics.relabelling import Alternative, MonteCarlo, PermutationResult

__all__ = [
    "Alternative",
    "Comparison",
    "Friedman",
    "Hierarchy",
    "Interval",
    "Level",
    "MonteCarlo",
    "PermutationResult",
    "RowCorrelation",
    "Spread",
    "Stopped",
    "Tost",
    "average_ranks",
    "benjamini_hochberg",
    "betting_wealth",
    "critical_difference",
    "decided_at",
    "exact_correlation",
    "feature_agreement",
    "friedman",
    "hierarchical",
    "hochberg",
    "holm",
    "images_of",
    "kendall",
    "kendall_rows",
    "kendall_w",
    "krippendorff_alpha",
    "least_units",
    "mantel",
    "mean_above_p",
    "mean_below_p",
    "mean_interval",
    "nemenyi",
    "noninferiority_p",
    "not_told_apart",
    "pairwise",
    "partial_mantel",
    "pearson",
    "pearson_rows",
    "people_interval",
    "people_to_settle",
    "rank_agreement",
    "sign_agreement",
    "sign_flip_p",
    "sign_flip_p_clustered",
    "sign_flip_p_rows",
    "sign_flip_p_two_sided",
    "skew_guarded_p_rows",
    "spearman",
    "spearman_rows",
    "spread",
    "stopped",
    "symmetrised",
    "tost",
]
