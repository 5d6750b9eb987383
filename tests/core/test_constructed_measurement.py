"""On networks built around the subject those who find the truth pass, and planted faults do not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import CLASSES, SIDE, SPEC, bright_patch_faces, kept_once, make_case, named, names_in, tiny_network
from torch import Tensor, nn

from harness.checks import CHECKS, Evidence
from harness.evaluation.runner import Runner
from harness.evaluation_set import EvaluationSet
from harness.explainers import Explainer, registered
from harness.faces.faceset import FaceSet
from harness.measurements import Attributions, Blind, Planted, Tiles
from harness.measurements.constructed import UNPLANTED, WEIGHTS
from harness.metrics.cards import metric_cards
from harness.store import MATRICES, RunFolder, frame
from harness.subject import Subject

TILES, BLIND, PLANTED = Tiles(8, 3), Blind(3, 4), Planted(3, 4)
ALL = (TILES, BLIND, PLANTED)


@pytest.fixture(scope="module")
def case() -> EvaluationSet:
    """A trained-like network of two convolutions on noise with a lit patch."""
    return make_case(Subject(tiny_network(), name="tiny", classes=CLASSES, spec=SPEC), bright_patch_faces(24))


def attributions(case: EvaluationSet, made: Explainer) -> Attributions:
    """What the runner hands to a measurement."""

    def ask(images: Tensor, targets: np.ndarray, subject: Subject | None = None, seed: int | None = None) -> np.ndarray:
        return made.maps(subject or case.subject, images, torch.from_numpy(targets), seed or 0)

    return Attributions(
        case,
        np.zeros((len(case.targets), SIDE, SIDE), np.float32),
        ask,
        shared=kept_once(),
        axioms=made.facts.axioms,
        baselines=lambda images, subject=None: made.baselines(subject or case.subject, images, 0),
    )


def scores(case: EvaluationSet, made: Explainer | str, measurement: Any) -> pd.DataFrame:
    made = registered()[made] if isinstance(made, str) else made
    found: pd.DataFrame = measurement.measure(attributions(case, made)).scores
    return found


def means(case: EvaluationSet, made: Explainer | str, measurement: Any) -> dict[str, float]:
    found = scores(case, made, measurement)
    return dict(found.groupby(names_in(found))["value"].mean())


# ---------------------------------------------------------------------- the truth is found


def test_integrated_gradients_rank_tiles_and_give_their_amounts(case: EvaluationSet) -> None:
    found = means(case, "integrated-gradients", TILES)
    assert found["tile-ranks"] > 0.95
    assert found["dead-tile-share"] == 0
    # 32 steps through a network of ReLUs, as for completeness: a twentieth.
    assert found["tile-amounts"] < 0.05


@pytest.mark.parametrize("name", ["integrated-gradients-black", "integrated-gradients-blur"])
def test_parts_are_told_from_the_explainers_own_baselines(case: EvaluationSet, name: str) -> None:
    made = registered()[name]
    own = scores(case, made, TILES)
    plain = TILES.measure(replace(attributions(case, made), baselines=lambda images, subject=None: ())).scores
    amounts = [table[names_in(table) == "tile-amounts"]["value"].mean() for table in (own, plain)]
    assert amounts[0] < amounts[1] / 2


def exactly(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Each tile's exact part, evenly over it: the truth, at the resolution of tiles."""
    network = subject.network
    side = network.side
    h, w = images.shape[2] // side, images.shape[3] // side
    maps = torch.zeros(len(images), *images.shape[2:])
    zeros = torch.zeros_like(images)
    nothing = subject.logits(zeros).gather(1, targets[:, None])[:, 0]
    for tile in range(side**2):
        place = (..., slice(tile // side * h, (tile // side + 1) * h), slice(tile % side * w, (tile % side + 1) * w))
        alone = zeros.clone()
        alone[place] = images[place]
        maps[place] = ((subject.logits(alone).gather(1, targets[:, None])[:, 0] - nothing) / (h * w))[:, None, None]
    return maps


def test_the_truth_itself_has_the_best_of_every_score_of_tiles(case: EvaluationSet) -> None:
    made = named(
        "truth", exactly, axioms=frozenset({"completeness"}), baselines=lambda s, x, **_: [torch.zeros_like(x)]
    )
    found = means(case, made, TILES)
    assert found["tile-ranks"] == 1
    assert found["tile-ranks-absolute"] == 1
    assert found["dead-tile-share"] == 0
    # Logits of size 1 in single precision, parts down to a hundredth of them.
    assert found["tile-amounts"] < 1e-4


@pytest.mark.parametrize("name", ["gradient", "integrated-gradients", "lrp-epsilon", "deeplift"])
def test_what_flows_back_has_nothing_where_the_network_is_blind(case: EvaluationSet, name: str) -> None:
    assert (scores(case, name, BLIND)["value"] == 0).all()


@pytest.mark.parametrize("name", ["integrated-gradients", "deeplift", "input-x-gradient"])
def test_planted_pixels_have_exactly_the_parts_that_were_planted(case: EvaluationSet, name: str) -> None:
    found = scores(case, name, PLANTED)
    # Ranks of 4 pixels from differences of single-precision maps: nearly all right.
    assert found[names_in(found) == "planted-pixels"]["value"].mean() > 0.95
    assert found[names_in(found) == "planted-patch-gain"]["value"].mean() > 0


def test_a_pair_is_found_where_both_patches_are(case: EvaluationSet) -> None:
    found = means(case, "integrated-gradients", PLANTED)
    assert found["planted-pair-gain"] > 0
    assert found["planted-pair"] > 0.8


@pytest.mark.parametrize("measurement", ALL)
def test_rows_stand_under_the_pictures_own_class(case: EvaluationSet, measurement: Any) -> None:
    found = scores(case, "gradient", measurement)
    own = dict(zip(case.faces.ids, case.target_names, strict=True))
    assert list(found["target"]) == [own[image] for image in found["image"]]


# ---------------------------------------------------------------------- and faults are caught


def by_place(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """A map by raster index, whatever the picture."""
    n, _, h, w = images.shape
    return torch.arange(h * w).float().reshape(1, h, w).expand(n, h, w)


def test_a_map_by_place_ranks_no_tiles_and_sees_where_the_network_is_blind(case: EvaluationSet) -> None:
    found = means(case, named("by-place", by_place), TILES) | means(case, named("by-place", by_place), BLIND)
    assert abs(found["tile-ranks"]) < 0.5
    assert found["blind-share"] > 0.5
    assert found["dead-tile-share"] > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_luck_in_the_halves_that_are_drawn_hides_no_map_that_stays_where_it_is(case: EvaluationSet, seed: int) -> None:
    """Halves are few and shared by many pictures: what lies in one corner would be seen by all of them, or by none."""

    def in_a_corner(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        found = torch.zeros(len(images), *images.shape[2:])
        found[:, :3, :3] = 1 + images[:, 0, :3, :3].abs()
        return found

    shares = scores(replace(case, seed=seed), named("corner", in_a_corner), BLIND)["value"]
    # Both halves are of one area, so that the shares of mass add up to it: to rounding of sums of single precision.
    np.testing.assert_allclose(shares, 1.0, rtol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_luck_in_the_orders_that_are_drawn_ranks_no_tiles_for_a_map_that_stays_where_it_is(
    case: EvaluationSet, seed: int
) -> None:
    """A corner may have the largest weight, or not be the dead tile, in all of a few networks."""

    def in_a_corner(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        found = torch.zeros(len(images), *images.shape[2:])
        found[:, :3, :3] = 1
        return found

    found = means(replace(case, seed=seed), named("corner", in_a_corner), Tiles(4, 6))
    assert found["dead-tile-share"] == 1
    # Exactly zero by weights alone; what a tile adds hangs on its picture too.
    assert abs(found["tile-ranks"]) < 0.35


@pytest.mark.parametrize("name", ["edges", "random"])
def test_a_map_that_knows_nothing_has_its_share_where_nothing_counts(case: EvaluationSet, name: str) -> None:
    found = means(case, name, TILES) | means(case, name, BLIND)
    assert abs(found["tile-ranks"]) < 0.5
    assert 0.8 < found["blind-share"] < 1.2
    assert 0.8 < found["dead-tile-share"] < 1.2


def test_the_gradient_does_not_rank_tiles(case: EvaluationSet) -> None:
    assert means(case, "gradient", TILES)["tile-ranks"] < 0.7


def test_edges_gain_nothing_by_what_is_planted(case: EvaluationSet) -> None:
    found = scores(case, "edges", PLANTED)
    gains = found[found["variant"] == UNPLANTED]
    assert set(names_in(gains)) == {"planted-patch-gain", "planted-pair-gain"}
    assert (gains["value"] == 0).all()
    pixels = found[names_in(found) == "planted-pixels"]
    assert pixels["value"].isna().all()
    assert set(pixels["reason"]) == {metric_cards()["planted-pixels"].undefined}


def test_a_sign_turned_round_turns_the_ranks_round(case: EvaluationSet) -> None:
    def turned(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        return -registered()["integrated-gradients"](subject, images, targets)

    assert means(case, named("turned", turned), TILES)["tile-ranks"] < -0.95


def half_pair(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Finds one patch of a pair: what the network with the second patch taken for granted would say."""
    slopes = subject.gradients(images, targets)
    flat = slopes.abs().sum(1)
    width = flat.shape[-1]
    flat[..., width // 2 :] = 0
    return flat


def test_a_map_that_finds_one_patch_of_a_pair_has_not_found_the_pair(case: EvaluationSet) -> None:
    many = Planted(12, 2)
    one, both = (
        scores(case, made, many).query("metric == 'planted-pair' and kind == 'score'").set_index("image")["value"]
        for made in (named("half", half_pair), registered()["saliency"])
    )
    assert one.mean() < both.mean() - 0.1


# ---------------------------------------------------------------------- rows, refusals, networks that cannot be built


def test_one_row_an_image_of_its_own_under_the_class_that_was_explained(case: EvaluationSet) -> None:
    found = scores(case, "gradient", TILES)
    ranks = found[names_in(found) == "tile-ranks"]
    assert ranks["image"].is_unique
    assert len(ranks) == 24
    assert set(ranks["target"]) <= set(CLASSES)
    planted = scores(case, "gradient", PLANTED)
    per_image = planted.groupby("image")["target"].nunique()
    assert (per_image == 1).all()


def test_fewer_images_than_asked_for_are_all_used(case: EvaluationSet) -> None:
    few = case.take(np.arange(5))
    assert scores(few, "gradient", Blind(3, 4))["image"].nunique() == 5


def test_an_explainer_that_refuses_has_undefined_rows_with_its_reason(case: EvaluationSet) -> None:
    found = scores(case, "grad-cam", TILES)
    assert (found["status"] == "undefined").all()
    assert found["reason"].str.contains("grad-cam raised UsageError: layer 'network.4' of 'tiny .tiles.' gives").all()
    # Where the layer gives one picture an image it is judged.
    assert scores(case, "grad-cam", BLIND)["value"].notna().any()


class Refusing(nn.Module):
    """Refuses four pictures at once, or answers NaN to a picture of which a third has one shade."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what, self.read = what, nn.Linear(SIDE * SIDE, 3)

    def forward(self, images: Tensor) -> Tensor:
        if self.what == "rows" and len(images) == 4:
            raise ValueError("four at once are too many")
        logits = self.read(images.flatten(1))
        flat = images.flatten(1)
        plain = (flat == flat.mode(1, keepdim=True).values).float().mean(1, keepdim=True) > 1 / 3
        return torch.where(plain, torch.nan, logits) if self.what == "nan" else logits


@pytest.mark.parametrize(
    ("what", "measurement", "reason"),
    [
        ("rows", TILES, "tiles: .*four at once are too many"),
        ("nan", BLIND, "blind: the network answers NaN or infinity"),
    ],
)
def test_a_network_that_cannot_be_built_upon_is_told_in_one_line(what: str, measurement: Any, reason: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        subject = Subject(Refusing(what), name="shy", classes=CLASSES, spec=SPEC)
    case = make_case(Subject(tiny_network(), name="tiny", classes=CLASSES, spec=SPEC), bright_patch_faces(24))
    found = scores(replace(case, subject=subject), "gradient", measurement)
    assert found["value"].isna().all()
    assert found["reason"].str.contains(reason).all()
    assert not found["reason"].str.contains("\n").any()


def test_too_few_images_for_a_mosaic_are_told(case: EvaluationSet) -> None:
    found = scores(case.take(np.arange(3)), "gradient", TILES)
    assert set(found["reason"]) == {"tiles: a mosaic takes 4 images, and there are 3"}


def test_a_network_of_one_class_has_nothing_to_plant_against() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 1))
    faces = replace(bright_patch_faces(6), classes=("only",), labels=np.zeros(6, np.int64))
    case = make_case(Subject(network, name="one", classes=("only",), spec=SPEC), faces)
    found = scores(case, "gradient", PLANTED)
    assert set(found["reason"]) == {"planted: there is no class that the network does not answer by itself"}


def test_a_picture_without_room_is_told() -> None:
    spec = type(SPEC)(3, 3)
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 3))
    faces = FaceSet("small", np.random.default_rng(0).integers(0, 255, (6, 3, 3), dtype=np.uint8), CLASSES)
    case = make_case(Subject(network, name="small", classes=CLASSES, spec=spec), faces)
    assert scores(case, "gradient", PLANTED)["reason"].str.startswith("planted: a picture of 3x3 has no room").all()


def test_a_fault_of_another_kind_is_not_hidden(case: EvaluationSet) -> None:
    def broken(*_: Any, **__: Any) -> np.ndarray:
        raise RuntimeError("a bug of ours")

    with pytest.raises(RuntimeError, match="a bug of ours"):
        BLIND.measure(replace(attributions(case, registered()["gradient"]), explain=broken))


@pytest.mark.parametrize("measurement", ALL, ids=lambda each: each.name)
def test_scores_repeat_and_do_not_depend_on_the_order_of_images(case: EvaluationSet, measurement: Any) -> None:
    one, two = (scores(case, "input-x-gradient", measurement) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("measurement", ALL, ids=lambda each: each.name)
def test_another_seed_draws_other_networks(case: EvaluationSet, measurement: Any) -> None:

    def mixed(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        """In part what the network sees: a map in one place has the same share of two halves together."""
        seen = torch.as_tensor(registered()["input-x-gradient"].maps(subject, images, targets, 0))
        return seen / seen.abs().amax((1, 2), keepdim=True) + by_place(subject, images, targets)

    one, two = (scores(each, named("mixed", mixed), measurement) for each in (case, replace(case, seed=1)))
    assert one["value"].tolist() != two["value"].tolist()


def test_weights_are_the_same_for_every_explainer_and_drawn_for_each_network(case: EvaluationSet) -> None:
    seen: list[tuple[float, ...]] = []

    def looking(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        seen.append(tuple(subject.network.weights.tolist()))
        return images[:, 0]

    for _ in range(2):
        scores(case, named("looking", looking), TILES)
    assert seen[:8] == seen[8:]
    assert len(set(seen)) > 4
    for four in (seen[:4], seen[4:8]):
        assert all(sorted(place) == sorted(WEIGHTS) for place in zip(*four, strict=True)), "each tile has each weight"
        assert all(sorted(one) == sorted(WEIGHTS) for one in four)


def test_what_the_network_answers_is_asked_once_for_all_explainers(case: EvaluationSet) -> None:
    given = attributions(case, registered()["edges"])
    for measurement in ALL:
        measurement.measure(given)
    before = case.subject.passes.forward
    for measurement in (BLIND, PLANTED):
        measurement.measure(given)
    assert case.subject.passes.forward == before


def test_the_runner_hands_on_the_baselines_under_the_built_network(
    case: EvaluationSet, tmp_path_factory: pytest.TempPathFactory
) -> None:
    runner = Runner(case, [TILES], RunFolder(tmp_path_factory.mktemp("run")))
    found = runner.measured(registered()["integrated-gradients-black"]).scores
    assert found[names_in(found) == "tile-amounts"]["value"].mean() < 0.05


def test_a_run_keeps_what_it_has_asked(case: EvaluationSet, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    first = Runner(case, ALL, folder).measured(registered()["saliency"]).scores
    before = case.subject.passes.forward + case.subject.passes.backward
    again = Runner(case, ALL, folder).measured(registered()["saliency"]).scores
    assert case.subject.passes.forward + case.subject.passes.backward == before
    pd.testing.assert_frame_equal(first, again)


# ---------------------------------------------------------------------- silence


def silenced(made: Explainer, poor: float) -> Explainer:
    """The same explainer, which says nothing of what comes first in a batch where it would do poorly or well."""

    def maps(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        found = torch.as_tensor(made.maps(subject, images, targets, 0)).clone()
        found[: round(poor * len(found))] = 0
        return found

    return named("silenced", maps, axioms=made.facts.axioms, baselines=made.baselines)


@pytest.mark.parametrize(("measurement", "names"), [
    (TILES, {"tile-ranks", "tile-ranks-absolute", "dead-tile-share"}),
    (BLIND, {"blind-share"}),
    (PLANTED, {"planted-patch", "planted-patch-gain", "planted-pair", "planted-pair-gain"}),
])  # fmt: skip
def test_a_map_that_says_nothing_of_a_built_network_is_told_from_what_nobody_can_be_scored_on(
    case: EvaluationSet, measurement: Any, names: set[str]
) -> None:
    made = registered()["integrated-gradients"]
    whole, some = scores(case, made, measurement), scores(case, silenced(made, 0.5), measurement)
    for name in names:
        before, after = (table[names_in(table) == name] for table in (whole, some))
        assert set(before["status"]) == {"ok"}
        assert 0 < (after["status"] == "silent").sum() < len(after)
        assert set(after["status"]) == {"ok", "silent"}


def refusing(made: Explainer, plain: str) -> Explainer:
    """The same explainer, which takes no network but the subject."""

    def maps(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        if subject.digest != plain:
            raise ValueError("a network of another shape")
        return torch.as_tensor(made.maps(subject, images, targets, 0))

    return named("refusing", maps)


@pytest.mark.parametrize(("check", "measurement"), [("tile-ranks", TILES), ("blind", BLIND), ("planted", PLANTED)])
def test_a_refusal_of_a_built_network_is_told_where_it_is_judged(
    case: EvaluationSet, check: str, measurement: Any
) -> None:
    held = scores(case, refusing(registered()["gradient"], case.subject.digest), measurement).assign(explainer="e")
    found = CHECKS[check].judge(CHECKS[check], Evidence(held, frame(MATRICES), CLASSES, 0), "e")[0]
    assert (found.n, found.undefined) == (0, held["image"].nunique())
    assert "a network of another shape" in found.reason


def test_an_explainer_earns_nothing_by_silence_on_a_built_network(case: EvaluationSet) -> None:
    made = named("by-place", by_place)
    for name, measurement in (("tile-ranks", TILES), ("blind", BLIND), ("planted", PLANTED)):
        effects = []
        for one in (made, silenced(made, 0.75)):
            held = scores(case, one, measurement).assign(explainer="e")
            evidence = Evidence(held, frame(MATRICES), CLASSES, 0)
            found = CHECKS[name].judge(CHECKS[name], evidence, "e")[0]
            effects.append((found.n + found.undefined, found.blank, found.effect))
        assert effects[0][0] == effects[1][0]
        assert effects[1][1] > 0
        worst = float(CHECKS[name].at_most)
        assert abs(effects[1][2] - worst) < abs(effects[0][2] - worst) + 0.5


def test_a_map_without_the_plant_may_be_empty(case: EvaluationSet) -> None:
    """What says nothing of the picture alone, and finds the plant, has found it."""
    plain = case.subject.digest

    def only_beyond(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        found = torch.as_tensor(registered()["integrated-gradients"].maps(subject, images, targets, 0))
        return torch.zeros_like(found) if subject.digest == plain else found

    gains = scores(case, named("beyond", only_beyond), PLANTED)
    gains = gains[names_in(gains) == "planted-patch-gain"]
    assert set(gains["status"]) == {"ok"}
    assert gains["value"].mean() > 0
