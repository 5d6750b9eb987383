"""Where people are known, the intervals of figures are over people."""

import numpy as np
import pandas as pd
import pytest

from harness.report.gain_figures import _interval
from harness.statistics import people_interval
from harness.store import PERSONS, RunFolder, frame


@pytest.mark.parametrize("known", [True, False])
def test_a_figures_interval_is_over_people_where_they_are_known(known: bool, small: RunFolder) -> None:
    images, people = np.arange(12), np.arange(12) // 3
    run = RunFolder(small.path)
    run.__dict__["persons"] = frame(PERSONS, {"image": images, "person": people} if known else None)
    values = np.random.default_rng(0).normal(size=12)
    held = pd.DataFrame({"image": images[::-1], "value": values})
    assert _interval(run, held, 0.99) == people_interval(values, people[::-1] if known else None)
