"""Names of classes that a dataset states, behind whatever it is wrapped in."""

from collections.abc import Mapping
from typing import Any

from harness.class_names import in_order
from harness.errors import UsageError

PICTURE_KEYS = ("image", "img")
"""What an item that is a dictionary may call its picture."""

LABEL_KEYS = ("label", "labels", "target", "class")
"""What it may call its label."""


def stated_classes(dataset: Any, name: str) -> tuple[str, ...] | None:
    """Return the names that a dataset's label numbers index, None where it states none.

    They are its ``classes``, else its ``class_to_idx``, else the names of the feature that labels are, as the datasets
    library has them. Of a part of a dataset (``Subset``) they are the whole's, of several that are joined
    (``ConcatDataset``) each one's.

    Raises
    ------
    UsageError
        Where those that are joined state different ones, or nothing tells their order.
    """
    own = _own(dataset)
    if own is not None:
        return tuple(map(str, in_order(own, f"dataset {name!r}")))
    joined = getattr(dataset, "datasets", None)
    if isinstance(joined, list | tuple) and joined:
        each = [stated_classes(part, name) for part in joined]
        if any(other != each[0] for other in each):
            raise UsageError(
                f"dataset {name!r} joins parts of different classes; give all of them the same, in one order"
            )
        return each[0]
    within = getattr(dataset, "dataset", None)
    return None if within is None else stated_classes(within, name)


def _own(dataset: Any) -> Any:
    """Return what a dataset itself states, None where that is nothing."""
    for attribute in ("classes", "class_to_idx"):
        stated = getattr(dataset, attribute, None)
        if stated is not None:
            return stated
    features = getattr(dataset, "features", None)
    if not isinstance(features, Mapping):
        return None
    return next((getattr(features[key], "names", None) for key in LABEL_KEYS if key in features), None)
