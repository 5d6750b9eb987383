"""Kills and damage."""

import os
import random
import shutil
from pathlib import Path

from benchmarks.chaos.commands import Ended, command, different, results
from benchmarks.chaos.world import Count, words


def kills(world: Path, tries: int, draw: random.Random) -> Count:
    """Kill a run at random moments, and go on with it."""
    count, run = Count("kills"), world / "run"
    first = os.times()
    whole = command(words(world), world)
    now = os.times()
    used = now.children_user + now.children_system - first.children_user - first.children_system
    wanted = results(run)
    if whole.status:
        raise SystemExit(f"the undisturbed run ended with {whole.status}: {whole.err[-500:]}")
    for number in range(tries):
        shutil.rmtree(run)
        moments = [draw.uniform(0, used), *([draw.uniform(0, used)] if number % 3 == 0 else [])]
        for moment in moments:  # some twice
            command(words(world), world, moment)
        ended = command(words(world), world)
        count.add(f"kill at {moments} s of {used:.1f}", lost_by(ended, results(run), wanted))
    return count


def lost_by(ended: Ended, found: dict[str, str], wanted: dict[str, str]) -> str:
    """Return why a run that went on is lost, "" where it is whole."""
    if ended.status:
        return f"status {ended.status}, {ended.err[-300:]!r}"
    other = different(found, wanted)
    return f"{other} differ" if other else ""


def spoilt(data: bytes, how: str, draw: random.Random) -> bytes:
    """Return a file's bytes spoilt in one of several ways."""
    if how == "cut":
        return data[: draw.randrange(len(data))] if data else b""
    if how == "flipped" and data:
        held = bytearray(data)
        held[draw.randrange(len(held))] ^= 1 << draw.randrange(8)
        return bytes(held)
    return {"emptied": b"", "foreign": draw.randbytes(200), "doubled": data + data}.get(how, data)


HARMS = ("cut", "emptied", "flipped", "foreign", "doubled", "removed")


def harm(file: Path, draw: random.Random) -> str:
    """Spoil a file or remove it, and return what was done."""
    how = draw.choice(HARMS)
    data = file.read_bytes()
    file.unlink()
    if how != "removed":
        file.write_bytes(spoilt(data, how, draw))
    return f"{file.name} {how}"


def damage(world: Path, tries: int, draw: random.Random) -> Count:
    """Damage one file of a finished run's cache, a kind of file at a time, and go on with it."""
    count, run, kept = Count("damage"), world / "run", world / "ref"
    if not (run / "run.json").exists():
        command(words(world), world)
    wanted = results(run)
    shutil.copytree(run, kept, dirs_exist_ok=True)
    by_kind: dict[str, list[Path]] = {}
    for file in sorted((kept / "cache").rglob("*")):
        if file.is_file() and file.name != "lock":
            by_kind.setdefault(file.name, []).append(file.relative_to(kept))
    for number in range(tries):
        shutil.rmtree(run)
        shutil.copytree(kept, run)
        files = by_kind[sorted(by_kind)[number % len(by_kind)]]
        done = harm(run / draw.choice(files), draw)
        count.add(done, lost_by(command(words(world), world), results(run), wanted))
    shutil.rmtree(kept)
    return count
