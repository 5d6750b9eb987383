import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from harness.errors import UsageError
from harness.models.loading import load_subject

FACTORY = """
from torch import nn
from harness.subject import InputSpec, Subject

def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 2))

def as_subject():
    return Subject(network(), name="mine", classes=["a", "b"], spec=InputSpec(8, 8))

def as_module():
    made = network()
    made.classes, made.spec = ("a", "b"), InputSpec(8, 8)
    return made
"""
IMAGES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
TRAINED = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))


@pytest.fixture
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(FACTORY)
    return f"{tmp_path}/mine.py"


def saved(folder: Path, content: object, name: str = "w.pt") -> str:
    torch.save(content, folder / name)
    return str(folder / name)


@pytest.mark.parametrize("factory", ["as_subject", "as_module"])
def test_safetensors_are_put_into_what_the_factory_makes(factory: str, mine: str, tmp_path: Path) -> None:
    save_file(TRAINED.state_dict(), tmp_path / "w.safetensors")
    subject = load_subject(f"{mine}:{factory}@{tmp_path}/w.safetensors")
    assert torch.equal(subject.logits(IMAGES), TRAINED(IMAGES))
    assert subject.name == "w"


STATE = TRAINED.state_dict()


@pytest.mark.parametrize(
    "content",
    [STATE, {"state_dict": STATE, "epoch": 3}, {"model": {f"module.{key}": value for key, value in STATE.items()}}],
    ids=["state dict", "checkpoint", "data-parallel checkpoint"],
)
def test_torch_weights_are_put_into_what_the_factory_makes(content: object, mine: str, tmp_path: Path) -> None:
    subject = load_subject(f"{mine}:as_subject@{saved(tmp_path, content)}")
    assert torch.equal(subject.logits(IMAGES), TRAINED(IMAGES))


class RunsCode:
    """Pickled, it would make a folder when read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_would_run_code_is_refused_and_not_run(mine: str, tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": RunsCode(tmp_path / "made")})
    with pytest.raises(UsageError, match=r"is no file of weights alone .*what could run code is not read"):
        load_subject(f"{mine}:as_subject@{path}")
    assert not (tmp_path / "made").exists()


def test_a_whole_pickled_network_is_refused(mine: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no file of weights alone .*save network\.state_dict\(\)") as caught:
        load_subject(f"{mine}:as_subject@{saved(tmp_path, TRAINED)}")
    assert "\n" not in str(caught.value)


WRONG = {
    "a layer is missing": ({"1.weight": STATE["1.weight"]}, r"w\.pt lacks '1\.bias' \(1 so in all\)"),
    "a layer is left over": (STATE | {"2.bias": torch.zeros(1)}, r"w\.pt has an unknown '2\.bias'"),
    "another shape": (STATE | {"1.bias": torch.zeros(3)}, r"'1\.bias' has shape \(3,\), but the network's has \(2,\)"),
    "whole numbers": (
        STATE | {"1.weight": STATE["1.weight"].to(torch.int8)},
        "'1.weight' is of int8, of which no weights",
    ),
    "numbers of two parts": (STATE | {"1.weight": STATE["1.weight"] * 1j}, "'1.weight' is of complex64"),
    "no tensors": ({"epoch": 3}, "holds no state dict"),
    "no mapping": ([1, 2], "holds a list, not a state dict"),
}


@pytest.mark.parametrize("what", WRONG)
def test_weights_of_another_network_are_refused(what: str, mine: str, tmp_path: Path) -> None:
    content, said = WRONG[what]
    with pytest.raises(UsageError, match=said) as caught:
        load_subject(f"{mine}:as_subject@{saved(tmp_path, content)}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_bytes_that_are_no_weights_are_refused(name: str, mine: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"no file of weights alone|cannot be read as safetensors"):
        load_subject(f"{mine}:as_subject@{tmp_path / name}")


def test_an_absent_file_is_refused(mine: str) -> None:
    with pytest.raises(UsageError, match=r"there is no weights file absent\.pt"):
        load_subject(f"{mine}:as_subject@absent.pt")


@pytest.mark.parametrize(("name", "function"), [("m.h5", "keras_network"), ("m.onnx", "onnx_network")])
def test_another_frameworks_file_alone_is_told_how_to_be_used(name: str, function: str) -> None:
    with pytest.raises(UsageError, match=rf"does not say its classes and units; .*{function}\('{name}'\)"):
        load_subject(name)


@pytest.mark.parametrize("prefix", ["model.", "_orig_mod.", "module._orig_mod."])
def test_what_all_names_begin_with_is_left_out(prefix: str, mine: str, tmp_path: Path) -> None:
    held = {prefix + name: value for name, value in TRAINED.state_dict().items()}
    subject = load_subject(f"{mine}:as_subject@{saved(tmp_path, {'state_dict': held, 'epoch': 3}, 'w.ckpt')}")
    assert torch.equal(subject.network.get_parameter("1.weight"), TRAINED[1].weight)
