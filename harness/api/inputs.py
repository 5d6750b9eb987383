"""What a caller may hand over, made into what an evaluation takes: a Subject, a FaceSet, checks and a profile."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.checks import CHECKS, Check
from harness.checks.asked import asked_checks
from harness.class_names import in_order
from harness.cli import asked_device
from harness.errors import UsageError, closest
from harness.evaluation.request import has_evidence
from harness.faces.arrays import from_dataset
from harness.faces.faceset import FaceSet
from harness.faces.loading import load_faces
from harness.faces.naming import aligned
from harness.faces.pictures import pixels
from harness.faces.stated import stated_classes
from harness.importing import reason
from harness.models.loading import load_subject, moved
from harness.profiles import PROFILES, Profile
from harness.subject import InputSpec, Subject, evaluated

IMAGES = "images"
"""What a face set is called that came as an array."""
NETWORK = "network"
"""What a subject is called that came as a module of no class of its own."""


def as_subject(
    given: Any,
    images: Any,
    *,
    classes: Sequence[str] | None = None,
    spec: InputSpec | None = None,
    name: str | None = None,
    device: str = "auto",
) -> Subject:
    """Return what was given as a subject.

    Parameters
    ----------
    given
        A :class:`Subject`, a torch module, or a text as ``harness run --subject`` takes it.
    images
        What it will be asked about; of a module without a spec they say what it reads.
    classes, spec
        Of a module: names of its outputs, by default its own ``classes``, those of the images, or "class 0", ...; and
        what it reads, by default its own ``spec``, or of images with values 0 to 1 that it reads them as they are.
    name, device
        Of a module: by default its class's name, and a GPU where there is one; a subject stays where it is by default.

    Raises
    ------
    UsageError
        Where it is none of these, or nothing says how pixels become what the network reads.
    """
    if isinstance(given, Subject | str):
        if classes is not None or spec is not None or name is not None:
            raise UsageError("classes, spec and name belong to a torch module; a subject states its own")
        return _on_device(given, device) if isinstance(given, Subject) else load_subject(given, asked_device(device))
    if not isinstance(given, nn.Module):
        raise UsageError(f"the network is of type {type(given).__name__}; give a torch module, a Subject or its name")
    called = name or (NETWORK if type(given).__module__.startswith("torch.") else type(given).__name__)
    own = getattr(given, "spec", None)
    if spec is not None and not isinstance(spec, InputSpec):
        raise UsageError(f"spec is of type {type(spec).__name__}; give harness.InputSpec(height, width, mean, std)")
    if isinstance(classes, str):
        raise UsageError(f"classes are a text, {classes[:40]!r}; give a list of names, one for each output")
    reads = spec or (own if isinstance(own, InputSpec) else _inferred_spec(images))
    where = asked_device(device)
    names = _class_names(given, images, reads, called) if classes is None else in_order(classes, f"network {called!r}")
    return Subject(given, name=called, classes=names, spec=reads, device=where)


def _on_device(given: Subject, device: str) -> Subject:
    """Return a ready subject, its network looked at again, on the device that is asked for."""
    here = given.renewed()
    where = given.device if device == "auto" else asked_device(device)
    return here if where == given.device else moved(here, where)


def _inferred_spec(images: Any) -> InputSpec:
    """Return what a network reads that is given images 0 to 1 as they are; bytes do not say in which units."""
    how = "give spec=harness.InputSpec(height, width, mean, std)"
    if not isinstance(images, np.ndarray | Tensor) or images.ndim not in (3, 4):
        raise UsageError(f"nothing says how these images become what the network reads; {how}")
    held = _array(images) if isinstance(images, Tensor) else images
    if not np.issubdtype(held.dtype, np.floating):
        raise UsageError(
            f"images are {held.dtype}, which does not say in which units the network reads them; {how}, "
            "or images of values 0 to 1 as it reads them"
        )
    if held.size == 0:
        raise UsageError("there are no images; give one at least")
    if not ((held >= 0) & (held <= 1)).all():
        raise UsageError(f"images have values outside 0 to 1, and nothing says how a pixel becomes one; {how}")
    shape = _channels_first(held).shape
    channels = shape[1] if len(shape) == 4 else 1
    if channels == 4:
        raise UsageError(f"images have 4 channels, the fourth of how opaque a pixel is; leave it out, or {how}")
    return InputSpec(shape[-2], shape[-1], mean=(0.0,) * channels, std=(1.0,) * channels)


def _class_names(network: nn.Module, images: Any, spec: InputSpec, name: str) -> tuple[str, ...]:
    """Return the names that the network or the images state, else a number for each of its outputs."""
    own = getattr(network, "classes", None)
    for stated in (own, stated_classes(images, IMAGES)):
        if isinstance(stated, list | tuple) and stated and all(isinstance(each, str) for each in stated):
            return tuple(stated)
    copy = evaluated(network, name)
    like = next((p for p in copy.parameters() if p.is_floating_point()), torch.zeros(1))
    blank = torch.zeros(1, spec.channels, spec.height, spec.width, dtype=like.dtype, device=like.device)
    try:
        with torch.no_grad():
            answer = copy(blank)
    except Exception as error:  # whatever a user's network raises
        raise UsageError(f"{name} does not run on an image {tuple(blank.shape)}: {reason(error)}; mend spec") from error
    if not isinstance(answer, Tensor) or answer.ndim != 2:
        raise UsageError(f"{name} does not return one logit a class, (n, k); wrap it so that it does")
    return tuple(f"class {number}" for number in range(answer.shape[1]))


# ---------------------------------------------------------------------- images


def as_faces(images: Any, labels: Any, classes: Sequence[str], name: str = IMAGES) -> FaceSet:
    """Return what was given as a face set whose labels index `classes`.

    Parameters
    ----------
    images
        A :class:`FaceSet`; a text or path as ``harness run --faces`` takes it; a torch dataset; or an array or tensor
        (n, h, w), (n, h, w, c) or (n, c, h, w) of whole numbers 0 to 255 or fractions 0 to 1, which are kept to a byte.
    labels
        One a picture of an array, as number, name or one-hot; None where unknown.
    classes
        The subject's.
    name
        What tables call an array.

    Raises
    ------
    UsageError
        Where it is none of these, or labels do not fit.
    """
    named = tuple(classes)
    if isinstance(images, FaceSet | str | Path) or not isinstance(images, np.ndarray | Tensor | list | tuple):
        if labels is not None:
            raise UsageError("labels go with an array of images; a face set, a folder or a dataset has its own")
        if isinstance(images, FaceSet):
            return aligned(images, named)
        if isinstance(images, str | Path):
            return load_faces(str(images), named)
        if not (hasattr(images, "__len__") and hasattr(images, "__getitem__")):
            raise UsageError(
                f"images are of type {type(images).__name__}; give an array, a tensor, a torch dataset, a FaceSet or "
                "a path"
            )
        return aligned(from_dataset(images, name, subject_classes=named), named)
    pictures = _pictures(images)
    if not len(pictures):
        raise UsageError("there are no images; give one at least")
    if labels is None:
        return from_dataset(pictures, name, named)
    told = _labels(labels, named)
    if isinstance(told, Mapping | str) or not hasattr(told, "__len__"):
        raise UsageError(
            f"labels are of type {type(labels).__name__}; give one a picture, in order: a list, an array or a tensor"
        )
    if len(told) != len(pictures):
        raise UsageError(f"there are {len(pictures)} images but {len(told)} labels; give one each")
    pairs = [
        (picture, str(label) if isinstance(label, str) else label)
        for picture, label in zip(pictures, told, strict=True)
    ]
    return from_dataset(pairs, name, named)


def _labels(given: Any, classes: tuple[str, ...]) -> Any:
    """Return labels by picture; columns of a table (pandas, one-hot) stand in the order of the classes."""
    if isinstance(given, Tensor):
        return _array(given)
    if not hasattr(given, "to_numpy"):
        return given
    columns = list(getattr(given, "columns", []))
    if len(columns) <= 1:  # one label a row
        return given.to_numpy().reshape(len(given))
    if set(columns) == set(classes):
        return given[list(classes)].to_numpy()
    if columns == list(range(len(classes))):
        return given.to_numpy()
    raise UsageError(
        f"labels are a table with columns {', '.join(map(str, columns))[:80]}; one-hot has a column for each of "
        f"{', '.join(classes)[:80]}, and labels are one column"
    )


def _array(given: Tensor) -> np.ndarray:
    """Return a tensor's numbers; NumPy has no half-width floats as networks use them."""
    held = given.detach().cpu()
    return (held.float() if held.is_floating_point() and held.dtype != torch.float64 else held).numpy()


