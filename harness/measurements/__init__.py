"""From maps to score rows: each measurement asks the network what its metrics need, once for all of them."""

from harness.measurements.base import Explained, Measured, Measurement
from harness.measurements.confusion import ClassSimilarity, confusion
from harness.measurements.localization import MassOnMark
from harness.measurements.randomization import ParameterRandomization
from harness.measurements.regions import Regions
from harness.measurements.removal import Removal, Road

__all__ = [
    "ClassSimilarity",
    "Explained",
    "MassOnMark",
    "Measured",
    "Measurement",
    "ParameterRandomization",
    "Regions",
    "Removal",
    "Road",
    "confusion",
]
