"""From maps to score rows: each measurement asks the network what its metrics need, once for all of them."""

from harness.measurements.base import Explained, Measured, Measurement
from harness.measurements.confusion import ClassSimilarity, confusion
from harness.measurements.labels import LabelRandomization
from harness.measurements.localization import MassOnMark
from harness.measurements.mistakes import TurnBack
from harness.measurements.randomization import ParameterRandomization, RandomizationOrders, SmoothRandomization
from harness.measurements.removal import Removal
from harness.measurements.targets import TargetDependence

__all__ = [
    "ClassSimilarity",
    "Explained",
    "LabelRandomization",
    "MassOnMark",
    "Measured",
    "Measurement",
    "ParameterRandomization",
    "RandomizationOrders",
    "Removal",
    "SmoothRandomization",
    "TargetDependence",
    "TurnBack",
    "confusion",
]
