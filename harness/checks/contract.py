"""What every explainer owes its user, clause by clause, whatever its maps say.

A clause looks at calls of the explainer's bare function, each made once, on a copy of the subject of its own, and
returns None where it holds, or one line that says what was found. It knows nothing of tables and tests.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules import module as torch_module

from harness.digest import digest
from harness.engines.local import Job
from harness.errors import ExplainerFault, UsageError
from harness.explainers._randomness import global_generators_seeded
from harness.explainers.base import Explainer
from harness.explainers.gradient import gradient
from harness.faces.faceset import FaceSet
from harness.subject import Passes, Subject

SAME = 1e-3
"""Largest difference between maps that are meant to be equal, as a share of their norm: rounding differs by batch."""

TOGETHER = 2
"""Images of a batch, with a target each; the others given are looked at where these do not tell."""

SAMPLE = 8
"""Faces that are given."""

REPEATS = 3
"""Calls within which a leak must show."""

Answer: TypeAlias = Float[np.ndarray, "..."]
Remember: TypeAlias = Callable[[str, Callable[[], Mapping[str, Any]]], Mapping[str, Any]]
"""``remember(key, make)`` -> what `make` returns, made once: :meth:`harness.store.RunFolder.remembered`."""


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
        ``found(sitting) -> None`` where it holds, else one line of what was found.
    reference
        Where it is argued for, or what broke without it.
    moot
        Names of clauses that must hold for this one to be looked into: maps that differ from call to call, or have
        no shape, cannot be compared.
    """

    name: str
    claim: str
    found: "Callable[[Sitting], str | None]"
    reference: str = ""
    moot: tuple[str, ...] = ("runs",)


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


# ---------------------------------------------------------------------- the calls


@dataclass(frozen=True)
class Watched:
    """What one call returned, and what it did beside."""

    maps: Answer
    modes_kept: bool
    gradients: bool
    state_kept: bool
    generators: tuple[str, ...]
    input_kept: bool
    input_records: bool


