"""ROAR, KAR and IDSDS: explainers judged by networks that are trained anew, beside random maps and edges.

People are split in those who are learnt from and those who are asked. ROAR and KAR train a small network from nothing
for each explainer, share and seed, on pictures without, or with nothing but, the pixels that the explainer ranks first;
`mask` trains on the shape of that removal alone. IDSDS lets a copy of the network go on learning with single patches
deleted, and correlates what maps give a patch with what deleting it does, to the network as it was and to that copy.

What is made stays in the folder, so that the same command goes on where it was stopped, and more explainers, shares or
seeds cost themselves alone. Intervals are of 99 %, over people; that of ROAR, KAR and mask is of the mean of all seeds.

    python benchmarks/retraining.py                              # some minutes on two cores
    python benchmarks/retraining.py --explainer lime --seeds 3 --share 0.1 0.5 0.9
    python benchmarks/retraining.py --protocol idsds --explainer all
"""

import argparse
import copy
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file, save_file

from harness.digest import digest
from harness.errors import UsageError
from harness.explainers.asked import asked_explainers
from harness.explainers.base import Explainer
from harness.faces.faceset import FaceSet
from harness.faces.loading import load_faces
from harness.models.loading import load_subject
from harness.models.training import held_out
from harness.retraining import (
    Explained,
    Learning,
    Trial,
    adapted,
    deleted_one,
    deletions,
    idsds,
    kept_alone,
    learnt,
    mask_alone,
    right_after,
    without,
)
from harness.statistics import Interval, people_interval
from harness.subject import Subject

NULLS = ("random", "edges")
BEST_KNOWN = ("integrated-gradients", "grad-cam")
DEGRADED = {"roar": without, "kar": kept_alone, "mask": mask_alone}
IDSDS = "idsds"
HELD_SHARE, SPLIT_SEED = 0.2, 0
WHOLE = Trial("nobody", 0.0, 0)
BLOCK = 64

Row = dict[str, Any]
Asked = tuple[str, Trial]
"""A protocol's name and one training of it."""


@dataclass(frozen=True)
class Place:
    """Pictures, network and explainers, and the folder that keeps what is made of them."""

    folder: Path
    subject_name: str
    faces_name: str
    explainers: tuple[str, ...]
    epochs: int

    @cached_property
    def subject(self) -> Subject:
        """The network that is explained."""
        return load_subject(self.subject_name)

    @cached_property
    def faces(self) -> FaceSet:
        """Labelled pictures."""
        faces = load_faces(self.faces_name, self.subject.classes)
        if faces.labels is None:
            raise UsageError(f"image set {faces.name!r} has no labels to learn; give a labelled set")
        return faces

    @cached_property
    def labels(self) -> Int[np.ndarray, " n"]:
        """The true classes, by the network's numbers."""
        assert self.faces.labels is not None
        order = {name: number for number, name in enumerate(self.subject.classes)}
        return np.array([order[self.faces.classes[label]] for label in self.faces.labels], np.int64)

    @cached_property
    def asked(self) -> Bool[np.ndarray, " n"]:
        """Which pictures nothing is learnt from."""
        return held_out(self.faces, HELD_SHARE, SPLIT_SEED)

    @cached_property
    def persons(self) -> np.ndarray | None:
        """Who is on the pictures that are asked."""
        return None if self.faces.persons is None else self.faces.persons[self.asked]

    @cached_property
    def images(self) -> torch.Tensor:
        """All pictures in the network's input units."""
        return self.subject.prepare(self.faces.images)

    @cached_property
    def made(self) -> tuple[Explainer, ...]:
        """What ranks pixels: the explainers that were asked for, and what knows nothing of the network."""
        return asked_explainers([*self.explainers, *(name for name in NULLS if name not in self.explainers)])

    @cached_property
    def learning(self) -> Learning:
        """How the small networks are trained."""
        return Learning(epochs=self.epochs)

    def maps(self, explainer: Explainer) -> Float[np.ndarray, "n h w"]:
        """Return the maps of the predicted classes of all pictures, kept under all that they depend on."""
        path = self.folder / f"maps-{digest(self.subject.digest, self.faces.digest, explainer.digest)}.npy"
        if not path.exists():
            targets = self.subject.logits(self.images).argmax(1)
            _whole(path, maps_of(explainer, self.subject, self.images, targets))
        found: np.ndarray = np.load(path, allow_pickle=False)
        return found

    @lru_cache(maxsize=2)  # noqa: B019 - a process has one place
    def explained(self, name: str) -> tuple[Explained, Explained]:
        """Return what is learnt from and what is asked, under one explainer's maps; none under the name of nobody."""
        nothing = np.zeros((len(self.images), *self.images.shape[2:]), np.float32)
        maps = next((self.maps(made) for made in self.made if made.name == name), nothing)
        return tuple(  # type: ignore[return-value]
            Explained(self.images[torch.from_numpy(chosen)], self.labels[chosen], {name: maps[chosen]})
            for chosen in (~self.asked, self.asked)
        )

    def key(self, protocol: str, trial: Trial) -> str:
        """Return a name for all that a training depends on."""
        maps = "" if trial.ranking == WHOLE.ranking else next(e.digest for e in self.made if e.name == trial.ranking)
        return digest(self.subject.digest, self.faces.digest, maps, protocol, asdict(trial), asdict(self.learning))


