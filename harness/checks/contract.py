"""What every explainer owes its user, clause by clause, whatever its maps say.

A clause runs the explainer's bare function on fresh copies of the subject and returns None where it holds, or one line
that says what was found. It knows nothing of tables and tests.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules import module as torch_module

from harness.explainers._randomness import global_generators_seeded
from harness.explainers.base import Explainer
from harness.explainers.gradient import gradient
from harness.subject import Subject

SAME = 1e-3
"""Largest difference between maps that are meant to be equal, as a share of their norm: rounding differs by batch."""

REPEATS = 3
"""Calls within which a leak must show."""

ClauseFunction: TypeAlias = Callable[[Explainer, Subject, Tensor, Tensor, int], str | None]
"""``clause(explainer, subject, images, targets, seed) -> None where it holds, else one line of what was found``."""


@dataclass(frozen=True)
class Clause:
    """One thing that an explainer owes.

    Attributes
    ----------
    name
        What tables call it.
    claim
        One sentence with "the explainer" as its subject.
    reference
        Where it is argued for, or what broke without it.
    found
        The function that looks.
    """

    name: str
    claim: str
    reference: str
    found: ClauseFunction


def broken_clauses(
    explainer: Explainer,
    subject: Subject,
    images: Float[Tensor, "n c h w"],
    targets: Int[Tensor, " n"],
    seed: int,
) -> dict[str, str]:
    """Return what was found, by the name of the clause; empty where all hold.

    An explainer that raises owes the clause ``runs`` alone: the others cannot be looked into. Images should be two or
    more, with targets that differ.
    """
    failure = runs(explainer, subject, images, targets, seed)
    if failure is not None:
        return {"runs": failure}
    found = {
        clause.name: clause.found(explainer, subject, images, targets, seed) for clause in contract_clauses().values()
    }
    return {name: what for name, what in found.items() if what is not None}


def contract_clauses() -> Mapping[str, Clause]:
    """Return the clauses by name, in the order in which they should be read."""
    return _CLAUSES


def runs(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> str | None:
    """Look whether the explainer raises."""
    try:
        _maps(explainer, _twin(subject), images, targets, seed)
    except Exception as error:  # whatever a user's function raises is what is looked for
        return f"raised {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return None


def has_shape(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> str | None:
    """Look whether there is one map of real numbers an image, of its size."""
    found, wanted = _maps(explainer, _twin(subject), images, targets, seed), (len(images), *images.shape[-2:])
    if found.shape != wanted:
        return f"returned shape {found.shape} for images whose maps are {wanted}"
    if not np.issubdtype(found.dtype, np.number) or np.iscomplexobj(found):
        return f"returned {found.dtype} values"
    return None


def is_finite(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> str | None:
    """Look for NaN and infinity, image by image."""
    found = _maps(explainer, _twin(subject), images, targets, seed)
    bad = [number for number, each in enumerate(found) if not np.isfinite(each).all()]
    return f"NaN or infinity for {len(bad)} of {len(found)} images, the first being number {bad[0]}" if bad else None


def is_deterministic(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> str | None:
    """Look whether one seed gives one map, whatever the global generators hold."""
    found = []
    for state in (1, 2):
        with global_generators_seeded(state):
            found.append(_maps(explainer, _twin(subject), images, targets, seed))
    gap = _gap(*found)
    return f"the same seed gave maps that differ by {gap:.2g} of their norm" if gap > SAME else None


def is_batch_invariant(
    explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int
) -> str | None:
    """Look whether an image's map is the same alone as among others; all have one target here."""
    same = targets[:1].expand(len(images)).clone()
    together = _maps(explainer, _twin(subject), images, same, seed)
    gaps = [
        _gap(together[k : k + 1], _maps(explainer, _twin(subject), images[k : k + 1], same[:1], seed))
        for k in range(len(images))
    ]
    worst = int(np.argmax(gaps))
    if gaps[worst] > SAME:
        return f"the map of image {worst} alone differs by {gaps[worst]:.2g} of its norm from the one made among others"
    return None


