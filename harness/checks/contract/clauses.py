"""What every explainer owes its user, clause by clause, whatever its maps say.

A clause looks at calls of the explainer's bare function, each made once, on a copy of the subject of its own, and
returns None where it holds, or one line that says what was found. It knows nothing of tables and tests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from harness.checks.contract.calls import Answer, ContractSession, Question, gap, same
from harness.errors import ExplainerFault, UsageError
from harness.explainers.base import Explainer, one_slope
from harness.explainers.gradient import gradient
from harness.networks.random import layer_groups, randomized
from harness.subject import Subject


@dataclass(frozen=True)
class Clause:
    """One thing that an explainer owes.

    Attributes
    ----------
    name
        What tables call it.
    claim
        One sentence with "the explainer" as its subject.
    found
        ``found(session) -> None`` where it holds, else one line of what was found.
    reference
        Where it is argued for, or what broke without it.
    requires
        Names of clauses that must hold for this one to be looked into: maps that differ from call to call, or have
        no shape, cannot be compared, and what follows from one fault is no second fault.
    """

    name: str
    claim: str
    found: Callable[[ContractSession], str | None]
    reference: str = ""
    requires: tuple[str, ...] = ("runs",)


@dataclass(frozen=True)
class Examination:
    """What the contract found of one explainer on one subject.

    Attributes
    ----------
    explainer, subject
        Their names.
    broken
        What was found, by the name of the clause.
    refusal
        Why the explainer says that it cannot explain this subject; then nothing was looked into.
    """

    explainer: str
    subject: str
    broken: Mapping[str, str] = field(default_factory=dict)
    refusal: str = ""

    @property
    def reason(self) -> str:
        """Why there are no scores, in one line that begins with the explainer's name; empty where it may be judged."""
        if self.refusal:
            return f"{self.explainer} does not explain {self.subject}: {self.refusal}"
        if "runs" in self.broken:
            return f"{self.explainer} {self.broken['runs']}"
        return f"{self.explainer} breaks its contract: {self.said}" if self.broken else ""

    @property
    def said(self) -> str:
        """The broken clauses with what was found, in one line."""
        return ", ".join(f"{clause} ({what})" for clause, what in self.broken.items())


# ---------------------------------------------------------------------- the examination


def examined(
    explainer: Explainer,
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    seed: int,
) -> Examination:
    """Put an explainer to every clause.

    One that raises owes the clause ``runs`` alone, since the others cannot be looked into, and one that raises a
    UsageError refuses. Images should be two or more, the targets of the first two differing.
    """
    session = ContractSession(explainer, subject, images, targets, seed)
    try:
        _ = session.first
    except UsageError as refusal:
        return Examination(explainer.name, subject.name, refusal=_line(refusal))
    except ExplainerFault as fault:  # what it did to the whole process, or did not end
        return Examination(explainer.name, subject.name, {"runs": str(fault).removeprefix(f"{explainer.name} ")})
    except Exception as error:  # whatever a user's function raises is what is looked for
        return Examination(explainer.name, subject.name, {"runs": _raised(error)})
    broken: dict[str, str] = {}
    seen: list[Exception] = []
    for clause in contract_clauses().values():
        if unmet(clause, broken):
            continue
        try:
            found = clause.found(session)
        except Exception as error:  # a call after the first, which another clause may have met before
            found = None if error in seen else _raised(error)
            seen.append(error)
        if found is not None:
            broken[clause.name] = found
    return Examination(explainer.name, subject.name, broken)


def unmet(clause: Clause, broken: Mapping[str, str]) -> tuple[str, ...]:
    """Return the broken clauses for which a clause is not looked into."""
    return tuple(name for name in clause.requires if name in broken)


def contract_clauses() -> Mapping[str, Clause]:
    """Return the clauses by name, in the order in which they should be read."""
    return _CLAUSES


def _raised(error: Exception) -> str:
    """Return what an explainer raised; where it asked for slopes of answers that have none, whom to ask."""
    said = f"raised {type(error).__name__}: {_line(error)}"
    slopeless = "does not require grad" in said
    return said + ("; ask subject.gradients, or subject.model, whose answers have slopes" if slopeless else "")


# ---------------------------------------------------------------------- the clauses


