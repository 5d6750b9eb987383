"""Passes through the network that several explainers share, and questions asked of many points at once."""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.digest import digest
from harness.subject import Subject
from harness.subject.rewriting import marks
from harness.subject.state import checksums

KEPT_BYTES = 128 * 2**20
"""Most that is remembered for one subject; the answer unused for longest goes first."""

MOST_AT_A_TIME, BYTES_AT_A_TIME = 512, 64 * 2**20
"""Pictures that are made at once, and what they may fill: more would make no pass quicker."""

_kept: WeakKeyDictionary[Subject, OrderedDict[str, tuple[tuple[Any, ...], int]]] = WeakKeyDictionary()


def remembered(subject: Subject, make: Callable[[], tuple[Any, ...]], *question: Any) -> tuple[Any, ...]:
    """Return what `make` returns, from memory where this subject was asked the same before.

    Parameters
    ----------
    make
        Gives tensors or arrays, which whoever receives them must not change.
    *question
        All that the answer depends on beside the network, the first part being a name for it. The network
        counts by what it is made of, what listens to it and the values of its weights, so that one that was changed,
        however, is asked again.
    """
    network = subject.network
    values = checksums((*network.parameters(), *network.buffers()))
    key = digest(repr(marks(network, subject.lasting)), values, *question)
    kept = _kept.setdefault(subject, OrderedDict())
    if key in kept:
        kept.move_to_end(key)
        return kept[key][0]
    made = make()
    kept[key] = made, sum(part.nbytes for part in made)
    while kept and sum(size for _, size in kept.values()) > KEPT_BYTES:
        kept.popitem(last=False)
    return made


def input_gradients(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n c h w"]:
    """Return the gradients of the target logits: one backward pass an image, whoever asks."""
    question = ("gradients", images, targets)
    found: Tensor = remembered(subject, lambda: (subject.gradients(images, targets),), *question)[0]
    return found


def gradients_at(
    subject: Subject, points: Iterable[Float[Tensor, "n c h w"]], targets: Int[Tensor, " n"]
) -> Iterator[Float[Tensor, "n c h w"]]:
    """Yield the gradients at each set of n points; sets are joined so that few images fill a micro-batch."""
    waiting, joined = iter(points), max(1, 4 * subject.feed.backward_batch // max(1, len(targets)))
    while sets := list(itertools.islice(waiting, joined)):
        yield from torch.split(subject.gradients(torch.cat(sets), targets.repeat(len(sets))), len(targets))


def at_a_time(picture: Float[Tensor, "*size"]) -> int:
    """Return how many pictures of this size are made at a time for the network to answer."""
    return max(1, min(MOST_AT_A_TIME, BYTES_AT_A_TIME // max(1, picture.element_size() * picture.numel())))


def logits_at(subject: Subject, points: Iterable[Float[Tensor, "_ c h w"]]) -> Float[Tensor, "_ classes"]:
    """Return the logits of many sets of images in turn; small ones are joined, as many as are held at a time."""
    found: list[Tensor] = []
    waiting: list[Tensor] = []
    for images in points:
        waiting.append(images)
        if sum(map(len, waiting)) >= at_a_time(images[:1]):
            found.append(subject.logits(torch.cat(waiting) if len(waiting) > 1 else images))
            waiting = []
    if waiting:
        found.append(subject.logits(torch.cat(waiting)))
    return torch.cat(found)
