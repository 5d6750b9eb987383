"""Print how far each explainer is from its reference."""

import torch

from benchmarks.explainers_parity.comparisons import COMPARISONS, INF, table

torch.set_num_threads(1)
print("largest difference, as a share of the reference's largest value\n")
print(table(tuple(one for one in COMPARISONS if one.method < INF)))
print("\ndifferent on purpose\n")
print(table(tuple(one for one in COMPARISONS if one.method == INF)))