def runs(session: ContractSession) -> str | None:
    """Look whether the explainer raises, which the first call has shown by now."""
    _ = session.first
    return None


def has_shape(session: ContractSession) -> str | None:
    """Look whether there is one map of real numbers an image, of its size."""
    found, wanted = session.first.maps, (len(session.batch), *session.images.shape[-2:])
    if found.dtype == object and found.ndim == 0:
        what = found.item()
        return f"returned {'nothing' if what is None else f'a {type(what).__name__}'}; return maps {wanted}"
    if found.shape != wanted:
        return f"returned shape {found.shape} for images whose maps are {wanted}"
    if not np.issubdtype(found.dtype, np.number) or np.iscomplexobj(found):
        return f"returned {found.dtype} values; return real numbers"
    return None


def is_finite(session: ContractSession) -> str | None:
    """Look for NaN and infinity, image by image."""
    found = session.first.maps
    bad = [number for number, each in enumerate(found) if not np.isfinite(each).all()]
    return f"NaN or infinity for {len(bad)} of {len(found)} images, the first being number {bad[0]}" if bad else None


def is_deterministic(session: ContractSession) -> str | None:
    """Look whether one seed gives one map, whatever the global generators hold, and whatever was asked before."""
    try:
        maps, _ = session.in_a_row
        # After a call that changes the network the next one may well differ, which is another clause's matter.
        kept = session.first.modes_kept and session.first.state_kept
        later = [*maps[1:], session.again.maps] if kept else [session.again.maps]
    except Exception:  # what one image alone raises is another clause's matter too
        return None
    apart = max(session.repeats(one, maps[0]) for one in later)
    if apart:
        return (
            f"the same call gave maps that differ by {apart:.2g} of their norm; "
            "take a keyword seed, draw from it alone, and keep nothing between calls"
        )
    return None


def is_batch_invariant(session: ContractSession) -> str | None:
    """Look whether an image's map is the same alone as among others.

    Where it is not in a batch of several targets, two things may be at fault: the other images or the other targets.
    It is the images where the map differs among others of its own target too, or where it changes as the others' places
    are taken by the image itself while their targets stay.
    """
    for asked, maps, looked in session.groups():
        worst, found = 0.0, None
        for number in looked:
            apart = _moved_by_company(session, asked, maps, number)
            if apart > worst:
                worst, what = apart, f"the map of image {number} differs by {apart:.2g} of its norm"
                found = f"{what} with the images that stand beside it"
        if found:
            return found
    return None


def _moved_by_company(session: ContractSession, asked: Question, maps: Answer, number: int) -> float:
    """Return by how much the other images of a group move the map of one of them."""
    numbers, targets = asked
    alone, among = session.maps([number], [targets[number]])[0], maps[number]
    if not session.apart(among, alone, asked):
        return 0.0
    of_one_target = session.maps(numbers, [targets[number]] * len(numbers))[number]
    among_itself = session.maps([number] * len(numbers), targets)[number]
    return session.apart(of_one_target, alone, asked) or session.apart(among_itself, among, asked)


def honours_targets(session: ContractSession) -> str | None:
    """Look whether each image of a batch is explained for its own target, and whether targets matter at all."""
    for asked, maps, looked in session.groups():
        for number in looked:
            target = asked[1][number]
            # The other images do not matter, which has been seen.
            if session.apart(maps[number], session.maps([number], [target])[0], asked):
                return f"image {number} of a batch of several targets was not explained for its own, class {target}"
    if session.explainer.facts.target_free or len(set(session.targets)) < 2 or _targets_matter(session):
        return None
    return "maps are the same for every target; say target_free=True if that is meant"


def _targets_matter(session: ContractSession) -> bool:
    """Whether some image's map is another for another target; one whose maps are zero for some targets gets a look.

    The two calls differ in nothing else, so that rounding is the same in both.
    """
    own, other = session.in_a_row[0][0], session.for_another_target
    if gap(own, other) > same(own):
        return True
    others = {target: max(set(session.targets) - {target}) for target in session.targets}
    every, each = (
        session.maps(session.everyone, classes)
        for classes in (session.targets, [others[target] for target in session.targets])
    )
    return any(gap(*pair) > same(every) for pair in zip(every, each, strict=True))


