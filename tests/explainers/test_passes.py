import gc
import random
import weakref

import numpy as np
import pytest
import torch
from double_cases import EQUAL, network, pictures, subject
from torch import nn

from harness.explainers import _passes, registered
from harness.explainers._passes import gradients_at, logits_at, remembered
from harness.explainers._randomness import generators, global_generators_seeded, seeds
from harness.subject import Subject

EXPLAINERS = registered()
TARGETS = torch.tensor([0, 3, 4])


def test_weights_changed_in_place_are_asked_again() -> None:
    of, images = subject(network()), pictures()
    before = EXPLAINERS["gradient"](of, images, TARGETS)
    with torch.no_grad():
        of.network[9].weight.mul_(2)
    assert torch.allclose(EXPLAINERS["gradient"](of, images, TARGETS), 2 * before)


def test_weights_changed_behind_the_networks_back_are_asked_again() -> None:
    of, images = subject(network()), pictures()
    before = EXPLAINERS["gradient"](of, images, TARGETS)
    of.network[9].weight.data.mul_(2)
    assert torch.allclose(EXPLAINERS["gradient"](of, images, TARGETS), 2 * before)


def test_a_network_with_another_attribute_is_asked_again() -> None:
    of, images = subject(network()), pictures()
    before = EXPLAINERS["gradient"](of, images, TARGETS)
    of.network[9].forward = lambda x: 2 * nn.Linear.forward(of.network[9], x)
    assert torch.allclose(EXPLAINERS["gradient"](of, images, TARGETS), 2 * before)


@pytest.mark.parametrize("change", ["images", "targets"])
def test_another_question_is_asked(change: str) -> None:
    of, images = subject(network()), pictures()
    first = EXPLAINERS["gradient"](of, images, TARGETS)
    other = (images * 0.5, TARGETS) if change == "images" else (images, TARGETS.flip(0))
    assert not torch.equal(EXPLAINERS["gradient"](of, *other), first)


def test_two_subjects_do_not_share_answers() -> None:
    images = pictures()
    first, second = (EXPLAINERS["gradient"](subject(network(seed)), images, TARGETS) for seed in (0, 1))
    assert not torch.equal(first, second)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_passes, "KEPT_BYTES", 1000)
    of = subject(network())
    for number in range(20):
        remembered(of, lambda: (torch.zeros(100),), "zeros", number)
    assert sum(size for _, size in _passes._kept[of].values()) <= 1000


def test_the_answer_unused_for_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_passes, "KEPT_BYTES", 800)
    of, made = subject(network()), []

    def ask(name: str) -> None:
        remembered(of, lambda: (made.append(name), (torch.zeros(100),))[1], name)

    for name in ("a", "b", "a", "c", "a", "b"):
        ask(name)
    assert made == ["a", "b", "c", "b"]


def test_memory_goes_with_its_subject() -> None:
    of = subject(network())
    EXPLAINERS["gradient"](of, pictures(), TARGETS)
    gone = weakref.ref(of)
    del of
    gc.collect()
    assert gone() is None


def test_joined_sets_give_the_gradients_of_each() -> None:
    of, images = subject(network()), pictures()
    points = [images * share for share in (0.1, 0.5, 0.9)]
    for found, point in zip(gradients_at(of, iter(points), TARGETS), points, strict=True):
        assert torch.allclose(found, of.gradients(point, TARGETS), atol=EQUAL)


def test_joined_logits_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_passes, "MOST_AT_A_TIME", 3)
    of, images = subject(network()), pictures(7)
    assert torch.allclose(logits_at(of, images.split(2)), of.logits(images), atol=EQUAL)


def test_a_set_of_no_images_has_no_answers() -> None:
    of, images = subject(network()), pictures(4)
    assert torch.equal(logits_at(of, [images[:0], images[:0], images]), of.logits(images))


def test_seeds_depend_on_seed_and_image_alone() -> None:
    images = pictures(3)
    assert seeds(images, 1)[2] == seeds(images[2:], 1)[0]
    assert len({*seeds(images, 1), *seeds(images, 2)}) == 6


def test_negative_seed_is_a_seed() -> None:
    assert generators(pictures(1), -1)[0].random() != generators(pictures(1), 1)[0].random()


def test_global_generators_are_put_back() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = draw()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    with global_generators_seeded(5):
        inside = draw()
    assert draw() == expected
    with global_generators_seeded(5):
        assert draw() == inside


@pytest.mark.parametrize("name", ["rise", "mc-rise", "occlusion", "score-cam", "is-cam", "lime", "lime-fast"])
def test_few_pictures_are_held_at_a_time_and_the_maps_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held, ask = list[int](), Subject.logits
    monkeypatch.setattr(Subject, "logits", lambda self, batch: (held.append(len(batch)), ask(self, batch))[1])
    whole = EXPLAINERS[name].maps(subject(network()), pictures(), TARGETS, 0)
    together = max(held)
    held.clear()
    monkeypatch.setattr(_passes, "MOST_AT_A_TIME", 3)
    apart = EXPLAINERS[name].maps(subject(network()), pictures(), TARGETS, 0)
    assert max(held) <= 2 * 3 < together, "fewer than three wait when three more come"
    np.testing.assert_allclose(apart, whole, rtol=0, atol=EQUAL)
