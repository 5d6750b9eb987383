"""What a comparison of an explainer with its reference is, and how far arithmetic lets the two differ."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import torch
from explainer_cases import error
from torch import Tensor, nn

from harness.explainers import registered
from harness.explainers.relevance import STABILIZER
from harness.rounding import rounding
from harness.subject import Subject

NETWORKS = ("random", "faces-cnn", "fer2013-minixception")
SMOOTH = "smooth"
COLUMNS = (*NETWORKS, SMOOTH)
FACES = ("rendered", "orl")
IMAGES = 2


@dataclass(frozen=True)
class Case:
    """A network, a few faces, and a target for each that differs from the next."""

    subject: Subject
    images: Tensor
    targets: Tensor

    @property
    def operations(self) -> int:
        """Operations from picture to map: up through the fan-ins of all layers, down again, and over all pixels."""
        weights = (one for one in self.subject.network.parameters() if one.ndim > 1)
        return 2 * sum(one[0].numel() for one in weights) + 3 * self.images[0, 0].numel()

    @property
    def layer(self) -> nn.Module:
        """The module that class activation maps read."""
        return self.subject.layer(self.subject.cam_layer)

    def one_by_one(self, theirs: Callable[[Tensor, int], Tensor]) -> Tensor:
        """Return the maps (n, h, w) of a reference that takes one image (1, c, h, w) at a time."""
        pairs = zip(torch.split(self.images, 1), self.targets.tolist(), strict=True)
        return torch.cat([theirs(image, target) for image, target in pairs])


@dataclass(frozen=True)
class Arithmetic:
    """What rounding may do to a comparison.

    Attributes
    ----------
    dtype
        The type in which the coarser of the two keeps what it computes.
    conditioning
        How much a relative error in what is added may grow. By default a hundredfold: weights and pictures have both
        signs, and sums of them cancel to a hundredth.
    operations
        In the longest chain; those of the whole network where None.
    """

    dtype: torch.dtype = torch.float64
    conditioning: float = 100.0
    operations: int | None = None

    def slack(self, case: Case) -> float:
        """Return how far equal maps may lie apart, as a share of the largest value."""
        return rounding(self.dtype, self.operations or case.operations, conditioning=self.conditioning)


THROUGHOUT = Arithmetic()
"""Both in double precision throughout."""
IN_PART = Arithmetic(torch.float32, conditioning=10.0, operations=4)
"""Theirs keeps a factor of the map in single precision: captum the weights of its quadrature and of its windows,
pytorch-grad-cam its projections. A few operations, and one layer of cancellation between them and the map."""
STABILIZED = Arithmetic(conditioning=1 / STABILIZER)
"""Both divide by outputs that are kept from 0 by as little as the stabilizer."""
FITTED = Arithmetic(torch.float32, conditioning=1.0, operations=1000)
"""A weighted least-squares fit to a thousand probabilities in single precision, conditioned well by a penalty of 1."""


@dataclass(frozen=True)
class Comparison:
    """One explainer, what it is held against, and where.

    Attributes
    ----------
    explainer, package, name
        Ours, theirs, and what they call it.
    theirs
        Their maps.
    arithmetic
        What rounding may do to it.
    method
        What the two differ by on purpose beside rounding, argued in the note; infinite where nothing bounds it.
    on
        Networks on which the two mean the same.
    settings
        Of ours, where not the default ones.
    note
        How they were brought to one form, or why they differ.
    ours
        What is made of our map before it is compared.
    precision
        That the networks run in.
    """

    explainer: str
    package: str
    name: str
    theirs: Callable[[Case], Tensor]
    arithmetic: Arithmetic = THROUGHOUT
    method: float = 0.0
    on: tuple[str, ...] = NETWORKS
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    ours: Callable[[Tensor], Tensor] = lambda maps: maps
    precision: torch.dtype = torch.float64

    @property
    def id(self) -> str:
        """The comparison's name."""
        return f"{self.explainer}-{self.package}"

    def available(self) -> bool:
        """Say whether the reference is installed."""
        return find_spec(self.package) is not None

    def within(self, case: Case) -> float:
        """Return how far the two may lie apart, as a share of the reference's largest value."""
        return self.method + self.arithmetic.slack(case)

    def difference(self, case: Case) -> float:
        """Return the largest difference as a share of the reference's largest value."""
        with quiet():
            theirs = self.theirs(case).detach()
            found = registered()[self.explainer](case.subject, case.images, case.targets, **self.settings)
        return float(error(self.ours(torch.as_tensor(found)), theirs))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