def leaves_network(session: ContractSession) -> str | None:
    """Look whether weights, mode, gradients, hooks, modules and what these hold are as they were."""
    if not session.first.modes_kept:
        return "left the network in training mode, where dropout draws and batch statistics move"
    if session.first.gradients:
        return "left a gradient on the weights"
    if session.first.state_kept:
        return None
    return "changed the network's weights or modules, or left hooks on it"


def leaves_generators(session: ContractSession) -> str | None:
    """Look whether the global generators of Python, NumPy and torch are as they were.

    The second call is looked at: a module that the first one imports may draw as it is imported.
    """
    moved = session.again.generators
    return f"changed the global generator of {', '.join(moved)}; draw from one of your own" if moved else None


def leaves_input(session: ContractSession) -> str | None:
    """Look whether images and targets are as they were."""
    if not session.first.input_kept:
        return "changed its images or targets in place; work on a copy"
    return "left its images recording gradients; work on a copy" if session.first.input_records else None


def differs_between_images(session: ContractSession) -> str | None:
    """Look whether maps of different images differ, and whether any says more than one value; controls need not."""
    if session.explainer.is_control or len(session.images) < 2:
        return None
    alike = _sameness(session.first.maps)
    if alike:
        # Two maps may be alike by chance: nothing may speak for the target of either.
        alike = _sameness(session.maps(session.everyone, session.targets))
    alike = alike or _kept_by_target(session)
    asked = session.given(session.subject, session.everyone, session.targets)
    return None if alike and one_slope(session.subject, *asked) else alike


def _kept_by_target(session: ContractSession) -> str | None:
    """Say that two images asked for alone, for one target, have one map, and another network gives it too.

    One map for all images of a target is no fault where what lies above the layer that is read is linear.
    """
    numbers, target = session.of_one_target, session.targets[0]
    if len(set(numbers)) < 2:
        return None
    try:
        one, other = (session.maps([number], [target]) for number in numbers)
        if np.ptp(one) == 0 or not np.array_equal(one, other) or _follows_weights(session):
            return None
    except Exception:  # what one image alone raises is another clause's matter
        return None
    return f"returned one map for images {numbers[0]} and {numbers[1]} of one target; keep nothing between calls"


def _follows_weights(session: ContractSession) -> bool:
    """Whether the first image's map is another where the network's weights are drawn at random."""
    layers = layer_groups(session.subject, 1)[0]
    drawn = randomized(session.subject, layers, seed=session.seed, images=session.images)
    return not np.array_equal(session.on_another(drawn), session.in_a_row[0][0])


def _sameness(maps: Answer) -> str | None:
    """Say how maps are alike."""
    if (maps == maps[:1]).all():
        return "returned the same map for every image"
    if all(np.ptp(each) == 0 for each in maps):
        return "gave every pixel of an image the same value, for every image"
    return None


def hooks_do_not_grow(session: ContractSession) -> str | None:
    """Look for hooks that pile up over calls, on the network, on what counts its passes, or on all modules at once."""
    # What raises on one image alone has been named by another clause.
    session.maps([0], session.targets[:1])
    _, counts = session.in_a_row
    return f"{len(counts)} calls left {counts[0]} to {counts[-1]} hooks behind" if counts[-1] > counts[0] else None


def hooks_act(session: ContractSession) -> str | None:
    """Look whether rules for activations act on this network, and alike however its activations are written.

    A method that changes the backward pass must differ from the plain gradient. Any method must give one network the
    same map whether its ReLU is a module used once, one used throughout, one in place, or a function; refusing to
    explain is allowed, another map is not.
    """
    if session.explainer.is_control:
        return None
    if session.explainer.facts.family == "backprop":
        plain = session.maps_by(gradient)
        # By the same passes of the same batch, so that rounding is the same in both.
        if min(gap(session.together, maps) for maps in (plain, np.abs(plain))) <= same(session.together):
            return "its map is the plain gradient: its hooks did not act"
    return _spelling_fault(session)


