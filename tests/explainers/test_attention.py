"""Attention followed to the patches: exact on small transformers, refused where it cannot be followed."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from explainer_cases import HEADS, PATCH, SIDE, WIDTH, Attention, Vision
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import UsageError
from harness.explainers.attention import attention_relevance, attention_rollout
from harness.rounding import rounding
from harness.subject import Feed, InputSpec, Subject

ROUNDING = rounding("float64", 2 * (PATCH**2 + 2 * (5 * WIDTH + 2 * 17) + 17), conditioning=100.0)
"""Fan-ins of patches, of two blocks and of the product, there and back; logits of size one and a softmax of scores of
size ten grow an error by less than a hundred."""


def subject_of(make: Callable[[], nn.Module], height: int = SIDE) -> Subject:
    """Return a network of random weights in double precision, so that only the formula can differ."""
    torch.manual_seed(5)
    network = make().double()
    return Subject(network, name="small", classes="abc", spec=InputSpec(height, SIDE)).fed(Feed(False, 2, 2))


def images_of(subject: Subject, n: int = 3) -> Tensor:
    shape = (n, 1, subject.spec.height, subject.spec.width)
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


TARGETS = torch.tensor([0, 2, 1])


def written_out(network: Vision, image: Tensor, target: int, relevance: bool) -> np.ndarray:
    """Return the patches' values of one image by the papers' formulas, from the matrices that the network kept."""
    logits = network(image[None].clone().requires_grad_())
    matrices = [block.kept for block in network.attend]
    gradients = torch.autograd.grad(logits[0, target], matrices)
    made_of = np.eye(matrices[0].shape[-1])
    for weights, gradient in zip(matrices, gradients, strict=True):
        a, g = weights[0].detach().numpy(), gradient[0].numpy()
        if relevance:
            made_of = made_of + np.mean(np.clip(a * g, 0, None), axis=0) @ made_of
        else:
            mixed = 0.5 * a.mean(axis=0) + 0.5 * np.eye(len(made_of))
            made_of = (mixed / mixed.sum(axis=1, keepdims=True)) @ made_of
    return made_of[0, 1:] if network.token is not None else made_of.mean(axis=0)


@pytest.mark.parametrize("class_token", [True, False])
@pytest.mark.parametrize("relevance", [True, False])
def test_it_is_the_papers_formula(relevance: bool, class_token: bool) -> None:
    subject = subject_of(lambda: Vision(class_token=class_token))
    images, explain = images_of(subject), attention_relevance if relevance else attention_rollout
    maps = explain(subject, images, TARGETS)
    for image, target, found in zip(images, TARGETS.tolist(), maps, strict=True):
        patches = written_out(subject.network, image, target, relevance)
        grid = torch.from_numpy(patches).view(1, 1, SIDE // PATCH, SIDE // PATCH)
        wanted = functional.interpolate(grid, (SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0]
        assert float((found - wanted).abs().max()) <= ROUNDING * float(wanted.abs().max())


@pytest.mark.parametrize("explain", [attention_rollout, attention_relevance])
def test_attention_is_met_however_it_is_written(explain) -> None:
    """Fused products give the same map as the softmax written out."""
    plain, fused = (subject_of(lambda how=how: Vision(how)) for how in ("plain", "fused"))
    images = images_of(plain)
    maps = [explain(subject, images, TARGETS) for subject in (plain, fused)]
    assert float((maps[0] - maps[1]).abs().max()) <= ROUNDING * float(maps[0].abs().max())


class Encoder(Vision):
    """The same network of torch's own attention, whose short cuts show no matrices."""

    def __init__(self, like: Vision) -> None:
        super().__init__()
        self.load_state_dict(like.state_dict())
        self.attend = nn.ModuleList(_own(block) for block in like.attend)

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)
        t = torch.cat([self.token.expand(len(t), -1, -1), t], 1)
        for attend, mix in zip(self.attend, self.mix, strict=True):
            t = t + attend(t, t, t, need_weights=False)[0]
            t = t + mix(t)
        return self.head(t[:, 0])


def _own(block: Attention) -> nn.MultiheadAttention:
    made = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    weights = {"in_proj_weight": block.mixed.weight, "in_proj_bias": block.mixed.bias}
    made.load_state_dict({**weights, "out_proj.weight": block.out.weight, "out_proj.bias": block.out.bias})
    return made


@pytest.mark.parametrize("explain", [attention_rollout, attention_relevance])
def test_torchs_own_layers_are_followed(explain) -> None:
    plain = subject_of(Vision)
    own = subject_of(lambda: Encoder(plain.network))
    images = images_of(plain)
    torch.testing.assert_close(own.logits(images), plain.logits(images), rtol=ROUNDING, atol=ROUNDING)
    maps = [explain(subject, images, TARGETS) for subject in (plain, own)]
    assert float((maps[0] - maps[1]).abs().max()) <= ROUNDING * float(maps[0].abs().max())


@pytest.mark.parametrize("explain", [attention_rollout, attention_relevance])
def test_a_whole_encoder_of_torch_is_followed(explain) -> None:
    class Whole(Vision):
        def __init__(self) -> None:
            super().__init__()
            layers = [nn.TransformerEncoderLayer(WIDTH, HEADS, 8, 0.1, batch_first=True) for _ in range(2)]
            self.blocks = nn.ModuleList(layers)

        def forward(self, x: Tensor) -> Tensor:
            t = self.embed(x).flatten(2).transpose(1, 2)
            for block in self.blocks:
                t = block(t)
            return self.head(t.mean(1))

    subject = subject_of(Whole)
    maps = explain(subject, images_of(subject), TARGETS)
    assert float(maps.flatten(1).std(1).min()) > 0


def test_a_picture_that_is_no_square_has_a_grid_that_is_none() -> None:
    subject = subject_of(Vision, height=8)
    assert attention_rollout(subject, images_of(subject), TARGETS).shape == (3, 8, SIDE)


def test_relevance_depends_on_the_target_and_rollout_does_not() -> None:
    subject = subject_of(Vision)
    images, other = images_of(subject), (TARGETS + 1) % 3
    assert torch.equal(*(attention_rollout(subject, images, t) for t in (TARGETS, other)))
    assert not torch.equal(*(attention_relevance(subject, images, t) for t in (TARGETS, other)))


class Windowed(Vision):
    """Attends within the upper and the lower half of the picture."""

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)
        for attend in self.attend:
            t = attend(t.reshape(-1, 8, WIDTH)).reshape(t.shape)
        return self.head(t.mean(1))


class Pooled(Vision):
    """Attends to every second token."""

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)[:, None]
        return self.head(functional.scaled_dot_product_attention(t, t[:, :, ::2], t[:, :, ::2])[:, 0].mean(1))


REFUSED = {
    "no attention": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(256, 3)), "computes no attention"),
    "windows": (Windowed, "attends within windows"),
    "pooled keys": (Pooled, "attends within windows, or to tokens that it has pooled"),
}


@pytest.mark.parametrize("explain", [attention_rollout, attention_relevance])
@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_followed_is_refused(what: str, explain) -> None:
    make, said = REFUSED[what]
    subject = subject_of(make)
    with pytest.raises(UsageError, match=said):
        explain(subject, images_of(subject), TARGETS)