def _pictures(images: Any) -> list[Any]:
    """Return the pictures of an array one by one, as :func:`from_dataset` reads them."""
    if isinstance(images, list | tuple):
        return [Tensor.detach(each) if isinstance(each, Tensor) else each for each in images]
    held = _array(images) if isinstance(images, Tensor) else np.asarray(images)
    if np.issubdtype(held.dtype, np.floating) and held.ndim in (3, 4):
        return list(torch.from_numpy(np.ascontiguousarray(_channels_first(held))))
    return list(pixels(held, IMAGES))


def _channels_first(images: np.ndarray) -> np.ndarray:
    """Return fractions with their channels, 1, 3 or 4, before height and width, whichever way they came."""
    few = (1, 3, 4)
    last_alone = images.ndim == 4 and images.shape[3] in few and images.shape[1] not in few
    return images.transpose(0, 3, 1, 2) if last_alone else images


# ---------------------------------------------------------------------- what is asked of them


def as_checks(given: str | Check | Iterable[str | Check] | None, faces: FaceSet | None, default: str) -> list[Check]:
    """Return the checks asked for, each once.

    Parameters
    ----------
    given
        Names, families, "all" or checks, one or several; None for the default.
    faces
        Where known, of the default those alone that these can answer.
    default
        "all", or "decides" for those on which a rung of the ladder rests.

    Raises
    ------
    UsageError
        Where nothing is called so.
    """
    if given is None:
        held = [check for check in CHECKS.values() if check.decides or default == "all"]
        return [check for check in held if faces is None or has_evidence(check, faces)]
    if not isinstance(given, str | Check | Iterable):
        raise UsageError(f"checks are of type {type(given).__name__}; give names, families or checks")
    words = [given] if isinstance(given, str | Check) else list(given)
    if not words:
        raise UsageError("checks are empty; give one at least, or None for those that decide")
    found = [check for word in words for check in ([word] if isinstance(word, Check) else _named(word))]
    return list({check.name: check for check in found}.values())


def _named(word: str) -> tuple[Check, ...]:
    """Return the checks of one name, family or place."""
    named = asked_checks([word])
    if named.refused:
        raise UsageError(named.refused[0])
    return named.checks


def as_profile(given: str | Profile, per_class: int | None = None) -> Profile:
    """Return the profile of a name, with another number of images a class where one is given.

    Raises
    ------
    UsageError
        Where no profile is called so, or there is no such number.
    """
    if isinstance(given, Profile):
        return given.with_per_class(per_class)
    if given not in PROFILES:
        raise UsageError(f"no profile is called {given!r}{closest(given, PROFILES)}; there is {', '.join(PROFILES)}")
    return PROFILES[given].with_per_class(per_class)
