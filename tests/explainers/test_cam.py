from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from double_cases import CONDITIONING, EQUAL, SINGLE, network, pictures, subject
from explainer_cases import error, reference, target_logits
from torch import Tensor, nn

from harness.errors import UsageError
from harness.explainers import registered
from harness.explainers.cam import enlarged
from harness.networks.tiles import tiled
from harness.subject import InputSpec, Subject

EXPLAINERS = registered()
TARGETS = torch.tensor([0, 3, 4])
LAYER = "5"


@pytest.fixture(scope="module")
def of() -> Subject:
    return subject(network(), LAYER)


def their_map(name: str, made: nn.Sequential, images: Tensor, targets: list[Any] | None) -> Tensor:
    """Pytorch-grad-cam's map at the layer's own size, before it stretches it, and enlarged as ours are."""
    package = reference("pytorch_grad_cam")
    layer = made[int(LAYER)]
    cam = getattr(package, name)(made, [layer])
    cam.forward(images, targets) if name != "FinerCAM" else cam.forward(images, target_idx=None)
    inner = cam if name != "FinerCAM" else cam.base_cam
    activations = [a.detach().numpy() for a in inner.activations_and_grads.activations]
    gradients = [g.detach().numpy() for g in inner.activations_and_grads.gradients] or [None]
    found = inner.get_cam_image(images, layer, targets, activations[0], gradients[0], False)
    return enlarged(torch.from_numpy(np.maximum(found, 0)), images)


def class_targets(targets: Tensor) -> list[Any]:
    reference("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    return [ClassifierOutputTarget(int(target)) for target in targets]


def test_grad_cam_equals_captums(of: Subject) -> None:
    images = pictures()
    captum = LayerGradCam(of.network, of.layer(LAYER)).attribute(images, target=TARGETS, relu_attributions=True)
    assert error(EXPLAINERS["grad-cam"](of, images, TARGETS), enlarged(captum[:, 0].detach(), images)) < EQUAL


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("grad-cam", "GradCAM"),
        ("grad-cam-elementwise", "GradCAMElementWise"),
        ("xgrad-cam", "XGradCAM"),
        ("layer-cam", "LayerCAM"),
    ],
)
def test_map_equals_pytorch_grad_cams(of: Subject, name: str, theirs: str) -> None:
    images = pictures()
    found = EXPLAINERS[name](of, images, TARGETS)
    close = EQUAL
    if name == "xgrad-cam":
        totals = of.activations(images, [LAYER])[LAYER].sum((2, 3))
        # Theirs adds 1e-7 to each channel's total, and channels of either sign are added up.
        close += CONDITIONING * 1e-7 / float(totals[totals > 0].min())
    assert error(found, their_map(theirs, network(), images, class_targets(TARGETS))) < close


def test_hires_cam_equals_pytorch_grad_cams_where_that_one_is_not_cut_off(of: Subject) -> None:
    images = pictures()
    of_maps = of.layer_gradients(images, TARGETS, LAYER)
    signed = enlarged((of_maps[0] * of_maps[1]).sum(1), images)
    found = EXPLAINERS["hires-cam"](of, images, TARGETS)
    assert error(found, signed) < EQUAL
    assert found.min() < 0


def test_grad_cam_plus_plus_equals_pytorch_grad_cams_where_gradients_are_large() -> None:
    steep = network()
    with torch.no_grad():
        steep[9].weight.mul_(1000)
    of, images = subject(steep, LAYER), pictures()
    found = EXPLAINERS["grad-cam-plus-plus"](of, images, TARGETS)
    # Theirs adds 1e-6 to denominators that grow with the square of gradients: here of the order of a thousand.
    assert error(found, their_map("GradCAMPlusPlus", steep, images, class_targets(TARGETS))) < 1e-5


def test_pytorch_grad_cams_plus_plus_fades_where_gradients_are_small_and_ours_does_not() -> None:
    images, found = pictures(), {}
    for factor in (1.0, 1e-3):
        flat = network()
        with torch.no_grad():
            flat[9].weight.mul_(factor)
        of = subject(flat, LAYER)
        found[factor] = (
            EXPLAINERS["grad-cam-plus-plus"](of, images, TARGETS).max() / factor,
            their_map("GradCAMPlusPlus", flat, images, class_targets(TARGETS)).max() / factor,
        )
    # Weights of g / (2 + sum g) grow as g where g is small.
    ours, theirs = (float(found[1e-3][k] / found[1.0][k]) for k in (0, 1))
    assert ours > 0.5
    assert theirs < 0.5


