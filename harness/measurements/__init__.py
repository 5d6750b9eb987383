"""From maps to score rows: each measurement asks the network what its metrics need, once for all of them."""

from harness.measurements.banks import MaskBank, SinglePatches
from harness.measurements.base import Explained, Measured, Measurement
from harness.measurements.completeness import Completeness
from harness.measurements.complexity import Complexity
from harness.measurements.confusion import ClassSimilarity, confusion
from harness.measurements.localization import EvidenceLocalization
from harness.measurements.parts import Parts
from harness.measurements.randomization import ParameterRandomization
from harness.measurements.removal import Removal

__all__ = [
    "ClassSimilarity",
    "Completeness",
    "Complexity",
    "EvidenceLocalization",
    "Explained",
    "MaskBank",
    "Measured",
    "Measurement",
    "ParameterRandomization",
    "Parts",
    "Removal",
    "SinglePatches",
    "confusion",
]
