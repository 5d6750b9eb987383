"""Compare the explainers with captum, lime, zennit, pytorch-grad-cam and saliency on real networks and faces.

``python benchmarks/explainers_parity.py`` prints a markdown table: explainer, reference, and for each network the
largest difference over rendered faces and photographs, as a share of the reference's largest value; then the same where
a difference is meant, with the reason. Networks run in double precision, and in single for the last column: there a
unit that rounding puts on the other side of its kink, or a sum that cancels, moves a map that is otherwise the same.
What two may differ by follows from the arithmetic (`Comparison.within`), not from what one processor showed.
A network or package that is not there is left out and said so.
"""

import copy
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from harness.explainers import registered
from harness.explainers._segments import segments_of
from harness.explainers.cam import enlarged
from harness.explainers.relevance import STABILIZER
from harness.faces.loading import load_faces
from harness.fetching import cache_folder
from harness.models.loading import load_subject
from harness.models.minixception import Block
from harness.rounding import rounding
from harness.subject import InputSpec, Subject

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "explainers"))
from explainer_cases import drawn, error, reference

NETWORKS = ("random", "faces-cnn", "fer2013-minixception")
SMOOTH = "smooth"
COLUMNS = (*NETWORKS, SMOOTH)
FACES = ("rendered", "orl")
IMAGES = 2


@dataclass(frozen=True)
class Case:
    """A network, a few faces, and a target for each that differs from the next."""

    subject: Subject
    images: Tensor
    targets: Tensor

    @property
    def operations(self) -> int:
        """Operations from picture to map: up through the fan-ins of all layers, down again, and over all pixels."""
        weights = (one for one in self.subject.network.parameters() if one.ndim > 1)
        return 2 * sum(one[0].numel() for one in weights) + 3 * self.images[0, 0].numel()

    @property
    def layer(self) -> nn.Module:
        """The module that class activation maps read."""
        return self.subject.layer(self.subject.cam_layer)

    def one_by_one(self, theirs: Callable[[Tensor, int], Tensor]) -> Tensor:
        """Return the maps (n, h, w) of a reference that takes one image (1, c, h, w) at a time."""
        pairs = zip(torch.split(self.images, 1), self.targets.tolist(), strict=True)
        return torch.cat([theirs(image, target) for image, target in pairs])


@dataclass(frozen=True)
class Arithmetic:
    """What rounding may do to a comparison.

    Attributes
    ----------
    dtype
        The type in which the coarser of the two keeps what it computes.
    conditioning
        How much a relative error in what is added may grow. By default a hundredfold: weights and pictures have both
        signs, and sums of them cancel to a hundredth.
    operations
        In the longest chain; those of the whole network where None.
    """

    dtype: torch.dtype = torch.float64
    conditioning: float = 100.0
    operations: int | None = None

    def slack(self, case: Case) -> float:
        """Return how far equal maps may lie apart, as a share of the largest value."""
        return rounding(self.dtype, self.operations or case.operations, conditioning=self.conditioning)


THROUGHOUT = Arithmetic()
"""Both in double precision throughout."""
IN_PART = Arithmetic(torch.float32, conditioning=10.0, operations=4)
"""Theirs keeps a factor of the map in single precision: captum the weights of its quadrature and of its windows,
pytorch-grad-cam its projections. A few operations, and one layer of cancellation between them and the map."""
STABILIZED = Arithmetic(conditioning=1 / STABILIZER)
"""Both divide by outputs that are kept from 0 by as little as the stabilizer."""
FITTED = Arithmetic(torch.float32, conditioning=1.0, operations=1000)
"""A weighted least-squares fit to a thousand probabilities in single precision, conditioned well by a penalty of 1."""


@dataclass(frozen=True)
class Comparison:
    """One explainer, what it is held against, and where.

    Attributes
    ----------
    explainer, package, name
        Ours, theirs, and what they call it.
    theirs
        Their maps.
    arithmetic
        What rounding may do to it.
    method
        What the two differ by on purpose beside rounding, argued in the note; infinite where nothing bounds it.
    on
        Networks on which the two mean the same.
    settings
        Of ours, where not the default ones.
    note
        How they were brought to one form, or why they differ.
    ours
        What is made of our map before it is compared.
    precision
        That the networks run in.
    """

    explainer: str
    package: str
    name: str
    theirs: Callable[[Case], Tensor]
    arithmetic: Arithmetic = THROUGHOUT
    method: float = 0.0
    on: tuple[str, ...] = NETWORKS
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    ours: Callable[[Tensor], Tensor] = lambda maps: maps
    precision: torch.dtype = torch.float64

    @property
    def id(self) -> str:
        """The comparison's name."""
        return f"{self.explainer}-{self.package}"

    def available(self) -> bool:
        """Say whether the reference is installed."""
        return find_spec(self.package) is not None

    def within(self, case: Case) -> float:
        """Return how far the two may lie apart, as a share of the reference's largest value."""
        return self.method + self.arithmetic.slack(case)

    def difference(self, case: Case) -> float:
        """Return the largest difference as a share of the reference's largest value."""
        with quiet():
            theirs = self.theirs(case).detach()
            found = registered()[self.explainer](case.subject, case.images, case.targets, **self.settings)
        return float(error(self.ours(torch.as_tensor(found)), theirs))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# ---------------------------------------------------------------------- networks and faces


