"""Claims over classes: a planted association has the exact p, a shuffled one does not, too little says so."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from tiny import EXACT, score_called

from harness.checks import CHECKS, Evidence, Finding, Verdict, judged
from harness.store import MATRICES, SCORES, frame, joined

CLASSES = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
K = len(CLASSES)
EACH = 5
SHUFFLED = np.array([3, 0, 6, 2, 5, 1, 4])


def square(name: str, values: np.ndarray, explainer: str = "") -> pd.DataFrame:
    rows = {
        "matrix": name,
        "explainer": explainer,
        "row": np.repeat(CLASSES, K),
        "column": np.tile(CLASSES, K),
        "value": values.ravel(),
    }
    return frame(MATRICES, rows)


def gains(means: np.ndarray) -> pd.DataFrame:
    """Five images a class whose deletion gains have these means."""
    values = (means[:, None] + 0.001 * np.arange(-2, 3)).ravel()
    target = np.repeat(CLASSES, EACH)
    rows = {
        "explainer": "e",
        **vars(score_called("deletion-gain")),
        "variant": "spectrum-null",
        "image": np.arange(K * EACH),
        "label": "",
        "predicted": target,
        "target": target,
        "value": values,
        "status": np.where(np.isnan(values), "undefined", "ok"),
        "reason": np.where(np.isnan(values), "constant map", ""),
    }
    return frame(SCORES, rows)


def counts_with_recall(right: np.ndarray) -> np.ndarray:
    """A confusion matrix of a hundred images a class."""
    counts = np.repeat((100 - right)[:, None] / (K - 1), K, axis=1).round()
    np.fill_diagonal(counts, 0)
    return counts + np.diag(100 - counts.sum(1))


RECALLED = counts_with_recall(np.array([94, 40, 52, 88, 64, 76, 28]))
RECALLS = np.diag(RECALLED) / 100


def finding(check: str, scores: pd.DataFrame, *matrices: pd.DataFrame) -> Finding:
    made = CHECKS[check]
    (found,) = made.judge(made, Evidence(scores, joined(MATRICES, list(matrices)), CLASSES, 0), "e")
    return found


# ---------------------------------------------------------------------- recall


def test_gains_in_the_order_of_recall_have_the_smallest_exact_p() -> None:
    found = finding("confusion-recall", gains(RECALLS / 2), square("confusion", RECALLED))
    assert (found.effect, found.n) == (pytest.approx(1, abs=EXACT), K)
    assert found.p == 1 / 5040


def test_gains_in_the_order_of_recall_pass() -> None:
    evidence = Evidence(gains(RECALLS / 2), square("confusion", RECALLED), CLASSES, 0)
    assert judged([CHECKS["confusion-recall"]], evidence, ["e"])["verdict"].tolist() == [Verdict.PASS]


def test_shuffled_gains_do_not() -> None:
    found = finding("confusion-recall", gains(RECALLS[SHUFFLED] / 2), square("confusion", RECALLED))
    assert found.effect == pytest.approx(spearmanr(RECALLS[SHUFFLED], RECALLS).statistic, abs=EXACT)
    assert found.p > 0.05


def test_gains_against_the_order_of_recall_have_the_largest_p() -> None:
    assert finding("confusion-recall", gains(-RECALLS), square("confusion", RECALLED)).p == 1


def test_the_interval_lies_about_the_effect() -> None:
    found = finding("confusion-recall", gains(RECALLS / 500), square("confusion", RECALLED))
    assert found.low < found.effect
    assert found.high <= 1


def test_a_class_without_a_defined_gain_is_left_out() -> None:
    means = RECALLS / 2
    means[2] = np.nan
    found = finding("confusion-recall", gains(means), square("confusion", RECALLED))
    assert found.n == K - 1
    assert found.p == 1 / 720


def test_a_map_that_says_nothing_counts_as_no_gain() -> None:
    scores = gains(RECALLS / 2)
    silent = scores["image"] == 3 * EACH  # one of Happy's, which is read second best
    scores.loc[silent, ["value", "status"]] = [np.nan, "undefined"]
    blank = {"e": frozenset(scores.loc[silent, "image"])}
    check = CHECKS["confusion-recall"]
    (found,) = check.judge(check, Evidence(scores, square("confusion", RECALLED), CLASSES, 0, blank=blank), "e")
    means = RECALLS / 2
    means[3] -= (means[3] - 0.002) / EACH
    assert found.effect == pytest.approx(spearmanr(means, RECALLS).statistic, abs=EXACT)
    assert found.effect < 1


def test_a_metric_that_failed_its_examination_judges_no_recall() -> None:
    held = Evidence(gains(RECALLS / 2), square("confusion", RECALLED), CLASSES, 0, {"deletion-gain": "not examined"})
    row = judged([CHECKS["confusion-recall"]], held, ["e"]).iloc[0]
    assert (row["verdict"], row["reason"]) == (Verdict.NOT_APPLICABLE, "not examined")


def test_a_class_without_labelled_images_is_left_out_and_counted() -> None:
    counts = RECALLED.copy()
    counts[4] = 0
    found = finding("confusion-recall", gains(RECALLS / 2), square("confusion", counts))
    assert (found.n, found.undefined, found.unit) == (K - 1, 1, "classes")


def test_copies_of_a_persons_image_make_the_interval_no_narrower() -> None:
    rng = np.random.default_rng(1)
    means = rng.permutation(RECALLS) / 2
    people = np.concatenate([mean + 0.2 * rng.normal(size=2) for mean in means])  # two of each class
    ends = []
    for copies in (1, 20):
        values = np.repeat(people, copies)
        rows = gains(RECALLS).iloc[:0].reindex(range(len(values)))
        target = np.repeat(np.repeat(CLASSES, 2), copies)
        rows = rows.assign(
            explainer="e", variant="spectrum-null", image=np.arange(len(values)), label="", predicted=target,
            target=target, value=values, status="ok", reason="", **vars(score_called("deletion-gain")),
        )  # fmt: skip
        who = dict(enumerate(np.repeat(np.arange(len(people)), copies).tolist()))
        evidence = Evidence(
            frame(SCORES, rows.to_dict("records")), square("confusion", RECALLED), CLASSES, 0, persons=who
        )
        made = CHECKS["confusion-recall"]
        (found,) = made.judge(made, evidence, "e")
        ends.append((found.low, found.high))
    assert ends[0] == pytest.approx(ends[1], abs=EXACT)


def test_two_classes_are_too_few() -> None:
    means = np.where(np.arange(K) < 2, RECALLS, np.nan)
    found = finding("confusion-recall", gains(means), square("confusion", RECALLED))
    assert np.isnan(found.p)
    assert found.reason == "2 labels, and a permutation test needs at least 3"


@pytest.mark.parametrize("check", ["confusion-recall", "confusion-mantel", "confusion-mantel-partial"])
def test_faces_without_labels_say_so(check: str) -> None:
    found = finding(check, gains(RECALLS), square("map-similarity", ALIKE, "e"), square("image-similarity", IMAGES))
    assert np.isnan(found.p)
    assert found.reason == "the images have no labels"
    assert (found.n, found.undefined, found.unit) == (0, K, "classes")


# ---------------------------------------------------------------------- Mantel


def symmetric(cells: np.ndarray) -> np.ndarray:
    matrix = np.zeros((K, K))
    matrix[np.triu_indices(K, 1)] = cells
    return matrix + matrix.T


RNG = np.random.default_rng(0)
CONFUSED = symmetric(RNG.permutation(np.arange(1, 22)))
"""Images of a row's class taken for a column's, all 21 pairs confused to another degree."""
COUNTS = CONFUSED + np.diag(200 - CONFUSED.sum(1))
ALIKE = symmetric(np.linspace(-0.5, 0.9, 21)[CONFUSED[np.triu_indices(K, 1)].astype(int) - 1]) + np.eye(K)
"""Similarities that rise with confusion."""
IMAGES = symmetric(RNG.random(21)) + np.eye(K)


def mantel_finding(check: str, alike: np.ndarray, images: np.ndarray = IMAGES, counts: np.ndarray = COUNTS) -> Finding:
    matrices = (
        square("confusion", counts),
        square("map-similarity", alike, "e"),
        square("image-similarity", images),
    )
    return finding(check, frame(SCORES), *matrices)


def test_maps_as_alike_as_classes_are_confused_have_the_smallest_exact_p() -> None:
    found = mantel_finding("confusion-mantel", ALIKE)
    assert (found.effect, found.n, found.p) == (pytest.approx(1, abs=EXACT), K, 1 / 5040)


def test_they_pass() -> None:
    matrices = joined(
        MATRICES,
        [square("confusion", COUNTS), square("map-similarity", ALIKE, "e"), square("image-similarity", IMAGES)],
    )
    table = judged([CHECKS["confusion-mantel"]], Evidence(frame(SCORES), matrices, CLASSES, 0), ["e"])
    assert table["verdict"].tolist() == [Verdict.PASS]


def test_shuffled_classes_do_not() -> None:
    assert mantel_finding("confusion-mantel", ALIKE[np.ix_(SHUFFLED, SHUFFLED)]).p > 0.05


def test_confusion_counts_in_both_directions() -> None:
    share = np.triu(np.random.default_rng(1).random((K, K)), 1)
    uneven = 2 * CONFUSED * (share + np.tril(1 - share.T, -1))
    found = mantel_finding("confusion-mantel", ALIKE, counts=uneven + np.diag(200 - uneven.sum(1)))
    assert (found.effect, found.p) == (pytest.approx(1, abs=EXACT), 1 / 5040)


def test_the_diagonal_does_not_count() -> None:
    other = ALIKE - 0.5 * np.eye(K)
    assert mantel_finding("confusion-mantel", other).effect == pytest.approx(1, abs=EXACT)


def test_confusion_is_a_rate_of_each_classs_images() -> None:
    # Ten times the images of one class, confused at the same rates.
    counts = COUNTS.copy()
    counts[3] *= 10
    assert mantel_finding("confusion-mantel", ALIKE, counts=counts).effect == pytest.approx(1, abs=EXACT)


def test_an_association_beyond_alike_faces_passes_the_partial_test() -> None:
    found = mantel_finding("confusion-mantel-partial", ALIKE)
    assert (found.effect, found.p) == (pytest.approx(1, abs=EXACT), 1 / 5040)


def test_what_alike_faces_explain_is_taken_away() -> None:
    # Maps follow the faces, and the faces follow confusion a little less closely.
    cells = CONFUSED[np.triu_indices(K, 1)]
    noise = np.random.default_rng(4).normal(0, 4, (2, 21))
    images, alike = (
        symmetric(cells + noise[0]) + 30 * np.eye(K),
        symmetric(cells + noise[0] + noise[1]) + 30 * np.eye(K),
    )
    plain, partial = (mantel_finding(c, alike, images) for c in ("confusion-mantel", "confusion-mantel-partial"))
    assert plain.p < 0.01
    assert partial.p > 0.05


def test_a_class_whose_mean_map_is_constant_is_left_out() -> None:
    alike = ALIKE.copy()
    alike[2], alike[:, 2] = np.nan, np.nan
    assert mantel_finding("confusion-mantel", alike).n == K - 1


def test_two_classes_with_maps_are_too_few() -> None:
    alike = np.full((K, K), np.nan)
    alike[:2, :2] = 1
    found = mantel_finding("confusion-mantel", alike)
    assert np.isnan(found.p)
    assert found.reason == "2 classes have labelled images and maps; three are needed"


def test_an_explainer_without_maps_says_so() -> None:
    found = finding("confusion-mantel", frame(SCORES), square("confusion", COUNTS), square("image-similarity", IMAGES))
    assert np.isnan(found.p)
    assert found.reason == "map similarity was not measured"