class Sitting:
    """One explainer before its clauses: makes the calls that they look at, and no call twice.

    Parameters
    ----------
    explainer
        Whose bare function is called.
    subject
        Left alone: calls run on copies.
    images
        Two or more; the first two are a batch.
    targets
        Those of the first two should differ.
    seed
        Given to an explainer that takes one.
    """

    def __init__(
        self,
        explainer: Explainer,
        subject: Subject,
        images: Float[Tensor, "n c h w"],
        targets: Int[Tensor, " n"],
        seed: int,
    ) -> None:
        self.explainer, self.subject, self.images, self.seed = explainer, subject, images, seed
        self.targets = tuple(targets.tolist())
        self._answers: dict[tuple[tuple[int, ...], tuple[int, ...]], Answer | Exception] = {}

    @property
    def batch(self) -> tuple[int, ...]:
        """Numbers of the images that are explained together."""
        return tuple(range(min(TOGETHER, len(self.images))))

    @property
    def everyone(self) -> tuple[int, ...]:
        """Numbers of all images given."""
        return tuple(range(len(self.images)))

    @cached_property
    def first(self) -> Watched:
        """The batch, each image for its own target, on a copy that is looked at before and after."""
        return self._watched(1)

    @cached_property
    def again(self) -> Watched:
        """The same with other states of the global generators, and all that a first call imports imported."""
        return self._watched(2)

    def _watched(self, state_of_generators: int) -> Watched:
        """Call the explainer on the batch and look at what it did beside."""
        twin, images, targets = self.twin(), *self.given(self.batch, self.targets[: len(self.batch)])
        given, classes, state = images.clone(), targets.clone(), twin.state_digest()
        modes = [module.training for module in twin.network.modules()]
        with global_generators_seeded(state_of_generators), _global_hooks_kept():
            before = _generator_states()
            maps = self.called(twin, given, classes)
            moved = tuple(name for name, after in _generator_states().items() if after != before[name])
        return Watched(
            maps,
            modes_kept=[module.training for module in twin.network.modules()] == modes,
            gradients=any(parameter.grad is not None for parameter in twin.network.parameters()),
            state_kept=twin.state_digest() == state,
            generators=moved,
            input_kept=torch.equal(given, images) and torch.equal(classes, targets),
            input_records=given.requires_grad or given.grad is not None,
        )

    def maps(self, numbers: Sequence[int], targets: Sequence[int]) -> Answer:
        """Return the maps of some images for some targets; what the call raised is raised again."""
        key = (tuple(numbers), tuple(targets))
        if key not in self._answers:
            try:
                with global_generators_seeded(1), _global_hooks_kept():
                    self._answers[key] = self.called(self.twin(), *self.given(*key))
            except Exception as error:  # whatever a user's function raises
                self._answers[key] = error
        answer = self._answers[key]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def called(self, subject: Subject, images: Tensor, targets: Tensor) -> Answer:
        """Return what the bare function returns, as an array."""
        seeded = {"seed": self.seed} if self.explainer.is_seeded else {}
        with torch.enable_grad():
            found = self.explainer.function(subject, images, targets, **self.explainer.settings, **seeded)
        return found.detach().cpu().numpy() if isinstance(found, Tensor) else np.asarray(found)

    def twin(self) -> Subject:
        """Return a copy that shares nothing with the subject but its counter: no memory, no damage."""
        return self.subject.with_network(self.subject.network, self.subject.name)

    def given(self, numbers: Sequence[int], targets: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return copies of some images with some targets."""
        return self.images[list(numbers)].clone(), torch.tensor(targets, device=self.subject.device)


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
    sitting = Sitting(explainer, subject, images, targets, seed)
    try:
        _ = sitting.first
    except UsageError as refusal:
        return Examination(explainer.name, subject.name, refusal=_line(refusal))
    except Exception as error:  # whatever a user's function raises is what is looked for
        return Examination(explainer.name, subject.name, {"runs": f"raised {type(error).__name__}: {_line(error)}"})
    broken: dict[str, str] = {}
    seen: list[Exception] = []
    for clause in contract_clauses().values():
        if broken.keys() & set(clause.moot):
            continue
        try:
            found = clause.found(sitting)
        except Exception as error:  # a call after the first, which another clause may have met before
            found = None if error in seen else f"raised {type(error).__name__}: {_line(error)}"
            seen.append(error)
        if found is not None:
            broken[clause.name] = found
    return Examination(explainer.name, subject.name, broken)


class ContractGate:
    """Puts explainers to the contract on some faces before anything else is asked of them; who breaks it stays out.

    Parameters
    ----------
    subject, faces, seed
        What explainers are put to.
    remember
        Keeps what was found under a key of explainer, subject, faces, seed and code.

    Attributes
    ----------
    passes
        Images passed forward and backward for the examinations asked for so far, whenever they were made.
    """

    def __init__(self, subject: Subject, faces: FaceSet, seed: int, remember: Remember) -> None:
        self.passes = Passes()
        self._subject, self._faces, self._seed, self._remember = subject, faces, seed, remember
        self._found: dict[str, Examination] = {}

    def jobs(self, explainers: Sequence[Explainer]) -> list[Job]:
        """Return one job an explainer, which raises an ExplainerFault where it may not be judged."""
        return [Job(f"{made.name}: contract", made.name, partial(self._hold, made)) for made in explainers]

    def examination(self, explainer: Explainer) -> Examination:
        """Return what the contract finds of an explainer."""
        if explainer.name not in self._found:
            self._found[explainer.name] = self._examined(explainer)
        return self._found[explainer.name]

    def _hold(self, explainer: Explainer) -> None:
        """Let an explainer pass or say why not."""
        reason = self.examination(explainer).reason
        if reason:
            raise ExplainerFault(reason)

    def _examined(self, explainer: Explainer) -> Examination:
        """Examine, or remember."""
        images, targets = self._sample

        def make() -> dict[str, Any]:
            before = self._passed()
            found = examined(explainer, self._subject, images, targets, self._seed)
            rows = {"refusal": found.refusal} if found.refusal else dict(found.broken)
            table = pd.DataFrame({"clause": [*rows], "found": [*rows.values()]}, dtype=str)
            return {"rows": table, "passes": self._passed() - before}

        key = digest("contract", contract_digest(explainer), self._subject.digest, images, targets, self._seed)
        held = self._remember(key, make)
        self._count(held["passes"])
        rows = dict(zip(held["rows"]["clause"], held["rows"]["found"], strict=True))
        refusal = rows.pop("refusal", "")
        return Examination(explainer.name, self._subject.name, rows, refusal)

    @cached_property
    def _sample(self) -> tuple[Tensor, Tensor]:
        """The faces and their targets."""
        images = contract_images(self._subject, self._faces)

        def make() -> dict[str, Any]:
            before = self._passed()
            targets = contract_targets(self._subject, images)
            return {"targets": targets.cpu().numpy(), "passes": self._passed() - before}

        held = self._remember(digest("contract targets", self._subject.digest, images), make)
        self._count(held["passes"])
        return images, torch.from_numpy(held["targets"]).to(self._subject.device)

    def _count(self, passes: Int[np.ndarray, "2"]) -> None:
        """Add passes forward and backward."""
        self.passes.forward += int(passes[0])
        self.passes.backward += int(passes[1])

    def _passed(self) -> Int[np.ndarray, "2"]:
        """Return the images that the subject has passed forward and backward."""
        return np.array([self._subject.passes.forward, self._subject.passes.backward])


def contract_images(subject: Subject, faces: FaceSet) -> Float[Tensor, "n c h w"]:
    """Return a few faces, spread over the set.

    Raises
    ------
    UsageError
        Where there are fewer than two.
    """
    if len(faces) < TOGETHER:
        raise UsageError(f"faces {faces.name!r} are {len(faces)}; an explainer's contract needs two to compare")
    return subject.prepare(faces.images[np.unique(np.linspace(0, len(faces) - 1, SAMPLE).astype(int))])


def contract_targets(subject: Subject, images: Float[Tensor, "n c h w"]) -> Int[Tensor, " n"]:
    """Return each image's predicted class; for the second, where that is the first's, the next."""
    logits = subject.logits(images)
    targets = logits.argmax(1)
    logits[1, targets[0]] = -torch.inf
    targets[1] = logits[1].argmax()
    return targets


def contract_digest(explainer: Explainer) -> str:
    """Return a name of an explainer's code and settings, of what the explainers share, and of the clauses."""
    shared = sorted(Path(__file__).parents[1].glob("explainers/_[!_]*.py"))
    return digest(explainer.digest, *[file.read_text() for file in (*shared, Path(__file__))])


def contract_clauses() -> Mapping[str, Clause]:
    """Return the clauses by name, in the order in which they should be read."""
    return _CLAUSES


# ---------------------------------------------------------------------- the clauses


def runs(sitting: Sitting) -> str | None:
    """Look whether the explainer raises, which the first call has shown by now."""
    _ = sitting.first
    return None


def has_shape(sitting: Sitting) -> str | None:
    """Look whether there is one map of real numbers an image, of its size."""
    found, wanted = sitting.first.maps, (len(sitting.batch), *sitting.images.shape[-2:])
    if found.shape != wanted:
        return f"returned shape {found.shape} for images whose maps are {wanted}"
    if not np.issubdtype(found.dtype, np.number) or np.iscomplexobj(found):
        return f"returned {found.dtype} values; return real numbers"
    return None


def is_finite(sitting: Sitting) -> str | None:
    """Look for NaN and infinity, image by image."""
    found = sitting.first.maps
    bad = [number for number, each in enumerate(found) if not np.isfinite(each).all()]
    return f"NaN or infinity for {len(bad)} of {len(found)} images, the first being number {bad[0]}" if bad else None


def is_deterministic(sitting: Sitting) -> str | None:
    """Look whether one seed gives one map, whatever the global generators hold."""
    gap = _gap(sitting.first.maps, sitting.again.maps)
    if gap > SAME:
        return f"the same seed gave maps that differ by {gap:.2g} of their norm; take a keyword seed and draw from it"
    return None


def is_batch_invariant(sitting: Sitting) -> str | None:
    """Look whether an image's map is the same alone as among others of its target.

    Where maps of the batch of several targets are those of its images alone, that is settled.
    """
    gaps = {}
    for number in sitting.batch:
        target = sitting.targets[number]
        alone = sitting.maps([number], [target])[0]
        if _gap(sitting.first.maps[number], alone) > SAME:
            gaps[number] = _gap(_of_one_target(sitting, target)[number], alone)
    worst = max(gaps, key=lambda number: gaps[number], default=0)
    if gaps and gaps[worst] > SAME:
        return f"the map of image {worst} alone differs by {gaps[worst]:.2g} of its norm from the one made among others"
    return None


def honours_targets(sitting: Sitting) -> str | None:
    """Look whether each image of a batch is explained for its own target, and whether targets matter at all."""
    for number in sitting.batch:
        target = sitting.targets[number]
        alone = sitting.maps([number], [target])[0]
        mixed = sitting.first.maps[number]
        if _gap(mixed, alone) > SAME and _gap(mixed, _of_one_target(sitting, target)[number]) > SAME:
            return f"image {number} of a batch of several targets was not explained for its own, class {target}"
    if sitting.explainer.facts.target_free or len(set(sitting.targets)) < 2 or _targets_matter(sitting):
        return None
    return "maps are the same for every target; say target_free=True if that is meant"


def _of_one_target(sitting: Sitting, target: int) -> Answer:
    """Return the maps of the batch, all for one target."""
    return sitting.maps(sitting.batch, [target] * len(sitting.batch))


def _targets_matter(sitting: Sitting) -> bool:
    """Whether some image's map is another for another target; one whose maps are zero for some targets gets a look."""
    last, (first, *_) = sitting.batch[-1], sitting.targets
    if _gap(sitting.first.maps[last], sitting.maps([last], [first])[0]) > SAME:
        return True
    others = {target: max(set(sitting.targets) - {target}) for target in sitting.targets}
    own, other = (
        sitting.maps(sitting.everyone, classes)
        for classes in (sitting.targets, [others[target] for target in sitting.targets])
    )
    return any(_gap(*pair) > SAME for pair in zip(own, other, strict=True))


def leaves_network(sitting: Sitting) -> str | None:
    """Look whether weights, mode, gradients and hooks are as they were."""
    if not sitting.first.modes_kept:
        return "left the network in training mode, where dropout draws and batch statistics move"
    if sitting.first.gradients:
        return "left a gradient on the weights"
    return None if sitting.first.state_kept else "changed the network's weights or left hooks on it"


def leaves_generators(sitting: Sitting) -> str | None:
    """Look whether the global generators of Python, NumPy and torch are as they were.

    The second call is looked at: a module that the first one imports may draw as it is imported.
    """
    moved = sitting.again.generators
    return f"changed the global generator of {', '.join(moved)}; draw from one of your own" if moved else None


def leaves_input(sitting: Sitting) -> str | None:
    """Look whether images and targets are as they were."""
    if not sitting.first.input_kept:
        return "changed its images or targets in place; work on a copy"
    return "left its images recording gradients; work on a copy" if sitting.first.input_records else None


def differs_between_images(sitting: Sitting) -> str | None:
    """Look whether maps of different images differ, and whether any says more than one value; controls need not."""
    if sitting.explainer.is_control or len(sitting.images) < 2 or not _sameness(sitting.first.maps):
        return None
    # Two maps may be alike by chance: nothing may speak for the target of either.
    return _sameness(sitting.maps(sitting.everyone, sitting.targets))


def _sameness(maps: Answer) -> str | None:
    """Say how maps are alike."""
    if (maps == maps[:1]).all():
        return "returned the same map for every image"
    if all(np.ptp(each) == 0 for each in maps):
        return "gave every pixel of an image the same value, for every image"
    return None


def hooks_do_not_grow(sitting: Sitting) -> str | None:
    """Look for hooks that pile up over calls, on the network, on what counts its passes, or on all modules at once."""
    # What raises on one image alone has been named by another clause.
    sitting.maps([0], sitting.targets[:1])
    twin, counts = sitting.twin(), []
    with _global_hooks_kept(), global_generators_seeded(1):
        for _ in range(REPEATS):
            sitting.called(twin, *sitting.given([0], sitting.targets[:1]))
            counts.append(_hooks(twin))
    return f"{REPEATS} calls left {counts[0]} to {counts[-1]} hooks behind" if counts[-1] > counts[0] else None


def hooks_act(sitting: Sitting) -> str | None:
    """Look whether rules for activations act on this network, and alike however its activations are written.

    A method that changes the backward pass must differ from the plain gradient. Any method must give one network the
    same map whether its ReLU is a module used once, one used throughout, one in place, or a function; refusing to
    explain is allowed, another map is not.
    """
    if sitting.explainer.is_control:
        return None
    if sitting.explainer.facts.family == "backprop":
        images, targets = sitting.given(sitting.batch, sitting.targets[: len(sitting.batch)])
        plain = gradient(sitting.twin(), images, targets).cpu().numpy()
        if min(_gap(sitting.first.maps, plain), _gap(sitting.first.maps, np.abs(plain))) <= SAME:
            return "its map is the plain gradient: its hooks did not act"
    return _spelling_fault(sitting)


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


def _spelling_fault(sitting: Sitting) -> str | None:
    """Explain one image with a small network written in each way, and compare with the plainest."""
    subject, found = sitting.subject, {}
    for spelling, relus in _SPELLINGS.items():
        network = _Spelled(relus, subject.spec.channels, len(subject.classes))
        probe = Subject(
            network,
            name=f"probe with ReLU as {spelling}",
            classes=subject.classes,
            spec=subject.spec,
            cam_layer="conv2",
            device=subject.device,
        )
        try:
            with global_generators_seeded(1), _global_hooks_kept():
                found[spelling] = sitting.called(probe, *sitting.given([0], sitting.targets[:1]))
        except Exception:  # to refuse a network is honest
            continue
    for spelling, maps in found.items():
        reference = next(iter(found.values()))
        gap = _gap(maps, reference)
        if gap > SAME:
            return f"where ReLUs are {spelling} the map of one and the same network differs by {gap:.2g} of its norm"
    return None


def _line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return (str(error).strip().splitlines() or [""])[0]


def _gap(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the norm of the difference as a share of the larger norm; what is not finite in both alike is equal."""
    if found.shape != wanted.shape:
        return np.inf
    found, wanted = (np.nan_to_num(np.asarray(part, np.float64)) for part in (found, wanted))
    size = max(float(np.linalg.norm(found)), float(np.linalg.norm(wanted)))
    return float(np.linalg.norm(found - wanted)) / size if size else 0.0


def _generator_states() -> dict[str, Any]:
    """Return the states of the global generators in a form that can be compared."""
    name, keys, *rest = np.random.get_state()
    return {
        "Python": random.getstate(),
        "NumPy": (name, bytes(np.asarray(keys)), *rest),
        "torch": bytes(torch.get_rng_state().numpy()),
    }


def _global_hook_tables() -> list[dict[Any, Any]]:
    """Return torch's tables of hooks that run for every module."""
    return [
        table
        for name, table in sorted(vars(torch_module).items())
        if name.startswith("_global") and name.endswith("_hooks") and isinstance(table, dict)
    ]


@contextmanager
def _global_hooks_kept() -> Iterator[None]:
    """Drop hooks on all modules that came meanwhile."""
    before = [set(table) for table in _global_hook_tables()]
    try:
        yield
    finally:
        for table, kept in zip(_global_hook_tables(), before, strict=True):
            for key in set(table) - kept:
                del table[key]


def _hooks(subject: Subject) -> int:
    """Return how many hooks there are on the network, on its wrapper, on its weights and on all modules."""
    tables = [
        table
        for module in subject.model.modules()
        for name, table in vars(module).items()
        if name.endswith("_hooks") and isinstance(table, dict)
    ]
    tables += [table for parameter in subject.network.parameters() if (table := parameter._backward_hooks)]
    return sum(map(len, tables + _global_hook_tables()))


_COMPARED = ("runs", "shape", "finite", "deterministic")

_CLAUSES: Mapping[str, Clause] = MappingProxyType(
    {
        clause.name: clause
        for clause in (
            Clause("runs", "the explainer explains this network, or refuses in one line", runs, moot=()),
            Clause("shape", "the explainer returns one map of real numbers an image, of the image's size", has_shape),
            Clause(
                "finite",
                "the explainer returns neither NaN nor infinity for any image",
                is_finite,
                moot=("runs", "shape"),
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
                moot=("runs", "shape", "finite"),
            ),
            Clause(
                "batch-invariant",
                "the explainer explains an image the same alone as among others",
                is_batch_invariant,
                moot=_COMPARED,
            ),
            Clause(
                "targets",
                "the explainer explains each image of a batch for its own target",
                honours_targets,
                "one target for a batch gives maps of zeros in pytorch-grad-cam 1.5",
                (*_COMPARED, "images"),
            ),
            Clause("network", "the explainer leaves weights, mode, gradients and hooks as they were", leaves_network),
            Clause("generators", "the explainer leaves the global generators as they were", leaves_generators),
            Clause("input", "the explainer leaves its images and targets as they were", leaves_input),
            Clause("growth", "the explainer leaves no hooks that pile up over calls", hooks_do_not_grow),
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
