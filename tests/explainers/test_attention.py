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
from harness.explainers.legrad import legrad
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
FOLLOWED = [attention_rollout, attention_relevance, legrad]


def written_out(network: Vision, image: Tensor, target: int, relevance: bool) -> np.ndarray:
    """Return the patches' values of one image by the papers' formulas, from the matrices that the network kept."""
    logits = network(image[None].clone().requires_grad_())
    matrices = [block.attend.kept for block in network.blocks]
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


@pytest.mark.parametrize("explain", FOLLOWED)
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
        for block in self.blocks:
            block.attend = Own(block.attend)


class Own(nn.Module):
    """Torch's own attention, of the weights of one that is written out."""

    def __init__(self, like: Attention) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        weights = {"in_proj_weight": like.mixed.weight, "in_proj_bias": like.mixed.bias}
        self.inner.load_state_dict({**weights, "out_proj.weight": like.out.weight, "out_proj.bias": like.out.bias})

    def forward(self, t: Tensor) -> Tensor:
        return self.inner(t, t, t, need_weights=False)[0]


@pytest.mark.parametrize("explain", FOLLOWED)
def test_torchs_own_layers_are_followed(explain) -> None:
    plain = subject_of(Vision)
    own = subject_of(lambda: Encoder(plain.network))
    images = images_of(plain)
    torch.testing.assert_close(own.logits(images), plain.logits(images), rtol=ROUNDING, atol=ROUNDING)
    maps = [explain(subject, images, TARGETS) for subject in (plain, own)]
    assert float((maps[0] - maps[1]).abs().max()) <= ROUNDING * float(maps[0].abs().max())


@pytest.mark.parametrize("explain", FOLLOWED)
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
        for block in self.blocks:
            t = block.attend(t.reshape(-1, 8, WIDTH)).reshape(t.shape)
        return self.head(t.mean(1))


class Pooled(Vision):
    """Attends to every second token."""

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)[:, None]
        return self.head(functional.scaled_dot_product_attention(t, t[:, :, ::2], t[:, :, ::2])[:, 0].mean(1))


class Across(nn.Module):
    """Attends from channel to channel: as many as there could be patches, of 64 places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.embed, self.mixed = nn.Conv2d(1, channels, 2, 2), nn.Linear(channels, 3 * channels)
        self.head = nn.Linear(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)
        q, k, v = (part.transpose(1, 2)[:, None] for part in self.mixed(t).chunk(3, -1))
        t = t + ((q @ k.transpose(2, 3)).softmax(-1) @ v)[:, 0].transpose(1, 2)
        return self.head(t.mean(1))


class Axial(nn.Module):
    """Attends along rows: a softmax of (n, rows, columns, columns), as of so many heads."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mixed, self.head = nn.Conv2d(1, 8, 1), nn.Conv2d(8, 24, 1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        q, k, v = (part.permute(0, 2, 3, 1) for part in self.mixed(x).chunk(3, 1))
        x = x + ((q @ k.transpose(2, 3)).softmax(-1) @ v).permute(0, 3, 1, 2)
        return self.head(x.mean((2, 3)))


REFUSED = {
    "channels": (lambda: Across(16), "attends to 16 things, and no layer of it gives as many tokens"),
    "rows": (Axial, "attends to 16 things, and no layer of it gives as many tokens"),
    "no attention": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(256, 3)), "computes no attention"),
    "windows": (Windowed, "attends within windows"),
    "pooled keys": (Pooled, "attends within windows, or to tokens that it has pooled"),
}


@pytest.mark.parametrize("explain", FOLLOWED)
@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_followed_is_refused(what: str, explain) -> None:
    make, said = REFUSED[what]
    subject = subject_of(make)
    with pytest.raises(UsageError, match=said):
        explain(subject, images_of(subject), TARGETS)


class BesideToken(Vision):
    """The head reads the patches beside a class token: alone, together with it, or the last of them alone."""

    def __init__(self, reads: str) -> None:
        super().__init__()
        self.reads = reads

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)
        t = torch.cat([self.token.expand(len(t), -1, -1), t], 1)
        for block in self.blocks:
            t = block(t)
        token, patches = t[:, 0], t[:, 1:].mean(1)
        return self.head({"patches": patches, "both": token + patches, "last": t[:, -1]}[self.reads])


def rows_written_out(network: Vision, image: Tensor) -> np.ndarray:
    """Return what each token is made of by rollout."""
    network(image[None])
    made_of = np.eye(17)
    for block in network.blocks:
        made_of = (0.5 * block.attend.kept[0].detach().numpy().mean(axis=0) + 0.5 * np.eye(17)) @ made_of
    return made_of[:, 1:]


