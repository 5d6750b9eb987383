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

from benchmarks.explainers_parity.references import zennit_box, zennit_composite, zennit_rules
from benchmarks.metrics_parity.setup import from_quantus, library_quantus, plain, quiet
from harness.explainers._segments import segments_of
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

NOISY, STEPPED, LAYERED, ASKED = 24, 32, 16, 300
"""Noisy copies, steps of a path, steps at a layer and pictures of a regression: as ours have them by default."""


def explainers(work: Work) -> dict[str, Explain]:
    """Return the peers' own methods, by the names that they have here, each with its library's other defaults."""
    return {**_by_gradient(), **_by_layer(work), **_by_pictures()}


def explainers_elsewhere(work: Work) -> dict[tuple[str, str], Explain]:
    """Return those of zennit and pytorch-grad-cam, by the names that they have here and their package."""
    from explainer_cases import reference  # beside the tests, where the comparisons of maps find it too

    attribution: Any = reference("zennit.attribution")
    cams: Any = reference("pytorch_grad_cam")
    choice: Any = reference("pytorch_grad_cam.utils.model_targets")

    def relevance(made: Callable[[Tensor], Any]) -> Explain:
        def maps(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            with attribution.Gradient(network, made(x)) as attributor:
                found: Tensor = attributor(x.clone().requires_grad_(), torch.eye(len(network(x[:1])[0]))[y])[1]
            return found

        return maps

    def by_cam(name: str) -> Explain:
        def maps(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            asked = [choice.ClassifierOutputTarget(int(target)) for target in y]
            found = getattr(cams, name)(network, [work.layer])(x.clone().requires_grad_(), asked)
            return torch.from_numpy(found)[:, None]

        return maps

    return {
        ("lrp-epsilon", "zennit"): relevance(zennit_rules("Epsilon", "Epsilon", Epsilon=1e-3)),
        ("lrp-z-plus", "zennit"): relevance(zennit_composite("EpsilonPlus")),
        ("lrp-epsilon-gamma-box", "zennit"): relevance(zennit_box),
        ("grad-cam", "pytorch-grad-cam"): by_cam("GradCAM"),
        ("layer-cam", "pytorch-grad-cam"): by_cam("LayerCAM"),
        ("score-cam", "pytorch-grad-cam"): by_cam("ScoreCAM"),
    }


def _by_gradient() -> dict[str, Explain]:
    """Return captum's that read gradients of the input."""
    attr: Any = import_module("captum.attr")

    def noisy(kind: str) -> Explain:
        return lambda network, x, y: attr.NoiseTunnel(attr.Saliency(network)).attribute(
            x, nt_type=kind, nt_samples=NOISY, nt_samples_batch_size=NOISY, stdevs=0.2, target=y, abs=False
        )

    return {
        "gradient": lambda network, x, y: attr.Saliency(network).attribute(x, target=y, abs=False),
        "saliency": lambda network, x, y: attr.Saliency(network).attribute(x, target=y),
        "input-x-gradient": lambda network, x, y: attr.InputXGradient(network).attribute(x, target=y),
        "integrated-gradients": lambda network, x, y: attr.IntegratedGradients(network).attribute(
            x, target=y, n_steps=STEPPED
        ),
        "integrated-gradients-black": lambda network, x, y: attr.IntegratedGradients(network).attribute(
            x, baselines=-1.0, target=y, n_steps=STEPPED
        ),
        "expected-gradients": lambda network, x, y: attr.GradientShap(network).attribute(
            x, x.flip(0), n_samples=STEPPED, target=y
        ),
        "smoothgrad": noisy("smoothgrad"),
        "smoothgrad-squared": noisy("smoothgrad_sq"),
        "vargrad": noisy("vargrad"),
        "guided-backprop": lambda network, x, y: attr.GuidedBackprop(network).attribute(x, target=y),
        "deconvnet": lambda network, x, y: attr.Deconvolution(network).attribute(x, target=y),
        "deeplift": lambda network, x, y: attr.DeepLift(network).attribute(x, target=y),
    }


def _by_layer(work: Work) -> dict[str, Explain]:
    """Return captum's that read a layer, their maps stretched over the picture."""
    attr: Any = import_module("captum.attr")
    side = work.images.shape[-1]
    layer = next(name for name, module in work.network.named_modules() if module is work.layer)

    def stretched(method: str, **settings: Any) -> Explain:
        def maps(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            small = getattr(attr, method)(network, network.get_submodule(layer)).attribute(x, target=y, **settings)
            found: Tensor = attr.LayerAttribution.interpolate(small.sum(1, keepdim=True), (side, side), "bilinear")
            return found

        return maps

    return {
        "conductance": stretched("LayerConductance", n_steps=LAYERED),
        "internal-influence": stretched("InternalInfluence", n_steps=LAYERED),
        "grad-cam": stretched("LayerGradCam", relu_attributions=True),
        "guided-grad-cam": lambda network, x, y: attr.GuidedGradCam(network, network.get_submodule(layer)).attribute(
            x, target=y
        ),
    }


def _by_pictures() -> dict[str, Explain]:
    """Return captum's, and lime's, that ask about pictures with something taken away."""
    attr: Any = import_module("captum.attr")

    def one_by_one(made: Callable[[nn.Module, Tensor, int], Tensor]) -> Explain:
        def maps(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            pairs = zip(torch.split(x, 1), y.tolist(), strict=True)
            return torch.cat([made(network, image, target) for image, target in pairs])

        return maps

    def by_segments(method: str, **settings: Any) -> Explain:
        def made(network: nn.Module, image: Tensor, target: int) -> Tensor:
            segments = torch.from_numpy(segments_of(image[0]))[None, None]
            found: Tensor = getattr(attr, method)(network).attribute(
                image, baselines=float(image.mean()), target=target, feature_mask=segments, **settings
            )
            return found

        return one_by_one(made)

    def windows(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        side = x.shape[-1]
        window, stride = (1, round(side / 6), round(side / 6)), (1, round(side / 12), round(side / 12))
        found: Tensor = attr.Occlusion(network).attribute(x, window, stride, baselines=float(x.mean()), target=y)
        return found

    return {
        "occlusion": windows,
        "feature-ablation": by_segments("FeatureAblation"),
        "kernel-shap": by_segments("KernelShap", n_samples=ASKED),
        "lime": one_by_one(_lime),
    }


def _lime(network: nn.Module, image: Tensor, target: int) -> Tensor:
    """Return the lime package's weights of segments for a picture (1, 1, h, w), painted."""
    explainer = import_module("lime.lime_image").LimeImageExplainer(random_state=0)
    segments = segments_of(image[0])

    def answers(pictures: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            asked = torch.as_tensor(pictures[..., :1], dtype=torch.float32).permute(0, 3, 1, 2)
            return np.asarray(network(asked).softmax(1))

    picture = np.repeat(image[0, 0].double().numpy()[..., None], 3, axis=-1)
    found = explainer.explain_instance(
        picture, answers, labels=(target,), top_labels=None, num_samples=ASKED, hide_color=float(image.mean()),
        segmentation_fn=lambda _: segments,
    )  # fmt: skip
    weights = dict(found.local_exp[target])
    painted = np.vectorize(lambda segment: weights.get(segment, 0.0), otypes=[np.float32])(segments)
    return torch.from_numpy(painted)[None, None]


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
