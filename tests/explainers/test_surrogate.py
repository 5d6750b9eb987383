import numpy as np
import pytest
import torch
from double_cases import IN_SINGLE
from explainer_cases import error, network, pictures, subject, target_logits
from scipy.stats import spearmanr
from torch import Tensor

from harness.errors import UsageError
from harness.explainers import registered
from harness.explainers._segments import segments_of
from harness.explainers.surrogate import lime_agreement, lime_weights
from harness.faces.rendered import load_rendered
from harness.rounding import rounding
from harness.subject import Subject

EXPLAINERS = registered()
TARGETS = torch.tensor([0, 3, 4])


@pytest.fixture(scope="module", params=[1, 3], ids=["grey", "colour"])
def case(request: pytest.FixtureRequest) -> tuple[Subject, Tensor]:
    return subject(network(channels=request.param), channels=request.param), pictures(channels=request.param)


def test_lime_fast_equals_the_package(case: tuple[Subject, Tensor]) -> None:
    of, images = case
    theirs = torch.from_numpy(EXPLAINERS["lime"](of, images, TARGETS, seed=4))
    assert error(EXPLAINERS["lime-fast"](of, images, TARGETS, seed=4), theirs) < IN_SINGLE


def test_lime_asks_the_network_no_more_than_its_samples(case: tuple[Subject, Tensor]) -> None:
    of, images = case
    before = of.passes.forward
    EXPLAINERS["lime"](of, images, TARGETS, samples=50)
    assert of.passes.forward - before == 50 * len(images)


def test_one_perturbation_set_serves_every_class() -> None:
    of, images = subject(network()), pictures(1)
    maps = [EXPLAINERS["lime-fast"](of, images, torch.tensor([k]), samples=50) for k in range(5)]
    assert of.passes.forward == 50
    # Probabilities add up to one whatever is hidden, so the classes' weights add up to nothing.
    assert torch.stack(maps).sum(0).abs().max() < IN_SINGLE


@pytest.mark.parametrize("name", ["lime", "lime-fast", "kernel-shap"])
def test_seed_governs_every_draw(name: str, case: tuple[Subject, Tensor]) -> None:
    of, images = case
    np.random.seed(1)
    first = np.asarray(EXPLAINERS[name](of, images, TARGETS, samples=240, seed=2))
    np.random.seed(2)
    again = np.asarray(
        EXPLAINERS[name](subject(of.network, channels=images.shape[1]), images, TARGETS, samples=240, seed=2)
    )
    other = np.asarray(EXPLAINERS[name](of, images, TARGETS, samples=240, seed=3))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_lime_draws_no_bar(case: tuple[Subject, Tensor], capfd: pytest.CaptureFixture[str]) -> None:
    of, images = case
    EXPLAINERS["lime"](of, images[:1], TARGETS[:1], samples=20)
    assert capfd.readouterr() == ("", "")


def test_lime_weights_of_a_segment_that_changes_nothing_are_zero() -> None:
    blind = network()
    with torch.no_grad():
        blind[9].weight.zero_()
    weights, _ = lime_weights(subject(blind), pictures(1)[0], 100, 50, 0)
    assert weights.abs().max() < IN_SINGLE


def test_agreement_between_seeds_is_the_mean_rank_correlation_of_segment_weights() -> None:
    of, image = subject(network()), pictures(1)[0]
    weights = [lime_weights(of, image, 60, 50, seed)[0][:, 3].numpy() for seed in (0, 1, 2)]
    expected = np.mean([spearmanr(weights[a], weights[b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))])
    assert lime_agreement(of, image, 3, (0, 1, 2), samples=60) == pytest.approx(
        expected, abs=rounding("float64", 3 * 60)
    )


def test_agreement_grows_with_samples_and_is_whole_for_one_seed_twice() -> None:
    of, image = subject(network()), pictures(1)[0]
    few, many = (lime_agreement(of, image, 3, range(4), samples=samples) for samples in (60, 1500))
    assert few < many
    assert lime_agreement(of, image, 3, (7, 7), samples=60) == pytest.approx(1)
    assert np.isnan(lime_agreement(of, image, 3, (7,), samples=60))


def test_kernel_shap_adds_up_to_the_logits_rise_over_the_mean_colour() -> None:
    of, images = subject(network()), pictures(1)
    plain = images.mean((2, 3), keepdim=True).expand_as(images)
    rise = target_logits(of, images, TARGETS[:1]) - target_logits(of, plain, TARGETS[:1])
    found, labels = EXPLAINERS["kernel-shap"](of, images, TARGETS[:1])[0], segments_of(images[0])
    total = sum(float(found[torch.from_numpy(labels == k)][0]) for k in range(labels.max() + 1))
    assert total == pytest.approx(float(rise), abs=1e-4)  # a least-squares fit in single precision


def test_kernel_shap_refuses_fewer_coalitions_than_tell_its_values_apart() -> None:
    """A coalition and the rest of it say the same, so that half of the samples count."""
    of, images = subject(network()), pictures(1)
    with pytest.raises(UsageError, match=r"^10 coalitions tell the values of 6 of \d+ segments apart; give some"):
        EXPLAINERS["kernel-shap"](of, images, TARGETS[:1], samples=10, segments=20)


def test_segments_of_a_face_are_about_35() -> None:
    faces = load_rendered()
    counts = [segments_of(torch.from_numpy(face / 127.5 - 1).float()[None]).max() + 1 for face in faces.images[:40]]
    assert 28 < np.mean(counts) < 42  # quickshift's defaults, the package's, find 7
