"""How images are handed to a network is measured, named by its own text, and never fails for what a network takes."""

import copy
from collections import Counter

import pytest
import torch
from tiny import (
    CLASSES,
    SIDE,
    SPEC,
)
from torch import Tensor, nn

from harness.errors import UsageError
from harness.subject import Feed, measured_feed
from harness.subject.feeding import _fastest


def test_the_measured_feed_is_one_of_the_candidates_and_leaves_the_network_as_it_was(network: nn.Sequential) -> None:
    before = copy.deepcopy(network.state_dict())
    feed = measured_feed(network, SPEC, torch.device("cpu"), 0.01)
    assert {feed.forward_batch, feed.backward_batch} <= {16, 32, 64, 128}
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(value.is_contiguous() for value in network.state_dict().values())


SIZES = [Feed(False, size, size) for size in (16, 32, 64)]


def chosen(cost: dict[int, float], usual: int = 64) -> int | None:
    """The micro-batch that is chosen where an image takes so long in each."""
    found = _fastest(SIZES, Feed(False, usual, usual), 0.001, lambda feed: cost[feed.backward_batch])
    return found and found.backward_batch


def test_the_fastest_feed_wins() -> None:
    assert chosen({16: 3e-6, 32: 1e-6, 64: 2e-6}) == 32


def test_the_usual_feed_stays_unless_another_is_faster_by_more_than_times_differ() -> None:
    assert chosen({16: 3e-6, 32: 1e-6, 64: 1.05e-6}) == 64
    assert chosen({16: 3e-6, 32: 1e-6, 64: 1.2e-6}) == 32


def test_a_pass_that_is_interrupted_decides_nothing() -> None:
    calls = Counter[int]()

    def cost(feed: Feed) -> float:
        size = feed.backward_batch
        calls[size] += 1
        return {16: 9e-6 if calls[size] <= 2 else 1e-6, 32: 2e-6, 64: 3e-6}[size]

    found = _fastest(SIZES, Feed(), 0.001, cost)
    assert found is not None
    assert found.backward_batch == 16


def test_a_feed_that_would_take_all_the_time_is_never_tried() -> None:
    tried = []

    def cost(feed: Feed) -> float:
        tried.append(feed.backward_batch)
        return 0.1  # a network that takes a tenth of a second an image

    _fastest(SIZES, Feed(), 0.001, cost)
    assert set(tried) == {16}


class Viewing(nn.Module):
    """Views its input, which another layout does not allow, and takes so many images at most."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.first = most, nn.Conv2d(1, 2, 3, padding=1)
        self.last = nn.Linear(2 * SIDE * SIDE, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > self.most:
            raise ValueError("another number of images than it was made for")
        return self.last(self.first(images).view(len(images), -1))


def test_a_feed_that_the_network_does_not_take_is_left_out() -> None:
    feed = measured_feed(Viewing(most=20), SPEC, torch.device("cpu"), 0.01)
    assert feed == Feed(False, 16, 16)


def test_a_network_that_takes_single_images_only_is_fed_single_images() -> None:
    assert measured_feed(Viewing(most=1), SPEC, torch.device("cpu"), 0.01) == Feed(False, 1, 1)


@pytest.mark.parametrize("feed", [Feed(), Feed(True, 16, 16), Feed(False, 128, 32)], ids=str)
def test_a_feed_is_read_from_its_own_text(feed: Feed) -> None:
    assert Feed.read(str(feed)) == feed


@pytest.mark.parametrize(
    "text", ["", "64", "nchw:64", "contiguous", "contiguous:0", "contiguous:-1", "contiguous:1:2:3"]
)
def test_what_names_no_feed_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no feed"):
        Feed.read(text)