def random_network() -> Subject:
    """Return a network of drawn weights on 48 x 48 pixels, no maximum of which meets a ReLU."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers: tuple[nn.Module, ...] = (
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3),
            nn.MaxPool2d(2),
        )
        layers += (nn.Conv2d(8, 12, 3, groups=2), nn.ReLU(), nn.AvgPool2d(3), nn.Flatten())
        made = nn.Sequential(*layers, nn.Linear(12 * 49, 7)).eval()
        drawn(made[1])
    with torch.no_grad():
        next(made[9].parameters()).mul_(8)
    classes = load_subject("faces-cnn").classes
    return Subject(made, name="random", classes=classes, spec=InputSpec(48, 48), cam_layer="6")


def smooth_network() -> Subject:
    """Return a network of drawn weights on 48 x 48 pixels without a kink.

    Guided paths choose at every step which pixels move, by the size of their gradients. Where a ReLU or a maximum turns
    over, gradients jump, so that the last bit of a point decides what is chosen from there on and two right paths part.
    Here gradients move as little as the point does.
    """
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layers = (nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(4), nn.Conv2d(6, 8, 3), nn.Softplus(), nn.Flatten())
        made = nn.Sequential(*layers, nn.Linear(8 * 81, 7)).eval()
    return Subject(made, name=SMOOTH, classes=load_subject("faces-cnn").classes, spec=InputSpec(48, 48), cam_layer="3")


DRAWN = {"random": random_network, SMOOTH: smooth_network}


@cache
def case(network: str, faces: str, precision: torch.dtype = torch.float64) -> Case | None:
    """Return a network on some faces; None where one of them was not fetched."""
    needed = {"fer2013-minixception", "orl"} & {network, faces}
    if not all((cache_folder() / name).is_dir() for name in needed):
        return None
    subject = DRAWN[network]() if network in DRAWN else load_subject(network)
    pictures = load_faces(faces).images
    images = subject.prepare(pictures[:: len(pictures) // IMAGES][:IMAGES])
    targets = subject.logits(images).argmax(1)
    targets[1:] = (targets[0] + torch.arange(1, IMAGES)) % len(subject.classes)
    subject.network.to(precision)
    return Case(subject, images.to(precision), targets)


class SummedByModule(nn.Module):
    """A block of mini-XCEPTION without batch normalisation whose sum is a module, as zennit needs."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.way = nn.Sequential(_merged(block.separable1, block.norm1), block.act1)
        self.way.extend([_merged(block.separable2, block.norm2), block.pool])
        self.shortcut = fuse_conv_bn_eval(block.shortcut, block.shortcut_norm)
        self.sum = reference("zennit.layer").Sum()

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways."""
        total: Tensor = self.sum(torch.stack([self.way(x), self.shortcut(x)], -1))
        return total


def _merged(separable: Any, norm: Any) -> nn.Sequential:
    """Return a separable convolution with the batch normalisation after it merged in."""
    depthwise, pointwise = separable.children()
    return nn.Sequential(depthwise, fuse_conv_bn_eval(pointwise, norm))


def _fused(convolution: Any, norm: Any) -> nn.Module:
    """Return a convolution with the batch normalisation after it merged in."""
    made: nn.Module = fuse_conv_bn_eval(convolution, norm)
    return made


def merged(subject: Subject) -> nn.Module:
    """Return the network with every batch normalisation merged into the convolution before it."""
    network = copy.deepcopy(subject.network)
    if subject.name == "random":
        assert isinstance(network, nn.Sequential)
        first, second, *others = network
        return nn.Sequential(_fused(first, second), *others)
    if subject.name == "fer2013-minixception":
        n: Any = network
        first, second = fuse_conv_bn_eval(n.conv1, n.norm1), fuse_conv_bn_eval(n.conv2, n.norm2)
        blocks = [SummedByModule(block) for block in n.blocks]
        return nn.Sequential(first, n.act1, second, n.act2, *blocks, n.head, n.average, n.flatten).eval()
    return network


# ---------------------------------------------------------------------- asking the references


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


def eigen_cam(case: Case) -> Tensor:
    """Return pytorch-grad-cam's first component without a sign of its own."""
    package = reference("pytorch_grad_cam")
    layer = case.subject.cam_layer
    activations = case.subject.activations(case.images, [layer])[layer].numpy()
    cam = package.EigenCAM(case.subject.network, [case.layer])
    found = cam.get_cam_image(case.images, None, None, activations, None, False)
    return enlarged(torch.from_numpy(found), case.images).abs()


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


# ---------------------------------------------------------------------- the comparisons

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
    Comparison("eigen-cam", "pytorch_grad_cam", "EigenCAM", eigen_cam, IN_PART, note="but for its sign",
               ours=torch.abs),
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


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("largest difference, as a share of the reference's largest value\n")
    print(table(tuple(one for one in COMPARISONS if one.method < INF)))
    print("\ndifferent on purpose\n")
    print(table(tuple(one for one in COMPARISONS if one.method == INF)))
