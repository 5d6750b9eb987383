"""How near maps are to the truth on networks built around the subject, whose exact attributions are known.

Each of several networks is drawn anew from the run's seed and asked about a few images of its own, so that an explainer
may be asked in batches of any size. The class that is explained is the one that the built network answers; rows stand
under the picture's own. An explainer that refuses such a network has undefined scores with its reason; a subject that
cannot be built upon has them for every explainer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from harness.errors import ExplainerFault, UsageError
from harness.evaluation_set import EvaluationSet
from harness.measurements.base import MAP, Attributions, Measured, score_rows
from harness.metrics.cards import card_of
from harness.metrics.constructed import patch_found, pixel_ranks, share_of_area, tile_amounts, tile_ranks, tile_sums
from harness.metrics.score import Score
from harness.networks.blind import blinded, half_plane
from harness.networks.planted import Patch, drawn_patches, planted
from harness.networks.tiles import mosaics, tile_logits, tiled
from harness.store import NOT_SCORABLE, SCORES, SILENT, UNDEFINED, joined
from harness.subject import Subject

COMPLETENESS = "completeness"
UNPLANTED = "unplanted"
"""Variant of a gain over the same explainer's map of the same picture and class under the network without the plant."""
WEIGHTS = (1.0, 0.5, -1.0, 0.0)
"""Of the four tiles, in an order of each network's own; exact in floating point, and 0 is a dead tile."""
SIDE = 2
STRENGTH = 2.0
"""Logits that a plant adds, in leads that it has to make up for: as much again as would turn every answer."""
TILES, BLIND, PLANTED = range(3)
"""Streams of the run's seed."""


class NotBuilt(Exception):  # noqa: N818
    """The subject, or too small a set, does not let a network be built; the message says which and why."""


@dataclass(frozen=True)
class Tiles:
    """How a map shares itself out over the tiles of mosaics whose answer is a weighted sum over tiles.

    Of a map's sums over tiles: `tile-ranks`, their rank correlation with the exact parts, and `tile-ranks-absolute`,
    the same of absolute mass and magnitudes, for maps without sign; `dead-tile-share`; and, for explainers that claim
    completeness, `tile-amounts`. Parts are told from the explainer's own baselines, from zero in input units where it
    states none.

    All mosaics of one network have its weights in the same places, so that four networks in a row turn one order that
    is drawn: together they give each tile each weight, and a map that lies in one place has no luck in them.

    Attributes
    ----------
    networks
        Orders of the weights; a multiple of four.
    images
        Mosaics for each, every one with another image of the set for its first.
    """

    networks: int
    images: int

    name = "tiles"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return one row a mosaic and score, under the image that it was made for."""
        names = ["tile-ranks", "tile-ranks-absolute", "dead-tile-share"]
        names += ["tile-amounts"] * (COMPLETENESS in attributions.axioms)
        return _measured(attributions, self, TILES, [(name, MAP) for name in names], _on_tiles)


@dataclass(frozen=True)
class Blind:
    """How much of a map lies where the network cannot look: `blind-share`.

    The network sees one half of the picture, on a drawn side of a line through the middle, and the set's mean shade
    in place of the other. Each picture is asked for both halves in turn, and has the mean: a map that lies in one place
    whatever the network sees would else have its luck in the few halves that are drawn, with every picture at once.

    Attributes
    ----------
    networks
        Lines that are drawn.
    images
        For each.
    """

    networks: int
    images: int

    name = "blind"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return one row an image."""
        return _measured(attributions, self, BLIND, [("blind-share", MAP)], _on_halves)


@dataclass(frozen=True)
class Planted:
    """Whether planted evidence is found, beside the same picture's map under the network without it.

    Two patches with patterns are painted on every picture. `planted-patch` is of a network to which the first adds what
    it shows, and `planted-pixels` of what that adds to the map; `planted-pair` is of one to which both together add it,
    and neither alone. The class that is spoken for is one that the network least often answers by itself.

    Attributes
    ----------
    networks
        Places, patterns and classes that are drawn.
    images
        For each.
    """

    networks: int
    images: int

    name = "planted"
    asks_again = True

    def measure(self, attributions: Attributions) -> Measured:
        """Return one row an image, score and gain."""
        maps = [(name, MAP) for name in (*FOUND, "planted-pixels")]
        gains = [(Score(name).gain, UNPLANTED) for name in FOUND]
        return _measured(attributions, self, PLANTED, [*maps, *gains], _on_patches)


