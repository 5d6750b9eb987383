"""What is known to be right owes rungs; metrics that ignore the network rank maps by the picture alone."""

import numpy as np
import pytest

from harness.explainers import registered
from harness.measurements.own import asked_for
from harness.models.loading import load_subject
from harness.oracles.blind_metrics import blind_metrics, in_oval, likeness_to_centre, likeness_to_edges
from harness.oracles.good import known_goods

SIDE = 24


def test_right_explainers_owe_amounts_only_where_they_claim_completeness() -> None:
    subject = load_subject("faces-cnn")
    complete, plain = (
        {each.name: each.owes for each in known_goods(subject, base, costly=False)}
        for base in ("deeplift", "occlusion")
    )
    assert complete["good-last-bits"] == {6}
    assert "good-last-bits" not in plain
    assert all(complete.values())


def test_on_an_additive_network_the_known_causes_are_its_cells_and_owe_what_counts() -> None:
    owed = {each.name: each.owes for each in known_goods(load_subject("faces-additive"), "deeplift", costly=True)}
    assert owed["oracle"] == {3}
    assert {3, 4} <= owed["exact-cells"]


def test_a_map_of_other_last_bits_differs_from_its_base_in_nothing_that_can_be_seen() -> None:
    subject = load_subject("faces-cnn")
    images = subject.prepare(np.random.default_rng(0).integers(0, 256, (2, 48, 48), dtype=np.uint8))
    targets = subject.logits(images).argmax(1)
    bits = next(each for each in known_goods(subject, "deeplift", costly=False) if each.name == "good-last-bits")
    assert bits.explainer is not None
    made, plain = (
        bits.explainer.maps(subject, images, targets, 0),
        registered()["deeplift"].maps(subject, images, targets, 0),
    )
    assert (made != plain).any()
    assert np.array_equal(made, np.nextafter(plain, np.inf, dtype=plain.dtype))


@pytest.mark.parametrize("metric", [likeness_to_centre, in_oval])
def test_a_blob_in_the_middle_pleases_what_looks_at_the_middle(metric: object) -> None:
    rows = np.arange(SIDE) - (SIDE - 1) / 2
    blob = np.exp(-(rows[:, None] ** 2 + rows**2) / 50)
    ring = blob.max() - blob
    assert callable(metric)
    inside, outside = metric(np.stack([blob, ring]))
    assert inside > 0.8
    assert outside < inside


def test_edges_please_what_looks_for_edges_whatever_the_network() -> None:
    pictures = np.random.default_rng(0).random((2, SIDE, SIDE))
    subject = load_subject("faces-cnn")
    images = subject.prepare((pictures * 255).astype(np.uint8))
    edges = registered()["edges"].maps(subject, images, subject.logits(images).argmax(1), 0)
    assert likeness_to_edges(edges.astype(np.float64), subject.spec.to_grey(images).astype(np.float64)).min() > 0.99


def test_blind_metrics_ask_for_nothing_that_the_network_says() -> None:
    assert all(set(asked_for(each)) <= {"images"} for each in blind_metrics())
