"""What a network confuses, and how alike its classes' maps are."""

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from harness.metrics._rows import ratio
from harness.metrics.cards import NULL_SCORE, metric
from harness.metrics.similarity import Similarity

_MISLED = "as the tenth of the pixels that speaks most for the wrong class is removed"


def confusion_matrix(
    labels: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], k: int
) -> Int64[np.ndarray, "k k"]:
    """Count the images of each true class (row) that were given each class (column).

    Raises
    ------
    ValueError
        If there are not as many labels as predictions, or a class lies outside 0 to k - 1.

    Examples
    --------
    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    if len(labels) != len(predicted):
        raise ValueError(f"{len(labels)} labels and {len(predicted)} predictions; give one of each an image")
    _require_classes(labels, k)
    _require_classes(predicted, k)
    counts = np.zeros((k, k), dtype=np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of a class's images that the network recognises",
    undefined="the class has no image",
    chance="the class's share of predictions",
    cost="one forward",
    compared_with="scikit-learn recall_score",
)
def recall(confusion: Int[np.ndarray, "k k"]) -> Float64[np.ndarray, " k"]:
    """Return the share of each class's images that were recognised, in [0, 1]; NaN without images.

    Examples
    --------
    >>> recall(np.array([[1, 1], [0, 0]]))
    array([0.5, nan])
    """
    return ratio(np.diag(confusion).astype(np.float64), confusion.sum(axis=1).astype(np.float64))


@metric(
    higher_is_better=True,
    range=(0.0, 1.0),
    meaning="share of a class's predictions that are true",
    undefined="the class is never predicted",
    chance="the class's share of images",
    cost="one forward",
    compared_with="scikit-learn precision_score",
)
def precision(confusion: Int[np.ndarray, "k k"]) -> Float64[np.ndarray, " k"]:
    """Return the share of each class's predictions that were true, in [0, 1]; NaN if never predicted.

    Examples
    --------
    >>> precision(np.array([[1, 0], [1, 0]]))
    array([0.5, nan])
    """
    return ratio(np.diag(confusion).astype(np.float64), confusion.sum(axis=0).astype(np.float64))


def class_means(
    arrays: Float[np.ndarray, "n h w"], classes: Int[np.ndarray, " n"], k: int
) -> Float64[np.ndarray, "k h w"]:
    """Return the mean map or picture of each class; NaN throughout for a class without images.

    An array that holds NaN makes its class's mean NaN there: drop undefined maps first, and count them.

    Raises
    ------
    ValueError
        If there are not as many classes as arrays, or a class lies outside 0 to k - 1.

    Examples
    --------
    >>> class_means(np.array([[[1.0]], [[3.0]]]), np.array([1, 1]), 2).ravel()
    array([nan,  2.])
    """
    if len(arrays) != len(classes):
        raise ValueError(f"{len(arrays)} arrays and {len(classes)} classes; give one of each an image")
    _require_classes(classes, k)
    means = np.full((k, *arrays.shape[1:]), np.nan)
    for present in np.unique(classes):
        means[present] = arrays[classes == present].mean(axis=0, dtype=np.float64)
    return means


def similarity_matrix(class_maps: Float[np.ndarray, "k h w"], similarity: Similarity) -> Float64[np.ndarray, "k k"]:
    """Return how alike each two classes' maps are, by `similarity`: symmetric, diagonal 1.

    NaN in the rows and columns, diagonal included, of a class whose map is absent or undefined.

    Parameters
    ----------
    class_maps
        From :func:`class_means`.
    similarity
        From :mod:`harness.metrics.similarity`; symmetric in its two arguments.

    Examples
    --------
    >>> from harness.metrics.similarity import pearson_similarity
    >>> maps = np.array([[[0.0, 1.0]], [[1.0, 0.0]], [[np.nan, np.nan]]])
    >>> similarity_matrix(maps, pearson_similarity)
    array([[ 1., -1., nan],
           [-1.,  1., nan],
           [nan, nan, nan]])
    """
    k = len(class_maps)
    matrix = np.full((k, k), np.nan)
    for row in range(k - 1):  # one class against those after it: all pairs at once would hold k maps for each class
        others = class_maps[row + 1 :]
        found = similarity(np.broadcast_to(class_maps[row], others.shape), others)
        matrix[row, row + 1 :] = matrix[row + 1 :, row] = found
    defined = ~np.isnan(similarity(class_maps, class_maps))
    matrix[defined, defined] = 1.0
    return matrix


@metric(
    higher_is_better=True,
    range=(-2.0, 2.0),
    meaning=f"change of p(true) - p(predicted) {_MISLED}",
    gain=f"change of p(true) - p(predicted) {_MISLED}, beyond its null map's",
    undefined="the image was classified right, or an output is NaN",
    chance=NULL_SCORE,
    cost="one forward",
    compared_with="probabilities known by hand",
)
def turn_back(
    before: Float[np.ndarray, "n k"],
    after: Float[np.ndarray, "n k"],
    true: Int[np.ndarray, " n"],
    predicted: Int[np.ndarray, " n"],
) -> Float64[np.ndarray, " n"]:
    """Return how far removal moves the answer from the predicted class to the true one, in [-2, 2]; higher is better.

    The change of p(true) - p(predicted), of misclassified images. An image that was classified right has nothing to
    turn: NaN, as where an output is NaN.

    Parameters
    ----------
    before, after
        Class probabilities of the image, and of what is left of it.
    true, predicted
        Classes.

    Examples
    --------
    >>> turn_back(np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]]), np.array([0]), np.array([1])).round(6)
    array([0.8])
    """
    _require_classes(true, before.shape[1])
    _require_classes(predicted, before.shape[1])
    rows = np.arange(len(true))
    change = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    turned = change[rows, true] - change[rows, predicted]
    return np.where(true == predicted, np.nan, turned)


def _require_classes(classes: Int[np.ndarray, " n"], k: int) -> None:
    """Raise unless every class has a place in 0 to k - 1."""
    outside = classes[(classes < 0) | (classes >= k)]
    if outside.size:
        raise ValueError(f"class {outside[0]} does not exist; {k} classes are numbered 0 to {k - 1}")