FOUND = ("planted-patch", "planted-pair")
EVEN = 0.5
"""Chance that a pixel of the patch comes before another, where all are alike."""

Told = Bool[np.ndarray, " m"]
Kind = tuple[str | Score, str]
"""A metric and a variant."""
Scores = dict[Kind, tuple[Float[np.ndarray, " m"], Told]]
"""Of each kind one number an image, and whether the truth lets a map have one: where it does and there is
none, the map says nothing."""

Judge = Callable[[Attributions, "Dealt"], Scores]
"""Builds one network, asks the explainer and returns the scores."""


@dataclass(frozen=True)
class Dealt:
    """Images of the set that one network is asked about.

    Attributes
    ----------
    index
        Which of the set's they are.
    draw
        Number of the network.
    key
        Names the measurement and the draw, for what all explainers share.
    source
        Draws all of the network.
    """

    index: Int[np.ndarray, " m"]
    draw: int
    key: tuple[object, ...]
    source: np.random.Generator


def _measured(
    attributions: Attributions, measurement: Tiles | Blind | Planted, stream: int, kinds: Sequence[Kind], judge: Judge
) -> Measured:
    """Return the rows of every network that is drawn; those of all kinds say why where there is nothing to score."""
    case, tables = attributions.case, list[pd.DataFrame]()
    for dealt in _dealt(case, measurement, stream):
        some = case.take(dealt.index)
        try:
            scores = judge(attributions, dealt)
        except (NotBuilt, ExplainerFault) as error:
            said = " ".join(str(error).split())
            status = NOT_SCORABLE if isinstance(error, NotBuilt) else UNDEFINED
            nothing = np.full(len(dealt.index), np.nan)
            tables += [score_rows(some, metric, variant, nothing, said, status) for metric, variant in kinds]
            continue
        for (metric, variant), (values, told) in scores.items():
            reason = card_of(Score.of(metric).plain).undefined
            tables.append(score_rows(some, metric, variant, values, reason, np.where(told, SILENT, NOT_SCORABLE)))
    return Measured(scores=joined(SCORES, tables))


