"""Maps of known worth: explainers with a planted fault, each of which a judge has to catch."""

from harness.oracles.faults import PlantedFault, planted_faults

__all__ = ["PlantedFault", "planted_faults"]