class _Spelled(nn.Module):
    """A network of two convolutions whose ReLU is written in one of several ways; the weights are those of the seed."""

    def __init__(
        self, relus: Callable[[], tuple[Callable[[Tensor], Tensor], ...]], channels: int, classes: int
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.conv1, self.conv2 = nn.Conv2d(channels, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
            self.pool, self.flatten = nn.AdaptiveAvgPool2d(4), nn.Flatten()
            self.dense = nn.Linear(96, classes)
        self.first, self.second = relus()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        maps = self.second(self.conv2(self.first(self.conv1(images))))
        # Spread out, so that probabilities differ enough for methods that read them.
        logits: Tensor = self.dense(self.flatten(self.pool(maps))) * 8
        return logits


def _twice(relu: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Return one module for both places."""
    return relu, relu


_SPELLINGS: Mapping[str, Callable[[], tuple[Callable[[Tensor], Tensor], ...]]] = MappingProxyType(
    {
        "modules used once": lambda: (nn.ReLU(), nn.ReLU()),
        "functions": lambda: (functional.relu, functional.relu),
        "one module used twice": lambda: _twice(nn.ReLU()),
        "modules in place": lambda: (nn.ReLU(inplace=True), nn.ReLU(inplace=True)),
    }
)


def _spelling_fault(session: ContractSession) -> str | None:
    """Explain one image with a small network written in each way, and compare with the plainest.

    Sums are added up in the same order in each, so that rounding is the same in all.
    """
    found = {}
    for spelling, relus in _SPELLINGS.items():
        try:
            found[spelling] = session.on_another(_probe(session.compared, spelling, relus))
        except Exception:  # to refuse a network is honest
            continue
    for spelling, maps in found.items():
        apart = gap(maps, next(iter(found.values())))
        if apart > same(maps):
            return f"where ReLUs are {spelling} the map of one and the same network differs by {apart:.2g} of its norm"
    return None


def _probe(subject: Subject, spelling: str, relus: Callable[[], tuple[Callable[[Tensor], Tensor], ...]]) -> Subject:
    """Return a small network beside a subject, with the same input, classes and precision."""
    return Subject(
        _Spelled(relus, subject.spec.channels, len(subject.classes)).to(subject.dtype),
        name=f"probe with ReLU as {spelling}",
        classes=subject.classes,
        spec=subject.spec,
        cam_layer="conv2",
        device=subject.device,
    )


def _line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return (str(error).strip().splitlines() or [""])[0]


_COMPARED = ("runs", "shape", "finite", "deterministic")

_CLAUSES: Mapping[str, Clause] = MappingProxyType(
    {
        clause.name: clause
        for clause in (
            Clause("runs", "the explainer explains this network, or refuses in one line", runs, requires=()),
            Clause("shape", "the explainer returns one map of real numbers an image, of the image's size", has_shape),
            Clause(
                "finite",
                "the explainer returns neither NaN nor infinity for any image",
                is_finite,
                requires=("runs", "shape"),
            ),
            Clause(
                "deterministic",
                "the explainer's seed alone decides its draws",
                is_deterministic,
                "GradientSHAP of captum 0.9 changes with NumPy's global seed",
                ("runs", "shape"),
            ),
            Clause(
                "images",
                "the explainer's maps differ between images and between pixels",
                differs_between_images,
                requires=("runs", "shape", "finite"),
            ),
            Clause(
                "batch-invariant",
                "the explainer explains an image the same alone as among others",
                is_batch_invariant,
                requires=_COMPARED,
            ),
            Clause(
                "targets",
                "the explainer explains each image of a batch for its own target",
                honours_targets,
                "one target for a batch gives maps of zeros in pytorch-grad-cam 1.5",
                (*_COMPARED, "images", "batch-invariant"),
            ),
            Clause(
                "network",
                "the explainer leaves weights, mode, gradients, hooks, modules and their attributes as they were",
                leaves_network,
            ),
            Clause("generators", "the explainer leaves the global generators as they were", leaves_generators),
            Clause("input", "the explainer leaves its images and targets as they were", leaves_input),
            Clause(
                "growth",
                "the explainer leaves no hooks that pile up over calls",
                hooks_do_not_grow,
                requires=("runs", "network"),
            ),
            Clause(
                "hooks",
                "the explainer's rules for activations act, however the activations are written",
                hooks_act,
                "Guided Backprop of captum 0.9 and zennit 0.5 is the plain gradient where ReLU is a function",
                _COMPARED,
            ),
        )
    }
)
