"""Put every explainer to every architecture: which layer is chosen, who runs, who refuses and why.

``python benchmarks/architectures.py`` makes a small network of random weights, drawn from a seed, of each architecture
of the packages ``transformers`` and ``timm`` (and one of ``torchvision``), has every method explain two pictures, and
writes ``docs/architectures.md``. Budgets are small: asked is whether a method runs, not how good its map is. A refusal
is one line of this project; anything else that is raised, and what is no map, is a defect, is printed, and ends the
command with status 1, as does a layer that is a patch embedding, a shortcut, or one that something of the picture gets
around. ``--only NAME`` and ``--method NAME`` (repeatable) limit it, and then no page is written; what every method was
found to do is kept in ``--results`` and used again while packages, methods, the way to the layer and the architecture's
settings are the same.
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from benchmarks.more_architectures import MORE, declare_operators
from harness.digest import digest
from harness.errors import ExplainerFault, HarnessError
from harness.explainers import Explainer, registered
from harness.explainers.asked import load_entry_points
from harness.subject import InputSpec, Subject, everything_passes, map_fault
from harness.subject import __file__ as subject_code

PAGE = Path(__file__).parents[1] / "docs" / "architectures.md"
RESULTS = Path("results") / "architectures"
CLASSES = ("ant", "bee", "cat", "dog", "elk")
SIDE, PICTURES, SEED = 64, 2, 0
BUDGETS: Mapping[str, Any] = {
    "steps": 3, "samples": 12, "segments": 6, "masks": 12, "pairs": 1, "baselines": 2, "side": 2, "window": 0.5,
    "stride": 0.5,
}  # fmt: skip
"""What a method may spend, by the name of its setting."""
SUSPECT = re.compile(r"embed|shortcut|downsample|residual_conv|skip", re.IGNORECASE)
"""Words in the name of a layer that is no late map."""

Settings = Mapping[str, Any]


class Made(Protocol):
    """What can be made into a network."""

    @property
    def side(self) -> int:
        """Of its pictures, in pixels."""

    @property
    def package(self) -> str:
        """Which has to be installed."""

    def made(self, classes: int, seed: int) -> nn.Module:
        """Return a network with weights drawn from the seed, which answers with logits."""


@dataclass(frozen=True)
class Architecture:
    """An architecture of the package transformers: the stem of its classes' names, what makes it small."""

    stem: str
    settings: Settings = field(default_factory=dict)
    model: str = "ForImageClassification"
    side: int = SIDE
    package: ClassVar[str] = "transformers"

    def made(self, classes: int, seed: int) -> nn.Module:
        """Return a network of it with weights drawn from the seed, which answers with logits."""
        declare_operators()
        package: Any = importlib.import_module("transformers")
        torch.manual_seed(seed)
        config = getattr(package, f"{self.stem}Config")(num_labels=classes, **self.settings)
        network = getattr(package, f"{self.stem}{self.model}")(config)
        return WithTexts(network) if self.model.endswith("Projection") else Logits(network)


class Logits(nn.Module):
    """A network of the package, of whose answer the logits are taken."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        """Return one logit a class."""
        logits: Tensor = self.network(pixel_values=pictures).logits
        return logits


class WithTexts(nn.Module):
    """An image tower whose classes are texts: the logits are likenesses to the texts' features, which are drawn."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        width = network.config.projection_dim  # type: ignore[union-attr]
        self.register_buffer("texts", nn.functional.normalize(torch.randn(len(CLASSES), width), dim=1))  # type: ignore[arg-type]

    def forward(self, pictures: Tensor) -> Tensor:
        """Return one logit a class."""
        features = nn.functional.normalize(self.network(pixel_values=pictures).image_embeds, dim=1)
        logits: Tensor = 10 * features @ self.texts.T  # type: ignore[operator]
        return logits


