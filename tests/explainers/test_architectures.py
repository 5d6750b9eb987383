"""The table of architectures: what counts as a refusal, what as a defect, and that the page cannot fall behind."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from explainer_cases import network, subject
from torch import Tensor, nn

from benchmarks import architectures
from harness.errors import UsageError
from harness.explainers import Explainer, registered, wrapped
from harness.subject import Subject


def silent(_line: str) -> None:
    """Say nothing."""


def runs(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return images[:, 0]


def refuses(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    raise UsageError(f"{subject.name!r} has no ears; use another explainer")


def breaks(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    raise IndexError("3 is out of range")


def undefined(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    return images[:, 0] * torch.nan


ASKED: dict[str, Explainer] = {each.__name__: wrapped(each) for each in (runs, refuses, breaks, undefined)}


def test_a_refusal_is_told_from_a_defect() -> None:
    made = architectures.outcome(subject(network()), ASKED, "", silent)
    assert made.refused == {"refuses": "'small' has no ears; use another explainer"}
    assert made.raised["breaks"] == "breaks raised IndexError: 3 is out of range"
    assert made.raised["undefined"].startswith("undefined returned NaN or infinity")
    assert (made.layer, made.fault) == ("5", "")


def test_a_layer_that_something_gets_around_is_a_defect_and_so_is_a_shortcut() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.shortcut = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(1, 4, 1)
            self.act, self.head = nn.ReLU(), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.act(self.conv(x) + self.shortcut(x)).mean((2, 3)))

    for layer, said in (("conv", "something of the picture gets around"), ("shortcut", "or a shortcut")):
        assert said in architectures.outcome(subject(Block(), layer), {}, "", silent).fault


def test_reasons_stand_once_under_the_table() -> None:
    made = architectures.outcome(subject(network()), ASKED, "", silent)
    other = replace(made, name="other", refused={"refuses": "'other' has no ears; use another explainer"})
    page = architectures.page([made, other], tuple(ASKED), {"torch": torch.__version__})
    assert page.count("| `5` | 1 | 1 [1](#1) |\n") == 2
    assert '1. <a id="1"></a>the network has no ears; use another explainer (refuses)' in page


def test_the_page_asks_every_method_that_there_is() -> None:
    lines = architectures.PAGE.read_text(encoding="utf-8").splitlines()
    told = next(line for line in lines if line.startswith(architectures.METHODS_ARE))
    package = {name for name, each in registered().items() if each.origin.startswith("harness.")}
    asked = [name for name in architectures.methods() if name in package]
    said = told.removeprefix(architectures.METHODS_ARE).rstrip(".").split(", ")
    assert said == asked, "run: python benchmarks/architectures.py"
    rows = {line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")}
    assert set(architectures.ARCHITECTURES) <= rows, "run: python benchmarks/architectures.py"


def test_two_architectures_are_asked_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    words = ["--only", "resnet", "--only", "vit", "--results", str(tmp_path), "--page", str(tmp_path / "page.md")]
    assert architectures.main(words) == 0
    assert "vit: network.vit.layers.0, " in capsys.readouterr().out
    assert not (tmp_path / "page.md").exists(), "a page of two would hide the others"
    held = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.json")}
    assert len(held) == 2
    assert architectures.main(words) == 0
    capsys.readouterr()
    assert architectures.main([*words, "--method", "gradient", "--method", "cam"]) == 0
    assert "resnet: network.resnet.encoder.stages.3, 2 of 2 run, 0 refuse" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.json")} == held, "what is known is used again"
