"""What code is and holds has one name in every process, and another where anything of it differs."""

import dataclasses
import functools
import importlib.util
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from harness.explainers import registered
from harness.identity import as_read, content, loading, reads_of, watched
from harness.identity.sources import Kind, kind_of_file
from harness.subject import InputSpec, Subject

MODULE = """
import functools
import torch

{helper}

def plain(subject, images, targets):
    return images[:, 0]

@torch.no_grad()
def decorated(subject, images, targets):
    return images[:, 0]

class Callable:
    def __call__(self, subject, images, targets):
        return images[:, 0]

an_object = Callable()
partial = functools.partial(plain)
"""


Load = Callable[[str], ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Write the file with another helper in it and run it."""

    def loaded(helper: str) -> ModuleType:
        file = tmp_path / "mine.py"
        file.write_text(MODULE.format(helper=helper))
        spec = importlib.util.spec_from_file_location("mine", file)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "mine", module)
        spec.loader.exec_module(module)
        return module

    return loaded


NAMES = ["plain", "decorated", "an_object", "partial"]


@pytest.mark.parametrize("name", NAMES)
def test_code_keeps_its_digest_when_it_is_loaded_again(name: str, load: Load) -> None:
    one, again = (content(getattr(load(""), name)).digest for _ in range(2))
    assert one == again


@pytest.mark.parametrize("name", NAMES)
def test_a_change_of_a_helper_in_the_file_changes_the_digest(name: str, load: Load) -> None:
    one, other = (content(getattr(load(helper), name)).digest for helper in ("", "factor = 2"))
    assert one != other


def test_code_without_a_file_is_named_by_its_bytecode() -> None:
    made = [eval(f"lambda x: x + {number}") for number in (1, 1, 2)]
    one, same, other = (digest_of(each) for each in made)
    assert one == same != other


def digest_of(thing: object) -> str:
    return content(thing).digest


# ---------------------------------------------------------------------- what a function holds


def closing_over(held: object) -> Callable[[], object]:
    def function() -> object:
        return held

    return function


class Holder:
    """An object that can be called."""

    def __init__(self, held: object) -> None:
        self.held = held

    def __call__(self) -> object:
        return self.held

    def method(self) -> object:
        return self.held


def with_default(held: object) -> Callable[..., object]:
    def function(a: object = held, *, b: int = 1) -> object:
        return a

    return function


def with_keyword_default(held: object) -> Callable[..., object]:
    def function(*, a: object = held) -> object:
        return a

    return function


def with_attribute(held: object) -> Callable[..., object]:
    def function() -> object:
        return function.held

    function.held = held
    return function


def within_a_closure(held: object) -> Callable[[], object]:
    return closing_over([{"deep": closing_over(held)}])


def of_a_class(held: object) -> object:
    return type("Made", (), {"strength": held, "__call__": lambda self: self.strength})()


def network(held: object) -> nn.Module:
    made = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    for weights in made.parameters():
        weights.data.zero_()
    made.held = held
    return made


def hooked(held: object) -> nn.Module:
    made = network(None)
    made.register_forward_hook(closing_over(held))
    return made


def with_slots(held: object) -> object:
    return dataclasses.make_dataclass("Slotted", ["held"], slots=True)(held)


HOLDERS = [
    closing_over,
    Holder,
    lambda held: Holder(held).method,
    with_default,
    with_keyword_default,
    with_attribute,
    within_a_closure,
    of_a_class,
    with_slots,
    lambda held: functools.partial(closing_over, held),
    lambda held: functools.partial(closing_over, held=held),
    lambda held: functools.lru_cache(closing_over(held)),
    lambda held: torch.no_grad()(closing_over(held)),
    lambda held: [held],
    lambda held: ({"a": held},),
    hooked,
]
VALUES = [
    (1, 2),
    (1, 1.0),
    ("a", "b"),
    ((1, 2), (2, 1)),
    ([1], (1,)),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({1, 2}, {1, 3}),
    (np.zeros(3), np.zeros(4)),
    (np.zeros(2), np.zeros(2, np.float32)),
    (torch.zeros(3), torch.ones(3)),
    (torch.zeros(3, dtype=torch.bfloat16), torch.ones(3, dtype=torch.bfloat16)),
    (np.random.default_rng(0), np.random.default_rng(1)),
    (random.Random(0), random.Random(1)),
    (np.array([1, "a"], object), np.array([2, "a"], object)),
    (abs, len),
    (np.mean, np.sum),
    (Path("a"), Path("b")),
    (nn.ReLU(), nn.Sigmoid()),
]


@pytest.mark.parametrize(
    "values", VALUES, ids=[type(one).__name__ + str(number) for number, (one, _) in enumerate(VALUES)]
)
@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: getattr(holder, "__name__", "holder"))
def test_what_is_held_counts(holder: Callable[[object], object], values: tuple[object, object]) -> None:
    one, other = values
    assert digest_of(holder(one)) == digest_of(holder(one)) != digest_of(holder(other))
    assert not content(holder(one)).unread


@settings(max_examples=100, deadline=None)
@given(st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)))
def test_nested_values_are_told_apart_as_they_are_written(held: object) -> None:
    assert digest_of(held) == digest_of(eval(repr(held))) != digest_of([held])


def test_what_holds_itself_has_a_name() -> None:
    ring: list[object] = [1]
    ring.append(ring)
    other: list[object] = [2]
    other.append(other)
    assert digest_of(ring) != digest_of(other)


def test_globals_that_are_referred_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of(refers)
    monkeypatch.setattr(sys.modules[__name__], "STRENGTH", 3)
    assert digest_of(refers) != before


STRENGTH = 2


def refers() -> int:
    return STRENGTH


@pytest.mark.parametrize("key", ["weight", "buffer", "attribute", "hook", "lasting buffer", "forward", "function"])
def test_all_of_a_network_counts(key: str) -> None:
    def made() -> nn.Module:
        layer = nn.Linear(2, 2)
        layer.weight.data.zero_()
        layer.bias.data.zero_()
        layer.register_buffer("kept", torch.zeros(2), persistent=False)
        layer.register_buffer("lasting", torch.zeros(2))
        return nn.Sequential(layer)

    one, other = made(), made()
    assert digest_of(one) == digest_of(other)
    if key == "weight":
        other[0].weight.data[0, 0] = 1
    elif "buffer" in key:
        other[0].kept.fill_(1) if key == "buffer" else other[0].lasting.fill_(1)
    elif key == "attribute":
        other[0].scale = 2.0
    elif key == "forward":
        other[0].forward = closing_over(1)
    elif key == "function":
        one[0].act, other[0].act = functools.partial(round, ndigits=1), functools.partial(round, ndigits=2)
    else:
        other[0].register_forward_pre_hook(closing_over(1))
    assert digest_of(one) != digest_of(other)


def test_what_nothing_tells_is_never_the_same_and_is_named(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w") as file, (tmp_path / "b").open("w") as other:
        assert digest_of(closing_over(file)) != digest_of(closing_over(other))
        assert content(closing_over(file)).unread == ("a _io.TextIOWrapper",)


def test_a_lock_says_nothing() -> None:
    assert digest_of(closing_over(threading.Lock())) == digest_of(closing_over(threading.Lock()))


def test_the_packages_own_explainers_hold_nothing_that_cannot_be_told() -> None:
    assert not [name for name, made in registered().items() if made.content.unread or made.content.files]


def test_a_subject_has_its_map_layer_and_the_files_that_it_came_from_in_its_name() -> None:
    spec = InputSpec(2, 2)
    deep = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1), nn.Flatten(), nn.Linear(8, 2))
    subject = Subject(deep, name="a", classes=("x", "y"), spec=spec)
    before = subject.digest
    subject.cam_layer = "0"
    between = subject.digest
    subject.read = {"data.npy": "1"}
    assert len({before, between, subject.digest}) == 3


# ---------------------------------------------------------------------- in other processes

SAYS = "import sys; sys.path.insert(0, {folder!r}); import mine; from harness.identity import content; "
SAYS += "print(content(mine.made(3)).digest)"


@pytest.fixture
def said(tmp_path: Path) -> Callable[[], str]:
    """The digest that another process, with other hashes of text, gives what mine.py makes."""

    def asked() -> str:
        command = [sys.executable, "-c", SAYS.format(folder=str(tmp_path))]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return asked


MINE = """
import helper
def made(factor):
    words = {"a", "b", "c"}
    def f(x):
        return helper.twice(x) * factor if x in {"d", "e"} else words
    return f
"""


def test_every_process_gives_the_same_name_until_a_helper_changes(tmp_path: Path, said: Callable[[], str]) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "helper.py").write_text("from deeper import FACTOR\ndef twice(x): return FACTOR * x\n")
    (tmp_path / "deeper.py").write_text("FACTOR = 2\n")
    one, again = said(), said()
    (tmp_path / "deeper.py").write_text("FACTOR = 3\n")
    assert one == again != said()


# ---------------------------------------------------------------------- files that are read


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "data.npy"
    np.save(file, np.zeros(3))
    return file


def test_what_is_read_is_noted_and_compared(data: Path) -> None:
    with watched("reader"):
        np.load(data)
    held = reads_of("reader")
    piece = {"reads": np.array([*held.items()])}
    assert [*held] == [str(data)]
    assert as_read(piece)
    np.save(data, np.ones(3))
    assert not as_read(piece)
    data.unlink()
    assert not as_read(piece)


def test_what_is_written_or_pythons_own_is_not_noted(tmp_path: Path) -> None:
    with watched("writer"):
        (tmp_path / "log").write_text("a")
        (tmp_path / "log").read_text()
        Path(functools.__file__).read_text()
        Path(nn.__file__).read_text()
    assert reads_of("writer") == {}


def test_what_a_module_reads_as_it_is_loaded_belongs_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, module = tmp_path / "data.txt", tmp_path / "loads_data.py"
    data.write_text("1")
    module.write_text(f"import pathlib\ntext = pathlib.Path({str(data)!r}).read_text()\ndef f(): pass\n")
    found = []
    for text in ("1", "1", "2"):
        data.write_text(text)
        spec = importlib.util.spec_from_file_location("loads_data", module)
        loaded = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "loads_data", loaded)
        with loading("loads_data"):
            spec.loader.exec_module(loaded)
        found.append(digest_of(loaded.f))
    assert found[0] == found[1] != found[2]


def test_a_library_of_another_environment_is_no_code_of_the_users_own() -> None:
    """A path file or PYTHONPATH may bring one in; followed as one's own, all of torch would be read."""
    elsewhere = Path("/somewhere/else/lib/python3/site-packages/library/part.py")
    assert kind_of_file(elsewhere) is Kind.FOREIGN
    assert kind_of_file(Path("/somewhere/else/project/part.py")) is Kind.OWN


def test_a_tensor_is_called_by_its_numbers_wherever_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """One network has one name on every device: runs on two of them are of one subject."""
    numbers = torch.arange(4.0)
    here, other = content([numbers]).digest, content([numbers.double()]).digest
    monkeypatch.setattr(torch.Tensor, "device", property(lambda _tensor: torch.device("cuda")))
    assert content([numbers]).digest == here != other
