"""A network with its classes, preprocessing and named layers."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from harness.class_names import class_names, in_order
from harness.containment import Limit
from harness.digest import digest
from harness.errors import UsageError
from harness.identity import Content, Reads, content
from harness.importing import reason
from harness.names import name_fault
from harness.subject.copies import copied, evaluated
from harness.subject.counting import CountedNetwork, Passes, precision
from harness.subject.feeding import Feed, measured_feed
from harness.subject.outputs import first_of, on_first
from harness.subject.rewriting import Answering, hooked, marks, rewritten, share
from harness.subject.spec import InputSpec
from harness.subject.state import Names, checksums, lasting, present, state


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
        :func:`harness.subject.map_layer.late_map_layer` chooses.
    device
        Where it runs.

    Attributes
    ----------
    passes
        Images passed forward and backward so far.
    behaviour
        Name of how it answers on this arithmetic, where that was asked.
    read
        Digests of the files that were read to make it, by path.
    limit
        How long one call of an explainer may take.
    runs
        How often each module runs in one pass, by name, in running order.
    token_orders
        What :func:`harness.subject.token_order.disordered_tokens` found, once it was asked.

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
        self.classes = in_order(classes, f"subject {name!r:.60}")
        if not isinstance(spec, InputSpec):
            raise UsageError(
                f"subject {name!r:.60} has the spec {spec!r:.60}; give InputSpec(height, width, mean, std)"
            )
        self.spec = spec
        self.device = torch.device(device)
        self.passes = Passes()
        self.feed = Feed()
        self.limit = Limit()
        self.read: Reads = {}
        self.behaviour = ""
        self.token_orders: dict[str, tuple[int, str]] = {}
        self._quick: Answering | None = None
        from harness.subject.map_layer import late_map_layer  # it asks a subject, which must be there first

        self._network = evaluated(network, name).requires_grad_(False).to(self.device)
        self.model = CountedNetwork(self._network, self.passes).eval()
        self._check_classes()
        given = self._ran()
        self.runs = Counter(layer for layer, _ in given)
        ran = tuple(self.runs)
        plain = dict.fromkeys(layer for layer, alone in given if layer and alone)
        self.layers = tuple(layer for layer in plain if not list(self.layer(layer).children()))
        self.cam_layer = cam_layer or late_map_layer(self)
        if self.cam_layer not in ran:
            raise UsageError(
                f"subject {name!r} has no layer {self.cam_layer!r} that runs; it has {', '.join(self.layers)}"
            )

    # ------------------------------------------------------------------ what it is

    def __repr__(self) -> str:
        """Say which network it is, so that settings that hold one can be named by their text."""
        return f"Subject({self.name!r}, {self.digest}{self.behaviour and f', {self.behaviour}'})"

    @property
    def digest(self) -> str:
        """Name of weights, code, attributes, classes, input, map layer and the files that it was made from."""
        held = (repr(self._network), self.content.digest, self.classes, asdict(self.spec), self.cam_layer)
        return digest(*held, sorted(self.read.values()))

    @cached_property
    def content(self) -> Content:
        """What the network is, as it was when this was first asked for."""
        return content(self._network)

    def __digest__(self) -> str:
        return self.digest

    def renewed(self) -> "Subject":
        """Look at the network again when asked what it is, and return the subject: it may have been changed."""
        vars(self).pop("content", None), vars(self).pop("lasting", None)
        return self

    @property
    def network(self) -> nn.Module:
        """The subject's own copy of the network, for reading its structure; call :attr:`model` to run it."""
        return self._network

    @property
    def dtype(self) -> torch.dtype:
        """Precision that the network reads and answers in: that of its weights, single where it has none."""
        return precision(self._network)

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
        """Return a name of all that an explainer must leave alone: weights, mode, gradients, hooks, modules."""
        return digest(*state(self.model, self.lasting))

    @cached_property
    def lasting(self) -> Names:
        """The attributes of modules that count, as :func:`harness.subject.state.lasting` says."""
        return lasting(self._network, self.spec, self.device)

    def prepare(self, pictures: UInt8[np.ndarray, "n h w *colour"]) -> Float[Tensor, "n c height width"]:
        """Return pictures in the network's input units, on its device and in its precision."""
        return self.spec.prepare(pictures).to(self.device, self.dtype)

    # ------------------------------------------------------------------ questions without gradient

    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return the network's logits, without gradient; see :mod:`harness.subject.rewriting` for what is run."""
        with torch.no_grad():
            model = self._for_answers()
            return torch.cat([model(batch) for batch in self._fed(images, self.feed.forward_batch)])

    def _for_answers(self) -> nn.Module:
        """Return the network rewritten in fewer steps, as long as nothing listens to it and it is as it was.

        A part that somebody has put in training mode (dropout that is to draw, statistics of the batch) answers so.
        """
        if hooked(self._network) or any(module.training for module in self._network.modules()):
            return self.model
        now = marks(self._network, self.lasting)
        if self._quick is None or not self._quick.stands(now):
            quick = rewritten(self._network, self.spec, self.device)
            self._quick = Answering(self.model, now)
            if quick is not self._network:
                quick.to(memory_format=self.feed.layout())  # type: ignore[call-overload]
                read = share(quick, self._network)
                self._quick = Answering(CountedNetwork(quick, self.passes).eval(), now, read, checksums(read))
        return self._quick.model

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

                with self.listening(layers, keep):
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

        with torch.no_grad(), self.listening(layers, add):
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

            with self.listening([layer], keep):
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

        with self.listening([layer], keep):
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
        spec, layer = spec or self.spec, cam_layer or self.cam_layer
        other = Subject(network, name=name, classes=self.classes, spec=spec, cam_layer=layer, device=self.device)
        other.passes, other.limit = self.passes, self.limit
        other.lasting = present(other._network, self.lasting)
        other.token_orders = self.token_orders if other.runs == self.runs else {}
        other.model, other._quick = CountedNetwork(other._network, self.passes).eval(), None
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

    @contextmanager
    def kept(self, changed: list[str]) -> Iterator[None]:
        """Put back what is changed of the subject itself meanwhile, such as its map layer, and add its name."""
        before = {name: held for name, held in vars(self).items() if name not in ("content", "_quick")}
        try:
            yield
        finally:
            now = vars(self)
            other = [name for name, held in before.items() if now.get(name, now) is not held]
            changed += [f"the subject's {name}" for name in other]
            now.update({name: before[name] for name in other})

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Leave the passes made meanwhile out of the count."""
        before = replace(self.passes)
        try:
            yield
        finally:
            self.passes.forward, self.passes.backward = before.forward, before.backward

    def put_back(self, network: nn.Module) -> None:
        """Run `network` from now on: a copy from before something changed the subject's own."""
        self._network = network
        self.model, self._quick = CountedNetwork(network, self.passes).eval(), None

    def fed(self, feed: Feed) -> "Subject":
        """Use a feed from now on, and return the subject."""
        self.feed, self._quick = feed, None
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
    def listening(self, layers: Sequence[str], heard: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
        """Call `heard(name, first output)` whenever a named layer ran; what it returns, if anything, is passed on."""

        def hook(name: str) -> Callable[[Any, Any, Any], Any]:
            return on_first(lambda _module, _inputs, output: heard(name, output))

        handles = [self.layer(name).register_forward_hook(hook(name)) for name in layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _check_classes(self) -> None:
        """Refuse names that are no text, and names that tables could not tell apart."""
        if name_fault(self.name):
            raise UsageError(f"a subject's name {self.name!r:.60} is {name_fault(self.name)}")
        if not self.classes:
            raise UsageError(f"subject {self.name!r} has no classes; name each of its outputs")
        if "all" in class_names(self.classes, f"subject {self.name!r}"):
            raise UsageError(
                f"subject {self.name!r} has a class 'all', which is what tables call all of them; give it another name"
            )

    def _ran(self) -> list[tuple[str, bool]]:
        """Run one blank image and return each module that gave a tensor, as often as it did, and whether that alone."""
        order: list[tuple[str, bool]] = []
        blank = torch.zeros(1, self.spec.channels, self.spec.height, self.spec.width, device=self.device)
        blank = blank.to(self.dtype)

        def note(name: str, output: Any) -> None:
            if isinstance(first_of(output), Tensor):
                order.append((name, isinstance(output, Tensor)))

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
        return order
