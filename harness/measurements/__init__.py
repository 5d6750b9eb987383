"""From maps to score rows: each measurement asks the network what its metrics need, once for all of them."""

from harness.measurements.base import Explained, Measured, Measurement
from harness.measurements.confusion import ClassSimilarity, confusion
from harness.measurements.invariance import Invariance
from harness.measurements.localization import MassOnMark
from harness.measurements.mosaics import Focus
from harness.measurements.randomization import ParameterRandomization
from harness.measurements.removal import Removal
from harness.measurements.robustness import Agreement, Robustness, Seeds

__all__ = [
    "Agreement",
    "ClassSimilarity",
    "Explained",
    "Focus",
    "Invariance",
    "MassOnMark",
    "Measured",
    "Measurement",
    "ParameterRandomization",
    "Removal",
    "Robustness",
    "Seeds",
    "confusion",
]
