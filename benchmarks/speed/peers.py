"""The same work by others: maps by captum and lime, scores by Quantus, one explainer and one metric after the other.

    python -m benchmarks.speed.peers --images ID ... --explainers gradient ...

Quantus's metrics are asked for what the quick profile measures: the same images, about as many steps, subsets, noisy
copies and random networks. Nothing is compared with null maps, since Quantus has none, and nothing is decided.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.metrics_parity.setup import from_quantus, library_quantus, plain, quiet
from harness.faces.loading import load_faces
from harness.models.loading import load_subject

STEPS, SUBSETS, COPIES = 256, 128, 2
"""Pixels a step (nine steps of 48 x 48 pixels), random subsets of pixels, noisy copies an image: as quick has them."""


@dataclass(frozen=True)
class Work:
    """A network, the layer that class activation maps read, images, what they are explained for, and marked pixels."""

    network: nn.Module
    layer: nn.Module
    images: Tensor
    targets: Tensor
    evidence: np.ndarray


Explain = Callable[[nn.Module, Tensor, Tensor], Tensor]


def explainers(work: Work) -> dict[str, Explain]:
    """Return the peers' own methods, by the names that they have here."""
    attr: Any = import_module("captum.attr")
    side = work.images.shape[-1]
    window = (1, round(side / 6), round(side / 6))
    stride = (1, round(side / 12), round(side / 12))
    layer = next(name for name, module in work.network.named_modules() if module is work.layer)

    def grad_cam(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        method = attr.LayerGradCam(network, network.get_submodule(layer))
        small = method.attribute(images, target=targets, relu_attributions=True)
        found: Tensor = attr.LayerAttribution.interpolate(small, (side, side), "bilinear")
        return found

    return {
        "gradient": lambda network, x, y: attr.Saliency(network).attribute(x, target=y, abs=False),
        "saliency": lambda network, x, y: attr.Saliency(network).attribute(x, target=y),
        "input-x-gradient": lambda network, x, y: attr.InputXGradient(network).attribute(x, target=y),
        "integrated-gradients": lambda network, x, y: attr.IntegratedGradients(network).attribute(
            x, target=y, n_steps=32
        ),
        "grad-cam": grad_cam,
        "occlusion": lambda network, x, y: attr.Occlusion(network).attribute(
            x, window, stride, baselines=float(x.mean()), target=y
        ),
    }


def metrics(work: Work) -> list[tuple[str, dict[str, Any]]]:
    """Return the metrics of Quantus that are asked, with their settings."""
    px = work.images[0, 0].numel()
    similar = from_quantus("functions.similarity_func", "correlation_spearman")
    draws = plain(nr_samples=COPIES)
    stable = {**draws, "return_nan_when_prediction_changes": False}
    removal = plain(features_in_step=STEPS)
    return [
        ("PixelFlipping", removal),
        ("RegionPerturbation", plain(patch_size=8, regions_evaluation=9)),
        ("Selectivity", plain(patch_size=8)),
        ("FaithfulnessCorrelation", plain(nr_runs=SUBSETS, subset_size=px // 8, return_aggregate=False)),
        ("FaithfulnessEstimate", removal),
        ("MonotonicityCorrelation", {**removal, "nr_samples": COPIES}),
        ("SensitivityN", {**removal, "n_max_percentage": 0.8, "return_aggregate": False}),
        ("Infidelity", plain(n_perturb_samples=1, perturb_patch_sizes=[8, 16])),
        ("ROAD", plain(percentages=[10, 30, 50, 70, 90])),
        ("MaxSensitivity", draws),
        ("AvgSensitivity", draws),
        ("LocalLipschitzEstimate", draws),
        ("Continuity", plain(nr_steps=COPIES)),
        ("RelativeInputStability", stable),
        ("RelativeOutputStability", stable),
        ("MPRT", plain(similarity_func=similar, layer_order="top_down")),
        ("SmoothMPRT", plain(nr_samples=COPIES, similarity_func=similar)),
        ("EfficientMPRT", {**plain(layer_order="bottom_up"), "abs": True}),
        ("RandomLogit", plain(num_classes=7, similarity_func=similar)),
        ("Sparseness", plain()),
        ("Complexity", plain()),
        ("EffectiveComplexity", plain()),
        ("Completeness", plain()),
        ("InputInvariance", plain()),
        ("PointingGame", plain()),
        ("RelevanceMassAccuracy", plain()),
        ("RelevanceRankAccuracy", plain()),
        ("TopKIntersection", plain()),
        ("AUC", plain()),
        ("AttributionLocalisation", plain()),
    ]


def scored(work: Work, name: str, settings: dict[str, Any], maps: np.ndarray, explain: Explain) -> None:
    """Ask one metric about one explainer's maps."""

    def again(model: nn.Module, inputs: Any, targets: Any, **_: Any) -> np.ndarray:
        pictures = torch.as_tensor(np.asarray(inputs), dtype=torch.float32)
        found = explain(model, pictures, torch.as_tensor(np.asarray(targets)).long())
        return np.asarray(found.detach().sum(1, keepdim=True).numpy())

    with quiet():
        metric = getattr(library_quantus(), name)(disable_warnings=True, display_progressbar=False, **settings)
        metric(
            model=work.network,
            x_batch=work.images.numpy().copy(),
            y_batch=work.targets.numpy().copy(),
            a_batch=maps.copy(),
            s_batch=work.evidence.copy(),
            channel_first=True,
            softmax=False,
            device="cpu",
            explain_func=again,
        )


def work_of(subject_name: str, faces_name: str, ids: Sequence[int], *, layout: bool) -> Work:
    """Return the network and images that a run judged; with `layout` in the memory layout that a run would choose."""
    subject = load_subject(subject_name)
    faces = load_faces(faces_name, subject.classes)
    place = {int(image): number for number, image in enumerate(faces.ids)}
    images = subject.prepare(faces.images[[place[image] for image in ids]]).float()
    network = copy.deepcopy(subject.network).eval()
    if layout:
        images = images.contiguous(memory_format=torch.channels_last)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.no_grad():
        targets = network(images).argmax(1)
    evidence = np.random.default_rng(0).random(images.shape) < 0.2
    return Work(network, network.get_submodule(subject.cam_layer), images, targets, evidence)


def main(arguments: Sequence[str] | None = None) -> None:
    """Do all of it, and print as JSON what refused and the CPU seconds of maps and of each metric."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subject", default="faces-cnn")
    parser.add_argument("--faces", default="rendered")
    parser.add_argument("--images", type=int, nargs="+", required=True)
    parser.add_argument("--explainers", nargs="+", required=True)
    parser.add_argument("--layout", action="store_true")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    work = work_of(asked.subject, asked.faces, asked.images, layout=asked.layout)
    methods, seconds, refused = explainers(work), dict[str, float](), dict[str, str]()
    for name in asked.explainers:
        began = time.process_time()
        maps = methods[name](work.network, work.images, work.targets).detach().sum(1, keepdim=True).numpy()
        seconds["maps"] = seconds.get("maps", 0.0) + time.process_time() - began
        for metric, settings in metrics(work):
            began = time.process_time()
            try:
                scored(work, metric, settings, maps, methods[name])
            except Exception as error:  # what a peer stumbles over is told, and does not count
                refused[metric] = f"{type(error).__name__}: {error}".splitlines()[0]
                continue
            seconds[metric] = seconds.get(metric, 0.0) + time.process_time() - began
    print(json.dumps({"seconds": seconds, "refused": refused}))


if __name__ == "__main__":
    main()
