"""Digests name content: equal content equally, other content otherwise."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.digest import digest, file_sha256, image_keys

SIMPLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
NESTED = st.recursive(
    SIMPLE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def written(thing: object) -> str:
    """A form in which only equal content of equal type is equal."""
    if isinstance(thing, dict):
        return f"{{{sorted((key, written(value)) for key, value in thing.items())}}}"
    return f"[{[written(item) for item in thing]}]" if isinstance(thing, list) else f"{type(thing)}{thing!r}"


@settings(max_examples=60, deadline=None)
@given(NESTED, NESTED)
def test_digests_are_equal_exactly_where_content_is(one: object, other: object) -> None:
    assert (digest(one) == digest(other)) == (written(one) == written(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        ((["a"], "b"), (["a", "b"],)),
        ((1,), (1.0,)),
        ((1,), ("1",)),
        ((1,), (True,)),
        ((np.zeros(2),), (np.zeros(2, np.float32),)),
        ((np.zeros((2, 3)),), (np.zeros((3, 2)),)),
        (({"a": 1, "b": 2},), ({"a": 2, "b": 1},)),
    ],
    ids=str,
)
def test_what_is_alike_but_not_equal_is_told_apart(one: tuple[object, ...], other: tuple[object, ...]) -> None:
    assert digest(*one) != digest(*other)


def test_the_order_of_a_mapping_does_not_matter() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_the_layout_in_memory_does_not_matter() -> None:
    array = np.arange(6.0).reshape(2, 3)
    tensor = torch.rand(2, 3, 4, 4)
    assert digest(array) == digest(np.asfortranarray(array))
    assert digest(tensor) == digest(tensor.contiguous(memory_format=torch.channels_last))


def test_a_tensor_is_named_as_the_array_it_holds() -> None:
    assert digest(torch.arange(3)) == digest(np.arange(3))


def test_every_process_gives_the_same_digest() -> None:
    assert digest("a", 1, [None, {"k": 2.5}]) == "d1951b85f47b96eb"


@pytest.mark.parametrize("thing", [object(), {1, 2}, np.array([object()])], ids=["object", "set", "object array"])
def test_what_has_no_agreed_form_is_refused(thing: object) -> None:
    with pytest.raises(TypeError, match="digest"):
        digest(thing)


def test_a_files_sha256_is_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()


# ---------------------------------------------------------------------- images


def test_an_images_key_depends_on_it_alone() -> None:
    images = torch.rand(5, 1, 4, 4)
    keys = image_keys(images)
    assert keys[2] == image_keys(images[2:3])[0]
    assert (image_keys(images.flip(0)) == keys[::-1]).all()


def test_keys_are_distinct_and_not_negative() -> None:
    keys = image_keys(np.random.default_rng(0).random((500, 3, 3)))
    assert len(set(keys.tolist())) == 500
    assert (keys >= 0).all()
