"""How captum, lime, zennit, pytorch-grad-cam and saliency are asked for a map."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from explainer_cases import reference
from torch import Tensor, nn

from benchmarks.explainers_parity.networks import merged
from benchmarks.explainers_parity.setup import Case
from harness.explainers import registered
from harness.explainers._segments import segments_of
from harness.explainers.cam import enlarged


def captum(name: str, channels: str = "sum", **settings: Any) -> Callable[[Case], Tensor]:
    """Return maps of a method of captum that reads the input, channels put together."""

    def maps(case: Case) -> Tensor:
        import captum.attr

        method = getattr(captum.attr, name)(copy.deepcopy(case.subject.network))
        found = method.attribute(case.images.clone(), target=case.targets, **settings)
        put: Tensor = found.amax(1) if channels == "largest" else found.sum(1)
        return put

    return maps


def captum_layer(name: str, **settings: Any) -> Callable[[Case], Tensor]:
    """Return maps of a method of captum that reads a layer, enlarged."""

    def maps(case: Case) -> Tensor:
        import captum.attr

        method = getattr(captum.attr, name)(case.subject.network, case.layer)
        found = method.attribute(case.images.clone(), target=case.targets, **settings)
        return enlarged(found.detach().sum(1), case.images)

    return maps


def captum_guided_grad_cam(case: Case) -> Tensor:
    """Return captum's with the enlargement that is ours."""
    import captum.attr

    method = captum.attr.GuidedGradCam(case.subject.network, case.layer)
    found: Tensor = method.attribute(case.images.clone(), target=case.targets, interpolate_mode="bilinear")
    return found.sum(1)


def captum_occlusion(case: Case) -> Tensor:
    """Return captum's with windows of the same sides, the image's mean standing in."""
    import captum.attr

    side = case.images.shape[-1]
    window, stride = round(side / 6), round(side / 12)
    method = captum.attr.Occlusion(case.subject.network)
    return case.one_by_one(
        lambda image, target: method.attribute(
            image, (1, window, window), (1, stride, stride), baselines=float(image.mean()), target=target
        ).sum(1)
    )


def captum_feature_ablation(case: Case) -> Tensor:
    """Return captum's on the same segments, the image's mean standing in."""
    import captum.attr

    method = captum.attr.FeatureAblation(case.subject.network)
    return case.one_by_one(
        lambda image, target: method.attribute(
            image, float(image.mean()), target=target, feature_mask=torch.from_numpy(segments_of(image[0]))[None, None]
        ).sum(1)
    )


def captum_deeplift_shap(case: Case) -> Tensor:
    """Return captum's on the same plain baselines."""
    import captum.attr

    spec = case.subject.spec
    shades = torch.linspace(spec.low, spec.high, 8)[:, None, None, None].expand(-1, *case.images.shape[1:])
    method = captum.attr.DeepLiftShap(copy.deepcopy(case.subject.network))
    found: Tensor = method.attribute(case.images.clone(), shades, target=case.targets)
    return found.sum(1)


def zennit(composite: Callable[[Tensor], Any], times_logit: bool = True) -> Callable[[Case], Tensor]:
    """Return zennit's relevance of the merged network; it hands out one unit a target, and ours the logit itself."""

    def maps(case: Case) -> Tensor:
        network, classes = merged(case.subject), len(case.subject.classes)
        with reference("zennit.attribution").Gradient(network, composite(case.images)) as attributor:
            logits, found = attributor(
                case.images.clone().requires_grad_(), torch.eye(classes, dtype=case.images.dtype)[case.targets]
            )
        share: Tensor = found.sum(1)
        return share * logits.gather(1, case.targets[:, None])[:, :, None].detach() if times_logit else share

    return maps


def zennit_composite(name: str) -> Callable[[Tensor], Any]:
    """Return a composite of zennit that takes no arguments."""
    return lambda _images: getattr(reference("zennit.composites"), name)()


