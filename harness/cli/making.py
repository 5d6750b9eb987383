"""``harness gallery``, ``train`` and ``fetch``: what makes something else than a run."""

import argparse
import math
import sys
from functools import partial
from pathlib import Path

from harness.arithmetic import AUTO, on_arithmetic
from harness.checks import CHECKS
from harness.cli.asked import asked_device
from harness.cli.progress import shown_progress
from harness.cli.status import DONE
from harness.evaluation import Request, answers, evaluate
from harness.evaluation.request import has_evidence
from harness.explainers.asked import asked_explainers
from harness.faces.loading import load_faces
from harness.fetching import fetch
from harness.models.loading import load_subject
from harness.profiles import PROFILES
from harness.store import RunFolder


def gallery_command(options: argparse.Namespace) -> int:
    """Write the gallery's figures and page, with the run that answers its question."""
    from harness.gallery import EXPLAINERS, Gallery, fill
    from harness.report.gallery_page import spoken, write_gallery
    from harness.report.gallery_queries import StoredGallery

    subject = load_subject(options.subject, asked_device(options.device))
    faces = load_faces(options.faces, subject.classes)
    gallery = Gallery(subject, faces, options.seed, options.image, options.after_activation)
    gallery.check()
    shown = partial(shown_progress, passes=subject.passes.total)
    feed = options.feed
    if options.run_folder:
        run = RunFolder.existing(options.run_folder)
        gallery.check_run(run)
        feed = run.record.arithmetic["feed"] if feed == AUTO else feed
    folder = RunFolder.sharing(options.out or Path("results") / f"gallery-{subject.name}-{faces.name}")
    folder = on_arithmetic(subject, folder, feed)
    folder = folder.of(answers(subject, faces, folder))
    if not options.run_folder:
        checks = tuple(check for check in CHECKS.values() if has_evidence(check, faces))
        request = Request(
            subject,
            faces,
            asked_explainers(EXPLAINERS),
            checks,
            PROFILES["quick"],
            options.seed,
            feed=str(subject.feed),
        )
        run = evaluate(request, RunFolder.sharing(folder.path / "run"), shown, options.command_line)
    fill(gallery, folder, run, options.command_line, shown)
    held = StoredGallery(folder, run)
    files = write_gallery(held)
    print("\n".join([*spoken(held), *map(str, files)]))
    return DONE


def train_command(options: argparse.Namespace) -> int:
    """Train the bundled architecture on the user's faces, print how well it does, and write its weights."""
    from tabulate import tabulate

    from harness.models.training import resized, train, writable

    writable(options.out)
    device = asked_device(options.device)
    faces = load_faces(options.faces, training=True)
    for note in (*faces.notes, *resized(faces)):
        print(f"note: {note}", file=sys.stderr)
    made = train(faces, seed=options.seed, epochs=options.epochs, device=device)
    made.save(options.out)
    held, rows = made.held, zip(made.classes, made.held.confusion.tolist(), made.held.recall, strict=True)
    table = [[name, *counts, None if math.isnan(recall) else f"{recall:.2f}"] for name, counts, recall in rows]
    print(tabulate(table, headers=["true \\ predicted", *made.classes, "recall"], missingval="no images"))
    print(f"accuracy {held.accuracy:.3f} on {len(held.ids)} images held out, after epoch {made.epoch} of {made.ran}")
    print(f"{options.out}   judge it with: harness run --subject {options.out} --faces {options.faces}")
    return DONE


def fetch_command(options: argparse.Namespace) -> int:
    """Bring something from outside, once."""
    for name in options.names:
        print(fetch(name))
    return DONE
