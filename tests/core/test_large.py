"""The command that judges networks of usual size: what it brings, and what it notices of a command that goes wrong."""

import argparse
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import large


@pytest.mark.parametrize("name", large.NETWORKS)
def test_a_network_answers_with_as_many_classes_as_were_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in zip(large.SIZES, ("64", "5"), strict=True):
        monkeypatch.setenv(key, value)
    subject = getattr(large, name)()
    pictures = large.drawn(2, 64)
    assert pictures.shape == (2, 64, 64, 3)
    answers = subject.logits(subject.prepare(pictures))
    assert answers.shape == (2, 5)
    assert not torch.equal(answers[0], answers[1])
    layers = [each for each in subject.network.modules() if isinstance(each, nn.Conv2d | nn.TransformerEncoderLayer)]
    assert len(layers) == {"resnet": 1 + 4 * 4 + 3, "vit": 1 + 12}[name]
    assert subject.cam_layer == {"resnet": "11", "vit": "blocks.10"}[name]


def test_what_a_command_left_out_took_or_kept_to_itself_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = argparse.Namespace(side=32, classes=5, explainer=[], most=1.0, profile="glance")
    took = large.Spent(status=0, processor=1.0, wall=2.0, peak=0.5, lines=3, silence=61.0)
    monkeypatch.setattr(large, "spent", lambda words, environment: took)
    for folder, files in (("vit", large.LEFT["run"]), ("vit-gallery", large.LEFT["gallery"])):
        (tmp_path / folder).mkdir()
        for file in files:
            (tmp_path / folder / file).touch()
    assert large.judged("vit", tmp_path / "pictures.npz", tmp_path, asked)
    assert "vit run: 1 s of processor, 2 s, 0.50 GiB, 3 lines on the way\n" in capsys.readouterr().out
    (tmp_path / "vit" / "report.html").unlink()
    took = large.Spent(status=2, processor=1.0, wall=2.0, peak=1.5, lines=0, silence=130.0)
    assert not large.judged("vit", tmp_path / "pictures.npz", tmp_path, asked)
    said = capsys.readouterr().out
    for fault in ("ended with 2", "left no report.html", "took more than 1.0 GiB", "was silent for 130 s"):
        assert fault in said
