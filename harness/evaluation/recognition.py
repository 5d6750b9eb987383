"""What a run folder holds of an earlier start, what of it is used again, and why the rest is made again."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.arithmetic import arithmetic
from harness.digest import digest
from harness.errors import UsageError
from harness.evaluation.request import Request
from harness.evaluation.runner import EXPLAINING_CODE, JUDGING_CODE, package_digest
from harness.explainers import Explainer
from harness.faces.faceset import FaceSet
from harness.identity import as_read, behaviour
from harness.store import RunFolder
from harness.subject import Subject

KNOWN = "cache/known.json"
ASKED = 8
"""Faces whose answers name what a network does."""

Facts = Mapping[str, Any]
Tell = Callable[[str], None]


def silent(_line: str) -> None:
    """Say nothing."""


def answers(subject: Subject, faces: FaceSet, folder: RunFolder) -> str:
    """Return a name of how a network answers on some faces, on black and on white; the passes are not counted."""
    some = faces.images[np.unique(np.linspace(0, len(faces) - 1, ASKED).astype(int))]
    pictures = subject.prepare(np.concatenate([some, np.zeros_like(some[:1]), np.full_like(some[:1], 255)]))
    with subject.uncounted():
        start = time.perf_counter()
        subject.logits(pictures)
        subject.limit.pass_seconds = (time.perf_counter() - start) / len(pictures)
        question = digest("answers", subject.digest, pictures)
        return behaviour(lambda: subject.logits(pictures).cpu().numpy(), folder.remembered, question)


class Recognised:
    """What a request is, beside what the folder says that it was at the last start.

    Parameters
    ----------
    request, folder
        Whose feed and answers are settled.
    """

    def __init__(self, request: Request, folder: RunFolder, answers: str) -> None:
        self._request, self._folder = request, folder
        self._before = _read(folder)
        self._told, self._changed = False, set[str]()
        self._now: dict[str, Any] = {
            "arithmetic": arithmetic(request.subject),
            "package": package_digest(EXPLAINING_CODE + JUDGING_CODE),
            "faces": f"{request.faces.digest} {request.seed}",
            "subject": {**_about_subject(request.subject), "answers": answers},
            "explainers": {each.name: _about_explainer(each) for each in request.explainers},
        }

    def tell(self, tell: Tell) -> None:
        """Say in a line what is used again, and what is made again and why; nothing of a folder that is new."""
        if not self._before:
            return
        whole = self._of_everything()
        if whole:
            self._told = True
            tell(f"{self._folder.path}: all is made again, since {whole}")
            return
        held = self._before.get("explainers", {})
        changed = {name: self._why(name) for name in self._now["explainers"] if name in held}
        self._changed = {name for name, why in changed.items() if why}
        again = [f"{name} ({why})" for name, why in changed.items() if why]
        kept = sum(not why for why in changed.values())
        said = f"what is there of the network and {kept} explainers is used again"
        tell(f"{self._folder.path}: {said}" + (f"; made again: {', '.join(again)}" if again else ""))

    def note(self, behaviours: Mapping[str, str], tell: Tell) -> None:
        """Keep what each explainer does and reads for the next start, and say who does otherwise than at the last."""
        held = self._before.get("explainers", {})
        for explainer in self._request.explainers:
            about = self._now["explainers"][explainer.name]
            about |= {"maps": behaviours.get(explainer.name, ""), "reads": dict(explainer.reads)}
            before = held.get(explainer.name, {})
            told = self._told or explainer.name in self._changed
            if not told and before.get("digest") == about["digest"] and before.get("maps") != about["maps"]:
                tell(f"{explainer.name} was made again: its maps of the same pictures changed, though nothing else did")
        self._folder.write_json(KNOWN, self._now)

    def _of_everything(self) -> str:
        """Return why nothing can be used again, "" where something can."""
        before, now = self._before, self._now
        for what, why in (("package", "this package's code changed"), ("faces", "pictures or seed changed")):
            if before.get(what) != now[what]:
                return why
        parts = before.get("arithmetic", {})
        moved = [
            f"{key} {parts.get(key)} -> {held}" for key, held in now["arithmetic"].items() if parts.get(key) != held
        ]
        if moved:
            return f"the arithmetic changed ({', '.join(moved)})"
        why = _difference(before.get("subject", {}), now["subject"])
        return f"{self._request.subject.name} changed ({why})" if why else ""

    def _why(self, name: str) -> str:
        """Return why an explainer's pieces are made again, "" where they are not."""
        before = self._before["explainers"][name]
        reads = before.get("reads", {})
        other = [Path(path).name for path, held in reads.items() if not as_read({"reads": np.array([[path, held]])})]
        if other:
            return f"{', '.join(other)}, which it reads, changed"
        now: Facts = self._now["explainers"][name]
        if now["unread"]:
            return f"it holds {', '.join(now['unread'])}, which nothing can compare"
        return _difference(before, now)


def _read(folder: RunFolder) -> Facts:
    """Return what the last start noted; what cannot be read is as if it were not there."""
    try:
        return folder.read_json(KNOWN) if (folder.path / KNOWN).is_file() else {}
    except UsageError:
        return {}


def _about_subject(subject: Subject) -> Facts:
    """Return what a network is, part by part."""
    return {
        "files": {Path(path).name: held for path, held in {**subject.content.files, **subject.read}.items()},
        "map layer": subject.cam_layer,
        "weights, attributes or hooks": subject.content.digest,
        "digest": subject.digest,
    }


def _about_explainer(explainer: Explainer) -> Facts:
    """Return what an explainer is, part by part."""
    return {
        "files": dict(explainer.content.files),
        "settings": {key: repr(value)[:100] for key, value in explainer.settings.items()},
        "unread": list(explainer.content.unread),
        "digest": explainer.digest,
    }


PARTS = {
    "settings": "its settings changed",
    "map layer": "its map layer changed",
    "weights, attributes or hooks": "its weights, attributes or hooks changed",
    "digest": "what it holds changed: an attribute, a default or a value that it closes over",
    "answers": "its answers to the same pictures changed, though nothing else did",
}


def _difference(before: Facts, now: Facts) -> str:
    """Return the first part in which two differ, in words, "" where there is none."""
    held, files = before.get("files", {}), now["files"]
    other = sorted(name for name in {*held, *files} if held.get(name) != files.get(name))
    if other:
        return f"{', '.join(other)} changed"
    return next((said for part, said in PARTS.items() if part in now and before.get(part) != now[part]), "")
