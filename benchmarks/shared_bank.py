"""Count what a run saves by asking the network for its answers once: banks of masks, single patches, parts at rest.

``python benchmarks/shared_bank.py`` measures several explainers on rendered faces twice, with answers shared as in a
run and with answers asked anew for every explainer, and prints for each measurement the images passed, the share of
passes saved, and the ratio of the seconds. Parts share what localisation asked before them. The maps are made before,
and both are timed in turn in one run, so that the machine's load moves the ratio little. The explainers are cheap ones:
what is counted does not depend on whose map it is.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from harness.evaluation_set import EvaluationSet, evaluation_set
from harness.explainers import registered
from harness.faces.rendered import load_rendered
from harness.measurements import Attributions, EvidenceLocalization, MaskBank, Measurement, Parts, SinglePatches
from harness.models.loading import load_subject
from harness.perturbation import BlurFill

PER_CLASS = 4
MASKS = 32
EXPLAINERS = (
    *("gradient", "saliency", "input-x-gradient", "grad-cam", "hires-cam", "layer-cam", "guided-backprop"),
    *("random", "edges"),
)

Shared = Callable[[tuple[object, ...], Callable[[], Mapping[str, Any]]], dict[str, Any]]


def kept() -> Shared:
    """Return what makes each answer once, as a run does."""
    held: dict[tuple[object, ...], dict[str, Any]] = {}

    def shared(what: tuple[object, ...], make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        if what not in held:
            held[what] = dict(make())
        return held[what]

    return shared


def anew(what: tuple[object, ...], make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Make every answer for everyone who asks."""
    return dict(make())


def spent(case: EvaluationSet, maps: list[np.ndarray], measurement: Measurement, shared: Shared) -> tuple[int, float]:
    """Return the images passed and the seconds of one measurement of all explainers."""
    before, start = case.subject.passes.forward, time.perf_counter()
    for each in maps:
        measurement.measure(Attributions(case, each, shared=shared))
    return case.subject.passes.forward - before, time.perf_counter() - start


def main() -> None:
    """Print the comparison."""
    subject, faces = load_subject("faces-cnn").tuned(), load_rendered()
    probabilities = subject.probabilities(subject.prepare(faces.images)).double().cpu().numpy()
    case = evaluation_set(subject, faces, probabilities, PER_CLASS, seed=0)
    maps = [registered()[name].maps(subject, case.images, case.target_tensor(), 0) for name in EXPLAINERS]
    print(f"{len(maps)} explainers, {len(case.targets)} images | shared | anew | passes saved | seconds, shared / anew")
    measurements: tuple[Measurement, ...] = (
        MaskBank(BlurFill(), MASKS, 2),
        SinglePatches(BlurFill(), 2),
        EvidenceLocalization(2),
        Parts(2),
    )
    once = kept()
    for measurement in measurements:
        (few, quick), (many, slow) = (spent(case, maps, measurement, each) for each in (once, anew))
        print(f"{measurement.name} | {few} | {many} | {1 - few / many:.3f} | {quick / slow:.2f}")


if __name__ == "__main__":
    main()
