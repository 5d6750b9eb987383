"""The network under explanation, and the only place that runs it.

Everything that asks the network a question goes through :class:`Subject`: it feeds images in the layout and
micro-batch measured best on this machine, counts every image passed forward and backward, and works on a private copy
of the network, so that the caller's stays as it was.
"""

import copy
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.nn import functional

from harness.digest import digest
from harness.errors import UsageError
from harness.importing import reason

MOST_CHANNELS = 16
"""Channels that a network may read."""


@dataclass(frozen=True)
class InputSpec:
    """What the network reads: its picture size, colour and units.

    A pixel p of 0 to 255 becomes (p / 255 - mean) / std, the channel's mean and std being stated once here.

    Attributes
    ----------
    height, width
        Side of the input in pixels.
    mean, std
        One number a channel, of pixels 0 to 1; their length says how many channels the network reads (1 grey, 3
        colour, up to 16).

    Raises
    ------
    UsageError
        Where sides are no whole numbers above 0, means and stds are not as many, a mean lies outside 0 to 1, or a std
        outside 0 to 1: those of pixels 0 to 255 are larger, and fed by them a network would see next to nothing.
    """

    height: int
    width: int
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)

    def __post_init__(self) -> None:
        for what in ("mean", "std"):
            value = getattr(self, what)
            try:
                numbers = tuple(map(float, value))
            except (TypeError, ValueError):
                raise UsageError(
                    f"InputSpec's {what} is {value!r}; give one number a channel, such as (0.5,)"
                ) from None
            object.__setattr__(self, what, numbers)
        if len(self.mean) != len(self.std) or not 1 <= len(self.mean) <= MOST_CHANNELS:
            raise UsageError(
                f"an input has 1 to {MOST_CHANNELS} channels; give InputSpec as many means as stds, one each"
            )
        if any(not isinstance(side, int) or side < 1 for side in (self.height, self.width)):
            raise UsageError(f"InputSpec's sides are {self.height!r} and {self.width!r}; give whole numbers above 0")
        if not all(0 <= m <= 1 for m in self.mean) or not all(0 < s <= 1 for s in self.std):
            raise UsageError(
                f"InputSpec's mean {self.mean} and std {self.std} are not of pixels 0 to 1, which lie within 0 to 1, "
                "stds above 0; divide by 255 what is of pixels 0 to 255 (127.5 becomes 0.5)"
            )

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour, or as many as were stated."""
        return len(self.mean)

    @property
    def low(self) -> float:
        """Lowest value a pixel can take in input units."""
        return min((0 - m) / s for m, s in zip(self.mean, self.std, strict=True))

    @property
    def high(self) -> float:
        """Highest value a pixel can take in input units."""
        return max((1 - m) / s for m, s in zip(self.mean, self.std, strict=True))

    def prepare(self, pictures: UInt8[np.ndarray, "n h w *colour"]) -> Float[Tensor, "n c height width"]:
        """Resize pictures (bilinear) and express them in input units.

        Grey pictures are repeated for a colour network; colour pictures become luma (ITU-R 601) for a grey one.

        Raises
        ------
        UsageError
            Where pictures have another number of channels than the network reads, and are neither.
        """
        images = torch.from_numpy(np.ascontiguousarray(pictures)).float()
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        if images.shape[1] == 3 and self.channels == 1:
            images = (images * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
        if images.shape[1] != self.channels and (images.shape[1], self.channels) != (1, 3):
            raise UsageError(
                f"the pictures have {images.shape[1]} channels, but the network reads {self.channels} (means in its "
                "InputSpec); give as many"
            )
        images = images.expand(-1, self.channels, -1, -1)
        if images.shape[-2:] != (self.height, self.width):
            images = functional.interpolate(images, (self.height, self.width), mode="bilinear", align_corners=False)
        mean, std = (torch.tensor(v)[:, None, None] for v in (self.mean, self.std))
        return ((images / 255 - mean) / std).contiguous()

    def to_grey(self, images: Float[Tensor, "n c height width"]) -> Float[np.ndarray, "n height width"]:
        """Return prepared images as grey pictures in 0 to 1, for showing and for edges."""
        mean, std = (torch.tensor(v, device=images.device)[:, None, None] for v in (self.mean, self.std))
        return (images * std + mean).mean(1).clamp(0, 1).cpu().numpy()


@dataclass(frozen=True)
class Feed:
    """How images are handed to the network: memory layout, and images a pass forward and backward.

    A network in another layout, or in other micro-batches, sums in another order: what it answers differs in its last
    bits. So a feed belongs to a run (see :mod:`harness.arithmetic`), and its text names it.

    Examples
    --------
    >>> str(Feed(True, 64, 16)), Feed.read("contiguous:32")
    ('channels-last:64:16', Feed(channels_last=False, forward_batch=32, backward_batch=32))
    """

    channels_last: bool = False
    forward_batch: int = 64
    backward_batch: int = 64

    def __str__(self) -> str:
        sizes = dict.fromkeys((self.forward_batch, self.backward_batch))
        return ":".join(["channels-last" if self.channels_last else "contiguous", *map(str, sizes)])

    @staticmethod
    def read(text: str) -> "Feed":
        """Return the feed that a text names: LAYOUT:IMAGES or LAYOUT:FORWARD:BACKWARD.

        Raises
        ------
        UsageError
            For another layout, or sizes that are no positive whole numbers.
        """
        layout, *sizes = text.split(":")
        if layout not in ("contiguous", "channels-last") or len(sizes) not in (1, 2):
            raise UsageError(f"{text!r} is no feed; give contiguous:64, channels-last:64 or channels-last:64:32")
        if not all(size.isdecimal() and int(size) > 0 for size in sizes):
            raise UsageError(f"{text!r} is no feed: {':'.join(sizes)} are no numbers of images; give 1 or more")
        return Feed(layout == "channels-last", int(sizes[0]), int(sizes[-1]))

    def layout(self) -> torch.memory_format:
        """Return torch's name of the layout."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


