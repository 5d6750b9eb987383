"""How a run's names and numbers are said in tables, figures and on the page."""

import math
from collections.abc import Collection, Iterable
from typing import SupportsInt

MARKS = {"pass": "pass", "fail": "FAIL", "inconclusive": "?", "not applicable": "–"}
"""What a verdict is called in a cell."""

NULLS = {
    "spectrum-null": "the map's own values, moved to random places of the same smoothness: it knows nothing of where",
    "transplant-null": "the explainer's map of another image: it knows such images in general and nothing of this one",
    "segment-null": "the map's own segments, their weights permuted: segments follow edges and earn nothing by that",
    "edges": "the edges of the picture, which know nothing of the network",
}
"""What each comparison takes away."""


SMALL = 0.01
"""Numbers of which the largest is below this have too few digits in three decimals."""


def number(value: float, *, signed: bool = False, beside: float = 1.0) -> str:
    """Return three decimals, or "undefined" for NaN.

    `beside` is the size of the largest number that it is read beside: of scores that are all below a hundredth, as in
    the map's own units of a network that reads 0 to 255, three digits are told with a power of ten.

    Examples
    --------
    >>> number(0.1234), number(0.1234, signed=True), number(-0.0001, signed=True), number(float("nan"))
    ('0.123', '+0.123', '0.000', 'undefined')
    >>> number(0.0001234, beside=0.002), number(-0.0001234, signed=True, beside=0.002), number(0.0, beside=0.002)
    ('1.23e-04', '-1.23e-04', '0.000')
    """
    if math.isnan(value):
        return "undefined"
    if value != 0 and 0 < beside < SMALL:
        return f"{value:+.2e}" if signed else f"{value:.2e}"
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text[1:] if text.lstrip("+-") == "0.000" and text[0] in "+-" else text


def sensible(value: float) -> str:
    """Return a number of any size with three digits, and no more than three decimals; "undefined" for NaN.

    Examples
    --------
    >>> sensible(1234.5), sensible(12.345), sensible(1.2345), sensible(0.12345), sensible(-0.0001), sensible(math.nan)
    ('1,234', '12.3', '1.23', '0.123', '0.000', 'undefined')
    """
    if math.isnan(value) or abs(value) < 1:
        return number(value)
    return f"{value:,.{max(0, 2 - int(math.log10(abs(value))))}f}"


def chance(p: float) -> str:
    """Return a p-value as a reader says it.

    Examples
    --------
    >>> chance(0.00002), chance(0.0312), chance(float("nan"))
    ('p <0.001', 'p = 0.031', 'p undefined')
    """
    said = bare_chance(p)
    return f"p {said}" if said[0] in "<u" else f"p = {said}"


def bare_chance(p: float) -> str:
    """Return a p-value for a column of them.

    Examples
    --------
    >>> bare_chance(0.00002), bare_chance(0.0312), bare_chance(float("nan"))
    ('<0.001', '0.031', 'undefined')
    """
    return "undefined" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def interval(low: float, high: float, *, beside: float = 1.0) -> str:
    """Return an interval's two ends.

    Examples
    --------
    >>> interval(-0.01, 0.2), interval(float("nan"), float("nan"))
    ('-0.010 to +0.200', 'undefined')
    """
    if math.isnan(low) or math.isnan(high):
        return "undefined"
    return f"{number(low, signed=True, beside=beside)} to {number(high, signed=True, beside=beside)}"


def own_label(label: str, classes: Collection[object]) -> str:
    """Return what a table calls a column of its own beside those of classes, which may be called anything.

    Examples
    --------
    >>> own_label("n", ("yes", "no")), own_label("n", ("y", "n"))
    ('n', 'n (of the table)')
    """
    return f"{label} (of the table)" if label in classes else label


def begun(text: str) -> str:
    """Return a text as a sentence or title begins; its other letters, such as those of names, stay.

    Examples
    --------
    >>> begun("the alpha of Krippendorff")
    'The alpha of Krippendorff'
    """
    return text[:1].upper() + text[1:]


def listed(names: Iterable[str]) -> str:
    """Return names as a sentence lists them.

    Examples
    --------
    >>> listed([]), listed(["a"]), listed(["a", "b", "c"])
    ('none', 'a', 'a, b and c')
    """
    held = list(names)
    return " and ".join([", ".join(held[:-1]), held[-1]]) if len(held) > 1 else (held or ["none"])[0]


def of(defined: Iterable[SupportsInt], asked: Iterable[SupportsInt]) -> str:
    """Return "defined of asked", as ranges where they differ.

    Examples
    --------
    >>> of([20, 20], [20, 20]), of([17, 20], [20, 20]), of([0], [0])
    ('20 of 20', '17-20 of 20', 'no images')
    """
    some, whole = span(defined), span(asked)
    return "no images" if whole == "0" else f"{some} of {whole}"


def span(counts: Iterable[SupportsInt]) -> str:
    """Return one number, or the least and the most.

    Examples
    --------
    >>> span([20, 20]), span([8, 20]), span([])
    ('20', '8-20', '0')
    """
    held = sorted({int(count) for count in counts}) or [0]
    return str(held[0]) if len(held) == 1 else f"{held[0]}-{held[-1]}"


def shortened(name: str, longest: int = 45) -> str:
    """Return the end of a long name, where a file's path says which of its folder's files it is.

    Examples
    --------
    >>> shortened("cats/17.png"), shortened("pictures/of/cats/17.png", 12)
    ('cats/17.png', '…cats/17.png')
    """
    return name if len(name) <= longest else "…" + name[1 - longest :]


def folded(name: str, width: int) -> str:
    r"""Return a name broken after dashes and spaces into lines of at most `width`, within a word only where it must.

    Examples
    --------
    >>> folded("integrated-gradients", 12), folded("occlusion", 6)
    ('integrated-\ngradients', 'occlus\nion')
    """
    lines = [""]
    for piece in name.replace("-", "-\0").replace(" ", " \0").split("\0"):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return "\n".join(line.rstrip() for line in lines if line.strip())
