"""How images are handed to a network, and how the best way is measured."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from harness.errors import UsageError
from harness.subject.copies import copied
from harness.subject.spec import InputSpec


@dataclass(frozen=True)
class Feed:
    """How images are handed to the network: memory layout, and images a pass forward and backward.

    A network in another layout, or in other micro-batches, sums in another order: what it answers differs in its last
    bits. So a feed belongs to a run (see :mod:`harness.arithmetic`), and its text names it.

    Examples
    --------
    >>> str(Feed(True, 64, 16)), Feed.read("contiguous:32")
    ('channels-last:64:16', Feed(channels_last=False, forward_batch=32, backward_batch=32))
    """

    channels_last: bool = False
    forward_batch: int = 64
    backward_batch: int = 64

    def __str__(self) -> str:
        sizes = dict.fromkeys((self.forward_batch, self.backward_batch))
        return ":".join(["channels-last" if self.channels_last else "contiguous", *map(str, sizes)])

    @staticmethod
    def read(text: str) -> "Feed":
        """Return the feed that a text names: LAYOUT:IMAGES or LAYOUT:FORWARD:BACKWARD.

        Raises
        ------
        UsageError
            For another layout, or sizes that are no positive whole numbers.
        """
        layout, *sizes = text.split(":")
        if layout not in ("contiguous", "channels-last") or len(sizes) not in (1, 2):
            raise UsageError(f"{text!r} is no feed; give contiguous:64, channels-last:64 or channels-last:64:32")
        if not all(size.isdecimal() and int(size) > 0 for size in sizes):
            raise UsageError(f"{text!r} is no feed: {':'.join(sizes)} are no numbers of images; give 1 or more")
        return Feed(layout == "channels-last", int(sizes[0]), int(sizes[-1]))

    def layout(self) -> torch.memory_format:
        """Return torch's name of the layout."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


EVEN = 0.1
"""A feed that is faster than the usual one by less than this share is no reason to leave it: best times of passes
differ by some percent from one call to the next, and another feed moves last bits."""

ROUNDS = 3
"""Times that each feed is measured at least: on a busy machine one pass may be interrupted, hardly each of three."""


def measured_feed(network: nn.Module, spec: InputSpec, device: torch.device, seconds: float) -> Feed:
    """Return the fastest feed found in about `seconds`: layout and forward batch first, then backward batch.

    The best pair differs by machine and network (two- to threefold on a CPU), so it is measured and never assumed. A
    network that takes none of the batches that are tried is fed single images, which every network takes.
    """
    network = copied(network)
    sizes = (16, 32, 64, 128) if device.type == "cpu" else (64, 256, 1024, 4096)
    trials = [Feed(layout, size, size) for layout in (False, True) for size in sizes]
    timed = partial(_seconds_an_image, network, spec, device)
    forward = _fastest(trials, Feed(), seconds / 2, lambda feed: timed(feed, backward=False)) or Feed(False, 1, 1)
    trials = [replace(forward, backward_batch=size) for size in sizes]
    usual = replace(forward, backward_batch=Feed.backward_batch)
    backward = _fastest(trials, usual, seconds / 2, lambda feed: timed(feed, backward=True))
    return backward or replace(forward, backward_batch=1)


def _fastest(trials: list[Feed], usual: Feed, seconds: float, cost: Callable[[Feed], float]) -> Feed | None:
    """Return the feed of least cost, the usual one where that is about as good, None where no feed can be used.

    Every feed is tried, then again in turn while time is left and :data:`ROUNDS` times at least; each is judged by its
    best time. A feed of which one pass alone would take all the time is left out: a large network neither waits for it
    nor runs out of memory. So is one that the network does not take, such as a layout that it cannot view or another
    number of images than it was made for.
    """
    best: dict[Feed, float] = {}
    for feed in trials:
        if best and feed.backward_batch * min(best.values()) >= seconds:
            continue
        try:
            cost(feed)  # the first pass of a feed also sets the machine up
            best[feed] = cost(feed)
        except Exception:  # whatever a user's network raises
            continue
    end, rounds = time.perf_counter() + seconds, 1
    while len(best) > 1 and (rounds < ROUNDS or time.perf_counter() < end):
        rounds += 1
        for feed in best:
            best[feed] = min(best[feed], cost(feed))
    if usual in best and best[usual] <= (1 + EVEN) * min(best.values()):
        return usual
    return min(best, key=lambda feed: best[feed], default=None)


def _seconds_an_image(
    network: nn.Module, spec: InputSpec, device: torch.device, feed: Feed, *, backward: bool
) -> float:
    """Time one pass of one micro-batch."""
    size = feed.backward_batch if backward else feed.forward_batch
    network.to(memory_format=feed.layout())  # type: ignore[call-overload]
    images = torch.zeros(size, spec.channels, spec.height, spec.width, device=device)
    images = images.contiguous(memory_format=feed.layout()).requires_grad_(backward)
    start = time.perf_counter()
    with torch.set_grad_enabled(backward):
        logits = network(images)
        if backward:
            torch.autograd.grad(logits.sum(), images)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / size
