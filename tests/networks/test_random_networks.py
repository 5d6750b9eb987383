"""Random networks: the asked layers are drawn, the others kept, and activations stay at their scale."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny import (
    AGAIN,
    CLASSES,
    SPEC,
    tiny_network,
)
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from harness.networks.random import layer_groups, randomized
from harness.subject import Subject

EVERYTHING = ("6", "3", "0")


class Normalised(nn.Module):
    """Convolution, normalisation, convolution, normalisation, dense."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5)
        self.dense = nn.Linear(5 * 8 * 8, 3)
        for norm in (self.norm1, self.norm2):
            nn.init.uniform_(norm.weight, 0.5, 2.0)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.norm1(self.conv1(images)).relu()
        return self.dense(self.norm2(self.conv2(hidden)).relu().flatten(1))


class Attentive(nn.Module):
    """Holds weights where no module of its own runs: in itself, and inside an attention layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 8, 4, stride=4)
        self.position = nn.Parameter(torch.randn(1, 9, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.dense = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.embed(images).flatten(2).transpose(1, 2) + self.position
        return self.scale * self.dense(self.attention(tokens, tokens, tokens)[0].mean(1))


@pytest.fixture
def normalised() -> Subject:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Subject(Normalised(), name="normalised", classes=CLASSES, spec=SPEC)


def weights(subject: Subject, layer: str) -> Tensor:
    return torch.cat([parameter.flatten() for parameter in subject.layer(layer).parameters()])


# ---------------------------------------------------------------------- groups


def test_groups_go_from_the_output_to_the_input(subject: Subject) -> None:
    assert layer_groups(subject, 9) == (("6",), ("3",), ("0",))


@pytest.mark.parametrize("most", [1, 2, 3, 50])
def test_groups_hold_every_layer_with_weights_once(most: int, subject: Subject) -> None:
    groups = layer_groups(subject, most)
    assert len(groups) == min(most, 3)
    assert [name for group in groups for name in group] == ["6", "3", "0"]


def test_weights_outside_the_modules_that_run_are_in_a_group_too() -> None:
    subject = Subject(Attentive(), name="s", classes=CLASSES, spec=SPEC)
    found = {name for group in layer_groups(subject, 3) for name in group}
    assert found == {"", "embed", "attention", "attention.out_proj", "dense"}


# ---------------------------------------------------------------------- what is drawn


@pytest.mark.parametrize("layers", [("6",), ("6", "3"), EVERYTHING])
def test_only_the_asked_layers_change(layers: tuple[str, ...], subject: Subject, images: Tensor) -> None:
    drawn = randomized(subject, layers, seed=0, images=images)
    for name in EVERYTHING:
        assert torch.equal(weights(drawn, name), weights(subject, name)) == (name not in layers)


def test_normalisation_before_the_first_random_layer_is_untouched(normalised: Subject, images: Tensor) -> None:
    drawn = randomized(normalised, ("dense", "norm2", "conv2"), seed=0, images=images)
    for kept, found in zip(normalised.layer("norm1").buffers(), drawn.layer("norm1").buffers(), strict=True):
        assert torch.equal(kept, found)


def test_normalisation_behind_it_takes_the_statistics_of_what_reaches_it(normalised: Subject, images: Tensor) -> None:
    drawn = randomized(normalised, ("dense", "norm2", "conv2"), seed=0, images=images)
    reaching = drawn.activations(images, ["conv2"])["conv2"]
    norm = drawn.layer("norm2")
    # The same reduction of the same float32 values, fed in other batches.
    torch.testing.assert_close(norm.running_mean, reaching.mean((0, 2, 3)), atol=AGAIN, rtol=1e-5)
    torch.testing.assert_close(norm.running_var, reaching.var((0, 2, 3), correction=0), atol=AGAIN, rtol=1e-5)


def test_every_parameter_of_a_network_with_attention_changes(images: Tensor) -> None:
    subject = Subject(Attentive(), name="s", classes=CLASSES, spec=SPEC)
    layers = [name for group in layer_groups(subject, 3) for name in group]
    drawn = randomized(subject, layers, seed=0, images=images)
    same = {
        name
        for (name, kept), found in zip(subject.network.named_parameters(), drawn.network.parameters(), strict=True)
        if torch.equal(kept, found)
    }
    # One number has no other order; attention's biases are zero throughout.
    assert same <= {"scale", "attention.in_proj_bias", "attention.out_proj.bias"}


def test_a_single_weight_is_drawn_too(images: Tensor) -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(9, 3))
    subject = Subject(network, name="s", classes=CLASSES, spec=SPEC)
    drawn = randomized(subject, ("0",), seed=0, images=images)
    assert drawn.layer("0").weight.isfinite().all()
    assert drawn.logits(images).isfinite().all()


def test_biases_are_the_trained_ones_in_another_order_and_scale(subject: Subject, images: Tensor) -> None:
    drawn = randomized(subject, EVERYTHING, seed=0, images=images)
    trained, found = (np.sort(s.layer("3").bias.numpy()) for s in (subject, drawn))
    ratio = found / trained
    # One factor for all, rounded to float32.
    np.testing.assert_allclose(np.sort(ratio), np.full(len(ratio), ratio[0]), rtol=AGAIN)


def test_a_later_stage_keeps_the_draws_of_an_earlier_one(subject: Subject, images: Tensor) -> None:
    one, two = (randomized(subject, layers, seed=0, images=images) for layers in (("6",), ("6", "3")))
    earlier, later = weights(one, "6"), weights(two, "6")
    # The layer is rescaled to what reaches it, so the draw is the same up to one positive factor.
    ratio = later / earlier
    torch.testing.assert_close(ratio, ratio[0].expand_as(ratio), rtol=1e-5, atol=0)
    assert float(ratio[0]) > 0


def test_the_same_seed_draws_the_same_network(subject: Subject, images: Tensor) -> None:
    one, again = (randomized(subject, EVERYTHING, seed=3, images=images).digest for _ in range(2))
    assert one == again


def test_another_seed_draws_another_network(subject: Subject, images: Tensor) -> None:
    assert len({randomized(subject, EVERYTHING, seed=seed, images=images).digest for seed in range(4)}) == 4


# ---------------------------------------------------------------------- scale


@pytest.mark.parametrize("seed", range(3))
def test_every_random_layers_output_keeps_its_spread(seed: int, subject: Subject, images: Tensor) -> None:
    drawn = randomized(subject, EVERYTHING, seed=seed, images=images)
    wanted, found = subject.spreads(images, EVERYTHING), drawn.spreads(images, EVERYTHING)
    # A ratio of two standard deviations in float32.
    assert found == pytest.approx(wanted, rel=AGAIN)


def parametrized(how: Callable[..., nn.Module]) -> Subject:
    """Return the tiny subject, the weights of its layers being computed."""
    network = tiny_network()
    for name in EVERYTHING:
        how(network[int(name)])
    return Subject(network, name="parametrized", classes=CLASSES, spec=SPEC)


@pytest.mark.parametrize("seed", range(3))
def test_layers_whose_weights_are_computed_keep_their_spread_too(seed: int, images: Tensor) -> None:
    subject = parametrized(parametrizations.weight_norm)
    assert layer_groups(subject, 9) == (("6",), ("3",), ("0",))
    drawn = randomized(subject, EVERYTHING, seed=seed, images=images)
    wanted, found = subject.spreads(images, EVERYTHING), drawn.spreads(images, EVERYTHING)
    assert found == pytest.approx(wanted, rel=AGAIN)
    for name in EVERYTHING:
        assert not torch.equal(drawn.layer(name).weight, subject.layer(name).weight)


def test_a_layer_whose_weights_do_not_let_themselves_be_scaled_is_drawn(images: Tensor) -> None:
    """A spectral norm is 1 whatever is drawn."""
    subject = parametrized(parametrizations.spectral_norm)
    drawn = randomized(subject, EVERYTHING, seed=0, images=images)
    for name in EVERYTHING:
        assert drawn.layer(name).weight.isfinite().all()
        assert not torch.equal(drawn.layer(name).weight, subject.layer(name).weight)
    assert np.array_equal(np.sort(drawn.layer("3").bias.numpy()), np.sort(subject.layer("3").bias.numpy()))


def test_without_rescaling_the_spread_would_not_be_kept(subject: Subject, images: Tensor) -> None:
    network = tiny_network()
    with torch.no_grad():
        for name in EVERYTHING:
            network[int(name)].weight.mul_(3)
    unscaled = subject.with_network(network, "unscaled").spreads(images, ["6"])["6"]
    assert unscaled > 2 * subject.spreads(images, ["6"])["6"]


# ---------------------------------------------------------------------- what is left alone


def test_the_trained_subject_is_unchanged(normalised: Subject, images: Tensor) -> None:
    before = normalised.state_digest()
    randomized(normalised, ("dense", "conv2", "conv1", "norm1", "norm2"), seed=0, images=images)
    assert normalised.state_digest() == before


def test_no_hook_is_left_on_the_random_network(normalised: Subject, images: Tensor) -> None:
    drawn = randomized(normalised, ("dense", "conv1"), seed=0, images=images)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in drawn.network.modules())


def test_torchs_generator_is_unchanged(subject: Subject, images: Tensor) -> None:
    before = torch.get_rng_state()
    randomized(subject, EVERYTHING, seed=0, images=images)
    assert torch.equal(torch.get_rng_state(), before)