def test_the_mean_of_patches_is_read_where_the_head_reads_it_beside_a_class_token() -> None:
    subject = subject_of(lambda: BesideToken("patches"))
    images = images_of(subject)
    for image, found in zip(images, attention_rollout(subject, images, TARGETS), strict=True):
        patches = rows_written_out(subject.network, image)[1:].mean(axis=0)
        grid = torch.from_numpy(patches).view(1, 1, SIDE // PATCH, SIDE // PATCH)
        wanted = functional.interpolate(grid, (SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0]
        assert float((found - wanted).abs().max()) <= ROUNDING * float(wanted.abs().max())


@pytest.mark.parametrize("explain", [attention_rollout, attention_relevance])
def test_a_class_token_that_nobody_reads_does_not_matter(explain) -> None:
    """Patches do not look at it either."""

    class Unseen(BesideToken):
        def __init__(self, token: float) -> None:
            super().__init__("patches")
            with torch.no_grad():
                self.token.fill_(token)
            for block in self.blocks:
                block.attend.forward = lambda t, attend=block.attend: masked(attend, t)

    def masked(attend: Attention, t: Tensor) -> Tensor:
        n, count, _ = t.shape
        q, k, v = attend.mixed(t).view(n, count, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        hidden = torch.zeros(count, count, dtype=t.dtype)
        hidden[1:, 0] = -torch.inf
        made = (q @ k.transpose(2, 3) + hidden).softmax(-1) @ v
        return attend.out(made.transpose(1, 2).reshape(n, count, WIDTH))

    subjects = [subject_of(lambda token=token: Unseen(token)) for token in (1.0, -2.0)]
    images = images_of(subjects[0])
    torch.testing.assert_close(*(each.logits(images) for each in subjects), rtol=ROUNDING, atol=ROUNDING)
    maps = [explain(each, images, TARGETS) for each in subjects]
    assert maps[0].any()
    assert float((maps[0] - maps[1]).abs().max()) <= ROUNDING * float(maps[0].abs().max())


def test_both_count_where_the_head_reads_both() -> None:
    subject = subject_of(lambda: BesideToken("both"))
    images = images_of(subject, 1)
    found = attention_rollout(subject, images, TARGETS[:1])[0]
    rows = torch.from_numpy(rows_written_out(subject.network, images[0])).view(17, 1, SIDE // PATCH, SIDE // PATCH)
    wanted = functional.interpolate(rows, (SIDE, SIDE), mode="bilinear", align_corners=False)[:, 0]
    token, patches = wanted[0], wanted[1:].mean(0)
    share = float(((found - patches) * (token - patches)).sum() / ((token - patches) ** 2).sum())
    assert 0.1 < share < 0.9
    # Off the line between the two by rounding alone, which the share divides by how far they lie apart.
    mixed = share * token + (1 - share) * patches
    assert float((found - mixed).abs().max()) <= 100 * ROUNDING * float(wanted.abs().max())


@pytest.mark.parametrize("explain", [attention_rollout, attention_relevance])
def test_a_head_that_reads_the_last_token_alone_is_refused(explain) -> None:
    subject = subject_of(lambda: BesideToken("last"))
    with pytest.raises(UsageError, match="reads the last of its tokens alone"):
        explain(subject, images_of(subject), TARGETS)


# ---------------------------------------------------------------------- the answer after each layer


def sensitivity_written_out(network: Vision, image: Tensor, target: int) -> np.ndarray:
    """Return the patches' values of one image by the paper's formula, before they are brought to 0 to 1."""
    t, total = network.embed(image[None].clone().requires_grad_()).flatten(2).transpose(1, 2), 0.0
    if network.token is not None:
        t = torch.cat([network.token, t], 1)
    for block in network.blocks:
        t = block(t)
        logits = network.head(t.mean(1) if network.token is None else t[:, 0])
        (gradient,) = torch.autograd.grad(logits[0, target], block.attend.kept, retain_graph=True)
        total = total + np.clip(gradient[0].numpy(), 0, None).mean(axis=(0, 1))
    return total[1:] if network.token is not None else total


@pytest.mark.parametrize("class_token", [True, False])
def test_legrad_is_the_papers_formula(class_token: bool) -> None:
    subject = subject_of(lambda: Vision(class_token=class_token))
    images = images_of(subject)
    for image, target, found in zip(images, TARGETS.tolist(), legrad(subject, images, TARGETS), strict=True):
        patches = sensitivity_written_out(subject.network, image, target)
        low, high = patches.min(), patches.max()
        grid = torch.from_numpy((patches - low) / (high - low)).view(1, 1, SIDE // PATCH, SIDE // PATCH)
        wanted = functional.interpolate(grid, (SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0]
        # A value's error stays what it was when the least one is taken away, from it and from the largest.
        assert float((found - wanted).abs().max()) <= 2 * ROUNDING * high / (high - low)


def test_legrad_lies_between_0_and_1_and_depends_on_the_target() -> None:
    subject = subject_of(Vision)
    images = images_of(subject)
    maps = legrad(subject, images, TARGETS)
    assert float(maps.min()) >= 0
    assert float(maps.max()) <= 1
    assert not torch.equal(maps, legrad(subject, images, (TARGETS + 1) % 3))


def test_legrad_leaves_no_hook_behind() -> None:
    subject = subject_of(Vision)
    legrad(subject, images_of(subject), TARGETS)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in subject.network.modules())


class Around(Vision):
    """What the first layer reads goes around the second one, too."""

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)
        return self.head((self.blocks[1](self.blocks[0](t)) + t).mean(1))


class Loose(Vision):
    """The ways around attention are no part of a module."""

    def forward(self, x: Tensor) -> Tensor:
        t = self.embed(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            t = t + block.attend(t)
        return self.head(t.mean(1))


@pytest.mark.parametrize("make", [Around, Loose])
def test_a_network_whose_head_cannot_be_applied_to_a_layer_is_refused(make: type[Vision]) -> None:
    subject = subject_of(make)
    with pytest.raises(UsageError, match="are no modules through whose output everything passes"):
        legrad(subject, images_of(subject), TARGETS)
