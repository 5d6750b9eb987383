"""Whether the map tells of what the network learned: it is compared with that of a twin that learned nonsense."""

from dataclasses import dataclass

import numpy as np

from harness.measurements.base import Attributions, Measured
from harness.measurements.randomization import excess_rows, null_similarity
from harness.metrics.cards import card_of
from harness.metrics.randomization import label_randomization
from harness.metrics.similarity import spearman_similarity
from harness.store import SCORES, joined
from harness.subject import Subject

NO_TWIN = "no network of the same architecture trained on permuted labels is known; give one with --random-labels"

METRIC = "randomization-labels"


@dataclass(frozen=True)
class LabelRandomization:
    """Data randomisation test (Adebayo et al. 2018).

    The twin has the same architecture and has learned permuted labels by heart: its weights are as large and as smooth
    as trained weights are, but nothing on a face tells its classes. A map that is like the twin's tells of the
    architecture and the picture.

    Attributes
    ----------
    twin
        The network trained on permuted labels, or None where none is known.
    per_class
        Images of each class.
    """

    twin: Subject | None
    per_class: int

    name = "labels"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return the similarity to the twin's map of the same image and target, and its excess over the null."""
        some, case = attributions.case.some(self.per_class), attributions.case
        few = attributions.some(self.per_class)
        alike, null, reason = (
            np.full(len(some), np.nan),
            null_similarity(spearman_similarity, attributions)[some],
            NO_TWIN,
        )
        if self.twin is not None:
            # The same passes are counted, the same feed is used.
            twin = case.subject.with_network(self.twin.network, self.twin.name)
            theirs = few.explain(few.case.images, few.case.targets, twin)
            alike, reason = label_randomization(few.maps, theirs, spearman_similarity), card_of(METRIC).undefined
        return Measured(scores=joined(SCORES, excess_rows(few.case, METRIC, alike, null, reason)))
