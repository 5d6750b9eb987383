"""Sensitivity of a transformer's answer, read off after each of its layers, to that layer's attention.

A layer is a module that holds one matrix of attention and hands on all tokens. What follows the last layer is the head,
whatever it is: a normalisation, a pooling, a dense layer. It is applied to the tokens of each layer by running the
network with these in place of the last layer's output, so that no part of it has to be known by name.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.errors import UsageError
from harness.explainers._interception import leaves
from harness.explainers.attention import Matrices, attending, check_attention, patch_grid
from harness.explainers.base import explainer
from harness.explainers.cam import enlarged
from harness.subject import Subject, first_of, with_first


@explainer(
    name="legrad", family="attention", reference="Bousselham et al. 2024", cost="1 forward and 1 backward a layer"
)
def legrad(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
    """Return how much attention to each patch would raise the target's logit, summed over layers; 0 to 1.

    The head reads the tokens of each layer. The gradient of the target's logit with respect to that layer's attention
    loses what is negative in it, is averaged over heads and over the tokens that attend, and of the tokens that are
    attended to only those of patches are kept. The sum over layers has its least value put to 0 and its largest to 1
    (a map that is constant is 0), and is enlarged bilinearly.

    Raises
    ------
    UsageError
        Where the network has no attention over all tokens of a picture, or its layers are no modules through whose
        output everything passes: then no tokens could be handed to the head.
    """
    blocks = _blocks(subject, images[:1])
    found = []
    for leaf, classes in leaves(subject, images, targets, share=len(blocks)):
        cut, met = _Cut(blocks), Matrices()
        with cut.between(subject), attending(met), torch.enable_grad():
            subject.model(leaf)
        logits = _after_each(subject, blocks[-1], cut.outputs, leaf)
        chosen = logits.gather(2, classes[None, :, None].expand(len(blocks), -1, 1)).sum()
        # Layers are cut from each other, so that the answer after one of them reaches that one's attention alone.
        sensitivities = torch.autograd.grad(chosen, met)
        attended = torch.stack([each.relu().mean((1, 2)) for each in sensitivities]).sum(0)
        rows, columns = patch_grid(subject, attended.shape[-1])
        patches = attended[:, attended.shape[-1] - rows * columns :]
        found.append(enlarged(_between_0_and_1(patches).view(-1, rows, columns), leaf))
    return torch.cat(found)


def _between_0_and_1(values: Float[Tensor, "n t"]) -> Float[Tensor, "n t"]:
    """Return each row with its least value at 0 and its largest at 1; a constant one is 0."""
    low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    return torch.where(high > low, (values - low) / (high - low), torch.zeros_like(values))


def _after_each(subject: Subject, last: str, tokens: list[Tensor], images: Tensor) -> Float[Tensor, "layers n k"]:
    """Return what the head answers to the tokens of each layer."""
    every = torch.cat(tokens)

    def instead(_module: Any, _inputs: Any, output: Any) -> Any:
        return with_first(output, every)

    handle = subject.layer(last).register_forward_hook(instead)
    try:
        with torch.enable_grad():
            logits: Tensor = subject.model(images.detach().repeat(len(tokens), 1, 1, 1))
    finally:
        handle.remove()
    return logits.view(len(tokens), len(images), -1)


# ---------------------------------------------------------------------- layers


@dataclass
class _Cut:
    """Notes the tokens of each layer, and hands on copies through which no gradient flows back."""

    blocks: list[str]
    outputs: list[Tensor] = field(default_factory=list)
    handed: list[Tensor] = field(default_factory=list)

    @contextmanager
    def between(self, subject: Subject) -> Iterator[None]:
        """Cut the layers of a subject from each other meanwhile."""
        handles = [subject.layer(name).register_forward_hook(self._cut) for name in self.blocks]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _cut(self, _module: Any, _inputs: Any, output: Any) -> Any:
        """Note a layer's tokens and return them anew."""
        tokens = _tokens(output)
        assert tokens is not None
        self.outputs.append(tokens)
        self.handed.append(tokens.detach().requires_grad_())
        return with_first(output, self.handed[-1])


def _blocks(subject: Subject, image: Float[Tensor, "1 c h w"]) -> list[str]:
    """Return the layers in running order: the outermost modules that hold one matrix of attention each."""
    met, spans = Matrices(), list[tuple[str, int, int]]()
    leaf = image.to(subject.device).clone().requires_grad_()
    with _noting(subject, met, spans), attending(met), torch.enable_grad():
        subject.model(leaf)
    check_attention(subject, met, 1)
    # A module ends after those within it: the last to end that holds one matrix alone is the outermost.
    held = {first: name for name, first, after in spans if after == first + 1}
    blocks = [held[place] for place in range(len(met)) if place in held]
    if len(set(blocks)) < len(met) or not _chained(subject, blocks, image):
        raise UsageError(
            f"the layers of {subject.name!r} are no modules through whose output everything passes, so that its head "
            "cannot be applied to each layer's tokens; use another explainer"
        )
    return blocks


@contextmanager
def _noting(subject: Subject, met: Matrices, spans: list[tuple[str, int, int]]) -> Iterator[None]:
    """Note of each module that hands on tokens which matrices of attention were met while it ran."""
    begun: list[int] = []

    def begin(_module: Any, _inputs: Any) -> None:
        begun.append(len(met))

    def end_of(name: str) -> Callable[[Any, Any, Any], None]:
        def end(_module: Any, _inputs: Any, output: Any) -> None:
            first = begun.pop()
            if _tokens(output) is not None and name:
                spans.append((name, first, len(met)))

        return end

    handles = []
    for name, module in subject.network.named_modules():
        handles += [module.register_forward_pre_hook(begin), module.register_forward_hook(end_of(name))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _chained(subject: Subject, blocks: list[str], image: Float[Tensor, "1 c h w"]) -> bool:
    """Whether each layer reads the layer before it and nothing earlier, and the head the last one alone."""
    cut, leaf = _Cut(blocks), image.to(subject.device).clone().requires_grad_()
    with cut.between(subject), torch.enable_grad():
        logits = subject.model(leaf)
    sources = [leaf, *cut.handed]
    for place, reader in enumerate([*cut.outputs, logits]):
        reached = torch.autograd.grad(reader.sum(), sources[: place + 1], retain_graph=True, allow_unused=True)
        if len(cut.outputs) != len(blocks) or any(each is not None for each in reached[:-1]) or reached[-1] is None:
            return False
    return True


def _tokens(output: Any) -> Tensor | None:
    """Return the tokens (n, t, d) that a module hands on, alone or first of several values; None where it has none."""
    first = first_of(output)
    return first if isinstance(first, Tensor) and first.ndim == 3 else None