def maps_of(
    explainer: Explainer, subject: Subject, images: torch.Tensor, targets: torch.Tensor
) -> Float[np.ndarray, "n h w"]:
    """Return an explainer's maps, saying how far it is."""
    found = []
    for start in range(0, len(images), BLOCK):
        stop = min(start + BLOCK, len(images))
        found.append(explainer.maps(subject, images[start:stop], targets[start:stop], 0))
        _say(f"maps of {explainer.name} by {subject.name}: {stop} of {len(images)}", end="\r")
    _say("", end="\n")
    return np.concatenate(found)


def _say(text: str, end: str = "\n") -> None:
    """Say how far it is: over the line before on a terminal, else nothing but whole lines."""
    if end == "\n" or sys.stderr.isatty():
        print(text, end=end, file=sys.stderr, flush=True)


def _whole(path: Path, array: np.ndarray) -> None:
    """Write an array, whole or not at all."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    os.replace(partial, path)


# ---------------------------------------------------------------------- trainings


@lru_cache(maxsize=1)
def _held(place: Place) -> Place:
    """Return the first of equal places, which has loaded what it needs."""
    return place


def trained(asked: Place, protocol: str, trial: Trial) -> list[bool]:
    """Return which of the asked pictures are right after one training."""
    torch.set_num_threads(1)
    place = _held(asked)
    train, test = place.explained(trial.ranking)

    def learner(images: torch.Tensor, labels: torch.Tensor, seed: int) -> torch.nn.Module:
        return learnt(images, labels, seed, place.learning)  # type: ignore[return-value]

    right: list[bool] = right_after(trial, DEGRADED[protocol], train, test, learner).tolist()
    return right


def outcomes(place: Place, wanted: Sequence[Asked], workers: int) -> dict[Asked, np.ndarray]:
    """Return which pictures are right after each training, made now or before."""
    kept = place.folder / "trials.jsonl"
    known = dict(_read(kept))
    keys = {place.key(*each): each for each in wanted}
    left = [(key, each) for key, each in keys.items() if key not in known]
    if left:
        _say(f"{len(wanted)} trainings, {len(wanted) - len(left)} of them made before")
    started = time.monotonic()
    with kept.open("a") as file:
        for number, (key, (protocol, trial), right) in enumerate(_made(place, left, workers), 1):
            known[key] = right
            file.write(json.dumps({"key": key, "right": right}) + "\n")
            file.flush()
            seconds = (time.monotonic() - started) / number * (len(left) - number)
            _say(
                f"{number} of {len(left)}: {protocol} {trial.share:g} {trial.ranking}, seed {trial.seed}: "
                f"{np.mean(right):.3f} right; about {seconds / 60:.1f} min left"
            )
    return {each: np.array(known[key], float) for key, each in keys.items()}


def _made(place: Place, left: Sequence[tuple[str, Asked]], workers: int) -> Iterator[tuple[str, Asked, list[bool]]]:
    """Yield trainings as they end."""
    if workers == 1:
        yield from ((key, each, trained(place, *each)) for key, each in left)
        return
    sent = replace(place)  # without what this one has loaded
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(trained, sent, *each): (key, each) for key, each in left}
        for future in as_completed(futures):
            yield *futures[future], future.result()


def _read(path: Path) -> Iterator[tuple[str, list[bool]]]:
    """Yield what was kept; a line that a stop cut off is made again."""
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            held = json.loads(line)
        except json.JSONDecodeError:
            continue
        yield held["key"], held["right"]


def removal_rows(
    place: Place, protocols: Sequence[str], shares: Sequence[float], seeds: int, workers: int
) -> list[Row]:
    """Return a row for each protocol, share and ranking."""
    for made in place.made:
        place.maps(made)  # once, before processes need them
    rankings = [made.name for made in place.made]
    whole = [("roar", replace(WHOLE, seed=seed)) for seed in range(seeds)]
    asked = [
        (protocol, Trial(ranking, share, seed))
        for protocol, share, ranking, seed in product(protocols, shares, rankings, range(seeds))
    ]
    found = outcomes(place, [*whole, *asked], workers)
    rows = [_row("nothing removed", 0.0, "", _by_seed(found, whole), None, place)]
    for protocol, share in product(protocols, shares):
        by_ranking = {
            ranking: _by_seed(found, [(protocol, Trial(ranking, share, seed)) for seed in range(seeds)])
            for ranking in rankings
        }
        order = sorted(rankings, key=lambda name: by_ranking[name].mean())
        rows += [_row(protocol, share, name, by_ranking[name], by_ranking["random"], place) for name in order]
    return rows


def _by_seed(found: dict[Asked, np.ndarray], trials: Sequence[Asked]) -> np.ndarray:
    """Return which pictures are right, (seeds, n)."""
    return np.stack([found[each] for each in trials])


def _row(protocol: str, share: float, ranking: str, right: np.ndarray, beside: np.ndarray | None, place: Place) -> Row:
    """Return what is said of one ranking: accuracy, the spread of its seeds, and how far it is from random maps."""
    each, accuracy = right.mean(axis=1), people_interval(right.mean(axis=0), place.persons)
    row: Row = {
        "protocol": protocol,
        "share": share,
        "ranking": ranking,
        "accuracy": accuracy.estimate,
        "low": accuracy.low,
        "high": accuracy.high,
        "lowest_seed": each.min(),
        "highest_seed": each.max(),
        "seeds": len(right),
        "n": right.shape[1],
    }
    if beside is None or ranking == "random":
        return row
    apart = people_interval((right - beside).mean(axis=0), place.persons)
    return row | {"beyond_random": apart.estimate, "beyond_low": apart.low, "beyond_high": apart.high}


# ---------------------------------------------------------------------- single deletions


def deletion_rows(place: Place) -> list[Row]:
    """Return a row for each explainer: its correlation on the network as it is and on the copy that knows deletions."""
    chosen = torch.from_numpy(place.asked)
    images, targets = place.images[chosen], place.labels[place.asked]
    rows = []
    for name, subject in (("as it is", place.subject), ("deletions in domain", fine_tuned(place))):
        held = deletions(subject, images, targets)
        _say(f"{name}: {held.whole:.3f} right, {held.deleted:.3f} with one patch deleted")
        for made in place.made:
            path = place.folder / f"labels-{digest(subject.digest, place.faces.digest, made.digest)}.npy"
            if not path.exists():
                _whole(path, maps_of(made, subject, images, torch.from_numpy(targets)))
            scores = idsds(np.load(path, allow_pickle=False), held)
            rows.append(_correlation(name, made.name, scores, held.whole, held.deleted, place))
    return rows


def fine_tuned(place: Place) -> Subject:
    """Return the copy of the network that has gone on learning with patches deleted."""
    chosen = torch.from_numpy(~place.asked)
    path = place.folder / f"in-domain-{digest(place.subject.digest, place.faces.digest)}.safetensors"
    if path.exists():
        network = copy.deepcopy(place.subject.network)
        network.load_state_dict(load_file(path))
    else:
        _say(f"{place.subject_name} goes on learning with single patches deleted")
        labels = torch.from_numpy(place.labels[~place.asked])
        network = adapted(place.subject.network, place.images[chosen], labels, deleted_one, seed=0)
        save_file(network.state_dict(), path.with_suffix(".partial"))
        os.replace(path.with_suffix(".partial"), path)
    return place.subject.with_network(network, f"{place.subject.name}-in-domain")


def _correlation(name: str, ranking: str, scores: np.ndarray, whole: float, deleted: float, place: Place) -> Row:
    """Return what is said of one explainer on one network."""
    defined = np.isfinite(scores)
    persons = None if place.persons is None else place.persons[defined]
    mean: Interval = people_interval(scores[defined], persons)
    return {
        "network": name,
        "ranking": ranking,
        "correlation": mean.estimate,
        "low": mean.low,
        "high": mean.high,
        "defined": int(defined.sum()),
        "n": len(scores),
        "whole": whole,
        "deleted": deleted,
    }


# ---------------------------------------------------------------------- what is said


def _between(rows: pd.DataFrame, columns: Sequence[str], sign: str = "") -> list[str]:
    """Return a number with its interval for each row, "" where there is none."""
    return [
        "" if np.isnan(estimate) else f"{estimate:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"
        for estimate, low, high in rows.reindex(columns=list(columns)).to_numpy(float)
    ]


def removal_table(rows: pd.DataFrame) -> str:
    """Return ROAR, KAR and mask in words of a reader."""
    said = {
        "protocol": rows["protocol"],
        "share": [f"{share:.0%}" for share in rows["share"]],
        "ranking": rows["ranking"],
        "right": _between(rows, ("accuracy", "low", "high")),
        "seeds": [f"{a:.3f} to {b:.3f}" for a, b in rows[["lowest_seed", "highest_seed"]].to_numpy(float)],
        "beyond random": _between(rows, ("beyond_random", "beyond_low", "beyond_high"), "+"),
    }
    return pd.DataFrame(said).to_markdown(index=False)


def deletion_table(rows: pd.DataFrame) -> str:
    """Return the correlations, a column a network."""
    said = rows.assign(
        text=_between(rows, ("correlation", "low", "high"), "+"),
        of=[f"{d} of {n}" for d, n in rows[["defined", "n"]].to_numpy(int)],
    )
    correlations, counts = (said.pivot(index="ranking", columns="network", values=what) for what in ("text", "of"))
    wide = correlations.join(counts.add_suffix(", defined"))
    order = said[said["network"] == "deletions in domain"].sort_values("correlation", ascending=False)["ranking"]
    return wide.loc[list(order)].reset_index().to_markdown(index=False)


def main(words: Sequence[str] | None = None) -> int:
    """Train what is asked for, print the tables and keep them as csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", default="faces-cnn")
    parser.add_argument("--faces", default="rendered")
    parser.add_argument("--explainer", action="append", help=f"by default {' and '.join(BEST_KNOWN)}")
    parser.add_argument("--protocol", nargs="+", choices=(*DEGRADED, IDSDS), default=[*DEGRADED, IDSDS])
    parser.add_argument("--share", type=float, nargs="+", default=[0.3, 0.7])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=Learning().epochs)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("results/retraining"))
    asked = parser.parse_args(words)
    if not all(0 < share < 1 for share in asked.share) or min(asked.seeds, asked.epochs, asked.workers) < 1:
        parser.error("shares lie between 0 and 1, and seeds, epochs and workers are 1 or more")
    torch.set_num_threads(1)
    asked.out.mkdir(parents=True, exist_ok=True)
    place = Place(asked.out, asked.subject, asked.faces, tuple(asked.explainer or BEST_KNOWN), asked.epochs)
    try:
        removals = [name for name in asked.protocol if name in DEGRADED]
        if removals:
            table = pd.DataFrame(removal_rows(place, removals, asked.share, asked.seeds, asked.workers))
            table.to_csv(asked.out / "removal.csv", index=False)
            print(removal_table(table), end="\n\n")
        if IDSDS in asked.protocol:
            table = pd.DataFrame(deletion_rows(place))
            table.to_csv(asked.out / "idsds.csv", index=False)
            for name, rows in table.groupby("network", sort=False):
                one = rows.iloc[0]
                print(f"{name}: {one['whole']:.1%} right, {one['deleted']:.1%} with one patch deleted")
            print(deletion_table(table))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
