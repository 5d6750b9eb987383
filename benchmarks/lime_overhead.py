"""Compare the batched LIME with the lime package: time beyond the network's own, and how far maps hang on the seed.

``python benchmarks/lime_overhead.py`` prints, for one rendered face and several numbers of samples, the seconds that
each spends outside the network to explain one class and all seven, their ratio, the seconds of the segmentation, which
are part of both, and the largest difference of the two maps; then the number of segments, and the rank correlation of
segment weights over seeds. Both are timed in turn in one run, the best of several
rounds counts, and the network's own seconds are measured inside it and taken off. The machine's load moves the seconds;
it moves the ratio little.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skimage import segmentation as skimage_segmentation
from torch import Tensor, nn

from harness.explainers import registered
from harness.explainers._segments import segments_of
from harness.explainers.surrogate import lime_agreement
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


def segmentation(image: Tensor) -> float:
    """Return the best seconds of finding the segments."""
    best = np.inf
    for _ in range(ROUNDS):
        start = time.perf_counter()
        segments_of(image)
        best = min(best, time.perf_counter() - start)
    return best


def counts(images: Tensor) -> tuple[float, float]:
    """Return the mean number of segments of a face: quickshift's, with the package's settings, and ours."""
    pictures = [image.expand(3, -1, -1).permute(1, 2, 0).double().numpy() for image in images]
    quickshift: Any = skimage_segmentation.quickshift
    theirs = [quickshift(picture, kernel_size=4, max_dist=200, ratio=0.2).max() + 1 for picture in pictures]
    return float(np.mean(theirs)), float(np.mean([segments_of(image).max() + 1 for image in images]))


def main() -> None:
    """Print both comparisons."""
    plain, faces = load_subject("faces-cnn"), load_rendered()
    subject = Subject(
        Stopwatch(plain.network), name="faces-cnn", classes=plain.classes, spec=plain.spec, cam_layer="network.act4"
    )
    images = subject.spec.prepare(faces.images[:: len(faces.images) // FACES][:FACES])
    targets = subject.logits(images).argmax(1)
    titles = ("package", "batched", "ratio", "segmentation", "largest difference, share of the map")
    print(" | ".join(["seconds outside the network, one face", *titles]))
    for samples in SAMPLES:
        best = overhead(subject, images[:1], samples)
        package_map, our_map = (
            torch.as_tensor(registered()[name](subject, images[:1], targets[:1], samples=samples))
            for name in ("lime", "lime-fast")
        )
        gap = float((our_map - package_map).abs().max() / package_map.abs().max())
        for classes in (1, len(subject.classes)):
            package, batched = best["lime", classes], best["lime-fast", classes]
            slic = segmentation(images[0])
            row = f"{package:.4f} | {batched:.4f} | {package / batched:.1f} | {slic:.4f} | {gap:.1e}"
            print(f"{samples} samples, {classes} classes | {row}")
    theirs, ours = counts(images)
    print(f"segments of a face, mean of {FACES}: {theirs:.1f} by the package's quickshift, {ours:.1f} by SLIC")
    print(f"rank correlation of segment weights between seeds, {FACES} faces, {SEEDS} seeds | mean | lowest face")
    for samples in SAMPLES:
        pairs = zip(images, targets.tolist(), strict=True)
        found = [lime_agreement(subject, image, target, range(SEEDS), samples=samples) for image, target in pairs]
        print(f"{samples} samples | {np.mean(found):.3f} | {min(found):.3f}")


if __name__ == "__main__":
    main()
