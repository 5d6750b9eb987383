"""Relevance through attention: exact on small transformers, where it conserves and where not, what is refused."""

from collections.abc import Callable

import pytest
import torch
from explainer_cases import HEADS, PATCH, WIDTH, Attention, Vision
from test_attention import Encoder, images_of, subject_of
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import UsageError
from harness.explainers.attnlrp import attention_rules, attn_lrp
from harness.explainers.relevance import STABILIZER, handed_back
from harness.rounding import rounding
from harness.subject import Subject

TARGETS = torch.tensor([0, 2, 1])
OPERATIONS = 2 * (PATCH**2 + 2 * (6 * WIDTH + 4 * 17) + 17)
"""Fan-ins of patches, of two blocks (dense layers, products, softmax) and of the head, there and back."""
EQUAL = rounding("float64", OPERATIONS, conditioning=100.0 / STABILIZER)
"""Two evaluations of relevance: sums are divided by outputs kept from 0 by as little as the stabilizer, and values of
both signs cancel to a hundredth as elsewhere in these networks."""


class Normed(Vision):
    """Layers normalised before attention and before the head, positions added, a gate on what leaves the blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(1, 17, WIDTH))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.gate = nn.Linear(WIDTH, WIDTH)
        for norm in self.norms:
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.3, 0.3)

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)
        t = torch.cat([self.token.expand(len(t), -1, -1), t], 1) + self.place
        for block in self.blocks:
            t = block(self.norms[0](t))
        t = t * self.gate(t)
        return self.head(self.norms[1](t)[:, 0])


# ---------------------------------------------------------------------- the same as a gradient


def steeper(z: Tensor, factor: Tensor) -> Tensor:
    """Return z itself, through which what flows back is multiplied."""
    return z.detach() + (z - z.detach()) * factor.detach()


def kept(z: Tensor) -> Tensor:
    """Return the share of z that is left where it is moved away from 0."""
    return z / (z + torch.where(z < 0, -STABILIZER, STABILIZER))


def stable(z: Tensor, halved: bool = False) -> Tensor:
    """Return z, whose relevance is divided by a stabilized z, or by twice z stabilized."""
    return steeper(z, kept(2 * z) / 2 if halved else kept(z))


class AsGradient:
    """The networks above so that picture x gradient is the relevance: kinks, spreads and shares are held constant."""

    def __init__(self, network: Vision) -> None:
        self.network = network

    def __call__(self, x: Tensor) -> Tensor:
        net = self.network
        t = stable(net.embed(x)).flatten(2).transpose(1, 2)
        t = t if net.token is None else torch.cat([net.token.expand(len(t), -1, -1), t], 1)
        normed = isinstance(net, Normed)
        t = stable(t + net.place) if normed else t
        for block in net.blocks:
            t = self.norm(net.norms[0], t) if normed else t
            t = stable(t + self.attend(block.attend, t))
            hidden = stable(block.mix[0](t))
            t = stable(t + hidden * (functional.gelu(hidden) / hidden).detach())
        if normed:
            t = self.norm(net.norms[1], steeper(t * stable(net.gate(t)), torch.tensor(0.5)))
        return stable(net.head(stable(t.mean(1)) if net.token is None else t[:, 0]))

    @staticmethod
    def norm(norm: nn.LayerNorm, t: Tensor) -> Tensor:
        spread = (t.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt().detach()
        return stable((t - t.mean(-1, keepdim=True)) / spread * norm.weight + norm.bias)

    @staticmethod
    def attend(made: Attention, t: Tensor) -> Tensor:
        q, k, v = stable(made.mixed(t)).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        weights = (stable(q @ k.mT, halved=True) / q.shape[-1] ** 0.5).softmax(-1)
        mixed = stable(weights @ v, halved=True).transpose(1, 2).flatten(2)
        return stable(made.out(mixed))

    def relevance(self, images: Tensor) -> Tensor:
        """Return picture x gradient of the target logits, channels summed."""
        leaf = images.clone().requires_grad_()
        chosen = self(leaf).gather(1, TARGETS[:, None]).sum()
        return (leaf * torch.autograd.grad(chosen, leaf)[0]).sum(1).detach()


NETWORKS: dict[str, Callable[[], Vision]] = {
    "class token": Vision,
    "all tokens": lambda: Vision(class_token=False),
    "normalised": Normed,
}


@pytest.mark.parametrize("what", NETWORKS)
def test_it_is_the_papers_rules(what: str) -> None:
    subject = subject_of(NETWORKS[what])
    images = images_of(subject)
    wanted = AsGradient(subject.network).relevance(images)
    assert float((attn_lrp(subject, images, TARGETS) - wanted).abs().max()) <= EQUAL * float(wanted.abs().max())


def test_attention_has_its_rules_however_it_is_written() -> None:
    plain, fused = (subject_of(lambda how=how: Vision(how)) for how in ("plain", "fused"))
    own = subject_of(lambda: Encoder(plain.network))
    images = images_of(plain)
    maps = [attn_lrp(subject, images, TARGETS) for subject in (plain, fused, own)]
    assert float((maps[0] - maps[1]).abs().max()) <= EQUAL * float(maps[0].abs().max())
    assert float((maps[0] - maps[2]).abs().max()) <= EQUAL * float(maps[0].abs().max())


def test_the_gradient_of_attention_alone_would_be_another_map() -> None:
    """Relevance that passed products whole, or softmax as if it were linear, would not equal the rules above."""
    subject = subject_of(Vision)
    images = images_of(subject)
    found = attn_lrp(subject, images, TARGETS)
    leaf = images.clone().requires_grad_()
    chosen = subject.network(leaf).gather(1, TARGETS[:, None]).sum()
    plain = (images * torch.autograd.grad(chosen, leaf)[0]).sum(1)
    assert float((found - plain).abs().max()) > 0.05 * float(found.abs().max())


# ---------------------------------------------------------------------- what adds up


class Products(nn.Module):
    """Tokens without biases, mixed by products of what was computed of them; softmax in between or not."""

    def __init__(self, softmax: bool) -> None:
        super().__init__()
        self.softmax, self.embed = softmax, nn.Conv2d(1, WIDTH, PATCH, PATCH, bias=False)
        self.mixed, self.head = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.mixed(self.embed(x).flatten(2).transpose(1, 2)).chunk(3, -1)
        scores = q @ k.transpose(1, 2)
        out: Tensor = self.head((scores.softmax(-1) if self.softmax else scores) @ v).mean(1)
        return out


def missing(softmax: bool) -> float:
    """Return how much of the largest logit the maps' sums miss."""
    subject = subject_of(lambda: Products(softmax))
    images = images_of(subject)
    chosen = subject.logits(images).gather(1, TARGETS[:, None])[:, 0]
    sums = handed_back(subject, images, TARGETS, lambda: attention_rules(0.0)).sum((1, 2))
    return float((sums - chosen).abs().max() / chosen.abs().max())


