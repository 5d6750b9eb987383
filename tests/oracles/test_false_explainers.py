"""False explainers stand below the rung that they falsify, on 21 rendered faces, by the checks' own measurements.

DeepLIFT is spoiled, and occlusion where a fault needs a method that asks the network: the first stands high on this
pair, so that what a fault loses is the fault's doing.
"""

from collections.abc import Iterator

import pytest
from false_explainers import CLASSES, COUNTED, FINE, IMAGES, NETWORK, Sample, sample

from harness.checks import ALPHA, CHECKS
from harness.explainers import Explainer, registered
from harness.oracles.faults import spoiled
from harness.oracles.making import bases_remembered, fault


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    with bases_remembered():
        yield sample("faces-cnn", "rendered", tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize("check", [*NETWORK, *COUNTED, "cells-rival"])
def test_what_is_spoiled_holds_the_claim_at_this_n(rendered: Sample, check: str) -> None:
    assert rendered.finding(registered()["deeplift"], check).p < ALPHA


def test_what_is_spoiled_lies_on_the_right_side_of_what_takes_more_images(rendered: Sample) -> None:
    assert all(rendered.sides(registered()["deeplift"], (*FINE, *CLASSES, *IMAGES)).values())
    assert all(rendered.sides(registered()["occlusion"], (*FINE, *CLASSES)).values())
    assert rendered.finding(registered()["occlusion"], "cells-rival").p < ALPHA


REFUTED = {
    "frozen": NETWORK,
    "centre-times-logit": NETWORK,
    "edges-times-logit": NETWORK,
    "sign-flipped": COUNTED,
    "another-class": CLASSES,
    "predicted-class": ("cells-rival",),
}
"""Faults whose rung fails already: each of these claims is shown to be false."""


@pytest.mark.parametrize("fault", REFUTED)
def test_fault_is_shown_to_be_false_on_its_rung(rendered: Sample, fault: str) -> None:
    explainer = rendered.planted[fault].explainer
    assert all(rendered.finding(explainer, check).p_fail < ALPHA for check in REFUTED[fault])


BELOW = {
    "moved-8": (FINE, FINE),
    "mirrored": (IMAGES, IMAGES),
    "another-image": (IMAGES, IMAGES),
    "half-noise": (("cells-portrait",), IMAGES),
    "half-centre": (("cells-edges",), (*COUNTED, *IMAGES)),
}
"""Faults that are not believed: the claims that lie on the wrong side, and all that they would have to hold."""


@pytest.mark.parametrize("fault", BELOW)
def test_fault_lies_on_the_wrong_side_of_a_claim_of_its_rung_or_below(rendered: Sample, fault: str) -> None:
    wrong, needed = BELOW[fault]
    explainer = rendered.planted[fault].explainer
    assert not any(rendered.sides(explainer, wrong).values())
    assert any(rendered.finding(explainer, check).p >= ALPHA for check in needed)


BELOW_HALF_A_CELL, A_CELL = 6.4, 16.0
"""Standard deviations of a blur in pixels."""
AGAINST_CONTROLS = ("cells-edges-fine", "cells-centre-fine", "cells-mean-face-fine")


def blurred(pixels: float) -> Explainer:
    """DeepLIFT, blurred."""
    return fault("blur", spoiled, 3, "", base="deeplift", how="blurred", amount=pixels).explainer


@pytest.mark.parametrize("check", COUNTED)
def test_a_blurred_map_is_right_at_its_resolution(rendered: Sample, check: str) -> None:
    assert rendered.finding(blurred(BELOW_HALF_A_CELL), check).p < ALPHA


@pytest.mark.parametrize("check", AGAINST_CONTROLS)
def test_a_map_blurred_by_a_cell_makes_no_claim_at_the_finer_resolution(rendered: Sample, check: str) -> None:
    assert rendered.finding(blurred(A_CELL), check).p >= ALPHA


def test_a_map_blurred_by_a_cell_lies_on_the_right_side_at_cells(rendered: Sample) -> None:
    assert all(rendered.sides(blurred(A_CELL), COUNTED).values())


def test_a_blur_below_half_a_cell_leaves_the_order_of_parts_as_it_was(rendered: Sample) -> None:
    """Which part of a cell is worth more follows from what lies around it, and that is not blurred away so."""
    as_it_is, little, much = (rendered.right_within(blurred(each)) for each in (0.0, BELOW_HALF_A_CELL, A_CELL))
    margin = CHECKS["cells-edges-fine"].margin
    assert abs(little - as_it_is) < margin
    assert much < as_it_is - 2 * margin
