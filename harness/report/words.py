"""How a run's names and numbers are said in tables, figures and on the page."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import SupportsInt


@dataclass(frozen=True)
class Measure:
    """What a reader needs to know of a metric.

    Attributes
    ----------
    meaning
        What the number is, in a few words.
    better
        "higher", "lower", or "" where neither end is better.
    signed
        Whether zero is the point of reference, so that the sign is always shown.
    """

    meaning: str
    better: str = ""
    signed: bool = False


_HIDDEN = "what hiding it does to the target's logit"
_CAUSES = "the pixels that change as the parts that speak for the class are put to rest (or, lacking those, the mark)"

_AREA = "area under the target's probability over the fraction of pixels"
_ALIKE = "similarity of the map to the map of a fully randomised network"
_MOVED = "how much less the map moves under noise than it differs from another image's, in its own lengths"
_STEEP = "how much lower under noise than between two images of the class"
_STAGES = "similarity of the map to the maps of networks randomised from the output downwards"
_TWIN = "similarity of the map to the map of the same architecture trained on permuted labels"
_RIVAL = "the class that it is most confused with"
_MISLED = "as the tenth of the pixels that speaks most for the wrong class is removed"

MEASURES = {
    "deletion-auc": Measure(f"{_AREA} removed, most relevant first", "lower"),
    "insertion-auc": Measure(f"{_AREA} shown, most relevant first", "higher"),
    "deletion-gain": Measure("how far the deletion curve runs under that of its null map, on average", "higher", True),
    "insertion-gain": Measure("how far the insertion curve runs over that of its null map, on average", "higher", True),
    "symmetric-relevance-gain": Measure(
        "area between removing least relevant first and most relevant first", "higher", True
    ),
    "pixel-flipping": Measure("mean probability of the target over the steps of deletion", "lower"),
    "aopc": Measure("mean fall of the target's probability over the steps of deletion", "higher", True),
    "comprehensiveness": Measure("mean fall once the most relevant share, up to a half, is removed", "higher", True),
    "sufficiency": Measure("mean fall when only the most relevant share, up to a half, is kept", "lower", True),
    "monotonicity-arya": Measure("1 where the output never falls while pixels come, least relevant first", "higher"),
    "selectivity": Measure("mean probability of the target while patches are removed, most relevant first", "lower"),
    "irof": Measure("mean relative fall of the probability while segments are removed, best first", "higher", True),
    "road": Measure("share of the removal over which images are still recognised, pixels imputed", "lower"),
    "randomization-full": Measure(_ALIKE, "lower"),
    "randomization-full-absolute": Measure(f"{_ALIKE}, signs dropped", "lower"),
    "randomization-full-excess": Measure(f"{_ALIKE}, beyond that of the null map", "lower", True),
    "randomization-full-absolute-excess": Measure(
        f"{_ALIKE}, signs dropped, beyond that of the null map", "lower", True
    ),
    **{
        f"randomization-full-{name}{suffix}{excess}": Measure(
            f"{title} of the map and the map of a fully randomised network{told}{beyond}", "lower", bool(excess)
        )
        for name, title in (("ssim", "structural similarity (SSIM)"), ("hog", "likeness of oriented gradients (HOG)"))
        for suffix, told in (("", ""), ("-absolute", ", signs dropped"))
        for excess, beyond in (("", ""), ("-excess", ", beyond that of the null map"))
    },
    "mprt-average": Measure(f"{_STAGES}, mean over the stages", "lower"),
    "mprt-average-excess": Measure(f"{_STAGES}, mean over the stages, beyond that of the null map", "lower", True),
    "mprt-last": Measure(f"{_STAGES}, at the last stage", "lower"),
    "mprt-last-excess": Measure(f"{_STAGES}, at the last stage, beyond that of the null map", "lower", True),
    "efficient-mprt": Measure("relative rise of the map's entropy with every layer random", "higher", True),
    "smooth-mprt": Measure(f"{_ALIKE}, both averaged over noisy copies of the image", "lower"),
    "smooth-mprt-excess": Measure(
        f"{_ALIKE}, both averaged over noisy copies, beyond that of the null map", "lower", True
    ),
    "randomization-labels": Measure(_TWIN, "lower"),
    "randomization-labels-excess": Measure(f"{_TWIN}, beyond that of the null map", "lower", True),
    "random-logit": Measure("similarity of the target's map and a random other class's", "lower"),
    "random-logit-rival": Measure(f"similarity of the target's map and that of {_RIVAL}", "lower"),
    "target-specificity": Measure(
        f"how far the deletion curve by the target's map runs under that by the map of {_RIVAL}", "higher", True
    ),
    "turn-back": Measure(f"change of p(true) - p(predicted) {_MISLED}", "higher", True),
    "turn-back-gain": Measure(f"change of p(true) - p(predicted) {_MISLED}, beyond its null map's", "higher", True),
    "mass-on-mark": Measure("share of the map's positive relevance on the planted mark", "higher"),
    "mass-on-mark-gain": Measure("share of positive relevance on the mark, beyond its null map's", "higher", True),
    "max-sensitivity": Measure("how far the map moves at most under slight noise, in its own lengths", "lower"),
    "max-sensitivity-gain": Measure(_MOVED, "higher", True),
    "average-sensitivity": Measure("how far the map moves on average under slight noise, in its own lengths", "lower"),
    "average-sensitivity-gain": Measure(_MOVED, "higher", True),
    "local-lipschitz": Measure("how far the map moves over how far the image does, at most", "lower"),
    "local-lipschitz-gain": Measure(f"{_STEEP}: local-lipschitz", "higher", True),
    "continuity": Measure("summed change of the map over how far the image moves, at most", "lower"),
    "continuity-gain": Measure(f"{_STEEP}: continuity", "higher", True),
    "relative-input-stability": Measure("relative change of the map over that of the image, at most", "lower"),
    "relative-input-stability-gain": Measure(f"{_STEEP}: relative-input-stability", "higher", True),
    "relative-output-stability": Measure("relative change of the map over the change of the logits, at most", "lower"),
    "relative-output-stability-gain": Measure(f"{_STEEP}: relative-output-stability", "higher", True),
    "relative-representation-stability": Measure("change of the map over that before the last layer, at most", "lower"),
    "relative-representation-stability-gain": Measure(f"{_STEEP}: relative-representation-stability", "higher", True),
    "input-invariance": Measure("how far a brightness shift that the network takes back moves the map", "lower"),
    "consistency": Measure("share of images of like maps that have the same prediction", "higher"),
    "neighbour-sufficiency": Measure("share of images of near maps that have the same prediction", "higher"),
    "seed-stability": Measure("rank correlation of the maps of two seeds", "higher"),
    "focus": Measure("share of positive relevance on the quarters of a mosaic that show the class", "higher"),
    "focus-gain": Measure("share of positive relevance on those quarters, beyond its null map's", "higher", True),
    "mosaic-answer": Measure("share of mosaics that the network itself answers with the class", "higher"),
    "implementation-invariance": Measure("how far the map is from that on a network of equal answers", "lower"),
    "linearity": Measure("how far the map on a sum of networks is from the sum of their maps", "lower"),
    "faithfulness-correlation": Measure(
        "correlation, over random halves of the picture, of the relevance that is hidden and the fall of the target's "
        "logit", "higher", True,
    ),
    "sensitivity-n": Measure(
        "the same correlation, averaged over an eighth, a quarter, a half and three quarters hidden", "higher", True
    ),
    "infidelity": Measure(
        "mean squared difference of the relevance that is hidden and the fall of the logit, in the map's own scale",
        "lower",
    ),
    "scaled-infidelity": Measure("the same, with the map scaled to suit best", "lower"),
    "faithfulness-estimate": Measure(f"correlation, over patches, of relevance and {_HIDDEN}", "higher", True),
    "monotonicity-nguyen": Measure(
        f"rank correlation, over patches, of absolute relevance and {_HIDDEN}, squared", "higher", True
    ),
    "sensitivity": Measure("share of patches with an effect that the map calls irrelevant", "lower"),
    "non-sensitivity": Measure("share of patches without effect that the map calls relevant", "lower"),
    "completeness": Measure(
        "how far the map's sum is from the logit's fall to the explainer's baseline, as a share of that fall", "lower"
    ),
    "part-spearman": Measure("rank correlation, over a face's parts, of their mass and true effect", "higher", True),
    "part-kendall": Measure("Kendall's tau, over a face's parts, of their mass and true effect", "higher", True),
    "pointing-game": Measure(f"whether the map's highest pixel is one of {_CAUSES}", "higher"),
    "relevance-mass": Measure(f"share of positive relevance on {_CAUSES}", "higher"),
    "attribution-localization": Measure(f"how many times denser relevance is on {_CAUSES}", "higher"),
    "relevance-rank": Measure(f"share of the map's highest pixels, as many as there are, among {_CAUSES}", "higher"),
    "top-k-intersection": Measure(f"share of the map's highest twentieth among {_CAUSES}", "higher"),
    "localization-auc": Measure(f"chance that one of {_CAUSES} is higher in the map than another pixel", "higher"),
    "intersection-over-union": Measure(f"overlap of the map's raised pixels with {_CAUSES}", "higher"),
    "relevance-mass-displacement": Measure(
        "share of positive relevance on the pixels that the expression moved most", "higher"
    ),
    "settled-pairs": Measure("share of the settled pairs of cells that the map orders right", "higher"),
    "settled-pairs-size": Measure("the same of absolute values, for maps without sign", "higher"),
    "settled-pairs-rival": Measure("the same, asked for the next likely class, of that class's pairs", "higher"),
    "settled-pairs-contrast": Measure("the same of both classes' difference, by the difference of the maps", "higher"),
    "coalition-fit": Measure("how well the map's cells account for all coalitions, of what any could", "higher"),
    "settled-share": Measure("share of pairs of cells that all fills order alike", "higher"),
    "additivity": Measure("share of the answers to all coalitions that the best sum over cells accounts for", "higher"),
    "fill-recognition": Measure("share of coalitions of half of the cells or more still taken for the class", "higher"),
    "randomization-residual": Measure(
        "likeness, whatever the sign, of map and randomised self beyond their class's mean maps", "lower"
    ),
    "tile-ranks": Measure(
        "rank correlation, over the tiles of a mosaic, of their sums in the map and their exact parts", "higher", True
    ),
    "tile-ranks-absolute": Measure("the same of absolute mass and magnitudes", "higher", True),
    "dead-tile-share": Measure("share of absolute mass on a tile that counts nothing, over the tile's area", "lower"),
    "tile-amounts": Measure("how far sums over tiles are from their exact parts, as a share of these", "lower"),
    "blind-share": Measure("share of absolute mass where the network cannot look, over that part's area", "lower"),
    "planted-patch": Measure("chance that a pixel of planted evidence has more mass than another", "higher"),
    "planted-patch-gain": Measure("the same, beyond the map without the plant", "higher", True),
    "planted-pair": Measure("the same for the worse of two patches that are both needed", "higher"),
    "planted-pair-gain": Measure("the same, beyond the map without the plant", "higher", True),
    "planted-pixels": Measure(
        "rank correlation, over a planted patch, of what planting adds to the map and to the logit", "higher", True
    ),
    "sparseness": Measure("Gini index of the map's magnitudes"),
    "entropy-complexity": Measure("entropy of the map's magnitudes, in nats"),
    "effective-complexity": Measure("pixels above a hundredth of the map's largest magnitude"),
    "histogram-entropy": Measure("entropy of the histogram of the map's values, in nats"),
}  # fmt: skip

_BESIDE = {
    "-logit": "of the logit",
    "-mean": "with the mean as fill",
    "-noisy-linear": "with noisy linear imputation as fill",
}
"""What a metric's name says of another output or another fill."""