TINY = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
PATCHED = {**TINY, "image_size": SIDE, "patch_size": 16}
STAGED = {"hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1]}
WINDOWED = {
    "image_size": SIDE,
    "patch_size": 4,
    "embed_dim": 8,
    "depths": [1, 1],
    "num_heads": [1, 2],
    "window_size": 4,
}

OF_TRANSFORMERS: Mapping[str, Architecture] = {
    "resnet": Architecture("ResNet", {**STAGED, "embedding_size": 8, "layer_type": "basic"}),
    "resnet-bottleneck": Architecture("ResNet", {**STAGED, "embedding_size": 8, "layer_type": "bottleneck"}),
    "regnet": Architecture("RegNet", {**STAGED, "embedding_size": 8, "groups_width": 4}),
    "bit": Architecture("Bit", {**STAGED, "hidden_sizes": [8, 16, 16, 32], "embedding_size": 8, "num_groups": 4}),
    "convnext": Architecture("ConvNext", {**STAGED, "image_size": SIDE}),
    "convnext-v2": Architecture("ConvNextV2", {**STAGED, "image_size": SIDE}),
    "mobilenet-v1": Architecture("MobileNetV1", {"image_size": SIDE, "depth_multiplier": 0.25, "min_depth": 4}),
    "mobilenet-v2": Architecture("MobileNetV2", {"image_size": SIDE, "depth_multiplier": 0.25, "min_depth": 4}),
    "mobilevit": Architecture(
        "MobileViT",
        {"image_size": SIDE, "hidden_sizes": [16, 20, 24], "neck_hidden_sizes": [8, 8, 12, 12, 16, 16, 24],
         "num_attention_heads": 2},
    ),
    "mobilevit-v2": Architecture("MobileViTV2", {"image_size": SIDE, "width_multiplier": 0.25}),
    "efficientnet": Architecture(
        "EfficientNet",
        {"image_size": SIDE, "width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320},
    ),
    "poolformer": Architecture("PoolFormer", STAGED),
    "swiftformer": Architecture(
        "SwiftFormer", {"image_size": SIDE, "depths": [1, 1, 1, 1], "embed_dims": [8, 12, 16, 24]}
    ),
    "focalnet": Architecture(
        "FocalNet",
        {"image_size": SIDE, "embed_dim": 8, "depths": [1, 1], "hidden_sizes": [8, 16], "focal_levels": [2, 2],
         "focal_windows": [3, 3]},
    ),
    "vit": Architecture("ViT", PATCHED),
    "deit": Architecture("DeiT", PATCHED),
    "deit-two-heads": Architecture("DeiT", PATCHED, "ForImageClassificationWithTeacher"),
    "vit-msn": Architecture("ViTMSN", PATCHED),
    "beit": Architecture("Beit", {**PATCHED, "use_relative_position_bias": True}),
    "data2vec": Architecture("Data2VecVision", PATCHED),
    "dinov2": Architecture("Dinov2", {**TINY, "image_size": SIDE, "patch_size": 16, "mlp_ratio": 2}),
    "dinov2-registers": Architecture(
        "Dinov2WithRegisters", {**TINY, "image_size": SIDE, "patch_size": 16, "mlp_ratio": 2, "num_register_tokens": 4}
    ),
    "siglip": Architecture("Siglip", {"vision_config": PATCHED, "text_config": {**TINY, "vocab_size": 32}}),
    "clip-head": Architecture(
        "CLIP", {"vision_config": PATCHED, "text_config": {**TINY, "vocab_size": 32}}
    ),
    "clip-texts": Architecture("CLIPVision", {**PATCHED, "projection_dim": 16}, "ModelWithProjection"),
    "swin": Architecture("Swin", WINDOWED),
    "swin-v2": Architecture("Swinv2", WINDOWED),
    "pvt": Architecture(
        "Pvt",
        {"image_size": SIDE, "depths": [1, 1, 1, 1], "hidden_sizes": [8, 12, 16, 24],
         "num_attention_heads": [1, 2, 2, 4]},
    ),
    "pvt-v2": Architecture(
        "PvtV2",
        {"image_size": SIDE, "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 16, 32],
         "num_attention_heads": [1, 2, 2, 4]},
    ),
    "segformer": Architecture(
        "Segformer", {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 12, 16, 24], "num_attention_heads": [1, 2, 2, 4]}
    ),
    "cvt": Architecture(
        "Cvt", {"embed_dim": [8, 16, 24], "depth": [1, 2, 3], "num_heads": [1, 2, 2], "drop_path_rate": [0.0, 0.0, 0.0]}
    ),
    "levit": Architecture(
        "Levit",
        {"image_size": SIDE, "hidden_sizes": [16, 24, 32], "num_attention_heads": [2, 2, 2], "depths": [1, 1, 1],
         "key_dim": [8, 8, 8], "attention_ratio": [2, 2, 2]},
    ),
}  # fmt: skip

ARCHITECTURES: Mapping[str, Made] = {**OF_TRANSFORMERS, **MORE}


# ---------------------------------------------------------------------- one architecture


@dataclass(frozen=True)
class Outcome:
    """What became of one architecture.

    Attributes
    ----------
    name, made_with
        Which one, and a digest of what it depends on.
    layer
        That class activation maps read, "" where there is none and all of them refuse; `fault` says why it is a wrong
        one, "" where it is right.
    refused, raised
        The reason of each explainer that refused, and the error of each that raised something else, by its name.
    asked
        How many explainers were asked.
    seconds
        Of all of it.
    """

    name: str
    made_with: str
    layer: str
    fault: str
    refused: dict[str, str]
    raised: dict[str, str]
    asked: int
    seconds: float


def methods() -> dict[str, Explainer]:
    """Return the explainers that are asked, with small budgets: all but controls, which do not ask the network."""
    held = {name: each for name, each in registered().items() if not each.is_control and each.facts.family != "user"}
    return {name: _cheap(each) for name, each in held.items()}


def _cheap(explainer: Explainer) -> Explainer:
    """Return an explainer that spends little."""
    spent = {key: BUDGETS[key] for key in explainer.settings if key in BUDGETS}
    return replace(explainer, settings={**explainer.settings, **spent})


def outcome(subject: Subject, asked: Mapping[str, Explainer], made_with: str, say: Callable[[str], None]) -> Outcome:
    """Have every explainer explain two pictures of noise, and return what became of it."""
    started = time.perf_counter()
    spec = subject.spec
    images = torch.randn(
        PICTURES, spec.channels, spec.height, spec.width, generator=torch.Generator().manual_seed(SEED)
    )
    targets = torch.arange(PICTURES) % len(subject.classes)
    refused, raised = dict[str, str](), dict[str, str]()
    for number, (name, explainer) in enumerate(asked.items()):
        say(f"{subject.name}: {number + 1} of {len(asked)}, {name}")
        try:
            explainer.maps(subject, images, targets, SEED)
        except ExplainerFault as fault:
            # What is no map, such as one of NaN, is a defect as what is raised by others is.
            ours = isinstance(fault.__cause__, HarnessError)
            (refused if ours else raised)[name] = str(fault.__cause__ if ours else fault)
    layer = "" if map_fault(subject) else subject.cam_layer
    return Outcome(
        subject.name,
        made_with,
        layer,
        layer and _layer_fault(subject, layer),
        refused,
        raised,
        len(asked),
        round(time.perf_counter() - started, 1),
    )


def _layer_fault(subject: Subject, layer: str) -> str:
    """Return why a layer is no late map of the whole picture, "" where it is one."""
    if SUSPECT.search(layer.rpartition(".")[2] or layer):
        return "is a patch embedding or a shortcut"
    return "" if everything_passes(subject, layer) else "is one that something of the picture gets around"


# ---------------------------------------------------------------------- the page


def page(outcomes: Sequence[Outcome], asked: Sequence[str], versions: Mapping[str, str]) -> str:
    """Return the page: a row an architecture, and under the table each reason with who gives it."""
    reasons: dict[str, list[str]] = {}
    rows = []
    for each in outcomes:
        counts: dict[int, int] = {}
        for name, reason in each.refused.items():
            names = reasons.setdefault(plain(reason, each), [])
            names += [] if name in names else [name]
            number = list(reasons).index(plain(reason, each)) + 1
            counts[number] = counts.get(number, 0) + 1
        refusals = ", ".join(f"{count} [{number}](#{number})" for number, count in sorted(counts.items()))
        runs = each.asked - len(each.refused) - len(each.raised)
        layer = f"`{each.layer}`" if each.layer else "none"
        rows.append(f"| {each.name} | {layer} | {runs} | {refusals or 'none'} |")
    notes = [
        f'{number}. <a id="{number}"></a>{reason} ({", ".join(names)})'
        for number, (reason, names) in enumerate(reasons.items(), start=1)
    ]
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return "\n".join(
        [
            "# Architectures",
            "",
            "Written by `python benchmarks/architectures.py`. Every method was asked once to explain "
            f"{PICTURES} pictures of {SIDE} x {SIDE} on a small network of random weights of each architecture of the "
            "package transformers, and of timm and torchvision where the name says so, with small budgets. Shown are "
            "the layer that class activation maps read, how many methods run, and how many refuse with which reason.",
            "",
            f"Made with {told}.",
            "",
            f"{METHODS_ARE}{', '.join(asked)}.",
            "",
            "| architecture | layer | run | refuse |",
            "|---|---|---|---|",
            *rows,
            "",
            "Reasons, each with the methods that give it on some architecture:",
            "",
            *notes,
            "",
        ]
    )


METHODS_ARE = "The methods are "


def plain(reason: str, of: Outcome) -> str:
    """Return a reason without what is of one network alone: its name and layers."""
    said = (
        reason.replace(repr(of.name), "the network")
        .replace(f"layer {of.layer!r}", "its layer")
        .replace(repr(of.layer), "its layer")
    )
    said = re.sub(r"(something gets around) '[^']*'", r"\1 its last", said)
    said = re.sub(r"the \d+ x \d+ tokens of layer '[^']*'", "the tokens of a layer", said)
    return re.sub(r"\b\d+ tokens", "tokens", re.sub(r" \(row \d.*?\)", "", said))


def versions() -> dict[str, str]:
    """Return the versions of what was asked and what was asked of it, where it is installed."""
    named = ("torch", "transformers", "timm", "torchvision")
    return {name: importlib.metadata.version(name) for name in named if importlib.util.find_spec(name)}


def made_with(name: str, asked: Mapping[str, Explainer]) -> str:
    """Return a digest of all that an outcome depends on."""
    code = [file.read_text(encoding="utf-8") for file in sorted(Path(subject_code).parent.glob("*.py"))]
    settings = (repr(ARCHITECTURES[name]), sorted(BUDGETS.items()), SIDE, PICTURES, SEED)
    return digest(code, settings, versions(), [each.digest for each in asked.values()])


# ---------------------------------------------------------------------- the command


def found(name: str, results: Path | None, asked: Mapping[str, Explainer], say: Callable[[str], None]) -> Outcome:
    """Return the outcome of an architecture, from the results, if any are kept, where it is there and still true."""
    file, current = results and results / f"{name}.json", made_with(name, asked)
    if file and file.is_file():
        held = json.loads(file.read_text(encoding="utf-8"))
        if held.get("made_with") == current:
            return Outcome(**held)
    architecture = ARCHITECTURES[name]
    spec = InputSpec(architecture.side, architecture.side, (0.5,) * 3, (0.5,) * 3)
    subject = Subject(architecture.made(len(CLASSES), SEED), name=name, classes=CLASSES, spec=spec)
    made = outcome(subject, asked, current, say)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(made), indent=2) + "\n", encoding="utf-8")
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Ask, print a line an architecture, and write the page where all were asked; 1 where anything is a defect."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=tuple(ARCHITECTURES), metavar="NAME", help="repeat for more")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where outcomes are kept (default %(default)s)")
    parser.add_argument("--page", type=Path, default=PAGE, help="which is written (default %(default)s)")
    parser.add_argument("--method", action="append", metavar="NAME", help="ask this explainer alone; repeat for more")
    options = parser.parse_args(words)
    load_entry_points()
    asked, outcomes = methods(), list[Outcome]()
    if unknown := set(options.method or ()) - set(asked):
        parser.error(f"no method {min(unknown)!r}; the methods are {', '.join(asked)}")
    asked = {name: each for name, each in asked.items() if name in (options.method or asked)}
    needed = {ARCHITECTURES[name].package for name in options.only or ARCHITECTURES}
    if missing := sorted(name for name in needed if importlib.util.find_spec(name) is None):
        parser.error(f"{' and '.join(missing)} cannot be asked: not installed; install them, or name others by --only")
    for name in options.only or ARCHITECTURES:
        made = found(name, None if options.method else options.results, asked, _progress)
        outcomes.append(made)
        _progress("")
        runs = made.asked - len(made.refused) - len(made.raised)
        counts = f"{runs} of {made.asked} run, {len(made.refused)} refuse, {made.seconds:.1f} s"
        print(f"{name}: {made.layer or 'no layer'}, {counts}", flush=True)
        for explainer, error in made.raised.items():
            print(f"  DEFECT on {name}: {explainer} raised {error}")
        if made.fault:
            print(f"  DEFECT on {name}: layer {made.layer} {made.fault}")
    if not (options.only or options.method):
        options.page.write_text(page(outcomes, tuple(asked), versions()), encoding="utf-8")
        print(options.page)
    return int(any(made.raised or made.fault for made in outcomes))


def _progress(line: str) -> None:
    """Say on a terminal what is being done, over what was said before."""
    if sys.stderr.isatty():
        print(f"\r{line:<78}", end="" if line else "\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
