"""Prints what a run costs, goal and measured side by side."""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks.speed.costs import judged, spent
from harness.faces.loading import load_faces
from harness.models.loading import load_subject
from harness.subject import Feed

FIVE = ("gradient", "input-x-gradient", "integrated-gradients", "grad-cam", "occlusion")
MORE = "saliency"
ROUNDS = 2
Row = tuple[str, str, str, str]
"""What, goal, measured, and how it came about."""


def whole(place: Path, per_class: int) -> Iterator[Row]:
    """Yield five explainers through `harness run` beside the peers' loop over the same images."""
    ours, _ = judged(place / "ours", FIVE, "--per-class", str(per_class))
    images = pd.read_parquet(place / "ours" / "persons.parquet")["image"].astype(str).tolist()
    words = ["-m", "benchmarks.speed.peers", "--images", *images, "--explainers", *FIVE]
    for name, flag in (("as they come", []), ("given the memory layout", ["--layout"])):
        theirs = spent([*words, *flag])
        found = json.loads(theirs.said.splitlines()[-1])
        asked = f"{len(found['seconds']) - 1} of Quantus' metrics" + _refused(found["refused"])
        yield (
            f"whole: 5 explainers, {len(images)} images, peers {name}",
            ".36 (.52 with layout) without stand-ins, once",
            f"{ours.cpu / theirs.cpu:.2f}",
            f"{ours.cpu:.0f} beside {theirs.cpu:.0f} CPU s; {asked}; ours with games, nulls, stand-ins, verdicts, page",
        )


def _refused(names: dict[str, str]) -> str:
    """Say which of the peers' metrics raised."""
    return f" ({', '.join(names)} raised)" if names else ""


def more(place: Path, per_class: int) -> Iterator[Row]:
    """Yield what one explainer more costs where others were judged: in the same folder, and in another one."""
    store, words = {"HARNESS_STORE": str(place / "store")}, ("--per-class", str(per_class))
    fresh, run = judged(place / "alone", (*FIVE, MORE), *words)
    own = next(about["cost"]["seconds"] for about in _explainers(run) if about["name"] == MORE)
    judged(place / "before", FIVE, *words, environment=store)
    other, _ = judged(place / "other", (*FIVE, MORE), *words, environment=store)
    same, _ = judged(place / "before", (*FIVE, MORE), *words, environment=store)
    nothing, _ = judged(place / "again", (*FIVE, MORE), *words, environment=store)
    for name, took in (("another folder", other), ("the same folder", same)):
        yield (
            f"one explainer more, {name} / all of it anew",
            "-",
            f"{took.cpu / fresh.cpu:.2f}",
            f"{took.cpu:.0f} of {fresh.cpu:.0f} CPU s; {nothing.cpu:.0f} of them where nothing is new (page, start)",
        )
        yield (
            f"one explainer more, {name}, less what a run of nothing new takes / its own seconds",
            "1.2",
            f"{max(took.cpu - nothing.cpu, 0.0) / own:.2f}",
            f"{MORE}: {own:.1f} s of its own",
        )


def _explainers(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what ``run.json`` says of explainers."""
    return list(run["explainers"])


def floor(place: Path, per_class: int) -> Iterator[Row]:
    """Yield CPU seconds of a run over the seconds of its passes alone, at the same feed."""
    took, run = judged(place / "floor", FIVE, "--per-class", str(per_class))
    forward, backward = _pace()
    passes = run["passes"]
    least = passes["forward"] * forward + passes["backward"] * backward
    yield (
        "CPU seconds / passes alone",
        "1.15 on standard",
        f"{took.cpu / least:.2f}",
        f"quick, {took.cpu:.0f} of {least:.0f} CPU s: {passes['forward']} forward, {passes['backward']} back",
    )


def _pace() -> tuple[float, float]:
    """Return the CPU seconds of a picture forward, and forward and back, at the feed of the runs."""
    subject = load_subject("faces-cnn").fed(Feed.read("channels-last:64"))
    faces = load_faces("rendered", subject.classes)
    images = subject.prepare(faces.images[:256])
    classes = torch.zeros(len(images), dtype=torch.long)
    return (
        _least(lambda: subject.logits(images)) / len(images),
        _least(lambda: subject.gradients(images, classes)) / len(images),
    )


def _least(work: Callable[[], object]) -> float:
    """Return the least CPU seconds of several rounds."""
    found = []
    for _ in range(5):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def growth(place: Path, per_class: int) -> Iterator[Row]:
    """Yield how seconds and memory grow with images."""
    few, _ = judged(place / "few", FIVE[:2], "--per-class", str(per_class))
    many, _ = judged(place / "many", FIVE[:2], "--per-class", str(4 * per_class))
    yield (
        "4 times the images: CPU seconds",
        "4 or less",
        f"{many.cpu / few.cpu:.2f}",
        f"{few.cpu:.0f} to {many.cpu:.0f}",
    )
    yield (
        "4 times the images: largest memory",
        "1.1",
        f"{many.memory / few.memory:.2f}",
        f"{few.memory:.0f} to {many.memory:.0f} MiB",
    )


PARTS = {"whole": whole, "more": more, "floor": floor, "growth": growth}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, row by row as it is made."""
    parser = argparse.ArgumentParser(description="what a run costs, each figure a ratio within one call")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="(all)")
    parser.add_argument("--per-class", type=int, default=2, help="images of each class (default %(default)s)")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print("| what | goal | measured | of |\n|---|---|---|---|")
    for part in asked.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="harness-speed-") as place:
            for row in PARTS[part](Path(place), asked.per_class):
                print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
