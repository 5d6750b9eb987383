"""Prints what a run costs, goal and measured side by side."""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from benchmarks.explainers_parity.setup import quiet
from benchmarks.speed.costs import Spent, judged, spent
from benchmarks.speed.peers import Work, explainers_elsewhere, work_of
from benchmarks.speed.peers import explainers as methods
from benchmarks.speed.scores import side_by_side
from harness.explainers import registered
from harness.faces.loading import load_faces
from harness.models.loading import load_subject
from harness.subject import Feed, Subject

FIVE = ("gradient", "input-x-gradient", "integrated-gradients", "grad-cam", "occlusion")
TWENTY = (
    *FIVE, "saliency", "integrated-gradients-black", "expected-gradients", "smoothgrad", "smoothgrad-squared",
    "vargrad", "guided-backprop", "deconvnet", "guided-grad-cam", "deeplift", "conductance", "internal-influence",
    "feature-ablation", "kernel-shap", "lime",
)  # fmt: skip
MORE = "saliency"
SIDES = (48, 96, 192)
Row = tuple[str, str, str, str]
"""What, goal, measured, and how it came about."""


@dataclass
class Place:
    """Where runs go; the run that several parts speak of is made once, by whoever asks first.

    Attributes
    ----------
    path
        An empty folder.
    per_class
        Images of each class.
    """

    path: Path
    per_class: int

    @property
    def words(self) -> tuple[str, ...]:
        """How many images a run takes."""
        return ("--per-class", str(self.per_class))

    @property
    def store(self) -> dict[str, str]:
        """Where runs share their pieces."""
        return {"HARNESS_STORE": str(self.path / "store")}

    @cached_property
    def five(self) -> tuple[Spent, dict[str, Any]]:
        """A run of five explainers where nothing was made before."""
        return judged(self.path / "five", FIVE, *self.words, environment=self.store)

    @cached_property
    def twenty(self) -> tuple[Spent, dict[str, Any]]:
        """A run of twenty explainers where nothing was made before."""
        return judged(self.path / "twenty", TWENTY, *self.words)


def whole(place: Place) -> Iterator[Row]:
    """Yield 5 and 20 explainers through `harness run` beside the peers' loop over the same images."""
    for explainers, (ours, _) in ((FIVE, place.five), (TWENTY, place.twenty)):
        images = pd.read_parquet(place.path / "five" / "persons.parquet")["image"].astype(str).tolist()
        words = ["-m", "benchmarks.speed.peers", "--images", *images, "--explainers", *explainers]
        for name, goal, flag in (("as they come", ".10", []), ("given the memory layout", ".20", ["--layout"])):
            theirs = spent([*words, *flag])
            found = json.loads(theirs.said.splitlines()[-1])
            asked = f"{len(found['seconds']) - 1} of Quantus' metrics" + _refused(found["refused"])
            yield (
                f"whole: {len(explainers)} explainers, {len(images)} images / peers {name}",
                goal if explainers is TWENTY else "-",
                f"{ours.cpu / theirs.cpu:.2f}",
                f"{ours.cpu:.0f} beside {theirs.cpu:.0f} CPU s; {asked}; ours with games, nulls, verdicts, page",
            )


def _refused(names: dict[str, str]) -> str:
    """Say which of the peers' metrics raised."""
    return f" ({', '.join(names)} raised)" if names else ""


def more(place: Place) -> Iterator[Row]:
    """Yield what one explainer more costs where others were judged: in another folder, and in the same one."""
    fresh, _ = place.five
    other, run = judged(place.path / "other", (*FIVE, MORE), *place.words, environment=place.store)
    own = next(about["cost"]["seconds"] for about in _explainers(run) if about["name"] == MORE)
    same, _ = judged(place.path / "five", (*FIVE, MORE), *place.words, environment=place.store)
    nothing, _ = judged(place.path / "again", (*FIVE, MORE), *place.words, environment=place.store)
    for name, took in (("another folder", other), ("the same folder, after that", same)):
        yield (
            f"one explainer more, {name} / five anew",
            "-",
            f"{took.cpu / fresh.cpu:.2f}",
            f"{took.cpu:.0f} of {fresh.cpu:.0f} CPU s; {nothing.cpu:.0f} of them where nothing is new (start, page)",
        )
    yield (
        "one explainer more, another folder, less what a run of nothing new takes / its own seconds",
        "1.2",
        f"{max(other.cpu - nothing.cpu, 0.0) / own:.2f}",
        f"{MORE}: {own:.1f} s of its own",
    )


