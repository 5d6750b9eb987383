"""Explainers with other settings than their own, and the pictures that baselines are."""

import numpy as np
import pytest
import torch
from torch import nn

from harness.errors import UsageError
from harness.explainers import registered
from harness.explainers.asked import asked_explainers
from harness.explainers.base import Explainer, wrapped
from harness.explainers.baselines import baseline_pictures, in_pixels, plain
from harness.explainers.settings import read_settings, with_settings
from harness.rounding import rounding
from harness.subject import InputSpec, Subject

GREY = InputSpec(6, 6, (0.5,), (0.25,))
COLOUR = InputSpec(6, 6, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLOSE = {"atol": rounding("float32", 8, scale=4.0), "rtol": 0}


def dense(spec: InputSpec) -> Subject:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(spec.channels * spec.height * spec.width, 3))
    return Subject(network, name="dense", classes=("a", "b", "c"), spec=spec)


def explained(text: str, spec: InputSpec = GREY) -> np.ndarray:
    (explainer,) = asked_explainers([text])
    subject = dense(spec)
    images = torch.rand(2, spec.channels, 6, 6, generator=torch.Generator().manual_seed(1))
    return explainer.maps(subject, images, torch.tensor([0, 2]), seed=0)


def by_hand(baseline: torch.Tensor, spec: InputSpec = GREY) -> np.ndarray:
    images = torch.rand(2, spec.channels, 6, 6, generator=torch.Generator().manual_seed(1))
    weight = dense(spec).network[1].weight[[0, 2]].reshape(2, spec.channels, 6, 6)
    return ((images - baseline) * weight).sum(1).detach().numpy()


def mixed(
    subject: Subject,
    images: torch.Tensor,
    targets: torch.Tensor,
    *,
    count: int = 3,
    share: float = 0.5,
    soft: bool = True,
    kind: str = "plain",
    most: int | None = 4,
    place: tuple[int, int] = (0, 0),
) -> torch.Tensor:
    return images.sum(1)


MIXED: Explainer = wrapped(mixed)


def test_settings_are_read_as_annotated_and_named() -> None:
    made = read_settings(MIXED, "count=7, share=1,soft=no,kind=blurred,most=none")
    assert dict(made.settings) == {
        "count": 7, "share": 1.0, "soft": False, "kind": "blurred", "most": None, "place": (0, 0)
    }  # fmt: skip
    assert isinstance(made.settings["share"], float)
    assert made.name == "mixed:count=7,share=1.0,soft=False,kind=blurred,most=None"
    assert MIXED.settings["count"] == 3


def test_other_settings_are_another_explainer_beside_the_first() -> None:
    first, more = asked_explainers(["integrated-gradients", "integrated-gradients:steps=64"])
    assert (first.settings["steps"], more.settings["steps"]) == (32, 64)
    assert first.digest != more.digest
    assert more.facts == first.facts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("step=3", r"mixed has no setting 'step'; it has count=3, share=0.5"),
        ("shar=3", r"mixed has no setting 'shar' \(did you mean 'share'\?\)"),
        ("count=3.5", "mixed: count=3.5 is not a whole number, which the setting 'count' takes"),
        ("soft=maybe", "mixed: soft=maybe is not yes or no"),
        ("most=few", "mixed: most=few is not a whole number or none"),
        ("place=3", "mixed: setting 'place' cannot be given in words; give it in Python"),
        ("count", "mixed: 'count' is no setting; write key=value"),
        ("count=", "mixed: 'count=' is no setting; write key=value"),
        ("count=1,count=2", "mixed: setting 'count' is given twice"),
    ],
)
def test_a_wrong_setting_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        read_settings(MIXED, text)
    assert "\n" not in str(caught.value)


def test_an_explainer_without_settings_says_so() -> None:
    with pytest.raises(UsageError, match="gradient has no setting 'steps'; it has none"):
        with_settings(registered()["gradient"], steps=3)


def test_a_family_takes_no_settings() -> None:
    said = r"'backprop' names .* explainers; give the settings 'steps=3' to one by its name"
    with pytest.raises(UsageError, match=said):
        asked_explainers(["backprop:steps=3"])


def test_a_number_is_a_baseline_in_input_units() -> None:
    np.testing.assert_allclose(explained("integrated-gradients:baseline=1.5"), by_hand(torch.tensor(1.5)), **CLOSE)


@pytest.mark.parametrize("text", ["integrated-gradients", "deeplift", "guided-ig"])
@pytest.mark.parametrize(("word", "pixel"), [("black", 0.0), ("grey", 0.5), ("white", 1.0)])
@pytest.mark.parametrize("spec", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_word_is_a_plain_picture_in_every_channel(text: str, word: str, pixel: float, spec: InputSpec) -> None:
    mean, std = (torch.tensor(v)[:, None, None] for v in (spec.mean, spec.std))
    found = explained(f"{text}:baseline={word}", spec)
    np.testing.assert_allclose(found, by_hand((pixel - mean) / std, spec), **CLOSE)


def test_black_is_black_in_every_channel_of_a_colour_network() -> None:
    mean, std = (torch.tensor(v)[:, None, None] for v in (COLOUR.mean, COLOUR.std))
    found = explained("integrated-gradients-black", COLOUR)
    np.testing.assert_allclose(found, by_hand(-mean / std, COLOUR), **CLOSE)


def test_the_mean_is_each_images_own_colour_and_blurring_keeps_it() -> None:
    images = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    subject = dense(InputSpec(12, 12, COLOUR.mean, COLOUR.std))
    means = baseline_pictures(subject, images, "mean")
    torch.testing.assert_close(means[1, 2], images[1, 2].mean().expand(12, 12), **CLOSE)
    soft = baseline_pictures(subject, images, "blur")
    torch.testing.assert_close(soft.mean((-2, -1)), images.mean((-2, -1)), **CLOSE)  # edges are reflected
    assert (soft.std((-2, -1)) < images.std((-2, -1))).all()


def test_an_unknown_baseline_is_said_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"no baseline 'blakc' \(did you mean 'black'\?\); give black, grey, white"):
        baseline_pictures(dense(GREY), torch.zeros(1, 1, 6, 6), "blakc")


def test_a_number_is_stated_in_pixels() -> None:
    assert in_pixels(GREY, 0.0) == "pixel 127.5"
    assert in_pixels(COLOUR, 0) == "pixel 123.7, 116.3, 103.5"
    assert in_pixels(GREY, "mean") == "mean"


def test_a_plain_picture_is_what_a_plain_picture_becomes() -> None:
    pictures = np.full((1, 6, 6, 3), 255, np.uint8)
    torch.testing.assert_close(plain(COLOUR, torch.zeros(1, 3, 6, 6), 1.0), COLOUR.prepare(pictures), **CLOSE)
