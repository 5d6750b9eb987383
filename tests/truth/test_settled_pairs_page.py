"""The page on settled pairs says of its face what the game says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from harness.explainers import registered
from harness.measurements.cells import Ordered, share_right

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("settled_pairs", DOCS / "settled_pairs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_tells_how_many_pairs_are_settled_and_how_many_each_map_orders_right(script: ModuleType) -> None:
    text = " ".join((DOCS / "settled-pairs.md").read_text().split())
    case = script.one_face()
    level = script.played(case)
    ordered = Ordered.of(level, level.of(case.targets))
    settled = int((ordered.order != 0).sum())
    right = {}
    for name in script.MAPS:
        maps = registered()[name].maps(case.subject, case.images, case.target_tensor(), case.seed)
        right[name] = round(settled * float(share_right([ordered], maps)[0]))
    assert f"Of this face's 36 pairs {settled} are settled." in text
    assert (
        f"DeepLIFT is right in {right['deeplift']} of {settled}, occlusion in {right['occlusion']} and a Sobel filter "
        f"in {right['edges']}."
    ) in text


def test_the_picture_is_there_and_small() -> None:
    assert 10_000 < (DOCS / "settled-pairs.png").stat().st_size < 150_000