def test_products_conserve_relevance_and_the_softmax_does_not() -> None:
    # Each of four layers loses the stabilizer's share of its outputs: a millionth of those of size 1, and of those that
    # cancel to a hundredth, a hundred times that.
    assert missing(softmax=False) < 4 * 100 * STABILIZER
    assert missing(softmax=True) > 0.01


def test_positive_contributions_can_be_favoured() -> None:
    subject = subject_of(Vision)
    images = images_of(subject)
    plain, favoured = (attn_lrp(subject, images, TARGETS, gamma=gamma) for gamma in (0.0, 0.25))
    assert float((plain - favoured).abs().max()) > 0.01 * float(plain.abs().max())


# ---------------------------------------------------------------------- what is refused


class Masked(Vision):
    """Hides the last tokens from all, through torch's own layer."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)
        hidden = torch.ones(16, 16, dtype=torch.bool, device=x.device).triu(8)
        return self.head(self.own(t, t, t, attn_mask=hidden)[0].mean(1))


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "no attention": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(256, 3)), "computes no attention"),
    "masks": (Masked, "attention with attn_mask cannot be followed"),
    "a function without a rule": (lambda: nn.Sequential(Vision(), nn.Softplus(), Squared()), "runs 'pow'"),
}


class Squared(nn.Module):
    """Squares."""

    def forward(self, x: Tensor) -> Tensor:
        return x**2


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_rule_is_refused(what: str) -> None:
    make, said = REFUSED[what]
    subject: Subject = subject_of(make)
    with pytest.raises(UsageError, match=said):
        attn_lrp(subject, images_of(subject), TARGETS)


def test_a_mask_of_fused_products_hides_and_gives_no_relevance() -> None:
    class Fused(Vision):
        def __init__(self, masked: bool) -> None:
            super().__init__()
            self.masked = masked

        def forward(self, x: Tensor) -> Tensor:
            t = self.embed(x).flatten(2).transpose(1, 2)
            hidden = torch.arange(16) < 8
            keys = t if self.masked else t[:, :8]
            made = functional.scaled_dot_product_attention(t, keys, keys, attn_mask=hidden if self.masked else None)
            return self.head(made.mean(1))

    whole, masked = (subject_of(lambda masked=masked: Fused(masked)) for masked in (False, True))
    images = images_of(whole)
    maps = [attn_lrp(subject, images, TARGETS) for subject in (whole, masked)]
    assert float((maps[0] - maps[1]).abs().max()) <= EQUAL * float(maps[0].abs().max())
