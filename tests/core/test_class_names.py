"""Names of classes stand in the order of their numbers, and no two look alike."""

from typing import Any

import numpy as np
import pytest
from torch import nn

from harness.class_names import class_names
from harness.errors import UsageError
from harness.faces.faceset import FaceSet
from harness.subject import InputSpec, Subject

IN_ORDER: dict[str, Any] = {
    "list": ["oak", "elm"],
    "array": np.array(["oak", "elm"]),
    "numbers by name": {"elm": 1, "oak": 0},
    "names by number": {1: "elm", 0: "oak"},
    "generator": (name for name in ("oak", "elm")),
}


@pytest.mark.parametrize("how", IN_ORDER)
def test_names_follow_their_numbers(how: str) -> None:
    assert class_names(IN_ORDER[how], "it") == ("oak", "elm")


REFUSED: dict[str, tuple[Any, str]] = {
    "a set": ({"oak", "elm"}, "are a set; give a list of their names in order"),
    "nothing": (None, "are a NoneType"),
    "numbers from 1": ({"oak": 1, "elm": 2}, "a mapping whose numbers are not 0 to 1"),
    "one number twice": ({"oak": 0, "elm": 0}, "a mapping whose numbers are not 0 to 1"),
    "one twice": (["oak", "oak"], "has a class 'oak' twice"),
    "one coded twice": (["p\u00eacher", "pe\u0302cher"], "which look alike"),
    "a space more": (["oak", "oak "], "which look alike"),
    "what has no width": (["oak", "o\u200bak"], "which look alike"),
    "no text": (["oak", 3], "its class 3 is no text"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_be_mixed_up_is_one_line(what: str) -> None:
    given, said = REFUSED[what]
    with pytest.raises(UsageError, match=said) as caught:
        class_names(given, "it")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("what", ["a set", "one coded twice"])
def test_networks_and_pictures_refuse_alike(what: str) -> None:
    names = REFUSED[what][0]
    with pytest.raises(UsageError, match=REFUSED[what][1]):
        Subject(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), name="s", classes=names, spec=InputSpec(4, 4))
    with pytest.raises(UsageError, match=REFUSED[what][1]):
        FaceSet("f", np.full((2, 4, 4), 9, np.uint8), names)


@pytest.mark.usefixtures("unchecked")
def test_a_networks_mapping_is_put_in_order() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    made = Subject(network, name="s", classes={"elm": 1, "oak": 0}, spec=InputSpec(4, 4))
    assert made.classes == ("oak", "elm")
