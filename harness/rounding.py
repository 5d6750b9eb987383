"""How far rounding alone can move a number: what a tolerance is derived from."""

from typing import Any

import numpy as np


def unit_roundoff(dtype: Any) -> float:
    """Return u, half the spacing of numbers above 1: the largest relative error of one rounded operation.

    Parameters
    ----------
    dtype
        A floating type of NumPy or torch, or its name.

    Examples
    --------
    >>> unit_roundoff("float32") == 2**-24
    True
    """
    name = str(dtype).removeprefix("torch.") if not isinstance(dtype, type) else dtype.__name__
    return float(np.finfo(name).eps) / 2


def rounding(dtype: Any, terms: int, scale: float = 1.0, conditioning: float = 1.0) -> float:
    """Return how far two evaluations of one expression can lie apart by rounding alone.

    A chain of n rounded operations is off by at most gamma_n = n u / (1 - n u) of the sum of the magnitudes that it
    adds up, in whatever order, blocking, vector width or with whatever fused multiplication it is evaluated (Higham
    2002, Accuracy and Stability of Numerical Algorithms, 3.1 and 4.2). Two evaluations lie apart by twice that. It
    holds on every processor, and where no branch (ReLU, maximum, rank, threshold) lies within it of its kink. What
    happens as a rule grows with the square root of n instead (Higham and Mary 2019), so what holds here holds with
    room.

    Parameters
    ----------
    dtype
        The floating type that is computed in, of NumPy or torch, or its name.
    terms
        Operations in the longest chain from the data to the number: n for a sum of n products; fan-ins added up over
        the layers for a network; some 4 for each exponential, logarithm or root.
    scale
        The sum of the magnitudes that are added, in the unit of the number: the number itself where all have one sign;
        1 for a relative tolerance.
    conditioning
        By how much a relative error in what is added may grow on the way to the number: what is later divided by a
        difference that cancels, the gain of later layers.

    Returns
    -------
    float
        An absolute tolerance in the unit of `scale`.

    Raises
    ------
    ValueError
        Where n u reaches 1: the bound says nothing there, and the sum wants a wider type.

    Examples
    --------
    >>> rounding("float64", 1000) < 3e-13
    True
    """
    error = terms * unit_roundoff(dtype)
    if not error < 1:
        raise ValueError(f"{terms} operations in {dtype} can lose every digit; compute in a wider type")
    return 2 * error / (1 - error) * scale * conditioning
