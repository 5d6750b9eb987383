"""Areas under information curves beside the authors' package."""

from collections.abc import Callable
from importlib import import_module

import numpy as np

from benchmarks.metrics_parity.setup import Array, Pair, quiet
from harness.faces.pictures import lossless_size
from harness.metrics import faithfulness as faith

SHARES = [0.02, 0.05, 0.1, 0.2, 0.4, 0.7]
COUNT, SIDE = 5, 16
_RNG = np.random.default_rng(7)
PICTURES = _RNG.integers(0, 256, (COUNT, SIDE, SIDE)).astype(np.uint8)
MAPS = _RNG.random((COUNT, SIDE, SIDE))
KNOWN = _RNG.random((COUNT, SIDE, SIDE)) < 0.02
PLACES = MAPS > 0.9


def softmax_information_curve() -> Pair:
    """Take what a network of one class says that sees the pixels which count for it."""
    return _areas(_probability, faith.softmax_information_curve)


def accuracy_information_curve() -> Pair:
    """Ask whether it is recognised."""
    return _areas(lambda place: lambda pictures: (_probability(place)(pictures) > 0.9).astype(float), _accuracy)


def _accuracy(sizes: Array, recognised: Array) -> Array:
    """Return areas of answers that are 0 or 1."""
    return faith.accuracy_information_curve(sizes, recognised == 1)


def _probability(place: int) -> Callable[[Array], Array]:
    """Return the share of the pixels that count which a picture shows as they are."""

    def ask(pictures: Array) -> Array:
        off = np.abs(pictures[:, PLACES[place]].astype(float) - PICTURES[place][PLACES[place]])
        return np.asarray(np.exp(-off.mean(axis=1) / 40))

    return ask


def _areas(network: Callable[[int], Callable[[Array], Array]], score: Callable[[Array, Array], Array]) -> Pair:
    """Return both areas of every picture: ours from the steps that theirs went through."""
    ours, theirs = [], []
    for place in range(COUNT):
        with quiet():
            package = import_module("saliency.metrics.pic")
            found = package.compute_pic_metric(
                PICTURES[place], MAPS[place], KNOWN[place], network(place), SHARES, keep_monotonous=True
            )
        steps = np.stack(found.blurred_images)
        sizes = np.array([[lossless_size(one) or 0 for one in steps]])
        ours.append(float(score(sizes, network(place)(steps)[None])[0]))
        theirs.append(float(found.auc))
    return np.array(ours), np.array(theirs)
