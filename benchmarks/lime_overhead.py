"""Compare the batched LIME with the lime package: time beyond the network's own, and how far maps hang on the seed.

``python benchmarks/lime_overhead.py`` prints, for one rendered face and several numbers of samples, the seconds that
each spends outside the network to explain one class and all seven, their ratio, and the largest difference of the two
maps; then the rank correlation of maps of one face over seeds. Both are timed in turn in one run, the best of several
rounds counts, and the network's own seconds are measured inside it and taken off. The machine's load moves the seconds;
it moves the ratio little.
"""

import time
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from harness.explainers import registered
from harness.explainers._segments import segments_of
from harness.faces.rendered import load_rendered
from harness.models.loading import load_subject
from harness.subject import Subject

ROUNDS = 5
SAMPLES = (100, 300, 1000)
SEEDS = 6
FACES = 12


class Stopwatch(nn.Module):
    """A network that adds up the seconds that it ran."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.seconds = network, 0.0

    def forward(self, images: Tensor) -> Tensor:
        """Run and time."""
        start = time.perf_counter()
        logits: Tensor = self.network(images)
        self.seconds += time.perf_counter() - start
        return logits


def outside_the_network(subject: Subject, explain: Callable[[], Any]) -> float:
    """Return the seconds that `explain` spends beyond the network's."""
    watch = subject.network
    assert isinstance(watch, Stopwatch)
    start, inside = time.perf_counter(), watch.seconds
    explain()
    return time.perf_counter() - start - (watch.seconds - inside)


def overhead(subject: Subject, image: Tensor, samples: int) -> dict[tuple[str, int], float]:
    """Return the best seconds of each explainer for one class and for all."""
    best: dict[tuple[str, int], float] = {}
    for number in range(ROUNDS):
        for name in ("lime", "lime-fast"):
            for classes in (1, len(subject.classes)):
                # A seed of its own for every measurement: an answer that is remembered costs nothing.
                seed = 1000 * number + classes

                def explain(name: str = name, classes: int = classes, seed: int = seed) -> None:
                    for target in range(classes):
                        registered()[name](subject, image, torch.tensor([target]), samples=samples, seed=seed)

                seconds = outside_the_network(subject, explain)
                best[name, classes] = min(seconds, best.get((name, classes), np.inf))
    return best


def agreement(subject: Subject, images: Tensor, targets: Tensor, samples: int) -> list[float]:
    """Return the mean rank correlation of each face's segment weights over pairs of seeds."""
    explain = registered()["lime-fast"]
    maps = [explain(subject, images, targets, samples=samples, seed=seed).numpy() for seed in range(SEEDS)]
    found = []
    for number, image in enumerate(images):
        _, first = np.unique(segments_of(image), return_index=True)
        weights = [each[number].ravel()[first] for each in maps]
        found.append(float(np.mean([spearmanr(*pair).statistic for pair in combinations(weights, 2)])))
    return found


def main() -> None:
    """Print both comparisons."""
    plain, faces = load_subject("faces-cnn"), load_rendered()
    subject = Subject(
        Stopwatch(plain.network), name="faces-cnn", classes=plain.classes, spec=plain.spec, cam_layer="network.act4"
    )
    images = subject.spec.prepare(faces.images[:: len(faces.images) // FACES][:FACES])
    targets = subject.logits(images).argmax(1)
    print("seconds outside the network, one face | package | batched | ratio | largest difference, share of the map")
    for samples in SAMPLES:
        best = overhead(subject, images[:1], samples)
        theirs, ours = (
            torch.as_tensor(registered()[name](subject, images[:1], targets[:1], samples=samples))
            for name in ("lime", "lime-fast")
        )
        gap = float((ours - theirs).abs().max() / theirs.abs().max())
        for classes in (1, len(subject.classes)):
            package, batched = best["lime", classes], best["lime-fast", classes]
            row = f"{package:.3f} | {batched:.4f} | {package / batched:.1f} | {gap:.1e}"
            print(f"{samples} samples, {classes} classes | {row}")
    print(f"rank correlation of segment weights between seeds, {FACES} faces, {SEEDS} seeds | mean | lowest face")
    for samples in SAMPLES:
        found = agreement(subject, images, targets, samples)
        print(f"{samples} samples | {np.mean(found):.3f} | {min(found):.3f}")


if __name__ == "__main__":
    main()