def honours_targets(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> str | None:
    """Look whether each image of a batch is explained for its own target, and whether targets matter at all."""
    mixed = _maps(explainer, _twin(subject), images, targets, seed)
    matters = False
    for target in torch.unique(targets).tolist():
        uniform = _maps(explainer, _twin(subject), images, torch.full_like(targets, target), seed)
        for number, (own, wanted) in enumerate(zip(targets.tolist(), uniform, strict=True)):
            gap = _gap(mixed[number], wanted)
            if own == target and gap > SAME:
                return f"image {number} of a batch of several targets was not explained for its own, class {target}"
            matters |= own != target and gap > SAME
    several = len(set(targets.tolist())) > 1
    if several and not matters and not explainer.facts.target_free:
        return "maps are the same for every target; say target_free=True if that is meant"
    return None


def leaves_network(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> str | None:
    """Look whether weights, mode, gradients and hooks are as they were."""
    twin = _twin(subject)
    before, modes = twin.state_digest(), [module.training for module in twin.network.modules()]
    _maps(explainer, twin, images, targets, seed)
    if [module.training for module in twin.network.modules()] != modes:
        return "left the network in training mode, where dropout draws and batch statistics move"
    if any(parameter.grad is not None for parameter in twin.network.parameters()):
        return "left a gradient on the weights"
    return "changed the network's weights or left hooks on it" if twin.state_digest() != before else None


def leaves_generators(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> str | None:
    """Look whether the global generators of Python, NumPy and torch are as they were."""
    twin = _twin(subject)
    with global_generators_seeded(0):
        before = _generator_states()
        _maps(explainer, twin, images, targets, seed)
        moved = [name for name, state in _generator_states().items() if state != before[name]]
    return f"changed the global generator of {', '.join(moved)}" if moved else None


def leaves_input(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> str | None:
    """Look whether images and targets are as they were."""
    given, classes = images.clone(), targets.clone()
    _call(explainer, _twin(subject), given, classes, seed)
    if not torch.equal(given, images) or not torch.equal(classes, targets):
        return "changed its images or targets in place"
    return "left its images recording gradients" if given.requires_grad or given.grad is not None else None


def differs_between_images(
    explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int
) -> str | None:
    """Look whether maps of different images differ, and whether any says more than one value; controls need not."""
    if explainer.is_control or len(images) < 2:
        return None
    found = _maps(explainer, _twin(subject), images, targets, seed)
    if (found == found[:1]).all():
        return "returned the same map for every image"
    if all(np.ptp(each) == 0 for each in found):
        return "gave every pixel of an image the same value, for every image"
    return None


def hooks_do_not_grow(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> str | None:
    """Look for hooks that pile up over calls, on the network, on what counts its passes, or on all modules at once."""
    twin, counts = _twin(subject), []
    with _global_hooks_kept():
        for _ in range(REPEATS):
            _maps(explainer, twin, images[:1], targets[:1], seed)
            counts.append(_hooks(twin))
    return f"{REPEATS} calls left {counts[0]} to {counts[-1]} hooks behind" if counts[-1] > counts[0] else None


def hooks_act(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> str | None:
    """Look whether rules for activations act on this network, and alike however its activations are written.

    A method that changes the backward pass must differ from the plain gradient. Any method must give one network the
    same map whether its ReLU is a module used once, one used throughout, one in place, or a function; refusing to
    explain is allowed, another map is not.
    """
    if explainer.is_control:
        return None
    if explainer.facts.family == "backprop":
        twin = _twin(subject)
        plain = gradient(twin, images, targets).cpu().numpy()
        found = _maps(explainer, twin, images, targets, seed)
        if min(_gap(found, plain), _gap(found, np.abs(plain))) <= SAME:
            return "its map is the plain gradient: its hooks did not act"
    return _spelling_fault(explainer, subject, images[:2], targets[:2], seed)


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


def _spelling_fault(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> str | None:
    """Explain one small network written in each way, and compare with the plainest."""
    found = {}
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
            found[spelling] = _maps(explainer, probe, images, targets, seed)
        except Exception:  # to refuse a network is honest
            continue
    for spelling, maps in found.items():
        reference = next(iter(found.values()))
        gap = _gap(maps, reference)
        if gap > SAME:
            return f"where ReLUs are {spelling} the map of one and the same network differs by {gap:.2g} of its norm"
    return None


def _call(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> Any:
    """Run the bare function, for its clauses to be looked into one by one."""
    seeded = {"seed": seed} if explainer.is_seeded else {}
    return explainer.function(subject, images, targets, **explainer.settings, **seeded)


def _maps(explainer: Explainer, subject: Subject, images: Tensor, targets: Tensor, seed: int) -> np.ndarray:
    """Run the function on copies and return what it gives as an array."""
    found = _call(explainer, subject, images.clone(), targets.clone(), seed)
    return found.detach().cpu().numpy() if isinstance(found, Tensor) else np.asarray(found)


def _twin(subject: Subject) -> Subject:
    """Return a copy that shares nothing with the subject but its counter: no memory, no damage."""
    return subject.with_network(subject.network, subject.name)


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


_CLAUSES: Mapping[str, Clause] = MappingProxyType(
    {
        clause.name: clause
        for clause in (
            Clause("runs", "the explainer explains this network without raising", "", runs),
            Clause(
                "shape", "the explainer returns one map of real numbers an image, of the image's size", "", has_shape
            ),
            Clause("finite", "the explainer returns neither NaN nor infinity for any image", "", is_finite),
            Clause(
                "deterministic",
                "the explainer's seed alone decides its draws",
                "GradientSHAP of captum 0.9 changes with NumPy's global seed",
                is_deterministic,
            ),
            Clause(
                "batch-invariant",
                "the explainer explains an image the same alone as among others",
                "",
                is_batch_invariant,
            ),
            Clause(
                "targets",
                "the explainer explains each image of a batch for its own target",
                "one target for a batch gives maps of zeros in pytorch-grad-cam 1.5",
                honours_targets,
            ),
            Clause(
                "network",
                "the explainer leaves weights, mode, gradients and hooks as they were",
                "",
                leaves_network,
            ),
            Clause("generators", "the explainer leaves the global generators as they were", "", leaves_generators),
            Clause("input", "the explainer leaves its images and targets as they were", "", leaves_input),
            Clause(
                "images",
                "the explainer's maps differ between images and between pixels",
                "",
                differs_between_images,
            ),
            Clause("growth", "the explainer leaves no hooks that pile up over calls", "", hooks_do_not_grow),
            Clause(
                "hooks",
                "the explainer's rules for activations act, however the activations are written",
                "Guided Backprop of captum 0.9 and zennit 0.5 is the plain gradient where ReLU is a function",
                hooks_act,
            ),
        )
    }
)
