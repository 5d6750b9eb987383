"""The small networks and pictures in double precision, and how far equal maps of them may lie apart.

In double precision rounding puts no unit on the other side of its kink, so that a map compared with another is the same
or is wrong.
"""

from typing import Any

import explainer_cases as single
import torch
from explainer_cases import SIDE
from torch import Tensor, nn

from harness.rounding import rounding
from harness.subject import Subject

OPERATIONS = 9 + 9 * 3 + 8 * (SIDE // 4) ** 2 + 3 * SIDE**2
"""Operations from picture to map or to its sum: up through the network's fan-ins, down again, and over all pixels."""
CONDITIONING = 100.0
"""How much larger the magnitudes that these networks add are than what is left of them: weights and pictures have both
signs, and about a hundred random signs cancel to a tenth, in each of two layers."""
EQUAL = rounding(torch.float64, OPERATIONS, conditioning=CONDITIONING)
"""How far equal maps may lie apart, as a share of the largest value: 2e-11, where a fault of method is thousandths."""
SINGLE = rounding(torch.float32, 4, conditioning=10.0)
"""The same where one side keeps a factor in single precision, such as captum the weights of its quadrature: the few
operations on it round to 6e-8, and one layer of cancellation lies between it and the map."""
IN_SINGLE = rounding(torch.float32, OPERATIONS)
"""The same where both work in single precision throughout, as the lime package does: without conditioning, since they
are compared in probabilities, whose sums have one sign."""


def network(*args: Any, **settings: Any) -> nn.Sequential:
    """Return the small network, its weights those of single precision."""
    return single.network(*args, **settings).double()


def pictures(*args: Any, **settings: Any) -> Tensor:
    """Return the pictures, their values those of single precision."""
    return single.pictures(*args, **settings).double()


def subject(made: nn.Module, *args: Any, **settings: Any) -> Subject:
    """Return a subject on 16 x 16 pictures, whose network is put into double precision in place."""
    return single.subject(made.double(), *args, **settings)


def Residual() -> nn.Module:  # noqa: N802, stands for the class
    """Return the network with a shortcut."""
    return single.Residual().double()