def _dealt(case: EvaluationSet, measurement: Tiles | Blind | Planted, stream: int) -> Iterator[Dealt]:
    """Yield each network's images, drawn evenly from the classes; fewer where the set has fewer."""
    wanted = measurement.networks * measurement.images
    even = case.some(-(-wanted // len(np.unique(case.targets))))
    chosen = np.random.default_rng([case.seed, stream]).permutation(even)[:wanted]
    for draw, index in enumerate(np.array_split(chosen, measurement.networks)):
        if len(index):
            source = np.random.default_rng([case.seed, stream, draw + 1])
            yield Dealt(index, draw, (repr(measurement), draw), source)


def _built(name: str, make: Callable[[], Subject]) -> Subject:
    """Return a network, or say in one line which could not be built and why."""
    try:
        return make()
    except (UsageError, ValueError) as error:
        raise NotBuilt(f"{name}: {error}") from error


def _answers(
    attributions: Attributions, name: str, dealt: Dealt, ask: Callable[[], Tensor]
) -> Float[np.ndarray, "..."]:
    """Return logits that every explainer shares, having seen that they are numbers."""
    found: np.ndarray = attributions.shared((*dealt.key, name), lambda: {"logits": _doubles(ask())})["logits"]
    if not np.isfinite(found).all():
        raise NotBuilt(f"{name}: the network answers NaN or infinity")
    return found


def _doubles(values: Tensor) -> Float[np.ndarray, "..."]:
    """Return a tensor as an array of doubles."""
    array: np.ndarray = values.double().cpu().numpy()
    return array


def _mean_baseline(
    attributions: Attributions, images: Tensor, subject: Subject, of: Callable[[Tensor], Tensor]
) -> Float[np.ndarray, "..."]:
    """Return the mean of something over the explainer's own baselines, of a plain zero where it states none."""
    found = [_doubles(of(baseline)) for baseline in attributions.baselines(images, subject)]
    mean: np.ndarray = np.mean(found or [_doubles(of(torch.zeros_like(images)))], axis=0)
    return mean


# ---------------------------------------------------------------------- the three constructions


def _on_tiles(attributions: Attributions, dealt: Dealt) -> Scores:
    """Score maps of mosaics, of which every tile's part is known."""
    case, tiles = attributions.case, len(WEIGHTS)
    if len(case.targets) < tiles:
        raise NotBuilt(f"tiles: a mosaic takes {tiles} images, and there are {len(case.targets)}")
    weights = _weights(case.seed, dealt.draw)
    pictures = mosaics(case.images, torch.from_numpy(_chosen_tiles(dealt, len(case.targets))).to(case.images.device))
    subject = _built("tiles", lambda: tiled(case.subject, torch.from_numpy(weights).to(case.subject.dtype)))
    of_tiles = _answers(attributions, "tiles", dealt, lambda: tile_logits(case.subject, pictures, SIDE))
    targets = np.einsum("t,mtk->mk", weights, of_tiles).argmax(1)
    maps = attributions.explain(pictures, targets, subject)

    at_baseline = _mean_baseline(attributions, pictures, subject, lambda x: tile_logits(case.subject, x, SIDE))
    truths = weights * (of_tiles - at_baseline)[np.arange(len(targets)), :, targets]
    sums, masses = tile_sums(maps, SIDE), tile_sums(np.abs(maps), SIDE)
    dead = np.kron((weights == 0).reshape(SIDE, SIDE), np.ones(case.images.shape[-2:])).astype(bool)
    scores: Scores = {
        ("tile-ranks", MAP): (tile_ranks(sums, truths), _differ(truths)),
        ("tile-ranks-absolute", MAP): (tile_ranks(masses, np.abs(truths)), _differ(np.abs(truths))),
        ("dead-tile-share", MAP): (share_of_area(maps, np.broadcast_to(dead, maps.shape)), _always(targets)),
    }
    if COMPLETENESS in attributions.axioms:
        scores["tile-amounts", MAP] = tile_amounts(sums, truths), np.abs(truths).sum(axis=1) > 0
    return scores


def _weights(seed: int, draw: int) -> Float[np.ndarray, " tiles"]:
    """Return the weights of one network: every fourth order is drawn, and the next three are its turns."""
    order = np.random.default_rng([seed, TILES, 0, draw // len(WEIGHTS)]).permutation(WEIGHTS)
    turned: Float[np.ndarray, " tiles"] = np.roll(order, draw % len(WEIGHTS))
    return turned


def _always(targets: Int[np.ndarray, " m"]) -> Told:
    """Return that every map can be scored."""
    return np.ones(len(targets), bool)


def _differ(truths: Float[np.ndarray, "m d"]) -> Told:
    """Return whether there is an order to be told."""
    differ: np.ndarray = truths.min(axis=1) < truths.max(axis=1)
    return differ


def _chosen_tiles(dealt: Dealt, images: int) -> Int[np.ndarray, "m tiles"]:
    """Return which images each mosaic is made of: its own and others, in an order that is drawn."""
    made = []
    for own in dealt.index:
        others = dealt.source.choice(np.delete(np.arange(images), own), len(WEIGHTS) - 1, replace=False)
        made.append(dealt.source.permutation([own, *others]))
    return np.array(made)


def _on_halves(attributions: Attributions, dealt: Dealt) -> Scores:
    """Score maps under a network that sees one half, and under one that sees the other."""
    spec = attributions.case.subject.spec
    half = half_plane(spec.height, spec.width, float(dealt.source.uniform(0, 2 * np.pi)))
    halves = {"blind": half, "blind to the other half": ~half}
    shares = [_share_of_blind(attributions, dealt, name, keep) for name, keep in halves.items()]
    return {("blind-share", MAP): (np.mean(shares, axis=0), _always(dealt.index))}


def _share_of_blind(
    attributions: Attributions, dealt: Dealt, name: str, keep: Bool[Tensor, "h w"]
) -> Float[np.ndarray, " m"]:
    """Return how much of each map lies where a network is blind, over that part's share of the area."""
    case, images = attributions.case, attributions.case.images[torch.from_numpy(dealt.index)]
    subject = _built(name, lambda: blinded(case.subject, keep, case.images.mean((0, 2, 3))))
    targets = _answers(attributions, name, dealt, lambda: subject.logits(images)).argmax(1)
    maps = attributions.explain(images, targets, subject)
    return share_of_area(maps, np.broadcast_to(~keep.numpy(), maps.shape))


def _on_patches(attributions: Attributions, dealt: Dealt) -> Scores:
    """Score maps under networks with evidence planted on one patch and on two, beside maps without it."""
    case, spec = attributions.case, attributions.case.subject.spec
    try:
        patches = drawn_patches(spec, 2, dealt.source)
    except ValueError as error:
        raise NotBuilt(f"planted: {error}") from error
    images = case.images[torch.from_numpy(dealt.index)]
    for patch in patches:
        images = patch.shown_on(images)
    logits = _answers(attributions, "planted", dealt, lambda: case.subject.logits(images))
    kind = int(np.bincount(logits.argmax(1), minlength=logits.shape[1]).argmin())
    strength = STRENGTH * float((logits.max(1) - logits[:, kind]).max())
    if strength == 0:
        raise NotBuilt("planted: there is no class that the network does not answer by itself")
    targets = np.full(len(images), kind)
    without = attributions.explain(images, targets)

    def with_plant_on(used: list[Patch]) -> Float[np.ndarray, "m h w"]:
        subject = _built("planted", lambda: planted(case.subject, used, kind, strength))
        return attributions.explain(images, targets, subject)

    one, pair = with_plant_on(patches[:1]), with_plant_on(patches)
    parts = strength * _parts(attributions, images, patches[0])
    covers = [np.broadcast_to(patch.covers(spec.height, spec.width), one.shape) for patch in patches]
    found = {"planted-patch": _found(one, covers, 1), "planted-pair": _found(pair, covers, 2)}
    before = {"planted-patch": _found(without, covers, 1), "planted-pair": _found(without, covers, 2)}
    # A map that is constant without the plant puts the patch neither first nor last.
    beyond = {name: found[name] - np.where(np.isnan(before[name]), EVEN, before[name]) for name in FOUND}
    told = _always(targets)
    within = _differ(np.array([each[inside] for each, inside in zip(parts, covers[0], strict=True)]))
    return {
        **{(name, MAP): (found[name], told) for name in FOUND},
        **{(Score(name).gain, UNPLANTED): (beyond[name], told) for name in FOUND},
        ("planted-pixels", MAP): (pixel_ranks(one - without, parts, covers[0]), within),
    }


def _found(
    maps: Float[np.ndarray, "m h w"], covers: Sequence[Bool[np.ndarray, "m h w"]], needed: int
) -> Float[np.ndarray, " m"]:
    """Return how well the first patches are found, the worst of them where several are needed."""
    scores = [patch_found(maps, covers[k], covers[1 - k]) for k in range(needed)]
    least: np.ndarray = np.min(scores, axis=0)
    return least


def _parts(attributions: Attributions, images: Tensor, patch: Patch) -> Float[np.ndarray, "m h w"]:
    """Return each pixel's exact part in what a linear plant of strength 1 adds, over the explainer's own baselines."""
    subject = attributions.case.subject
    slopes = patch.slopes(*images.shape[2:]).numpy()
    rises = _doubles(images) - _mean_baseline(attributions, images, subject, lambda x: x)
    parts: np.ndarray = (slopes * rises).sum(1)
    return parts
