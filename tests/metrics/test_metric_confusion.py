"""Counts, class means and their likeness."""

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import EXACT

from harness.metrics.confusion import (
    class_means,
    confusion_matrix,
    precision,
    recall,
    similarity_matrix,
    turn_back,
)
from harness.metrics.similarity import pearson_similarity

K = 4
LABELS = np.array([0, 0, 0, 1, 1, 3])
PREDICTED = np.array([0, 1, 1, 1, 1, 0])
MAPS = np.random.default_rng(0).normal(size=(6, 3, 3))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=20))
@settings(max_examples=20, deadline=None)
def test_the_confusion_matrix_is_scikit_learns(pairs):
    labels, predicted = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    found = confusion_matrix(labels, predicted, K)
    expected = sklearn.metrics.confusion_matrix(labels, predicted, labels=range(K)) if pairs else np.zeros((K, K))
    assert (found == expected).all()


def test_rows_are_true_classes_and_columns_predicted_ones():
    assert confusion_matrix(LABELS, PREDICTED, K).tolist() == [[1, 2, 0, 0], [0, 2, 0, 0], [0] * 4, [1, 0, 0, 0]]


def test_recall_is_by_row_and_undefined_for_a_class_without_images():
    assert recall(confusion_matrix(LABELS, PREDICTED, K)) == pytest.approx([1 / 3, 1, np.nan, 0], nan_ok=True)


def test_precision_is_by_column_and_undefined_for_a_class_never_predicted():
    found = precision(confusion_matrix(LABELS, PREDICTED, K))
    assert found == pytest.approx([1 / 2, 1 / 2, np.nan, np.nan], nan_ok=True)


def test_a_class_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="class 4 does not exist"):
        confusion_matrix(LABELS, PREDICTED + 3, K)


def test_a_negative_class_is_refused():
    with pytest.raises(ValueError, match="class -1 does not exist"):
        class_means(MAPS, LABELS - 1, K)


def test_as_many_labels_as_predictions_are_asked_for():
    with pytest.raises((ValueError, TypeError), match=r"one of each|Type-check"):
        confusion_matrix(LABELS, PREDICTED[:3], K)


def test_as_many_classes_as_maps_are_asked_for():
    with pytest.raises((ValueError, TypeError), match=r"one of each|Type-check"):
        class_means(MAPS[:3], LABELS, K)


def test_class_means_are_over_the_images_of_the_class_alone():
    found = class_means(MAPS, LABELS, K)
    expected = np.stack([MAPS[:3].mean(axis=0), MAPS[3:5].mean(axis=0), MAPS[5]])
    assert found[[0, 1, 3]] == pytest.approx(expected)


def test_an_absent_class_has_no_mean():
    assert np.isnan(class_means(MAPS, LABELS, K)).any(axis=(1, 2)).tolist() == [False, False, True, False]


def test_the_likeness_of_classes_is_symmetric_with_ones_on_the_diagonal():
    matrix = similarity_matrix(class_means(MAPS, np.array([0, 1, 2, 3, 0, 1]), K), pearson_similarity)
    assert (matrix == matrix.T).all()
    assert np.diag(matrix).tolist() == [1] * 4


def test_the_likeness_of_two_classes_is_that_of_their_maps():
    means = class_means(MAPS, np.array([0, 1, 2, 3, 0, 1]), K)
    matrix = similarity_matrix(means, pearson_similarity)
    expected = [[np.corrcoef(one.ravel(), other.ravel())[0, 1] for other in means] for one in means]
    assert matrix == pytest.approx(np.array(expected), abs=EXACT)


def test_an_absent_class_is_like_nothing_itself_included():
    matrix = similarity_matrix(class_means(MAPS, LABELS, K), pearson_similarity)
    undefined = np.isnan(matrix)
    assert undefined[2].all()
    assert undefined[:, 2].all()
    assert undefined.sum() == 2 * K - 1


def test_an_answer_turned_from_sure_of_the_wrong_to_sure_of_the_right_class_scores_two():
    wrong, right = np.array([[0.0, 1.0, 0.0]]), np.array([[0.0, 0.0, 1.0]])
    assert turn_back(wrong, right, np.array([2]), np.array([1])).tolist() == [2]
    assert turn_back(right, wrong, np.array([2]), np.array([1])).tolist() == [-2]


def test_what_goes_to_a_third_class_counts_by_the_two_alone():
    before, after = np.array([[0.125, 0.75, 0.125]]), np.array([[0.125, 0.25, 0.625]])
    assert turn_back(before, after, np.array([0]), np.array([1])).tolist() == [0.5]
    assert turn_back(before, after, np.array([1]), np.array([2])).tolist() == [-1]


def test_nothing_turns_where_the_answer_was_right():
    given = np.array([[0.25, 0.75], [0.5, 0.5]])
    assert np.isnan(turn_back(given, given, np.array([1, 0]), np.array([1, 1]))).tolist() == [True, False]


def test_an_output_that_is_nan_leaves_its_own_image_undefined():
    before, after = np.array([[0.25, 0.75], [0.25, 0.75]]), np.array([[np.nan, 0.5], [0.5, 0.5]])
    assert np.isnan(turn_back(before, after, np.array([0, 0]), np.array([1, 1]))).tolist() == [True, False]


def test_a_class_that_does_not_exist_has_no_answer_to_turn():
    given = np.array([[0.25, 0.75]])
    with pytest.raises(ValueError, match="class 2 does not exist"):
        turn_back(given, given, np.array([2]), np.array([1]))