@dataclass
class Passes:
    """Images that went through the network since the subject was made."""

    forward: int = 0
    backward: int = 0


class CountedNetwork(nn.Module):
    """A network that counts the images passing through it, for libraries that want a module to call."""

    def __init__(self, network: nn.Module, passes: Passes) -> None:
        super().__init__()
        self.network = network
        self._passes = passes

    def forward(self, images: Tensor) -> Tensor:
        """Return the network's logits."""
        self._passes.forward += len(images)
        # Single precision is read by a network in double too, which then rounds at its ends alone.
        logits: Tensor = self.network(images.double() if _precision(self.network) == torch.float64 else images)
        if logits.requires_grad:
            logits.register_hook(self._count_backward)  # type: ignore[no-untyped-call]
        return logits

    def _count_backward(self, gradient: Tensor) -> None:
        """Count the images whose gradient has reached the output."""
        self._passes.backward += len(gradient)


class Subject:
    """A network with its classes, preprocessing and named layers.

    Parameters
    ----------
    network
        Any module mapping (n, c, h, w) images in input units to (n, k) logits. It is copied, put in evaluation mode
        and frozen; the caller's network is not touched.
    name
        What tables call it.
    classes
        Names of the k classes.
    spec
        What the network reads.
    cam_layer
        Layer that class activation maps read, as named by ``network.named_modules()``; by default as
        :func:`late_map_layer` chooses.
    device
        Where it runs.

    Attributes
    ----------
    passes
        Images passed forward and backward so far.
    runs
        How often each module runs in one pass, by name, in running order.

    Raises
    ------
    UsageError
        Where the network does not run on an input of `spec` or does not return one logit a class, `cam_layer` does not
        run, or two classes have one name.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        classes: Sequence[str],
        spec: InputSpec,
        cam_layer: str | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.name = name
        self.classes = tuple(classes)
        self.spec = spec
        self.device = torch.device(device)
        self.passes = Passes()
        self.feed = Feed()
        self._network = evaluated(network, name).requires_grad_(False).to(self.device)
        self.model = CountedNetwork(self._network, self.passes).eval()
        self._check_classes()
        self.runs = self._ran()
        ran = tuple(self.runs)
        self.layers = tuple(layer for layer in ran if layer and not list(self.layer(layer).children()))
        self.cam_layer = cam_layer or late_map_layer(self)
        if self.cam_layer not in ran:
            raise UsageError(
                f"subject {name!r} has no layer {self.cam_layer!r} that runs; it has {', '.join(self.layers)}"
            )

    # ------------------------------------------------------------------ what it is

    def __repr__(self) -> str:
        """Say which network it is, so that settings that hold one can be named by their text."""
        return f"Subject({self.name!r}, {self.digest})"

    @cached_property
    def digest(self) -> str:
        """Name of the weights, structure, classes, input and map layer together."""
        weights = {key: value for key, value in self._network.state_dict().items()}
        return digest(repr(self._network), weights, self.classes, asdict(self.spec), self.cam_layer)

    @property
    def network(self) -> nn.Module:
        """The subject's own copy of the network, for reading its structure; call :attr:`model` to run it."""
        return self._network

    @property
    def dtype(self) -> torch.dtype:
        """Precision that the network reads and answers in: that of its weights, single where it has none."""
        return _precision(self._network)

    def layer(self, name: str) -> nn.Module:
        """Return the module called `name`.

        Raises
        ------
        UsageError
            Where there is no such layer.
        """
        try:
            return self._network.get_submodule(name)
        except AttributeError:
            raise UsageError(f"subject {self.name!r} has no layer {name!r}; it has {', '.join(self.layers)}") from None

    def state_digest(self) -> str:
        """Return a name of all that an explainer must leave alone: weights, mode, gradients, hooks."""
        hooks = {
            name: [len(table) for attribute, table in sorted(vars(module).items()) if attribute.endswith("_hooks")]
            for name, module in self.model.named_modules()
        }
        modes = [module.training for module in self._network.modules()]
        needs = [parameter.requires_grad for parameter in self._network.parameters()]
        grads = [parameter.grad is not None for parameter in self._network.parameters()]
        return digest(dict(self._network.state_dict()), hooks, modes, needs, grads)

    def prepare(self, pictures: UInt8[np.ndarray, "n h w *colour"]) -> Float[Tensor, "n c height width"]:
        """Return pictures in the network's input units, on its device and in its precision."""
        return self.spec.prepare(pictures).to(self.device, self.dtype)

    # ------------------------------------------------------------------ questions without gradient

    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return the network's logits, without gradient."""
        with torch.no_grad():
            return torch.cat([self.model(batch) for batch in self._fed(images, self.feed.forward_batch)])

    def probabilities(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return the network's class probabilities, without gradient."""
        return self.logits(images).softmax(1)

    def activations(self, images: Float[Tensor, "n c h w"], layers: Sequence[str]) -> dict[str, Tensor]:
        """Return the outputs of named layers, each (n, ...), without gradient.

        Raises
        ------
        UsageError
            Where a layer does not give one output an image; see :meth:`only_output`.
        """
        kept: dict[str, list[Tensor]] = {name: [] for name in layers}
        with torch.no_grad():
            for batch in self._fed(images, self.feed.forward_batch):
                seen: dict[str, list[Tensor]] = {name: [] for name in layers}

                def keep(name: str, output: Tensor, seen: dict[str, list[Tensor]] = seen) -> None:
                    seen[name].append(output.detach().clone())

                with self._listening(layers, keep):
                    self.model(batch)
                for name in layers:
                    kept[name].append(self.only_output(name, seen[name], len(batch)))
        return {name: torch.cat(outputs) for name, outputs in kept.items()}

    def spreads(self, images: Float[Tensor, "n c h w"], layers: Sequence[str]) -> dict[str, float]:
        """Return the standard deviation of named layers' outputs over all images, channels and places."""
        sums: dict[str, Tensor] = {name: torch.zeros(3, dtype=torch.float64) for name in layers}

        def add(name: str, output: Tensor) -> None:
            values = output.detach().double()
            sums[name] += torch.stack([torch.ones_like(values).sum(), values.sum(), (values**2).sum()]).cpu()

        with torch.no_grad(), self._listening(layers, add):
            for batch in self._fed(images, self.feed.forward_batch):
                self.model(batch)
        return {name: float((s[2] / s[0] - (s[1] / s[0]) ** 2).clamp(min=0).sqrt()) for name, s in sums.items()}

    # ------------------------------------------------------------------ questions with gradient

    def gradients(self, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
        """Return the gradient of each image's target logit with respect to the image."""
        found = []
        for batch, classes in self._fed_with(images, targets):
            leaf = batch.detach().clone(memory_format=torch.preserve_format).requires_grad_()
            chosen = self.model(leaf).gather(1, classes[:, None]).sum()
            found.append(torch.autograd.grad(chosen, leaf)[0].contiguous())
        return torch.cat(found)

    def layer_gradients(
        self, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], layer: str
    ) -> tuple[Tensor, Tensor]:
        """Return a layer's output and the gradient of each image's target logit with respect to it.

        Raises
        ------
        UsageError
            Where the layer does not give one output an image; see :meth:`only_output`.
        """
        outputs, gradients = [], []
        for batch, classes in self._fed_with(images, targets):
            seen: list[Tensor] = []

            def keep(_name: str, output: Tensor, seen: list[Tensor] = seen) -> Tensor:
                seen.append(output)
                return output.clone()  # what follows may work in place

            with self._listening([layer], keep):
                chosen = self.model(batch.detach().clone().requires_grad_()).gather(1, classes[:, None]).sum()
            output = self.only_output(layer, seen, len(batch))
            gradients.append(torch.autograd.grad(chosen, output)[0].contiguous())
            outputs.append(output.detach().contiguous())
        return torch.cat(outputs), torch.cat(gradients)

    def only_output(self, layer: str, seen: Sequence[Tensor], rows: int) -> Tensor:
        """Return what a layer gave in one pass of `rows` images, where that is one output an image.

        Raises
        ------
        UsageError
            Where the layer ran several times, or on several pieces of each image: a map made of one of its outputs
            would be a map of that run or piece alone.
        """
        if len(seen) == 1 and len(seen[0]) == rows:
            return seen[0]
        what = f"runs {len(seen)} times a pass" if len(seen) != 1 else f"gives {len(seen[0])} outputs for {rows} images"
        raise UsageError(
            f"layer {layer!r} of {self.name!r} {what}, and which is to be read nothing tells; "
            "name a layer that gives one an image"
        )

    def unit_means(self, images: Float[Tensor, "n c h w"], layer: str) -> Float[Tensor, "n units"]:
        """Return the mean over places of each unit of a layer, without gradient.

        A layer's units lie along its second axis: a convolution's filters, a dense layer's outputs. The layer ""
        stands for the logits; of a layer that runs several times the first counts.
        """
        found = []
        with torch.no_grad():
            for batch in self._fed(images, self.feed.forward_batch):
                found.append(self._first_means(batch, layer).float())
        return torch.cat(found)

    def unit_gradients(
        self, images: Float[Tensor, "n c h w"], layer: str, units: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n c h w"]]:
        """Return the mean over places of one unit for each image, and its gradient with respect to the image.

        Layers and units are as in :meth:`unit_means`.
        """
        means, gradients = [], []
        for batch, chosen in self._fed_with(images, units):
            leaf = batch.detach().clone(memory_format=torch.preserve_format).requires_grad_()
            value = self._first_means(leaf, layer).gather(1, chosen[:, None])[:, 0]
            gradients.append(torch.autograd.grad(value.sum(), leaf)[0].contiguous())
            means.append(value.detach())
            if layer:  # a gradient that starts below the logits does not reach the counter there
                self.passes.backward += len(batch)
        return torch.cat(means), torch.cat(gradients)

    def _first_means(self, batch: Tensor, layer: str) -> Tensor:
        """Run a batch and return the mean over places of each unit as the layer first ran."""
        seen: list[Tensor] = []

        def keep(_name: str, output: Tensor) -> None:
            # what follows may change the output in place, which a mean does not mind
            if not seen:
                seen.append(output.flatten(2).mean(2) if output.ndim > 2 else output.clone())

        with self._listening([layer], keep):
            self.model(batch)
        return seen[0]

    # ------------------------------------------------------------------ variants

    def around(self, network: nn.Module, name: str, spec: InputSpec) -> "Subject":
        """Return a subject of `network`, which holds this one's as its part ``network``; the map layer stays the same.

        Parameters
        ----------
        network, name, spec
            As of a subject.

        Raises
        ------
        UsageError
            Where the network does not run on an input of `spec`.
        """
        return self.with_network(network, name, cam_layer=f"network.{self.cam_layer}".rstrip("."), spec=spec)

    def with_network(
        self, network: nn.Module, name: str, cam_layer: str = "", spec: InputSpec | None = None
    ) -> "Subject":
        """Return a subject that differs in its network alone; it counts into the same passes.

        Parameters
        ----------
        network, name
            As of a subject.
        cam_layer
            By default called as it is here.
        spec
            By default what this one reads.
        """
        other = Subject(
            network,
            name=name,
            classes=self.classes,
            spec=spec or self.spec,
            cam_layer=cam_layer or self.cam_layer,
            device=self.device,
        )
        other.passes = self.passes
        other.model = CountedNetwork(other._network, self.passes).eval()
        other.feed = self.feed
        return other

    def in_double(self) -> "Subject":
        """Return the subject with weights and statistics in double precision, which reads doubles, and singles as such.

        Where single precision's rounding would decide: a sum that cancels, a value next to a kink. It has the one feed
        that is fastest for doubles, which have no kernels of their own for channels last: 2 to 9 times on a CPU.

        Raises
        ------
        UsageError
            Where the network does not run in double precision.
        """
        network = copied(self._network).double()
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        precise = self.with_network(network, self.name)
        precise.feed = Feed(forward_batch=16, backward_batch=16)
        return precise

    def put_back(self, network: nn.Module) -> None:
        """Run `network` from now on: a copy from before something changed the subject's own."""
        self._network = network
        self.model = CountedNetwork(network, self.passes).eval()

    def fed(self, feed: Feed) -> "Subject":
        """Use a feed from now on, and return the subject."""
        self.feed = feed
        self._network.to(memory_format=feed.layout())  # type: ignore[call-overload]
        return self

    def tuned(self, seconds: float = 1.5) -> "Subject":
        """Measure the best feed on this machine within about `seconds`, use it from now on, and return the subject.

        The passes of the measurement are not counted.
        """
        return self.fed(measured_feed(self._network, self.spec, self.device, seconds))

    # ------------------------------------------------------------------ inside

    def _fed(self, images: Tensor, size: int) -> Iterator[Tensor]:
        """Yield micro-batches on the device in the layout of the feed."""
        for start in range(0, len(images), size):
            yield images[start : start + size].to(self.device).contiguous(memory_format=self.feed.layout())

    def _fed_with(self, images: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield micro-batches for a backward pass, with their targets."""
        size = self.feed.backward_batch
        targets = targets.to(self.device)
        for number, batch in enumerate(self._fed(images, size)):
            yield batch, targets[number * size : number * size + len(batch)]

    @contextmanager
    def _listening(self, layers: Sequence[str], heard: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
        """Call `heard(name, output)` whenever a named layer has run; what it returns, if anything, is passed on."""
        handles = [
            self.layer(name).register_forward_hook(lambda _m, _i, output, name=name: heard(name, output))
            for name in layers
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _check_classes(self) -> None:
        """Refuse names that are no text, and names that tables could not tell apart."""
        if not self.classes or not all(isinstance(name, str) and name.strip() for name in self.classes):
            raise UsageError(
                f"subject {self.name!r} has classes {', '.join(map(repr, self.classes[:3]))} ...; name each in letters "
                "or digits, as text: '0', not 0"
            )
        doubled = [name for name, count in Counter(self.classes).items() if count > 1 or name == "all"]
        if doubled:
            raise UsageError(
                f"subject {self.name!r} has a class {doubled[0]!r} that tables would mix up; "
                'give each class a name of its own, other than "all"'
            )

    def _ran(self) -> Mapping[str, int]:
        """Run one blank image and count how often each module gave a tensor, in the order in which they first did."""
        order: list[str] = []
        blank = torch.zeros(1, self.spec.channels, self.spec.height, self.spec.width, device=self.device)
        blank = blank.to(self.dtype)

        def note(name: str, output: Any) -> None:
            if isinstance(output, Tensor):
                order.append(name)

        handles = [
            module.register_forward_hook(lambda _m, _i, output, name=name: note(name, output))
            for name, module in self._network.named_modules()
        ]
        try:
            with torch.no_grad():
                logits = self._network(blank)
        except Exception as error:  # whatever a user's network raises
            raise UsageError(
                f"subject {self.name!r} does not run on a {tuple(blank.shape)} input ({reason(error)}); "
                "state its size and channels in InputSpec"
            ) from error
        finally:
            for handle in handles:
                handle.remove()
        if not isinstance(logits, Tensor) or logits.shape != (1, len(self.classes)):
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise UsageError(
                f"subject {self.name!r} returns {shape} for one image, not (1, {len(self.classes)}); "
                "give it one logit a class and as many class names"
            )
        return Counter(order)


def copied(network: nn.Module) -> nn.Module:
    """Return a copy of a network; a tensor that it keeps from a pass before is copied by its values.

    Raises
    ------
    UsageError
        Where a part of it cannot be copied; the message names it.
    """
    memo: dict[int, Any] = {}
    for module in network.modules():
        for held in vars(module).values():
            for value in (
                held.values() if isinstance(held, dict) else held if isinstance(held, list | tuple) else [held]
            ):
                if isinstance(value, Tensor) and not value.is_leaf:
                    memo[id(value)] = value.detach().clone()
    try:
        return copy.deepcopy(network, memo)
    except Exception as error:  # whatever a part of a user's network raises
        raise UsageError(
            f"the network cannot be copied: {_uncopied(network)} ({reason(error)}); keep it elsewhere"
        ) from error


def _uncopied(network: nn.Module) -> str:
    """Return the name of the first attribute that cannot be copied."""
    for name, module in network.named_modules():
        for attribute, value in vars(module).items():
            if attribute not in ("_parameters", "_buffers", "_modules"):
                try:
                    copy.deepcopy(value)
                except Exception:
                    return f"attribute {attribute!r} of {name or 'its outermost module'} ({type(module).__name__})"
    return "one of its parts"


def evaluated(network: nn.Module, name: str) -> nn.Module:
    """Return a copy of a network in evaluation mode.

    Raises
    ------
    UsageError
        For a network whose layers cannot be read: compiled, scripted or exported; the message says what to give.
    """
    if hasattr(network, "_orig_mod"):
        raise UsageError(
            f"subject {name!r} is made by torch.compile, which hides its layers; give the network before, which is its "
            "_orig_mod"
        )
    if isinstance(network, torch.jit.ScriptModule):
        raise UsageError(f"subject {name!r} is TorchScript, whose layers cannot be read; give the Python module")
    if isinstance(network, GraphModule) and "eval" in vars(network):  # an exported program's own eval raises
        raise UsageError(
            f"subject {name!r} is an exported program, which has no layers to read; give the Python module "
            "that it was exported from"
        )
    return copied(network).eval()


# ---------------------------------------------------------------------- maps of layers

_NO_FEATURES = (
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.FractionalMaxPool2d, nn.LPPool2d,
    nn.Dropout, nn.Dropout2d, nn.Identity, nn.Upsample,
)  # fmt: skip
"""Modules that only pool or pass on what a layer before them found."""

_PREFIXES = (0, 1, 2, 5)
"""Tokens before those of the picture: none, a class token, one of distillation beside it, four registers beside it."""

_TRIALS = 24
"""Layers, from the last backwards, that are asked whether everything passes through them; each costs two passes."""


def as_map(output: Tensor, spec: InputSpec) -> Tensor | None:
    """Return a layer's output as channels over places, (n, channels, y, x), where it has places; else None.

    Channels may stand first or last: the axes of places are those whose sides are nearer to the picture's. Tokens
    (n, tokens, channels) fill a grid row by row, after 0, 1, 2 or 5 that are of no place; the grid has the picture's
    proportions. A side of 1 is no place.
    """
    found: Tensor | None = None
    if output.ndim == 4:
        first, last = _odds(output.shape[2:], spec), _odds(output.shape[1:3], spec)
        # A map may be a little out of proportion; channels are taken for a side only where they stand far out.
        found = output.permute(0, 3, 1, 2) if first > 2 > last else output
    elif output.ndim == 3:
        grid = _grid(output.shape[1], spec)
        if grid is not None:
            tokens = output[:, -grid[0] * grid[1] :].transpose(1, 2)
            found = tokens.view(*tokens.shape[:2], *grid)
    return found if found is not None and min(found.shape[2:]) > 1 else None


def _odds(sides: Sequence[int], spec: InputSpec) -> float:
    """Return how many times longer one side is, against the other, than the picture's."""
    shape = sides[0] * spec.width / (sides[1] * spec.height)
    return max(shape, 1 / shape)


def _grid(tokens: int, spec: InputSpec) -> tuple[int, int] | None:
    """Return rows and columns of the grid that tokens fill."""
    for prefix in _PREFIXES:
        count = tokens - prefix
        rows = round((max(count, 0) * spec.height / spec.width) ** 0.5)
        if rows > 1 and count % rows == 0 and count // rows == round(rows * spec.width / spec.height) > 1:
            return rows, count // rows
    return None


def late_map_layer(subject: Subject) -> str:
    """Return the layer that class activation maps read where none is named: the last feature map, as the network runs.

    It is the last module, a block as a whole included, whose output has places (:func:`as_map`), before pooling and
    head: so after its activation, where a module makes that. A shortcut or a branch is passed over for the block that
    holds it: nothing of the input may reach the logits around the layer. Tokens count where the last picture-shaped
    map comes early, as the patch embedding of a transformer does; they need a gradient of their own, which the last
    ones have not where the head reads a class token alone. A layer that runs several times in a pass is passed over.
    Where no layer has places it is the last convolution, or the last layer.
    """
    try:
        return _late_map_layer(subject) or _last_convolution(subject)
    except Exception:  # a network that cannot be derived; its examination says so, and others need no map layer
        return _last_convolution(subject)


def _late_map_layer(subject: Subject) -> str:
    """Return the last feature map, "" where there is none."""
    order, places, flowing = _maps_that_ran(subject)
    pictures = [name for name in places if places[name] == 4 and name in flowing]
    tokens = [name for name in places if places[name] == 3 and name in flowing]
    weighty = [name for name in order if name in subject.layers and list(subject.layer(name).parameters(recurse=False))]
    before = order[: order.index(pictures[-1])] if pictures else []
    late = bool(pictures) and 2 * sum(name in weighty for name in before) >= len(weighty)
    for held in (pictures, tokens) if late or not tokens else (tokens, pictures):
        trials = list(reversed(held))[:_TRIALS]
        through = next((name for name in trials if _everything_passes(subject, name)), None)
        if through is not None or held:
            return through or held[-1]
    return ""


def _last_convolution(subject: Subject) -> str:
    """Return the last convolution to run, or the last layer where there is none."""
    modules = dict(subject.network.named_modules())
    convolutions = [name for name in subject.layers if isinstance(modules[name], nn.Conv2d)]
    return convolutions[-1] if convolutions else subject.layers[-1] if subject.layers else ""


def _maps_that_ran(subject: Subject) -> tuple[list[str], dict[str, int], set[str]]:
    """Return modules in the order in which they ended; which give maps, by their dimensions; and whose maps count.

    A map counts where the gradient of the logits at its places is not zero, or gradients cannot be had.
    """
    order: list[str] = []
    outputs: dict[str, Tensor] = {}
    pooled: set[int] = set()
    modules = dict(subject.network.named_modules())

    def keep(name: str, output: Tensor) -> Tensor | None:
        order.append(name)
        if isinstance(modules[name], _NO_FEATURES) or id(output) in pooled:
            pooled.add(id(output))
            kept_alive.append(output)
            return None
        if as_map(output, subject.spec) is None or subject.runs[name] > 1:
            return None
        outputs[name] = output
        return output.clone()  # what follows may work in place

    kept_alive: list[Tensor] = []
    named = [name for name in subject.runs if name]
    with torch.enable_grad(), subject._listening(named, lambda name, output: _tensor_only(keep, name, output)):
        logits = subject.network(_noise(subject).clone())
    places = {name: output.ndim for name, output in outputs.items()}
    if not logits.requires_grad:
        return order, places, set(places)
    gradients = torch.autograd.grad(_spread(logits), list(outputs.values()), allow_unused=True)
    flowing = set()
    for (name, _), gradient in zip(outputs.items(), gradients, strict=True):
        at_places = None if gradient is None else as_map(gradient, subject.spec)
        if at_places is not None and bool((at_places != 0).any()):
            flowing.add(name)
    return order, places, flowing


def _tensor_only(keep: Callable[[str, Tensor], Tensor | None], name: str, output: Any) -> Tensor | None:
    """Pass on what is a tensor."""
    return keep(name, output) if isinstance(output, Tensor) else None


def _everything_passes(subject: Subject, layer: str) -> bool:
    """Whether no gradient reaches the input once it is cut at a layer: nothing gets around it."""
    leaf = _noise(subject)
    with torch.enable_grad(), subject._listening([layer], lambda _name, output: output.detach()):
        logits = subject.network(leaf.clone())
    if not logits.requires_grad:
        return True
    (around,) = torch.autograd.grad(_spread(logits), leaf, allow_unused=True)
    return around is None or not bool((around != 0).any())


def _noise(subject: Subject) -> Tensor:
    """Return two different images of noise over the range of the input, to be derived by."""
    spec = subject.spec
    drawn = torch.rand(2, spec.channels, spec.height, spec.width, generator=torch.Generator().manual_seed(0))
    images = spec.low + (spec.high - spec.low) * drawn
    return images.to(subject.device, subject.dtype).requires_grad_()


def _spread(logits: Tensor) -> Tensor:
    """Return a sum of the logits that weighs each of them differently, so that their gradients do not cancel."""
    weights = torch.linspace(1, 2, logits.shape[1], device=logits.device, dtype=logits.dtype)
    return (logits * weights).sum()


def _precision(network: nn.Module) -> torch.dtype:
    """Return the precision of a network's first weights; single where it has none."""
    kinds = (parameter.dtype for parameter in network.parameters() if parameter.is_floating_point())
    return next(kinds, torch.float32)


EVEN = 0.1
"""A feed that is faster than the usual one by less than this share is no reason to leave it: best times of passes
differ by some percent from one call to the next, and another feed moves last bits."""

ROUNDS = 3
"""Times that each feed is measured at least: on a busy machine one pass may be interrupted, hardly each of three."""


def measured_feed(network: nn.Module, spec: InputSpec, device: torch.device, seconds: float) -> Feed:
    """Return the fastest feed found in about `seconds`: layout and forward batch first, then backward batch.

    The best pair differs by machine and network (two- to threefold on a CPU), so it is measured and never assumed. A
    network that takes none of the batches that are tried is fed single images, which every network takes.
    """
    network = copied(network)
    sizes = (16, 32, 64, 128) if device.type == "cpu" else (64, 256, 1024, 4096)
    trials = [Feed(layout, size, size) for layout in (False, True) for size in sizes]
    timed = partial(_seconds_an_image, network, spec, device)
    forward = _fastest(trials, Feed(), seconds / 2, lambda feed: timed(feed, backward=False)) or Feed(False, 1, 1)
    trials = [replace(forward, backward_batch=size) for size in sizes]
    usual = replace(forward, backward_batch=Feed.backward_batch)
    backward = _fastest(trials, usual, seconds / 2, lambda feed: timed(feed, backward=True))
    return backward or replace(forward, backward_batch=1)


def _fastest(trials: list[Feed], usual: Feed, seconds: float, cost: Callable[[Feed], float]) -> Feed | None:
    """Return the feed of least cost, the usual one where that is about as good, None where no feed can be used.

    Every feed is tried, then again in turn while time is left and :data:`ROUNDS` times at least; each is judged by its
    best time. A feed of which one pass alone would take all the time is left out: a large network neither waits for it
    nor runs out of memory. So is one that the network does not take, such as a layout that it cannot view or another
    number of images than it was made for.
    """
    best: dict[Feed, float] = {}
    for feed in trials:
        if best and feed.backward_batch * min(best.values()) >= seconds:
            continue
        try:
            cost(feed)  # the first pass of a feed also sets the machine up
            best[feed] = cost(feed)
        except Exception:  # whatever a user's network raises
            continue
    end, rounds = time.perf_counter() + seconds, 1
    while len(best) > 1 and (rounds < ROUNDS or time.perf_counter() < end):
        rounds += 1
        for feed in best:
            best[feed] = min(best[feed], cost(feed))
    if usual in best and best[usual] <= (1 + EVEN) * min(best.values()):
        return usual
    return min(best, key=lambda feed: best[feed], default=None)


def _seconds_an_image(
    network: nn.Module, spec: InputSpec, device: torch.device, feed: Feed, *, backward: bool
) -> float:
    """Time one pass of one micro-batch."""
    size = feed.backward_batch if backward else feed.forward_batch
    network.to(memory_format=feed.layout())  # type: ignore[call-overload]
    images = torch.zeros(size, spec.channels, spec.height, spec.width, device=device)
    images = images.contiguous(memory_format=feed.layout()).requires_grad_(backward)
    start = time.perf_counter()
    with torch.set_grad_enabled(backward):
        logits = network(images)
        if backward:
            torch.autograd.grad(logits.sum(), images)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / size
