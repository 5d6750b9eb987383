"""Names for what code does: its answers to the same question, compared with those of the last time."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from harness.digest import digest

Answer = Float[np.ndarray, "..."]


def behaviour(ask: Callable[[], Answer], remember: Callable[..., Mapping[str, Any]], question: str) -> str:
    """Return a name of the answer to a question now: that of the first answer while it stays.

    On one machine's arithmetic the same code gives the same bits, so another bit is another answer. Where two answers
    of the same moment differ, as where a GPU adds up in whatever order, one within rounding of the first is the first.

    Parameters
    ----------
    ask
        Asks, of the code as it is now.
    remember
        Keeps the first answer, by what asked it on this arithmetic: :meth:`harness.store.RunFolder.remembered`.
    question
        Names who is asked, and what.
    """
    now = ask()
    first: Answer = remember(question, lambda: {"answer": now})["answer"]
    if digest(first) == digest(now) or (_alike(first, now) and digest(ask()) != digest(now)):
        return digest(first)
    return digest(now)


def _alike(one: Answer, other: Answer) -> bool:
    """Whether two answers are as near as sums in another order: to half of their digits.

    Sums that cancel lose as much; what another behaviour does to an answer is a matter of its first digits.
    """
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    scale = np.linalg.norm(np.nan_to_num(one))
    return bool(np.linalg.norm(np.nan_to_num(one - other)) <= np.sqrt(np.finfo(one.dtype).eps) * scale)
