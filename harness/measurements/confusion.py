"""Whether classes that the network confuses are explained alike."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from harness.evaluation_set import EvaluationSet
from harness.measurements.base import Attributions, Measured, matrix_rows
from harness.metrics.confusion import class_means, confusion_matrix, similarity_matrix
from harness.metrics.similarity import spearman_similarity


@dataclass(frozen=True)
class ClassSimilarity:
    """Rank correlation of class means: of the maps, and of the images themselves.

    Each map is scaled to unit length before it is averaged, so that a strong map does not speak for its class.
    """

    name = "similarity"
    asks_again = False

    def measure(self, attributions: Attributions) -> Measured:
        """Return the similarity of the class-mean maps, class by class."""
        case, maps = attributions.case, attributions.maps
        length = np.linalg.norm(maps.reshape(len(maps), -1), axis=1)[:, None, None]
        scaled = np.divide(maps, length, out=np.zeros(maps.shape), where=length > 0)
        return Measured(matrices=self._rows(case, "map-similarity", scaled))

    def of_images(self, case: EvaluationSet) -> Measured:
        """Return the similarity of the class-mean images: what alike faces alone explain."""
        pictures = case.subject.spec.to_grey(case.images).astype(np.float64)
        return Measured(matrices=self._rows(case, "image-similarity", pictures))

    def _rows(self, case: EvaluationSet, name: str, values: Float[np.ndarray, "n h w"]) -> pd.DataFrame:
        """Return one row a cell of the judged classes; those without images are null."""
        classes = case.classes
        present, places = np.unique(case.places(case.targets), return_inverse=True)
        alike = np.full((len(classes), len(classes)), np.nan)
        means = class_means(values, places, len(present))
        alike[np.ix_(present, present)] = similarity_matrix(means, spearman_similarity)
        return matrix_rows(classes, name, alike)


def confusion(classes: tuple[str, ...], labels: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"]) -> Measured:
    """Return the confusion matrix of all labelled faces: rows true, columns predicted, counts."""
    counts = confusion_matrix(labels, predicted, len(classes)).astype(np.float64)
    return Measured(matrices=matrix_rows(classes, "confusion", counts))
