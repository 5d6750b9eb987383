"""The runner makes each piece once, books what it cost, and makes it anew when something that matters changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import AGAIN, SIDE, make_case, named, names_in, no_progress
from torch import Tensor

from harness.engines import run_here
from harness.errors import ExplainerFault
from harness.evaluation import runner
from harness.evaluation.runner import Runner
from harness.evaluation_set import EvaluationSet
from harness.explainers import Explainer
from harness.explainers.base import Facts
from harness.explainers.gradient import gradient, saliency
from harness.faces.faceset import FaceSet
from harness.measurements import ClassSimilarity, ParameterRandomization, Removal
from harness.perturbation import MeanFill
from harness.store import RunFolder
from harness.subject import Subject

REMOVAL = Removal(MeanFill(), 3, 1)
RANDOMIZATION = ParameterRandomization(stages=2, draws=1, cascade_per_class=2)
EVERYTHING = (REMOVAL, RANDOMIZATION, ClassSimilarity())
NOTHING = ()


@pytest.fixture
def case(subject: Subject, faces: FaceSet) -> EvaluationSet:
    return make_case(subject, faces)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eighteen images are three blocks."""
    monkeypatch.setattr(runner, "BLOCK", 7)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def run(made: Runner, *explainers: Explainer) -> dict[str, str]:
    return run_here(made.plan(explainers), no_progress)


