"""Small networks of the package timm, and one of torchvision's with heads beside its own, for ``architectures.py``."""

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

OPERATORS = (
    "nms(Tensor boxes, Tensor scores, float threshold) -> Tensor",
    "qnms(Tensor a, Tensor b, float c) -> Tensor",
)
"""Of torchvision, that it describes to torch on import: where its compiled part does not load, as a build for graphics
cards does not beside a torch for processors, they have to be known by name. No classifier runs them."""
MOVED = 0.1
"""Standard deviation of what is added to weights that a package begins with as one number: a head of zeros, or a block
that begins as what comes in, says nothing of a trained one."""


@dataclass(frozen=True)
class Timm:
    """A network of the package: the name under which it is made, or ``module:Class``, and what makes it small."""

    called: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    side: int = 64
    package: str = "timm"

    def made(self, classes: int, seed: int) -> nn.Module:
        """Return a network of it with weights drawn from the seed, which answers with logits."""
        declare_operators()
        torch.manual_seed(seed)
        package: Any = importlib.import_module(self.package)
        module, _, name = self.called.partition(":")
        if name:
            network = getattr(importlib.import_module(f"{self.package}.{module}"), name)(
                num_classes=classes, **self.settings
            )
        else:
            network = package.create_model(module, num_classes=classes, **self.settings)
        return moved(network)


def moved(network: nn.Module) -> nn.Module:
    """Return a network, in evaluation, whose weights are nowhere one number throughout."""
    for weight in network.parameters():
        if weight.numel() > 1 and bool((weight == weight.flatten()[0]).all()):
            weight.data.add_(MOVED * torch.randn_like(weight))
    return network.eval()


def declare_operators() -> None:
    """Make torchvision importable where it is there and its compiled part does not load.

    Whoever imports it first, transformers among them, needs that.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        _LIBRARY.append(torch.library.Library("torchvision", "FRAGMENT"))  # type: ignore[no-untyped-call]
        for operator in OPERATORS:
            _LIBRARY[-1].define(operator)
        importlib.import_module("torchvision")


_LIBRARY: list[Any] = []
"""What torch forgets once nobody holds it."""

NARROW = {"layers": (1, 1, 1, 1), "channels": (8, 12, 16, 24), "stem_width": 8}
PATCHED = {"img_size": 64, "embed_dim": 24, "depth": 2, "num_heads": 2}
WINDOWED = {"img_size": 64, "embed_dim": 8, "num_heads": (1, 2), "depths": (1, 1), "window_size": 4}
MIXED = {"img_size": 64, "patch_size": 16, "num_blocks": 2, "embed_dim": 24}

MORE: Mapping[str, Timm] = {
    "timm-resnet": Timm("resnet18", NARROW),
    "timm-resnext": Timm("resnext50_32x4d", {**NARROW, "cardinality": 4, "base_width": 16}),
    "timm-se-resnet": Timm("seresnet18", {**NARROW, "channels": (8, 12, 16, 32)}),
    "timm-sk-resnet": Timm("skresnet18", {**NARROW, "channels": (16, 16, 16, 32)}),
    "timm-res2net": Timm("res2net50_26w_4s", {**NARROW, "channels": (16, 16, 16, 16)}),
    "timm-resnest": Timm("resnest14d", {**NARROW, "channels": (8, 8, 16, 16)}),
    "timm-densenet": Timm("densenet121", {"growth_rate": 8, "block_config": (1, 1, 2, 2)}),
    "timm-vgg": Timm("models.vgg:VGG", {"cfg": [8, "M", 16, "M", 24, "M", 24, "M"]}),
    "timm-efficientnet": Timm("test_efficientnet"),
    "timm-mobilenet-v3": Timm("mobilenetv3_small_050"),
    "timm-ghostnet": Timm("ghostnet_050"),
    "timm-convnext": Timm("test_convnext"),
    "timm-convmixer": Timm("models.convmixer:ConvMixer", {"dim": 16, "depth": 2, "kernel_size": 5, "patch_size": 8}),
    "timm-nfnet": Timm("test_nfnet"),
    "timm-dla": Timm("dla34", {"channels": (4, 4, 8, 8, 16, 16)}),
    "timm-edgenext": Timm("edgenext_xx_small"),
    "timm-mambaout": Timm("test_mambaout"),
    "timm-davit": Timm("davit_tiny", {"depths": (1, 1, 1, 1), "embed_dims": (8, 8, 16, 16), "num_heads": (1, 1, 2, 2)}),
    "timm-mixer": Timm("models.mlp_mixer:MlpMixer", MIXED),
    "timm-vit": Timm("vit_tiny_patch16_224", PATCHED),
    "timm-vit-relpos": Timm("vit_relpos_small_patch16_224", PATCHED),
    "timm-deit3": Timm("deit3_small_patch16_224", PATCHED),
    "timm-beit": Timm("beit_base_patch16_224", PATCHED),
    "timm-eva": Timm("eva02_tiny_patch14_224", {**PATCHED, "patch_size": 16}),
    "timm-cait": Timm("cait_xxs24_224", PATCHED),
    "timm-xcit": Timm("xcit_nano_12_p16_224", PATCHED),
    "timm-convit": Timm("convit_tiny", {**PATCHED, "depth": 3, "local_up_to_layer": 1}),
    "timm-swin": Timm("swin_tiny_patch4_window7_224", WINDOWED),
    "timm-swin-v2": Timm("swinv2_tiny_window8_256", WINDOWED),
    "timm-hiera": Timm(
        "hiera_tiny_224", {"img_size": (128, 128), "embed_dim": 8, "num_heads": 1, "stages": (1, 1, 1, 1)}, 128
    ),
    "timm-coat": Timm(
        "coat_lite_tiny", {"img_size": 64, "embed_dims": (16, 16, 16, 16), "serial_depths": (1, 1, 1, 2)}
    ),
    "timm-maxvit": Timm("test_maxvit", {"img_size": 64}),
    "timm-coatnet": Timm("test_coatnet", {"img_size": 64}),
    "timm-twins": Timm(
        "twins_svt_small",
        {"img_size": 64, "embed_dims": (8, 8, 16, 16), "num_heads": (1, 1, 2, 2), "depths": (1, 1, 1, 2)},
    ),
    "timm-visformer": Timm("visformer_tiny", {"img_size": 64, "embed_dim": 48, "depth": (1, 1, 1), "num_heads": 2}),
    "timm-pit": Timm(
        "models.pit:PoolingVisionTransformer",
        {"img_size": 64, "patch_size": 16, "stride": 8, "stem_type": "overlap", "base_dims": (8, 8, 8),
         "depth": (1, 1, 2), "heads": (1, 2, 4), "mlp_ratio": 2},
    ),
    "timm-tnt": Timm("tnt_s_legacy_patch16_224", {"img_size": 64, "embed_dim": 24, "depth": 2}),
    "timm-crossvit": Timm(
        "models.crossvit:CrossVit",
        {"img_size": 64, "img_scale": (1.0, 1.0), "patch_size": (8, 16), "embed_dim": (16, 24),
         "depth": ((1, 2, 0), (1, 2, 0)), "num_heads": (2, 2), "mlp_ratio": (2, 2, 1)},
    ),
    "torchvision-googlenet": Timm(
        "models:GoogLeNet", {"aux_logits": True, "init_weights": False}, package="torchvision"
    ),
}  # fmt: skip