def zennit_rules(convolution: str, dense: str, **settings: float) -> Callable[[Tensor], Any]:
    """Return a composite of two of zennit's rules."""

    def composite(_images: Tensor) -> Any:
        made, rules, types = (reference(f"zennit.{part}") for part in ("composites", "rules", "types"))
        pairs = ((types.Convolution, convolution), (nn.Linear, dense))
        layers = [
            (kind, getattr(rules, rule)(settings[rule])) if rule in settings else (kind, getattr(rules, rule)())
            for kind, rule in pairs
        ]
        return made.LayerMapComposite([*made.layer_map_base(), *layers])

    return composite


def zennit_box(images: Tensor) -> Any:
    """Return zennit's composite for pixels between black and white."""
    return reference("zennit.composites").EpsilonGammaBox(-torch.ones_like(images[:1]), torch.ones_like(images[:1]))


def grad_cam(name: str) -> Callable[[Case], Tensor]:
    """Return pytorch-grad-cam's map at the layer's own size, before it stretches it, enlarged as ours are."""

    def maps(case: Case) -> Tensor:
        package = reference("pytorch_grad_cam")
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        targets = [ClassifierOutputTarget(int(target)) for target in case.targets]
        network = copy.deepcopy(case.subject.network).requires_grad_()
        layer = network.get_submodule(case.subject.cam_layer)
        cam = getattr(package, name)(network, [layer])
        cam.forward(case.images.clone(), targets)
        activations, gradients = (
            [part.detach().numpy() for part in getattr(cam.activations_and_grads, kind)] or [None]
            for kind in ("activations", "gradients")
        )
        found = cam.get_cam_image(case.images, layer, targets, activations[0], gradients[0], False)
        return enlarged(torch.from_numpy(np.maximum(found, 0)), case.images)

    return maps


def component_cam(name: str, signed: bool = False) -> Callable[[Case], Tensor]:
    """Return pytorch-grad-cam's map of what a layer gave and of its gradients, without a sign where it has none."""

    def maps(case: Case) -> Tensor:
        cam = getattr(reference("pytorch_grad_cam"), name)(case.subject.network, [case.layer])
        parts = case.subject.layer_gradients(case.images, case.targets, case.subject.cam_layer)
        found = cam.get_cam_image(case.images, None, None, *(part.numpy() for part in parts), False)
        large = enlarged(torch.from_numpy(found), case.images)
        return large if signed else large.abs()

    return maps


def saliency(name: str, **settings: Any) -> Callable[[Case], Tensor]:
    """Return maps of a path of the saliency package."""

    def maps(case: Case) -> Tensor:
        core = reference("saliency.core")

        def one(image: Tensor, target: int) -> Tensor:
            def answer(batch: Any, call_model_args: object = None, expected_keys: object = None) -> dict[str, Any]:
                points = torch.from_numpy(np.asarray(batch)).to(image.dtype).permute(0, 3, 1, 2)
                found = case.subject.gradients(points, torch.full((len(points),), target))
                return {core.INPUT_OUTPUT_GRADIENTS: found.permute(0, 2, 3, 1).numpy()}

            picture = image[0].permute(1, 2, 0).numpy().astype(float)
            with _old_quantile():
                found = getattr(core, name)().GetMask(picture, answer, **settings)
            return torch.from_numpy(found.sum(-1))[None]

        return case.one_by_one(one)

    return maps


@contextmanager
def _old_quantile() -> Iterator[None]:
    """Give NumPy 2's quantile the keyword that the saliency package still uses."""
    quantile = np.quantile

    def renamed(*args: Any, **rest: Any) -> Any:
        return quantile(*args, method=rest.pop("interpolation", rest.pop("method", "linear")), **rest)

    np.quantile = renamed
    try:
        yield
    finally:
        np.quantile = quantile


def lime(case: Case) -> Tensor:
    """Return the lime package's weights, painted."""
    return torch.as_tensor(registered()["lime"](case.subject, case.images, case.targets))
