"""Anybody's metric, from a file outside the package: in the run, tables and comparisons; one that fails is named."""

import importlib.metadata
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from guide import examples
from tiny import acting_faces, bright_patch_faces, make_case, names_in, parts_subject, patch_subject

from harness.cli import main, runs
from harness.errors import DefinitionError, MetricFault, UsageError
from harness.measurements import asked
from harness.measurements.asked import asked_metrics
from harness.measurements.base import Attributions
from harness.measurements.localization import main_evidence
from harness.measurements.own import GIVEN, NO_EVIDENCE, OwnMetric
from harness.metrics import cards
from harness.metrics.cards import MetricCard, card, metric, metric_cards, register
from harness.store import RunFolder
from harness.subject import Subject

MINE = """
import numpy as np
from harness import metric

def rows(arrays):
    flat = np.abs(arrays).reshape(len(arrays), -1).astype(float)
    flat = flat - flat.mean(1, keepdims=True)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)

@metric(
    name="unlike-the-picture", higher_is_better=False, range=(-1.0, 1.0),
    meaning="correlation of the map's magnitudes with the picture", undefined="the picture is constant",
    reference="Mine 2026",
)
def correlation(maps, images):
    return np.clip((rows(maps) * rows(images)).sum(1), -1, 1)

def plain(maps):
    return np.abs(maps).reshape(len(maps), -1).max(1)

def broken(maps):
    raise ValueError("it broke")

def short(maps):
    return np.zeros(len(maps) - 1)

def asks_too_much(maps, gradients):
    return np.zeros(len(maps))

@metric(higher_is_better=True, range=(0.0, 1.0))
def wild(maps):
    return np.full(len(maps), 2.0)
"""
TAKEN = """
from harness import metric

@metric(name="sparseness")
def mine(maps):
    return maps.max((1, 2))
"""