def test_eigen_cam_equals_pytorch_grad_cams_but_for_its_sign(of: Subject) -> None:
    package = reference("pytorch_grad_cam")
    images = pictures()
    activations = of.activations(images, [LAYER])[LAYER].numpy()
    cam = package.EigenCAM(of.network, [of.layer(LAYER)])
    theirs = enlarged(torch.from_numpy(cam.get_cam_image(images, None, None, activations, None, False)), images)
    found = EXPLAINERS["eigen-cam"](of, images, TARGETS)
    # The package hands its projections out in single precision.
    assert error(found.abs(), theirs.abs()) < SINGLE


def test_eigen_cam_is_high_where_channels_are(of: Subject) -> None:
    images = pictures()
    strength = enlarged(of.activations(images, [LAYER])[LAYER].mean(1), images)
    for found, level in zip(EXPLAINERS["eigen-cam"](of, images, TARGETS), strength, strict=True):
        assert torch.corrcoef(torch.stack([found.flatten(), level.flatten()]))[0, 1] > 0


def test_finer_cam_is_finite_where_the_rivals_have_no_probability_left() -> None:
    """Logits so far apart that the probabilities of all but one are zero in single precision."""
    network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), Far())
    made = Subject(network, name="far", classes="abc", spec=InputSpec(12, 12), cam_layer="1")
    images = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    target = made.logits(images).argmax(1)
    assert made.probabilities(images).sort().values[0, :2].eq(0).all()
    assert np.isfinite(np.asarray(EXPLAINERS["finer-cam"](made, images, target))).all()


class Far(nn.Module):
    """Logits a thousand apart."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.tensor([0.0, 1000.0, 2000.0])


def test_finer_cam_equals_pytorch_grad_cams_for_the_predicted_class(of: Subject) -> None:
    images = pictures()
    predicted = of.logits(images).argmax(1)
    found = EXPLAINERS["finer-cam"](of, images, predicted)
    # Theirs adds 1e-9 to the probability of the other classes, by which both divide, once and squared.
    theirs_adds = 10 * 1e-9 / float((1 - of.probabilities(images).amax(1)).min())
    assert error(found, their_map("FinerCAM", network(), images, None)) < EQUAL + theirs_adds


def test_shapley_cam_equals_pytorch_grad_cams_for_the_score_of_its_paper() -> None:
    package = reference("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputReST

    images = pictures()
    of = subject(network(), LAYER)
    thawed = network().requires_grad_()
    cam = package.ShapleyCAM(thawed, [thawed[5]])
    weights = {}

    def keep(*args: Any) -> np.ndarray:
        weights["found"] = package.ShapleyCAM.get_cam_weights(cam, *args)
        weights["maps"] = args[3].detach()
        return weights["found"]  # type: ignore[no-any-return]

    cam.get_cam_weights = keep
    cam(images, [ClassifierOutputReST(int(target)) for target in TARGETS])
    combined = (torch.from_numpy(weights["found"])[:, :, None, None] * weights["maps"]).sum(1).relu()
    assert error(EXPLAINERS["shapley-cam"](of, images, TARGETS), enlarged(combined, images)) < EQUAL


def test_shapley_cam_of_small_probability_differs_from_grad_cam(of: Subject) -> None:
    images = pictures()
    found = (EXPLAINERS[name](of, images, TARGETS) for name in ("shapley-cam", "grad-cam"))
    assert not torch.allclose(*(m / m.amax((1, 2), keepdim=True).clamp(min=1e-9) for m in found), atol=1e-3)


def test_ablation_cam_weights_channels_by_the_fall_of_the_logit(of: Subject) -> None:
    images = pictures(1)
    maps = of.activations(images, [LAYER])[LAYER]
    rest = of.network[6:]
    falls = []
    for channel in range(maps.shape[1]):
        without = maps.clone()
        without[:, channel] = 0
        falls.append((rest(maps) - rest(without))[0, 3])
    expected = enlarged((torch.stack(falls)[None, :, None, None] * maps).sum(1).relu(), images)
    assert error(EXPLAINERS["ablation-cam"](of, images, torch.tensor([3])), expected) < EQUAL


def test_score_cam_weights_channels_by_the_logit_of_what_they_show(of: Subject) -> None:
    images = pictures(1)
    maps = of.activations(images, [LAYER])[LAYER]
    large = nn.functional.interpolate(maps, (16, 16), mode="bilinear", align_corners=False)[0]
    span = large.amax((1, 2)) - large.amin((1, 2))
    shown = torch.nan_to_num((large - large.amin((1, 2))[:, None, None]) / span[:, None, None])
    weights = of.logits(images * shown[:, None])[:, 3].softmax(0)
    expected = enlarged((weights[None, :, None, None] * maps).sum(1).relu(), images)
    assert error(EXPLAINERS["score-cam"](of, images, torch.tensor([3])), expected) < EQUAL


def test_cam_of_a_network_with_an_average_is_its_dense_weights_on_the_maps() -> None:
    images = pictures()
    pooled = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
    of = subject(pooled, "1")
    maps = of.activations(images, ["1"])["1"]
    expected = torch.einsum("nk,nkyx->nyx", pooled[4].weight[TARGETS].detach(), maps) / maps[0, 0].numel()
    assert error(EXPLAINERS["cam"](of, images, TARGETS), enlarged(expected, images)) < EQUAL


def test_cam_of_a_network_without_an_average_is_an_error(of: Subject) -> None:
    with pytest.raises(UsageError, match="use grad-cam"):
        EXPLAINERS["cam"](of, pictures(), TARGETS)


def test_cam_layer_that_gives_no_picture_is_an_error() -> None:
    with pytest.raises(UsageError, match="name a convolution"):
        EXPLAINERS["grad-cam"](subject(network(), "9"), pictures(), TARGETS)


def test_layer_maps_are_asked_for_once_by_the_family() -> None:
    fresh, images = subject(network(), LAYER), pictures()
    for name in ("grad-cam", "grad-cam-plus-plus", "hires-cam", "xgrad-cam", "layer-cam", "grad-cam-elementwise"):
        EXPLAINERS[name](fresh, images, TARGETS)
    assert fresh.passes.backward == len(images)


def test_contrastive_grad_cam_explains_the_lead_over_the_next_class(of: Subject) -> None:
    images = pictures()
    logits = of.logits(images)
    rival = logits.scatter(1, TARGETS[:, None], -torch.inf).argmax(1)
    maps, gradients = of.layer_gradients(images, TARGETS, LAYER)
    lead = gradients - of.layer_gradients(images, rival, LAYER)[1]
    expected = enlarged((lead.mean((2, 3), keepdim=True) * maps).sum(1).relu(), images)
    assert torch.equal(EXPLAINERS["contrastive-grad-cam"](of, images, TARGETS), expected)


def test_contrastive_integrated_gradients_add_up_to_the_rise_of_the_lead(of: Subject) -> None:
    images, blank = pictures(), torch.zeros(3, 1, 16, 16, dtype=torch.float64)
    rival = of.logits(images).scatter(1, TARGETS[:, None], -torch.inf).argmax(1)
    lead = [target_logits(of, x, TARGETS) - target_logits(of, x, rival) for x in (images, blank)]
    found = EXPLAINERS["contrastive-integrated-gradients"](of, images, TARGETS, steps=200).sum((1, 2))
    assert error(found, lead[0] - lead[1]) < 2e-3  # measured 5e-4: a network of pieces


# ---------------------------------------------------------------------- a layer that gives no one picture an image

READERS = [
    *(name for name, made in EXPLAINERS.items() if made.facts.family == "cam"),
    *("guided-grad-cam", "conductance", "internal-influence", "crp"),
]


class Reused(nn.Module):
    """Runs one convolution and one ReLU twice: a map made of the first run alone would be another layer's."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.read = nn.ReLU(), nn.Linear(4, 5)

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.again(self.first(images)))
        return self.read(self.relu(self.again(x)).mean((2, 3)))


