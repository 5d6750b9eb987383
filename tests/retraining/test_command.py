"""The command: its tables, and that what was made is not made again."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.faces.rendered import load_rendered

ROOT = Path(__file__).parents[2]
RANKINGS = ["input-x-gradient", "random", "edges"]


def loaded():
    found = spec_from_file_location("retraining_command", ROOT / "benchmarks" / "retraining.py")
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


command = loaded()


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A command on six faces of each class, and one short training a ranking."""
    folder = tmp_path_factory.mktemp("retraining")
    faces = load_rendered()
    some = np.concatenate([np.flatnonzero(faces.labels == label)[:6] for label in range(7)])
    np.savez(folder / "faces.npz", images=faces.images[some], labels=faces.labels[some], classes=list(faces.classes))
    asked = "--protocol roar idsds --explainer input-x-gradient --share 0.5 --seeds 1 --epochs 1 --workers 1"
    return [*asked.split(), "--faces", str(folder / "faces.npz"), "--out", str(folder / "out")]


@pytest.fixture(scope="module")
def out(words: list[str]) -> Path:
    assert command.main(words) == 0
    return Path(words[-1])


def test_rankings_stand_beside_random_and_edges(out: Path) -> None:
    removal, deletion = pd.read_csv(out / "removal.csv"), pd.read_csv(out / "idsds.csv")
    assert sorted(removal["ranking"].dropna()) == sorted(RANKINGS)
    assert set(removal["n"]) == {7}, "one of six faces a class is asked"
    assert removal["beyond_random"].notna().sum() == 2, "nothing beyond itself, and nothing where nothing is removed"
    counts = deletion.groupby("network")["ranking"].agg(sorted)
    assert dict(counts) == dict.fromkeys(["as it is", "deletions in domain"], sorted(RANKINGS))
    assert deletion["correlation"].between(-1, 1).all()


def test_what_was_made_is_read_and_a_line_that_was_cut_off_made_again(
    words: list[str], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, made = out / "trials.jsonl", []
    whole = [(out / name).read_bytes() for name in ("removal.csv", "idsds.csv")]
    lines = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join(lines[:-1]) + lines[-1][:20] + "\n")
    learnt = command.learnt
    monkeypatch.setattr(command, "learnt", lambda *told: (made.append(1), learnt(*told))[1])
    monkeypatch.setattr(command, "adapted", lambda *told, **more: pytest.fail("the copy was kept"))
    monkeypatch.setattr(command, "maps_of", lambda *told: pytest.fail("the maps were kept"))
    assert command.main(words) == 0
    assert len(made) == 1
    assert [(out / name).read_bytes() for name in ("removal.csv", "idsds.csv")] == whole


def test_faces_without_labels_are_refused_in_a_line(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "bare.npz", images=load_rendered().images[:8])
    asked = [*words, "--faces", str(tmp_path / "bare.npz"), "--out", str(tmp_path / "out")]
    assert command.main(asked) == 2
    assert "has no labels to learn" in capsys.readouterr().err


def test_a_share_of_all_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        command.main([*words, "--share", "1"])