class Counting:
    """An explainer's function that notes the images that it is asked for; what it noted does not change what it is."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __digest__(self) -> str:
        return "counting"

    def __call__(self, subject: Subject, images: Tensor, targets: Tensor, *, sigma: int = 0) -> Tensor:
        self.asked.append(len(images))
        return images[:, 0]


# ---------------------------------------------------------------------- maps


def test_maps_in_blocks_are_those_of_one_call(case: EvaluationSet, folder: RunFolder) -> None:
    whole = gradient.maps(case.subject, case.images, case.target_tensor(), 0)
    # The same network in other batches; gradients are of order .01.
    np.testing.assert_allclose(Runner(case, NOTHING, folder).maps(gradient), whole, atol=0.01 * AGAIN)


def test_maps_are_made_block_by_block_and_once(case: EvaluationSet, folder: RunFolder) -> None:
    count = Counting()
    for _ in range(2):
        Runner(case, NOTHING, folder).maps(named("count", count))
    assert count.asked == [7, 7, 4]


def test_other_images_targets_and_networks_can_be_asked_for(case: EvaluationSet, folder: RunFolder) -> None:
    made, index, other = Runner(case, NOTHING, folder), np.array([8, 3]), np.array([0, 2])
    drawn = made.random_network(["3"], 0)
    asked = made.explain(gradient, case.images[index], other, drawn)
    wanted = gradient.maps(drawn, case.images[index], torch.from_numpy(other), 0)
    np.testing.assert_allclose(asked, wanted, atol=0.01 * AGAIN)
    assert not np.allclose(asked, made.maps(gradient)[index], atol=1e-3)


def test_another_seed_can_be_asked_for_and_the_runs_own_is_not_made_again(
    case: EvaluationSet, folder: RunFolder
) -> None:
    seeds: list[int] = []

    def draws(subject: Subject, images: Tensor, targets: Tensor, *, seed: int) -> Tensor:
        seeds.append(seed)
        return images[:, 0] + seed

    made, explainer = Runner(case, NOTHING, folder), named("draws", draws)
    own = made.maps(explainer)
    again, other = (made.explain(explainer, case.images, case.targets, seed=seed) for seed in (case.seed, 5))
    np.testing.assert_array_equal(again, own)
    np.testing.assert_allclose(other - own, 5, rtol=0, atol=0.01 * AGAIN)
    assert seeds == [case.seed] * 3 + [5] * 3


def test_what_serves_all_explainers_is_made_once_and_booked_on_none(case: EvaluationSet, folder: RunFolder) -> None:
    def make() -> dict[str, np.ndarray]:
        return {"logits": case.subject.logits(case.images).numpy()}

    before = case.subject.passes.forward
    for _ in range(2):
        made = Runner(case, NOTHING, folder)
        found = made.shared(("logits", 1), make)
    assert case.subject.passes.forward - before == len(case.targets)
    np.testing.assert_array_equal(found["logits"], make()["logits"])
    assert (made.cost().forward, made.cost(gradient).forward) == (len(case.targets), 0)


def test_what_is_shared_is_made_anew_when_its_name_changes(case: EvaluationSet, folder: RunFolder) -> None:
    made = Runner(case, NOTHING, folder)
    found = [made.shared(("bank", size), lambda size=size: {"a": np.arange(size)})["a"].size for size in (3, 4)]
    assert found == [3, 4]


def test_an_explainer_of_known_maps_is_not_asked_again(case: EvaluationSet, folder: RunFolder) -> None:
    known = replace(named("known", lambda _s, images, _t: images[:, 0]), facts=Facts(fixed=True))
    rows = Runner(case, EVERYTHING, folder).measured(known).scores
    assert {"deletion-auc", "insertion-auc"} <= set(names_in(rows))
    assert not names_in(rows).str.startswith("randomization").any()


def test_a_random_network_is_drawn_once_for_all_explainers(
    case: EvaluationSet, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[str]] = []
    draw = runner.randomized
    monkeypatch.setattr(
        runner,
        "randomized",
        lambda subject, layers, **more: drawn.append(layers) or draw(subject, layers, **more),
    )
    run(Runner(case, [RANDOMIZATION], folder), gradient, saliency)
    assert drawn == [["6", "3", "0"], ["6", "3"]]


# ---------------------------------------------------------------------- what is made anew


def settings_changed(case: EvaluationSet, explainer: Explainer) -> tuple[EvaluationSet, Explainer]:
    return case, replace(explainer, settings={"sigma": 1})


def seed_changed(case: EvaluationSet, explainer: Explainer) -> tuple[EvaluationSet, Explainer]:
    return replace(case, seed=1), explainer


def faces_changed(case: EvaluationSet, explainer: Explainer) -> tuple[EvaluationSet, Explainer]:
    darker = replace(case.faces, images=case.faces.images // 2)
    return replace(case, faces=darker), explainer


def network_changed(case: EvaluationSet, explainer: Explainer) -> tuple[EvaluationSet, Explainer]:
    with torch.no_grad():
        case.subject.network[0].weight.mul_(2)
    other = case.subject.with_network(case.subject.network, "tiny")
    return replace(case, subject=other), explainer


@pytest.mark.parametrize("change", [settings_changed, seed_changed, faces_changed, network_changed])
def test_maps_are_made_anew_when_something_changed(change, case: EvaluationSet, folder: RunFolder) -> None:
    count = Counting()
    explainer = named("counted", count)
    for _ in range(2):
        Runner(case, NOTHING, folder).maps(explainer)
    assert count.asked == [7, 7, 4]
    changed_case, changed = change(case, explainer)
    Runner(changed_case, NOTHING, folder).maps(changed)
    assert count.asked == [7, 7, 4] * 2


def test_a_change_of_judging_code_keeps_the_maps_and_measures_anew(
    case: EvaluationSet, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = Counting()
    explainer = named("count", count)
    instruments = [REMOVAL]
    run(Runner(case, instruments, folder), explainer)
    code = runner.package_digest
    monkeypatch.setattr(runner, "package_digest", lambda names: code(names) + ("changed" if "metrics" in names else ""))
    before = case.subject.passes.forward
    run(Runner(case, instruments, folder), explainer)
    assert count.asked == [7, 7, 4]
    assert case.subject.passes.forward > before


def test_a_change_of_explaining_code_makes_the_maps_anew(
    case: EvaluationSet, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = Counting()
    Runner(case, NOTHING, folder).maps(named("count", count))
    monkeypatch.setattr(runner, "package_digest", lambda _names: "changed")
    Runner(case, NOTHING, folder).maps(named("count", count))
    assert count.asked == [7, 7, 4] * 2


def test_other_sizes_of_a_measurement_keep_the_maps(case: EvaluationSet, folder: RunFolder) -> None:
    count = Counting()
    for steps in (3, 4):
        run(Runner(case, [Removal(MeanFill(), steps, 1)], folder), named("count", count))
    assert count.asked == [7, 7, 4]


# ---------------------------------------------------------------------- rows


def test_rows_carry_the_explainers_name(case: EvaluationSet, folder: RunFolder) -> None:
    made = Runner(case, EVERYTHING, folder).measured(gradient)
    for table in (made.scores, made.curves, made.matrices):
        assert set(table["explainer"]) == {"gradient"}


def test_only_what_is_asked_for_is_measured(case: EvaluationSet, folder: RunFolder) -> None:
    made = Runner(case, [ClassSimilarity()], folder).measured(gradient)
    assert (len(made.scores), len(made.curves), len(made.matrices)) == (0, 0, 9)


def test_rows_come_back_as_they_were(case: EvaluationSet, folder: RunFolder) -> None:
    one, again = (Runner(case, EVERYTHING, folder).measured(gradient) for _ in range(2))
    for name in ("scores", "curves", "matrices"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(again, name))


def test_one_map_for_every_image_is_a_fault(case: EvaluationSet, folder: RunFolder) -> None:
    flat = named("flat", lambda _s, images, _t: torch.ones(len(images), SIDE, SIDE))
    with pytest.raises(ExplainerFault, match="flat returned the same map for every image"):
        Runner(case, EVERYTHING, folder).measured(flat)


def test_one_map_for_every_image_of_a_block_is_none(case: EvaluationSet, folder: RunFolder) -> None:
    # A network with random layers may leave nothing of a map, and a class may have one map.
    def blockwise(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        return images[:1, 0].expand(len(images), -1, -1)

    assert run(Runner(case, EVERYTHING, folder), named("blockwise", blockwise)) == {}


# ---------------------------------------------------------------------- plan and cost


def test_the_plan_is_the_maps_and_then_each_measurement_of_each_explainer(
    case: EvaluationSet, folder: RunFolder
) -> None:
    jobs = Runner(case, EVERYTHING, folder).plan([gradient, saliency])
    assert [job.explainer for job in jobs] == ["gradient"] * 6 + ["saliency"] * 6
    assert [job.title for job in jobs[:6]] == [
        *["gradient: maps"] * 3,
        "gradient: removal",
        "gradient: randomization",
        "gradient: similarity",
    ]


def test_after_the_plan_nothing_more_is_asked_of_the_network(case: EvaluationSet, folder: RunFolder) -> None:
    made = Runner(case, EVERYTHING, folder)
    run(made, gradient)
    before = replace(case.subject.passes)
    made.measured(gradient)
    made.maps(gradient)
    assert case.subject.passes == before


def test_the_cost_of_all_explainers_is_all_that_was_passed(case: EvaluationSet, folder: RunFolder) -> None:
    before = replace(case.subject.passes)
    made = Runner(case, EVERYTHING, folder)
    run(made, gradient, saliency)
    costs = [made.cost(explainer) for explainer in (None, gradient, saliency)]
    assert sum(cost.forward for cost in costs) == case.subject.passes.forward - before.forward
    assert sum(cost.backward for cost in costs) == case.subject.passes.backward - before.backward


def test_the_cost_is_remembered(case: EvaluationSet, folder: RunFolder) -> None:
    made = [Runner(case, EVERYTHING, folder) for _ in range(2)]
    for one in made:
        run(one, gradient)
    assert made[0].cost(gradient) == made[1].cost(gradient)
    assert made[0].cost(gradient).backward > 0


def test_seconds_are_those_of_this_runner_alone(case: EvaluationSet, folder: RunFolder) -> None:
    one, again = (Runner(case, EVERYTHING, folder) for _ in range(2))
    run(one, gradient)
    # Costs are rounded to a millisecond.
    assert one.seconds_made() == pytest.approx(one.cost(gradient).seconds + one.cost().seconds, abs=2e-3)
    run(again, gradient)
    assert again.seconds_made() == 0


# ---------------------------------------------------------------------- the engine


def test_an_explainer_at_fault_is_left_out_and_the_others_go_on(case: EvaluationSet, folder: RunFolder) -> None:
    count = Counting()

    def broken(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        raise ValueError("no")

    faults = run(Runner(case, EVERYTHING, folder), named("broken", broken), named("count", count))
    assert faults == {"broken": "broken raised ValueError: no"}
    assert sum(count.asked[:3]) == len(case.targets)


@pytest.mark.parametrize("number", range(4))
def test_a_damaged_piece_that_only_whole_ones_name_is_made_again(
    case: EvaluationSet, folder: RunFolder, number: int
) -> None:
    """What it cost is asked for at the end, when nothing else has looked at it."""
    first = Runner(case, EVERYTHING, folder)
    run(first, gradient)
    wanted = first.measured(gradient)
    pieces = sorted(place for place in (folder.path / "cache").iterdir() if place.is_dir() and place.name != "turns")
    for file in pieces[number * len(pieces) // 4].iterdir():
        file.write_bytes(file.read_bytes()[:-3])
    second = Runner(case, EVERYTHING, RunFolder(folder.path))
    pd.testing.assert_frame_equal(second.measured(gradient).scores, wanted.scores)
    assert second.cost(gradient).forward > 0