MARKS = {"pass": "pass", "fail": "FAIL", "inconclusive": "?", "not applicable": "–"}
"""What a verdict is called in a cell."""

NULLS = {
    "spectrum-null": "the map's own values, moved to random places of the same smoothness: it knows nothing of where",
    "transplant-null": "the explainer's map of another image: it knows faces in general and nothing of this one",
    "segment-null": "the map's own segments, their weights permuted: segments follow edges and earn nothing by that",
    "edges": "the edges of the picture, which know nothing of the network",
}
"""What each comparison takes away."""


def measure(metric: str) -> Measure:
    """Return what is known of a metric; of one not known here, its name alone.

    Examples
    --------
    >>> measure("deletion-gain-mean").meaning
    'how far the deletion curve runs under that of its null map, on average, with the mean as fill'
    >>> measure("road-gain")
    Measure(meaning='how much better than that of the null map: road', better='higher', signed=True)
    """
    if metric in MEASURES:
        return MEASURES[metric]
    for suffix, told in _BESIDE.items():
        if metric.endswith(suffix) and metric.removesuffix(suffix) in MEASURES:
            plain = MEASURES[metric.removesuffix(suffix)]
            return replace(plain, meaning=f"{plain.meaning}, {told}")
    for own in (metric.removesuffix("-gain"), metric.removesuffix("-gain") + "-auc"):
        if metric.endswith("-gain") and measure(own).meaning != own:
            return Measure(f"how much better than that of the null map: {own}", "higher", True)
    return Measure(metric)


def number(value: float, *, signed: bool = False) -> str:
    """Return three decimals, or "undefined" for NaN.

    Examples
    --------
    >>> number(0.1234), number(0.1234, signed=True), number(-0.0001, signed=True), number(float("nan"))
    ('0.123', '+0.123', '0.000', 'undefined')
    """
    if math.isnan(value):
        return "undefined"
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text[1:] if text.lstrip("+-") == "0.000" and text[0] in "+-" else text


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


def interval(low: float, high: float) -> str:
    """Return an interval's two ends.

    Examples
    --------
    >>> interval(-0.01, 0.2), interval(float("nan"), float("nan"))
    ('-0.010 to +0.200', 'undefined')
    """
    if math.isnan(low) or math.isnan(high):
        return "undefined"
    return f"{number(low, signed=True)} to {number(high, signed=True)}"


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
