import numpy as np
import torch
from double_cases import EQUAL, network, pictures, subject
from explainer_cases import reference

from harness.explainers import registered
from harness.explainers.gradient import path_integral
from harness.explainers.regions import ranked_regions, segmentations

TARGETS = torch.tensor([0, 3, 4])


def test_ranking_equals_the_saliency_packages_on_the_same_regions_and_attribution() -> None:
    core = reference("saliency.core")
    rng = np.random.default_rng(0)
    picture, attribution = rng.random((24, 24)), rng.normal(size=(24, 24))
    regions = segmentations(picture)
    parameters = core.XRAIParameters()
    # Next to nothing is a share of the picture with us, a number of pixels there.
    parameters.experimental_params = {"min_pixel_diff": 1}
    theirs = core.XRAI().GetMask(
        picture[..., None],
        None,
        segments=list(regions),
        base_attribution=attribution[..., None],
        extra_parameters=parameters,
    )
    assert np.allclose(ranked_regions(attribution, regions), theirs, rtol=0, atol=EQUAL)


def test_ranking_paints_disjoint_regions_with_their_means() -> None:
    attribution = np.arange(16.0).reshape(4, 4)
    halves = np.zeros((2, 4, 4), bool)
    halves[0, :2], halves[1, 2:] = True, True
    expected = np.repeat([3.5, 11.5], 8).reshape(4, 4)
    assert np.array_equal(ranked_regions(attribution, halves), expected)


def test_what_no_region_covers_gets_its_own_mean() -> None:
    attribution = np.arange(16.0).reshape(4, 4)
    top = np.zeros((1, 4, 4), bool)
    top[0, :2] = True
    assert (ranked_regions(attribution, top)[2:] == 11.5).all()


def test_regions_cover_the_picture_even_where_it_is_plain() -> None:
    for picture in (np.zeros((16, 16), np.float32), np.random.default_rng(0).random((16, 16), np.float32)):
        assert segmentations(picture).any(0).all()


def test_map_averages_attributions_from_black_and_from_white() -> None:
    of, images = subject(network()), pictures(1)
    black, white = (path_integral(of, torch.full_like(images, shade), images, TARGETS[:1], 16) for shade in (-1.0, 1.0))
    mean = ((black + white) / 2)[0].double().numpy()
    found = registered()["xrai"](of, images, TARGETS[:1])[0]
    assert np.allclose(found, ranked_regions(mean, segmentations(of.spec.to_grey(images)[0])), rtol=0, atol=EQUAL)


def test_two_colours_of_one_brightness_are_two_regions() -> None:
    picture = np.zeros((48, 48, 3), np.float32)
    picture[:, :24, 0] = picture[:, 24:, 2] = 1
    regions = segmentations(picture)
    assert len(regions) > len(segmentations(picture.mean(2)))
    assert (regions[:, 0, 0] & ~regions[:, 0, 47]).any()
