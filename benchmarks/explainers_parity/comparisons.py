"""Every comparison of an explainer with another implementation, and the table of them."""

from collections.abc import Sequence

import torch

from benchmarks.explainers_parity.networks import case
from benchmarks.explainers_parity.references import (
    captum,
    captum_deeplift_shap,
    captum_feature_ablation,
    captum_guided_grad_cam,
    captum_layer,
    captum_occlusion,
    component_cam,
    grad_cam,
    lime,
    saliency,
    zennit,
    zennit_box,
    zennit_composite,
    zennit_rules,
)
from benchmarks.explainers_parity.setup import COLUMNS, FACES, FITTED, IN_PART, SMOOTH, STABILIZED, Comparison

INF = float("inf")
RELUS = ("random", "fer2013-minixception")

COMPARISONS: tuple[Comparison, ...] = (
    Comparison("gradient", "captum", "Saliency", captum("Saliency", abs=False), note="signed"),
    Comparison("saliency", "captum", "Saliency", captum("Saliency", "largest")),
    Comparison("input-x-gradient", "captum", "InputXGradient", captum("InputXGradient")),
    Comparison("integrated-gradients", "captum", "IntegratedGradients",
               captum("IntegratedGradients", n_steps=32), IN_PART),
    Comparison("integrated-gradients-black", "captum", "IntegratedGradients",
               captum("IntegratedGradients", baselines=-1.0, n_steps=32), IN_PART),
    Comparison("internal-influence", "captum", "InternalInfluence",
               captum_layer("InternalInfluence", n_steps=16), IN_PART),
    Comparison("conductance", "captum", "LayerConductance",
               captum_layer("LayerConductance", n_steps=100, method="riemann_trapezoid"), method=0.1,
               settings={"steps": 25},
               note="25 steps and its 100: what is left is of the steps, some two of each"),
    Comparison("guided-backprop", "captum", "GuidedBackprop", captum("GuidedBackprop"), on=RELUS),
    Comparison("deconvnet", "captum", "Deconvolution", captum("Deconvolution"), on=RELUS),
    Comparison("guided-grad-cam", "captum", "GuidedGradCam", captum_guided_grad_cam, on=RELUS),
    Comparison("deeplift", "captum", "DeepLift", captum("DeepLift"), on=("random",)),
    Comparison("deeplift-shap", "captum", "DeepLiftShap", captum_deeplift_shap, method=2e-2, on=("random",),
               note="differences below 1e-6 have a slope of their own there, not here"),
    Comparison("grad-cam", "captum", "LayerGradCam", captum_layer("LayerGradCam", relu_attributions=True)),
    Comparison("occlusion", "captum", "Occlusion", captum_occlusion, IN_PART),
    Comparison("feature-ablation", "captum", "FeatureAblation", captum_feature_ablation),
    Comparison("guided-backprop", "zennit", "GuidedBackprop",
               zennit(zennit_composite("GuidedBackprop"), times_logit=False), on=("random",)),
    Comparison("lrp-epsilon", "zennit", "Epsilon", zennit(zennit_rules("Epsilon", "Epsilon", Epsilon=1e-3)),
               STABILIZED),
    Comparison("lrp-z-plus", "zennit", "EpsilonPlus", zennit(zennit_composite("EpsilonPlus")), STABILIZED),
    Comparison("lrp-gamma", "zennit", "Gamma", zennit(zennit_rules("Gamma", "Epsilon", Gamma=0.25)), STABILIZED),
    Comparison("lrp-epsilon-gamma-box", "zennit", "EpsilonGammaBox", zennit(zennit_box), STABILIZED),
    Comparison("lrp-epsilon-plus-flat", "zennit", "EpsilonPlusFlat",
               zennit(zennit_composite("EpsilonPlusFlat")), STABILIZED),
    Comparison("lrp-alpha2-beta1", "zennit", "EpsilonAlpha2Beta1",
               zennit(zennit_composite("EpsilonAlpha2Beta1")), STABILIZED),
    Comparison("grad-cam", "pytorch_grad_cam", "GradCAM", grad_cam("GradCAM")),
    Comparison("grad-cam-elementwise", "pytorch_grad_cam", "GradCAMElementWise",
               grad_cam("GradCAMElementWise")),
    Comparison("xgrad-cam", "pytorch_grad_cam", "XGradCAM", grad_cam("XGradCAM"), method=1e-3,
               note="theirs adds 1e-7 to each channel's total"),
    Comparison("layer-cam", "pytorch_grad_cam", "LayerCAM", grad_cam("LayerCAM")),
    Comparison("eigen-cam", "pytorch_grad_cam", "EigenCAM", component_cam("EigenCAM"), IN_PART,
               note="but for its sign", ours=torch.abs),
    Comparison("eigen-grad-cam", "pytorch_grad_cam", "EigenGradCAM", component_cam("EigenGradCAM"), IN_PART,
               note="but for its sign", ours=torch.abs),
    Comparison("kpca-cam", "pytorch_grad_cam", "KPCA_CAM", component_cam("KPCA_CAM"), IN_PART,
               note="but for its sign", ours=torch.abs),
    Comparison("seg-eigen-cam", "pytorch_grad_cam", "SegEigenCAM", component_cam("SegEigenCAM", signed=True), IN_PART),
    Comparison("guided-ig", "saliency", "GuidedIG",
               saliency("GuidedIG", x_steps=32, fraction=0.1, max_dist=0.1), on=(SMOOTH,),
               settings={"aside": 0.0}, note="without kinks, at which the paths would part"),
    Comparison("lime-fast", "lime", "LimeImageExplainer", lime, FITTED, precision=torch.float32),
    Comparison("guided-backprop", "captum", "GuidedBackprop", captum("GuidedBackprop"), method=INF, on=("faces-cnn",),
               note="theirs leaves leaky ReLUs alone and is the plain gradient"),
    Comparison("deconvnet", "captum", "Deconvolution", captum("Deconvolution"), method=INF, on=("faces-cnn",),
               note="theirs leaves leaky ReLUs alone and is the plain gradient"),
    Comparison("deeplift", "captum", "DeepLift", captum("DeepLift"), method=INF,
               on=("faces-cnn", "fer2013-minixception"),
               note="theirs does not add up where maxima follow activations or overlap"),
    Comparison("grad-cam-plus-plus", "pytorch_grad_cam", "GradCAMPlusPlus", grad_cam("GradCAMPlusPlus"), method=INF,
               note="theirs fades where gradients are small"),
)  # fmt: skip


def table(comparisons: tuple[Comparison, ...]) -> str:
    """Return comparisons as a markdown table."""
    titles = ["explainer", "reference", *COLUMNS, "single precision", "note"]
    rows = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for one in comparisons:
        cells = [_cell(one, [network], one.precision) for network in COLUMNS] + [_cell(one, COLUMNS, torch.float32)]
        rows.append(f"| {one.explainer} | {one.package} {one.name} | {' | '.join(cells)} | {one.note} |")
    return "\n".join(rows)


def _cell(one: Comparison, networks: Sequence[str], precision: torch.dtype) -> str:
    """Return the largest difference over some networks and all faces."""
    if not one.available():
        return "not installed"
    asked = [case(network, faces, precision) for network in networks if network in one.on for faces in FACES]
    found = [one.difference(made) for made in asked if made is not None]
    return f"{max(found):.1e}" if found else "not fetched" if asked else ""
