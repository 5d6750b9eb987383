"""An evaluation in one call."""

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from harness.api.inputs import as_checks, as_faces, as_profile, as_subject
from harness.api.run import Run
from harness.arithmetic import AUTO
from harness.checks import Check
from harness.cli import shown_progress, silent_progress
from harness.engines import LOCAL
from harness.errors import UsageError
from harness.evaluation import Request
from harness.evaluation import evaluate as evaluated
from harness.explainers import Explainer
from harness.explainers.asked import asked_explainers, load_entry_points
from harness.profiles import Profile
from harness.store import RunFolder
from harness.subject import InputSpec, Subject


def evaluate(
    network: Subject | nn.Module | str,
    images: Any,
    labels: Any = None,
    *,
    classes: Sequence[str] | None = None,
    spec: InputSpec | None = None,
    name: str | None = None,
    explainers: Any = None,
    checks: str | Check | Iterable[str | Check] | None = None,
    profile: str | Profile = "quick",
    per_class: int | None = None,
    seed: int = 0,
    device: str = "auto",
    feed: str = AUTO,
    workers: int = 0,
    engine: str = LOCAL,
    address: str = "",
    isolate: bool = False,
    time_limit: float | None = None,
    memory_limit: float | None = None,
    out: Path | str | None = None,
    progress: bool = False,
) -> Run:
    """Judge explainers of a network, and return the run.

    Parameters
    ----------
    network
        A torch module that maps (n, c, h, w) images to (n, k) logits, a :class:`harness.Subject`, or a text as
        ``harness run --subject`` takes it. It stays as it was.
    images
        An array or tensor of pictures, (n, h, w), (n, h, w, c) or (n, c, h, w), whole numbers 0 to 255 or fractions 0
        to 1; a torch dataset; a :class:`harness.FaceSet`; or a text or path as ``harness run --faces`` takes it.
    labels
        One a picture of an array, as number, name or one-hot; None where unknown.
    classes, spec, name
        Of a torch module; see :func:`harness.api.inputs.as_subject`. Where images are fractions 0 to 1 the network is
        taken to read them as they are; otherwise `spec` is needed.
    explainers
        Names, families, ``file.py:function``, functions (subject, images, targets) -> maps, or explainers: one or
        several; by default seven well-known ones, :data:`harness.explainers.asked.DEFAULT`. Controls are added.
    checks
        Names or families, one or several; by default all that the images can answer, and every metric is measured.
    profile, per_class, seed, device, feed, workers, engine, address, isolate
        As on the command line.
    time_limit, memory_limit
        Most seconds and most GiB of a call of somebody's code, as on the command line.
    out
        Folder of the run, which goes on where it stopped; by default a temporary one, which lives as long as the run.
    progress
        Whether a bar is shown on standard error.

    Returns
    -------
    Run
        With ``ladder``, ``verdicts``, ``scores`` and ``curves`` as DataFrames.

    Raises
    ------
    UsageError
        Naming in one line what cannot be done and how to mend it.
    """
    request = asked(
        network, images, labels, classes=classes, spec=spec, name=name, explainers=explainers, checks=checks,
        default="all", profile=as_profile(profile, per_class), seed=seed, device=device, feed=feed,
    )  # fmt: skip
    if not isinstance(workers, int) or workers < 0:
        raise UsageError(f"workers is {workers!r}; give a whole number, 0 or more")
    request = replace(request, time_limit=time_limit, memory_limit=memory_limit)
    where = {"workers": workers, "engine": engine, "address": address, "isolate": isolate}
    return made(request, out, progress=progress, command="harness.evaluate", **where)


def asked(
    network: Any,
    images: Any,
    labels: Any,
    *,
    default: str,
    explainers: Any,
    checks: Any,
    profile: Profile,
    seed: int,
    classes: Sequence[str] | None = None,
    spec: InputSpec | None = None,
    name: str | None = None,
    device: str = "auto",
    feed: str = AUTO,
) -> Request:
    """Return the evaluation that a call asks for; `default` says which checks None stands for."""
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise UsageError(f"seed={seed!r} is no seed; give a whole number from 0 to {2**32 - 1}")
    chosen = explainers_of(explainers)
    subject = as_subject(network, images, classes=classes, spec=spec, name=name, device=device)
    faces = as_faces(images, labels, subject.classes)
    judged = tuple(as_checks(checks, faces, default))
    everything = checks is None and default == "all"
    return Request(subject, faces, chosen, judged, profile, int(seed), everything, feed=feed)


def explainers_of(given: Any) -> tuple[Explainer, ...]:
    """Return the explainers asked for, one or several, by name, as function or as explainer."""
    load_entry_points()
    if given is None:
        return asked_explainers(None)
    words = list(given) if isinstance(given, Sequence | set | frozenset) and not isinstance(given, str) else [given]
    if not words:
        raise UsageError("explainers are empty; give one at least, or None for well-known ones")
    return asked_explainers(words)


def made(request: Request, out: Path | str | None, *, progress: bool = False, command: str = "", **where: Any) -> Run:
    """Evaluate a request and return its run, in a temporary folder where none is given.

    `where` says who does it: ``workers``, ``engine``, ``address`` and ``isolate``, as
    :func:`harness.evaluation.evaluate` takes them.
    """
    shown = shown_progress if progress else silent_progress
    if out is not None:
        evaluated(request, RunFolder.sharing(Path(out)), shown, command, **where)
        return Run(Path(out))
    folder = Path(tempfile.mkdtemp(prefix="harness-run-"))
    try:
        evaluated(request, RunFolder.sharing(folder), shown, command, **where)
        run = Run(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(run, shutil.rmtree, folder, ignore_errors=True)
    return run
