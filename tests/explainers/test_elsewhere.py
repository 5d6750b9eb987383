"""The table of other packages' explainers names all of theirs that can be asked here, and ours as they are called."""

import inspect
import tomllib
from pathlib import Path

import captum.attr
import pytest
from explainer_cases import reference

from harness.explainers import registered

DOCS = Path(__file__).parents[2] / "docs"
ELSEWHERE = tomllib.loads((DOCS / "explainers_elsewhere.toml").read_text(encoding="utf-8"))
OURS = [
    (package, theirs, name)
    for package, names in ELSEWHERE.items()
    for theirs, ours in names.items()
    if not ours.startswith("none: ")
    for name in ours.split(", ")
]


@pytest.mark.parametrize(("package", "theirs", "name"), OURS)
def test_what_is_here_is_registered(package: str, theirs: str, name: str) -> None:
    assert name in registered(), f"{package}'s {theirs}"


def test_every_attribution_of_captum_is_told_of() -> None:
    offered = {
        name
        for name, made in vars(captum.attr).items()
        if inspect.isclass(made) and issubclass(made, captum.attr.Attribution) and "LLM" not in name
    }
    kinds = {"Attribution", "GradientAttribution", "LayerAttribution", "NeuronAttribution", "PerturbationAttribution"}
    assert offered - kinds - {"DataLoaderAttribution"} == set(ELSEWHERE["captum"])


def test_every_map_of_pytorch_grad_cam_is_told_of() -> None:
    package = reference("pytorch_grad_cam")
    from pytorch_grad_cam.base_cam import BaseCAM

    offered = {n for n, made in vars(package).items() if inspect.isclass(made) and issubclass(made, BaseCAM)}
    assert offered - {"BaseCAM"} <= set(ELSEWHERE["pytorch_grad_cam"])
