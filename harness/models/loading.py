"""The network that a user names in words."""

from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import nn

from harness.errors import UsageError, closest
from harness.identity import Reads, content, reads_of, watched
from harness.importing import call_without_arguments, load_module, load_object
from harness.models.bundled import SUBJECTS
from harness.models.training import load_trained
from harness.models.weights import put_weights
from harness.subject import InputSpec, Subject, copied

_KERAS_OR_ONNX = {
    ".h5": "keras_network",
    ".hdf5": "keras_network",
    ".keras": "keras_network",
    ".onnx": "onnx_network",
}
"""Where a file of another framework is given, the function of :mod:`harness.models.outside` that reads it."""


def load_subject(text: str, device: torch.device | str = "cpu") -> Subject:
    """Return the subject that `text` names, on `device`.

    Parameters
    ----------
    text
        A bundled name; a file ``W.safetensors`` that ``harness train`` wrote; or ``file.py:factory``
        (``package.module:factory``) of a function without arguments that returns a :class:`Subject`, or a module that
        states its ``classes`` and its ``spec`` (an :class:`InputSpec`). ``file.py:factory@W.safetensors`` (or ``.pt``,
        ``.pth``) puts the file's weights into it.
    device
        Where it is to run.

    Raises
    ------
    UsageError
        Where nothing is called so, or the factory raises or returns something else.
    """
    device = torch.device(device)
    if text in SUBJECTS:
        return SUBJECTS[text].factory(device)
    if ":" not in text and text.endswith(".safetensors"):
        return load_trained(Path(text), device)
    if ":" not in text and Path(text).suffix in _KERAS_OR_ONNX:
        raise UsageError(
            f"{text} does not say its classes and units; write a function that returns "
            f"Subject({_KERAS_OR_ONNX[Path(text).suffix]}({Path(text).name!r}), name=..., classes=..., spec=...), "
            "and name it as file.py:function"
        )
    if ":" not in text:
        raise UsageError(
            f"no subject is called {text!r}{closest(text, SUBJECTS)}; "
            f"there is {', '.join(SUBJECTS)}, or file.py:factory"
        )
    factory, _, weights = text.rpartition("@") if ":" in text.rpartition("@")[0] else (text, "", "")
    with watched(text):
        subject = _as_subject(_made(factory), factory, torch.device("cpu") if weights else device)
    made = _with_weights(subject, Path(weights), device) if weights else subject
    made.read = {**content(load_module(factory)).files, **_data(text)}
    return made


def load_twin(text: str | None, subject: Subject, subject_text: str) -> Subject | None:
    """Return the network that stands beside the subject as the same architecture trained on permuted labels.

    Parameters
    ----------
    text
        In the forms of :func:`load_subject`; None for what is known of a bundled subject.
    subject, subject_text
        Beside which it stands, and the words that it was asked for in.

    Returns
    -------
    Subject or None
        None where no twin is known.

    Raises
    ------
    UsageError
        Where its layers, classes or input are not the subject's, or its weights are.
    """
    known = SUBJECTS[subject_text].random_labels if subject_text in SUBJECTS else ""
    if not (text or known):
        return None
    twin = load_subject(text or known, subject.device)
    shapes, theirs = ({key: tuple(v.shape) for key, v in s.network.state_dict().items()} for s in (subject, twin))
    if shapes != theirs:
        raise UsageError(
            f"--random-labels {twin.name}: its weights are not shaped as those of {subject.name}; "
            "give the same architecture"
        )
    if (twin.classes, twin.spec) != (subject.classes, subject.spec):
        raise UsageError(
            f"--random-labels {twin.name}: its classes or input are not those of {subject.name}; "
            "give a network of the same classes in the same order, and the same InputSpec"
        )
    if twin.digest == subject.digest or _same_weights(subject, twin):
        raise UsageError(
            f"--random-labels {twin.name}: it has the weights of {subject.name} itself; were those that were trained "
            "on permuted labels loaded?"
        )
    return twin


def _same_weights(subject: Subject, twin: Subject) -> bool:
    """Whether every weight of two networks of the same shapes is the same number."""
    held, theirs = subject.network.state_dict(), twin.network.state_dict()
    return bool(held) and all(torch.equal(value, theirs[name].to(value)) for name, value in held.items())


def _made(text: str) -> Any:
    """Return what the user's factory makes; a ready subject or module stands for itself."""
    found = load_object(text)
    return found if isinstance(found, Subject | nn.Module) else call_without_arguments(text)


def _data(text: str) -> Reads:
    """Return the files that were read to make a network, other than its code: that is read once a process."""
    return {path: held for path, held in reads_of(text).items() if not path.endswith(".py")}


def _as_subject(made: Any, text: str, device: torch.device) -> Subject:
    """Return a factory's product as a subject on the device."""
    if isinstance(made, Subject):
        return made if made.device == device else moved(made, device)
    if not isinstance(made, nn.Module):
        raise UsageError(f"{text} gives {_kind(made)}; make it return a Subject or a torch module")
    classes, spec = getattr(made, "classes", None), getattr(made, "spec", None)
    if not isinstance(spec, InputSpec) or not _are_names(classes):
        raise UsageError(
            f"{text} gives a module without `classes` (names) and `spec` (InputSpec); "
            "set them, or return Subject(network, name=..., classes=..., spec=...)"
        )
    cam_layer = getattr(made, "cam_layer", None)
    name = text.rpartition(":")[2]
    return Subject(
        made,
        name=name,
        classes=tuple(classes),
        spec=spec,
        cam_layer=cam_layer if isinstance(cam_layer, str) else None,
        device=device,
    )


def _with_weights(subject: Subject, path: Path, device: torch.device) -> Subject:
    """Return the subject with a file's weights, named after the file."""
    network = copied(subject.network)
    put_weights(network, path)
    return _rebuilt(subject, network, path.stem, device)


def moved(subject: Subject, device: torch.device) -> Subject:
    """Return the same subject on another device."""
    return _rebuilt(subject, subject.network, subject.name, device)


def _rebuilt(subject: Subject, network: nn.Module, name: str, device: torch.device) -> Subject:
    """Return a subject alike in all but these."""
    return Subject(
        network,
        name=name,
        classes=subject.classes,
        spec=subject.spec,
        cam_layer=subject.cam_layer,
        device=device,
    )


def _are_names(classes: Any) -> TypeGuard[list[str] | tuple[str, ...]]:
    """Whether something is a list or tuple of names."""
    return isinstance(classes, list | tuple) and len(classes) > 0 and all(isinstance(name, str) for name in classes)


def _kind(thing: Any) -> str:
    """Say what a thing is, for a message."""
    return "None" if thing is None else f"an object of type {type(thing).__name__}"
