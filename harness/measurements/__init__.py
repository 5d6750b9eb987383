"""From maps to score rows: each measurement asks the network what its metrics need, once for all of them."""

from harness.measurements.banks import MaskBank, SinglePatches
from harness.measurements.base import Attributions, Measured, Measurement
from harness.measurements.cells import Cells, CellsByClass
from harness.measurements.changes import SmallChanges
from harness.measurements.completeness import Completeness
from harness.measurements.complexity import Complexity
from harness.measurements.confusion import ClassSimilarity, confusion
from harness.measurements.constructed import Blind, Planted, Tiles
from harness.measurements.information import Information
from harness.measurements.invariance import Invariance
from harness.measurements.labels import LabelRandomization
from harness.measurements.localization import EvidenceLocalization
from harness.measurements.masked import Coherency, Masked
from harness.measurements.mistakes import TurnBack
from harness.measurements.mosaics import Focus
from harness.measurements.own import OwnMetric
from harness.measurements.part_checks import PartChecks, PartTargets
from harness.measurements.parts import Parts
from harness.measurements.randomization import ParameterRandomization, RandomizationOrders, SmoothRandomization
from harness.measurements.regions import Regions
from harness.measurements.removal import Removal, Road
from harness.measurements.robustness import Agreement, Robustness, Seeds
from harness.measurements.soundness import Soundness
from harness.measurements.subset import MinimalSubset
from harness.measurements.targets import TargetDependence

__all__ = [
    "Agreement",
    "Attributions",
    "Blind",
    "Cells",
    "CellsByClass",
    "ClassSimilarity",
    "Coherency",
    "Completeness",
    "Complexity",
    "EvidenceLocalization",
    "Focus",
    "Information",
    "Invariance",
    "LabelRandomization",
    "MaskBank",
    "Masked",
    "Measured",
    "Measurement",
    "MinimalSubset",
    "OwnMetric",
    "ParameterRandomization",
    "PartChecks",
    "PartTargets",
    "Parts",
    "Planted",
    "RandomizationOrders",
    "Regions",
    "Removal",
    "Road",
    "Robustness",
    "Seeds",
    "SinglePatches",
    "SmallChanges",
    "SmoothRandomization",
    "Soundness",
    "TargetDependence",
    "Tiles",
    "TurnBack",
    "confusion",
]