def test_every_method_that_reads_the_layer_is_asked() -> None:
    assert {"cam", "grad-cam", "eigen-cam", "score-cam", "ablation-cam", "shapley-cam", "finer-cam"} <= set(READERS)


@pytest.mark.parametrize("name", READERS)
def test_a_layer_that_runs_twice_is_refused_in_one_line_with_its_name_and_runs(name: str) -> None:
    made = Subject(Reused(), name="reused", classes="abcde", spec=InputSpec(12, 12), cam_layer="relu")
    images = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    with pytest.raises(UsageError, match="layer 'relu' of 'reused' runs 2 times a pass") as raised:
        EXPLAINERS[name](made, images, TARGETS)
    assert "\n" not in str(raised.value)


def test_full_grad_refuses_a_convolution_that_runs_twice() -> None:
    made = Subject(Reused(), name="reused", classes="abcde", spec=InputSpec(12, 12), cam_layer="first")
    images = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    with pytest.raises(UsageError, match="a layer of 'reused' runs several times a pass"):
        EXPLAINERS["full-grad"](made, images, TARGETS)


@pytest.mark.parametrize("name", [*READERS, "full-grad"])
def test_a_network_that_reads_tiles_is_refused(name: str) -> None:
    plain = Subject(
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)),
        name="plain",
        classes="abcde",
        spec=InputSpec(6, 6),
    )
    made = tiled(plain, torch.tensor([1.0, 0.5, -1.0, 0.0]))
    images = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    with pytest.raises(UsageError, match=r"of 'plain \(tiles\)' gives"):
        EXPLAINERS[name](made, images, TARGETS)
