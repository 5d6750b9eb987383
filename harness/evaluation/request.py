"""What is asked of an evaluation, and what has to be measured for it."""

from dataclasses import dataclass, replace

import torch

from harness.arithmetic import AUTO
from harness.checks import Check
from harness.checks.asked import unmeasured
from harness.errors import UsageError
from harness.explainers import Explainer, registered
from harness.faces.faceset import FaceSet
from harness.measurements import (
    Agreement,
    Blind,
    Cells,
    CellsByClass,
    ClassSimilarity,
    Coherency,
    Completeness,
    Complexity,
    EvidenceLocalization,
    Focus,
    Information,
    Invariance,
    LabelRandomization,
    MaskBank,
    Masked,
    Measurement,
    MinimalSubset,
    OwnMetric,
    ParameterRandomization,
    PartChecks,
    Parts,
    PartTargets,
    Planted,
    RandomizationOrders,
    Regions,
    Removal,
    Road,
    Robustness,
    Seeds,
    SinglePatches,
    SmallChanges,
    SmoothRandomization,
    Soundness,
    TargetDependence,
    Tiles,
    TurnBack,
)
from harness.metrics.cards import MetricCard
from harness.perturbation import BlurFill, MeanFill, NoisyLinearFill, PictureFill
from harness.profiles import Profile
from harness.subject import Subject
from harness.subject.channels import channel_ranges
from harness.truth import games_of
from harness.truth.images import Games


@dataclass(frozen=True)
class Request:
    """What is to be evaluated, and how thoroughly.

    Attributes
    ----------
    subject, faces, explainers, checks, profile, seed
        As asked for.
    everything
        Whether metrics are measured that no check is judged by.
    random_labels
        The subject's architecture trained on permuted labels, or None where no such network is known.
    feed
        How images are handed to the network, as :func:`harness.arithmetic.settle_feed` takes it.
    time_limit
        Most seconds of one call of an explainer, metric or check of somebody else; None for generous ones beside the
        pace of network and others.
    memory_limit
        Most GiB that such a call may take; None for most of what the machine has free.
    metrics
        Metrics of somebody else, which are measured whatever the checks need.
    """

    subject: Subject
    faces: FaceSet
    explainers: tuple[Explainer, ...]
    checks: tuple[Check, ...]
    profile: Profile
    seed: int = 0
    everything: bool = False
    random_labels: Subject | None = None
    feed: str = AUTO
    metrics: tuple[MetricCard, ...] = ()
    time_limit: float | None = None
    memory_limit: float | None = None

    def with_controls(self) -> "Request":
        """Return the request with the controls that it lacks."""
        held = {explainer.name for explainer in self.explainers}
        missing = tuple(registered()[name] for name in self.profile.controls if name not in held)
        return replace(self, explainers=self.explainers + missing)

    def measurements(self) -> tuple[Measurement, ...]:
        """Return the measurements that the checks need, or all of them where everything is to be measured.

        Raises
        ------
        UsageError
            Where a check needs one that does not exist: it would otherwise seem not to apply.
        """
        known = self.known_measurements()
        for check in self.checks:
            line = unmeasured(check, [each.name for each in known])
            if line:
                raise UsageError(line)
        needs = frozenset[str]().union(*(check.needs for check in self.checks))
        return tuple(each for each in known if self.everything or each.name in needs or isinstance(each, OwnMetric))

    def known_measurements(self) -> tuple[Measurement, ...]:
        """Return every measurement that the profile affords, and those of somebody else's metrics."""
        size = self.profile
        imputed = NoisyLinearFill(tuple(0.01 * reach for reach in channel_ranges(self.subject.spec)))
        some, games = size.costly_per_class, self.games()
        return (
            Removal(BlurFill(), size.steps, size.removal_draws),
            # One null of other fills: they are compared over all images, never judged one by one.
            Removal(MeanFill(), -(-size.steps // 2), 1, "mean", some),
            Removal(imputed, size.imputed_steps, 1, "noisy-linear", some),
            Road(imputed, size.imputed_steps, 1),
            ParameterRandomization(size.cascade_stages, size.random_networks, size.cascade_per_class),
            RandomizationOrders(size.cascade_stages, size.random_networks, size.cascade_per_class),
            SmoothRandomization(size.cascade_stages, size.random_networks, size.smooth_per_class, size.noisy_copies),
            LabelRandomization(self.random_labels, size.costly_per_class),
            TargetDependence(BlurFill(), size.steps, size.costly_per_class),
            TurnBack(BlurFill(), size.spectrum_draws, size.costly_per_class),
            ClassSimilarity(),
            Robustness(size.costly_per_class, size.noisy_copies),
            Seeds(size.costly_per_class, size.seeds),
            Agreement(),
            Focus(size.costly_per_class, size.spectrum_draws),
            Invariance(size.costly_per_class),
            EvidenceLocalization(size.spectrum_draws),
            Parts(size.spectrum_draws),
            MaskBank(BlurFill(), size.masks, size.spectrum_draws),
            SinglePatches(BlurFill(), size.spectrum_draws),
            Tiles(size.built_networks, size.built_images),
            Blind(size.built_networks, size.built_images),
            Planted(size.built_networks, size.built_images),
            Completeness(),
            SmallChanges(games),
            Complexity(size.spectrum_draws),
            Cells(games, size.spectrum_draws),
            CellsByClass(games, size.rivals_per_class),
            MinimalSubset(games, size.spectrum_draws),
            *self._shown(imputed),
            *(OwnMetric.of(card, size.spectrum_draws) for card in self.metrics),
        )

    def _shown(self, imputed: NoisyLinearFill) -> tuple[Measurement, ...]:
        """Return what is shown beside, decides nothing and has passes of its own: left out where time is short."""
        size = self.profile
        if not size.thorough:
            return ()
        some = size.costly_per_class
        return (
            Regions(BlurFill(), size.steps, 1, some),
            Masked(size.spectrum_draws),
            Coherency(some),
            Information(some),
            Soundness(imputed, size.imputed_steps, some),
            PartChecks(size.spectrum_draws),
            PartTargets(some),
        )

    def games(self) -> Games:
        """Return the exact games that the profile affords, under three fills that leave different things behind.

        A mean keeps brightness, a blur keeps light and outline, the mean of all faces keeps what aligned faces have in
        common. A blur of an eighth of the side, because at a tenth a feature still shows that a cell takes away.
        """
        size, pictures = self.profile, self.subject.prepare(self.faces.images)
        mean_face = PictureFill(pictures.mean(dim=0, dtype=torch.float64).to(pictures.dtype))
        fills = (("mean", MeanFill()), ("blur", BlurFill(1 / 8)), ("mean-face", mean_face))
        played = games_of(size.cells_per_side, size.cell_grids, fills)
        return Games(played, size.cells_per_class, size.parts_per_class)


def has_evidence(check: Check, faces: FaceSet) -> bool:
    """Whether the faces have what the check needs to know; one that does not mean anything is not made by default."""
    known = {*faces.evidence, *(["counterfactuals"] if faces.counterfactuals is not None else [])}
    return not check.evidence or check.evidence in known