pytestmark = pytest.mark.usefixtures("registry", "metric_registry", "unchecked")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with a network, faces and metrics; no time is spent on tuning and figures."""
    folder = tmp_path_factory.mktemp("place")
    written = {
        "subj.py": "from tiny import patch_subject as make\n",
        "faces.py": "from tiny import bright_patch_faces as make\n",
        "mine.py": MINE,
        "taken.py": TAKEN,
    }
    for name, text in written.items():
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Subject, "tuned", lambda self: self)
        patch.setattr(runs, "write_report", lambda run: [])
        # What the files state is forgotten after the module, and read again by no other.
        patch.setattr(cards, "_cards", dict(cards._cards))
        yield folder


@pytest.fixture
def run(place: Path, capsys: pytest.CaptureFixture[str]) -> tuple[RunFolder, str]:
    """A run with a metric that works, and with several that do not; and what was said of these."""
    out = place / "run"
    words = ["run", "--subject", "subj.py:make", "--faces", "faces.py:make", "--check", "targets-differ"]
    words += ["--explainer", "gradient", "--out", str(out)]
    for name in ("mine.py:correlation", "mine.py:plain", "mine.py:broken", "mine.py:short", "mine.py:asks_too_much"):
        words += ["--metric", name]
    assert main([*words, "--metric", "mine.py:wild", "--metric", "taken.py:mine"]) == 0
    return RunFolder.existing(out), capsys.readouterr().err


def test_a_metric_of_a_file_is_measured_told_of_and_compared(
    run: tuple[RunFolder, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, said = run
    name = "unlike-the-picture"
    scores = folder.scores[(names_in(folder.scores) == name) & (folder.scores["variant"] == "map")]
    assert set(scores["status"]) == {"ok"}
    means = scores.groupby("explainer")["value"].mean()
    assert means["random"] < means["gradient"]
    gains = folder.scores[names_in(folder.scores) == f"{name}-gain"]
    assert set(gains["variant"]) == {"spectrum-null", "transplant-null"}
    fact = folder.record.metrics[name]
    assert (fact.higher_is_better, fact.low, fact.high) == (False, -1.0, 1.0)
    assert fact.meaning == "correlation of the map's magnitudes with the picture"
    assert folder.record.metrics[f"{name}-gain"].higher_is_better is True
    assert main(["table", str(folder.path), "--metric", f"{name}/map"]) == 0
    assert "lower is better" in capsys.readouterr().out
    both = ["--explainer", "gradient", "--explainer", "random", "--format", "json"]
    assert main(["compare", str(folder.path), *both, "--metric", f"{name}/map"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["ahead"] == "random"  # lower is better, as the card says
    # Each that does not work is a line, and the others went on.
    lines = said.splitlines()
    for told in (
        "metric 'broken' of .*:broken raised ValueError: it broke",
        r"metric 'short' of .*:short returned shape \(17,\); return one number a map, \(18,\)",
        "metric 'asks-too-much' of .*:asks_too_much asks for 'gradients'; beside the maps a metric may ask for images,",
        "metric 'wild' of .*:wild returned 2, outside its range 0 to 1",
        "metric 'sparseness' of .*:mine has the name of harness.metrics.complexity:sparseness; choose another",
    ):
        assert pd.Series(lines).str.contains(told).sum() == 1, (told, lines)
    held = folder.scores.groupby(names_in(folder.scores))["status"].agg(set)
    assert {name for name in held.index if held[name] == {"failed"}} == {"broken", "short", "wild"}
    assert held["plain"] == {"ok"}
    # Without a direction there is no gain, and nobody is ahead.
    assert "plain-gain" not in held.index
    assert folder.record.metrics["plain"].higher_is_better is None


# ---------------------------------------------------------------------- what it may ask for


def stated(function, **said) -> MetricCard:
    made = card(function, **said)
    register(made)
    return made


def measured(card: MetricCard, attributions: Attributions) -> pd.DataFrame:
    return OwnMetric.of(card, 1).measure(attributions).scores


def test_a_metric_is_given_what_it_asks_for() -> None:
    seen: dict[str, np.ndarray] = {}

    def looks(maps, images, targets, probabilities, evidence, *, power=2):
        seen.update(images=images, targets=targets, probabilities=probabilities, evidence=evidence)
        return (maps * evidence).sum((1, 2)) ** power

    case = make_case(parts_subject(), acting_faces(12))
    maps = np.random.default_rng(0).normal(size=(len(case.targets), *case.images.shape[2:])).astype(np.float32)
    scores = measured(stated(looks), Attributions(case, maps))
    assert set(seen) == set(GIVEN)
    assert seen["images"].shape == maps.shape == seen["evidence"].shape
    np.testing.assert_array_equal(seen["targets"], case.targets)
    np.testing.assert_array_equal(seen["probabilities"], case.probabilities)
    known = main_evidence(Attributions(case, maps))
    own = scores[scores["variant"] == "map"]
    np.testing.assert_array_equal(own["value"].notna(), known.lacking == "")
    wanted = (maps * known.pixels).sum((1, 2)) ** 2
    np.testing.assert_array_equal(own["value"].dropna(), wanted[known.lacking == ""].astype(np.float64))


def test_a_metric_of_the_evidence_is_undefined_where_nothing_is_known() -> None:
    case = make_case(patch_subject(), bright_patch_faces())
    found = measured(
        stated(lambda maps, evidence: maps.max((1, 2)), name="e"), Attributions(case, np.ones((18, 12, 12)))
    )
    assert set(found["status"]) == {"not scorable"}
    assert set(found["reason"]) == {NO_EVIDENCE}


def test_a_metric_that_changes_its_maps_changes_nobody_elses() -> None:
    def spoils(maps):
        maps[:] = 0
        return maps.max((1, 2))

    case = make_case(patch_subject(), bright_patch_faces())
    maps = np.random.default_rng(0).normal(size=(18, 12, 12)).astype(np.float32)
    before = maps.copy()
    measured(stated(spoils), Attributions(case, maps))
    np.testing.assert_array_equal(maps, before)


def leaves(maps):
    os._exit(0)


def sets_all(maps):
    torch.set_default_dtype(torch.float64)
    return maps.max((1, 2))


@pytest.mark.parametrize(("function", "said"), [(leaves, "raised SystemExit"), (sets_all, "changed torch's default")])
def test_a_metric_that_leaves_or_changes_what_is_everybodys_is_named(
    function: Callable[..., object], said: str
) -> None:
    case = make_case(patch_subject(), bright_patch_faces())
    found = measured(stated(function), Attributions(case, np.ones((18, 12, 12), np.float32)))
    assert set(found["status"]) == {"failed"}
    assert said in found["reason"].iloc[0]
    assert torch.get_default_dtype() == torch.float32


def test_another_code_or_direction_is_measured_anew() -> None:
    def one(maps):
        return maps.max((1, 2))

    def two(maps):
        return maps.min((1, 2))

    names = [
        OwnMetric.of(card(f, name="m", higher_is_better=b), 1) for f, b in ((one, True), (one, False), (two, True))
    ]
    assert len({repr(name) for name in names}) == 3
    assert repr(names[0]) == repr(OwnMetric.of(card(one, name="m", higher_is_better=True), 1))


# ---------------------------------------------------------------------- asking


def test_a_second_metric_of_a_name_is_refused_with_where_the_first_was_defined() -> None:
    with pytest.raises(
        DefinitionError, match=r"metric 'road' of .*mine has the name of harness\.metrics\.faith.*:road"
    ):

        @metric(name="road")
        def mine(maps):
            return maps

    with pytest.raises(DefinitionError, match="metric 'deletion-gain-logit'"):
        metric(name="deletion-gain-logit")(lambda maps: maps)


def test_a_decorated_function_stays_what_it_is() -> None:
    @metric
    def highest_value(maps):
        return maps.max((1, 2))

    assert highest_value(np.ones((1, 2, 2))) == [1]
    assert metric_cards()["highest-value"].function is highest_value
    assert metric_cards()["highest-value"].family == "user"


def test_an_impossible_range_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"range 1 to 0; give \(lowest, highest\)"):
        metric(name="m", range=(1, 0))(lambda maps: maps)


MISTAKES = {
    "sparseness": "measured by itself; name one of yours",
    "absent": "no metric is called 'absent'.*file.py:function",
    "{mine}:absent": "has no 'absent'",
    "nowhere.py:f": "there is no file nowhere.py",
    "{mine}:np.pi": "is a float; name a function",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_what_cannot_be_meant_is_one_clear_line(text: str, place: Path) -> None:
    with pytest.raises(UsageError, match=MISTAKES[text]) as caught:
        asked_metrics([text.format(mine=place / "mine.py")])
    assert "\n" not in str(caught.value)


def test_a_metric_without_maps_is_refused() -> None:
    with pytest.raises(MetricFault, match="takes no maps"):
        OwnMetric.of(card(lambda: 1, name="m"), 1)


def offer(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    """Let an installed package offer metrics."""
    made = [importlib.metadata.EntryPoint(name, value, asked.ENTRY_POINTS) for name, value in points.items()]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: made if group == asked.ENTRY_POINTS else [])


def test_packages_offer_metrics_and_a_broken_one_keeps_no_other_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs_metrics.py").write_text("def spread(maps):\n    return maps.std((1, 2))\n")
    (tmp_path / "theirs_taken.py").write_text(TAKEN)
    monkeypatch.syspath_prepend(tmp_path)
    offer(monkeypatch, absent="no_such_module:f", taken="theirs_taken:mine", spread="theirs_metrics:spread")
    found = asked_metrics(["spread"])
    assert [made.name for made in found.cards] == ["spread"]
    assert len(found.refused) == 2
    assert "entry point absent = no_such_module:f offers no metric: No module named" in found.refused[0]
    assert "has the name of harness.metrics.complexity:sparseness" in found.refused[1]
    assert [made.name for made in asked_metrics([], everything=True).cards] == ["spread"]
    assert asked_metrics([]).cards == ()


def test_the_example_of_the_guide_runs(metric_registry: dict[str, MetricCard]) -> None:
    held: dict[str, object] = {"__name__": "guide"}
    exec(examples()["A metric"], held)
    case = make_case(patch_subject(), bright_patch_faces())
    pictures = case.subject.spec.to_grey(case.images)
    scores = measured(metric_registry["share-on-bright"], Attributions(case, pictures.astype(np.float32)))
    own = scores[scores["variant"] == "map"]["value"].to_numpy()
    bright = pictures > np.median(pictures, axis=(1, 2), keepdims=True)
    # Two sums of 144 positive terms in single precision.
    wanted = (pictures * bright).sum((1, 2)) / pictures.sum((1, 2))
    np.testing.assert_allclose(own, wanted, rtol=2 * 144 * 2**-24)
    assert set(names_in(scores)) == {"share-on-bright", "share-on-bright-gain"}
