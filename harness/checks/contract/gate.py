"""Who keeps the contract is let into a run; what was found is remembered."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.checks.contract.calls import TOGETHER
from harness.checks.contract.clauses import Examination, examined
from harness.digest import digest
from harness.engines.local import Job
from harness.errors import ExplainerFault, UsageError
from harness.explainers.base import Explainer
from harness.faces.faceset import FaceSet
from harness.identity import as_read, behaviour
from harness.subject import Passes, Subject

SAMPLE = 8
"""Faces that are given."""

DITHER = 1 / 256
"""Share of each picture that is noise: one grey level, the finest that a picture of 8 bits can show."""

Remember: TypeAlias = Callable[..., Mapping[str, Any]]
"""``remember(key, make)`` -> what `make` returns, made once: :meth:`harness.store.RunFolder.remembered`."""


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
    behaviours
        What was asked for of :meth:`behaviour` so far, by the explainer's name.
    """

    def __init__(self, subject: Subject, faces: FaceSet, seed: int, remember: Remember) -> None:
        self.passes = Passes()
        self._subject, self._faces, self._seed, self._remember = subject, faces, seed, remember
        self._found: dict[str, Examination] = {}
        self.behaviours: dict[str, str] = {}

    def jobs(self, explainers: Sequence[Explainer]) -> list[Job]:
        """Return one job an explainer, which raises an ExplainerFault where it may not be judged."""
        return [Job(f"{made.name}: contract", made.name, partial(self._hold, made)) for made in explainers]

    def examination(self, explainer: Explainer) -> Examination:
        """Return what the contract finds of an explainer."""
        if explainer.name not in self._found:
            self._found[explainer.name] = self._examined(explainer)
        return self._found[explainer.name]

    def behaviour(self, explainer: Explainer) -> str:
        """Return a name of what an explainer does now: its maps of the first faces, whatever its code says.

        It is asked once a process, so that what was kept is not taken for an explainer that does otherwise by now. The
        passes are not counted. One whose maps are known, and not made, has none.
        """
        if explainer.facts.fixed:
            return ""
        if explainer.name not in self.behaviours:
            images, targets = self._sample
            question = digest("behaviour", contract_digest(explainer), self._subject.digest, images, self._seed)
            with self._subject.uncounted():
                found = behaviour(partial(self._shown, explainer, images, targets), self._remember, question)
            self.behaviours[explainer.name] = found
        return self.behaviours[explainer.name]

    def _shown(self, explainer: Explainer, images: Tensor, targets: Tensor) -> Float[np.ndarray, "..."]:
        """Return the maps of the first faces, nothing where the explainer is at fault: the contract says how."""
        try:
            return explainer.maps(self._subject, images[:TOGETHER].clone(), targets[:TOGETHER].clone(), self._seed)
        except ExplainerFault:
            return np.zeros(0)

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
            reads = np.array([*explainer.reads.items()], dtype=str).reshape(-1, 2)
            return {"rows": table, "passes": self._passed() - before, "reads": reads}

        named = (contract_digest(explainer), self.behaviour(explainer))
        key = digest("contract", *named, self._subject.digest, images, targets, self._seed)
        held = self._remember(key, make, as_read)
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
    """Return a few faces, spread over the set, under a noise of one grey level that the seed of the contract gives.

    In flat regions, as a rendered background, neighbouring sums of a network are equal by construction, and which of
    them is a maximum is left to rounding in any precision. Under the noise no two sums are equal but by chance. It
    is blended in, so that pixels stay within what the network reads.

    Raises
    ------
    UsageError
        Where there are fewer than two.
    """
    if len(faces) < TOGETHER:
        raise UsageError(f"images {faces.name!r} are {len(faces)}; an explainer's contract needs two to compare")
    images = subject.prepare(faces.images[np.unique(np.linspace(0, len(faces) - 1, SAMPLE).astype(int))])
    mean, std = (torch.tensor(each).to(images)[:, None, None] for each in (subject.spec.mean, subject.spec.std))
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)).to(images)
    return torch.lerp(images, (noise - mean) / std, DITHER)


def contract_targets(subject: Subject, images: Float[Tensor, "n c h w"]) -> Int[Tensor, " n"]:
    """Return each image's predicted class; for the second, where that is the first's, the next."""
    logits = subject.logits(images)
    targets = logits.argmax(1)
    logits[1, targets[0]] = -torch.inf
    targets[1] = logits[1].argmax()
    return targets


def contract_digest(explainer: Explainer) -> str:
    """Return a name of an explainer's code and settings, of all explainers' code, and of the clauses.

    One explainer is made of others' functions as much as of shared ones: which a change reaches is not told apart.
    """
    shared = sorted(Path(__file__).parents[2].glob("explainers/*.py"))
    own = sorted(Path(__file__).parent.glob("*.py"))
    return digest(explainer.digest, *[file.read_text(encoding="utf-8") for file in (*shared, *own)])