def _explainers(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what ``run.json`` says of explainers."""
    return list(run["explainers"])


def floor(place: Place) -> Iterator[Row]:
    """Yield CPU seconds of a run over the seconds of its passes alone, at the same feed."""
    took, run = place.five
    forward, backward = _pace()
    passes = run["passes"]
    # A pass back comes with its own forward.
    least = (passes["forward"] - passes["backward"]) * forward + passes["backward"] * backward
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
    forward, back = _least(partial(subject.logits, images), partial(subject.gradients, images, classes))
    return forward / len(images), back / len(images)


def _least(*works: Callable[[], object], rounds: int = 9) -> tuple[float, ...]:
    """Return the least CPU seconds of each in several rounds, in turn: what else runs here slows each alike."""
    found = []
    for _ in range(rounds):
        took = []
        for work in works:
            began = time.process_time()
            work()
            took.append(time.process_time() - began)
        found.append(took)
    return tuple(min(each) for each in zip(*found, strict=True))


def answers(place: Place) -> Iterator[Row]:
    """Yield the CPU seconds of answers beside those of the network as it was given, fed the same."""
    for name in ("faces-cnn", "fer2013-minixception"):
        for feed in ("channels-last:64", "contiguous:64"):
            subject = load_subject(name).fed(Feed.read(feed))
            spec = subject.spec
            shape = 256, spec.channels, spec.height, spec.width
            images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
            quick, plain = _least(partial(subject.logits, images), partial(_as_given, subject, images))
            yield (
                f"answers of {name}, {feed} / of the network as it was given",
                "1 or less",
                f"{quick / plain:.2f}",
                f"{1e3 * quick / len(images):.2f} of {1e3 * plain / len(images):.2f} CPU ms a picture",
            )


def explainers(place: Place) -> Iterator[Row]:
    """Yield the CPU seconds of each explainer's maps beside its peer's of the same images."""
    ids = load_faces("rendered").ids[: 7 * place.per_class].tolist()
    work = work_of("faces-cnn", "rendered", ids, layout=False)
    peers = {(name, "peer"): method for name, method in methods(work).items()} | explainers_elsewhere(work)
    for (name, package), theirs in peers.items():
        # A network of its own for each round: what one has been asked it remembers.
        fresh = iter([_warm() for _ in range(ROUNDS)])
        ours = partial(_maps, name, fresh, work)
        with quiet():
            own, other = _least(ours, partial(theirs, work.network, work.images, work.targets), rounds=ROUNDS)
        yield (
            f"maps of {name} / {package}",
            ".90",
            f"{own / other:.2f}",
            f"{own:.3f} of {other:.3f} CPU s, {len(ids)} images",
        )


ROUNDS = 3


def _warm() -> Subject:
    """Return a network that has answered once, so that its copy for answers is there."""
    subject = load_subject("faces-cnn").fed(Feed.read("channels-last:64"))
    subject.logits(torch.rand(64, 1, 48, 48))
    return subject


def _maps(name: str, fresh: Iterator[Subject], work: Work) -> None:
    """Make an explainer's maps under the next network."""
    registered()[name](next(fresh), work.images, work.targets)


def _as_given(subject: Subject, images: Tensor) -> None:
    """Ask the network itself, in the same micro-batches and layout."""
    with torch.no_grad():
        for batch in torch.split(images, subject.feed.forward_batch):
            subject.network(batch.contiguous(memory_format=subject.feed.layout()))


def scores(place: Place) -> Iterator[Row]:
    """Yield the CPU seconds of each measurement beside those of the metrics of Quantus that it holds."""
    with quiet():
        found = list(side_by_side(place.per_class, place.path / "scores", ROUNDS))
    for what, own, other, told in found:
        ratio, counted = own.seconds / other.seconds, bool(own.passes and other.passes)
        a_pass = f", {ratio * other.passes / own.passes:.2f} a pass" if counted else ""
        yield (
            f"scores of {what}",
            ".90 a pass" if counted else "-",
            f"{ratio:.2f}{a_pass}",
            f"{own.seconds:.2f} s, {own.passes} passes ({told}); {other.seconds:.2f} s, {other.passes} passes",
        )


def growth(place: Place) -> Iterator[Row]:
    """Yield how seconds and memory grow with explainers and with images."""
    (five, _), (twenty, _) = place.five, place.twenty
    for what, of, goal in (("CPU seconds", "cpu", "4 or less"), ("largest memory", "memory", "1.1")):
        least, most = getattr(five, of), getattr(twenty, of)
        yield f"20 explainers / 5: {what}", goal, f"{most / least:.2f}", f"{least:.0f} to {most:.0f}"
    few, _ = judged(place.path / "few", FIVE[:2], "--per-class", str(place.per_class))
    many, _ = judged(place.path / "many", FIVE[:2], "--per-class", str(4 * place.per_class))
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


def pixels(place: Place) -> Iterator[Row]:
    """Yield how seconds and memory grow with the pixels of a picture."""
    runs = {side: spent(["-m", "benchmarks.speed.sized", str(side)]) for side in SIDES}
    for small, large in pairwise(SIDES):
        less, most = runs[small], runs[large]
        what = f"{small} to {large} pixels a side, 4 times the pixels"
        seconds, memory = f"{less.cpu:.0f} to {most.cpu:.0f}", f"{less.memory:.0f} to {most.memory:.0f} MiB"
        yield f"{what}: CPU seconds", "4 or less", f"{most.cpu / less.cpu:.2f}", seconds
        yield f"{what}: largest memory", "4 or less", f"{most.memory / less.memory:.2f}", memory


PARTS = {
    "answers": answers, "explainers": explainers, "scores": scores, "floor": floor, "more": more, "growth": growth,
    "pixels": pixels, "whole": whole,
}  # fmt: skip


HEAD = "| what | goal | measured | of |\n|---|---|---|---|"
BEGIN, END = "<!-- speed: written by python -m benchmarks.speed --write -->", "<!-- end of speed -->"


def written(page: Path, rows: Sequence[Row]) -> None:
    """Put rows into the table of a page, between the marks that it has for it: each where it stands already, or last.

    Rows that are not made anew stay.
    """
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    inner, _, after = rest.partition(END)
    held = {line.split(" | ")[0]: line for line in inner.strip().splitlines()[HEAD.count("\n") + 1 :]}
    lines = held | {line.split(" | ")[0]: line for line in map(_line, rows)}
    table = "\n".join([HEAD, *lines.values()])
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def _line(row: Row) -> str:
    """Return a row as Markdown."""
    return "| " + " | ".join(row) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, row by row as it is made."""
    parser = argparse.ArgumentParser(description="what a run costs, each figure a ratio within one call")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="(all)")
    parser.add_argument("--per-class", type=int, default=2, help="images of each class (default %(default)s)")
    parser.add_argument("--write", metavar="PAGE", type=Path, help="put the table into this page too")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(HEAD)
    rows = list[Row]()
    with tempfile.TemporaryDirectory(prefix="harness-speed-") as path:
        place = Place(Path(path), asked.per_class)
        for part in asked.parts or PARTS:
            for row in PARTS[part](place):
                rows.append(row)
                print(_line(row), flush=True)
                if asked.write:
                    written(asked.write, rows)


if __name__ == "__main__":
    main()
