"""Print how far each metric is from its reference."""

import torch

from benchmarks.metrics_parity.comparisons import table

torch.set_num_threads(1)
print(table())
