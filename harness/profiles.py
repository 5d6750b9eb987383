"""How much is measured: from a glance, for networks that are slow here, to a run over every image."""

from dataclasses import dataclass, replace

from harness.errors import UsageError


@dataclass(frozen=True)
class Profile:
    """Sizes of a run.

    Attributes
    ----------
    name
        What the command line calls it.
    per_class
        Images of each predicted class; None takes all.
    steps
        Steps of a removal curve.
    spectrum_draws
        Spectrum nulls an image, where they cost no pass, or one.
    removal_draws
        Those whose removal is walked step by step: each is a curve more.
    cascade_stages
        Most groups of layers that cascading randomisation goes through.
    cascade_per_class
        Images of each class for the stages between the trained and the fully random network.
    random_networks
        Draws of the random network.
    costly_per_class
        Images of each class for what asks the network or an explainer many times an image.
    noisy_copies
        Noisy copies of each of them: every copy is a map more.
    seeds
        Seeds under which an explainer that draws is asked: every one but the first is a map more.
    masks
        Random masks of each size in the bank.
    imputed_steps
        Steps of a removal whose pixels are solved for: each takes longer than the pass that follows it.
    smooth_per_class
        Images of each class for maps averaged over noise, under the trained network and under the random ones.
    cells_per_side
        Rows and columns of cells of the exact game: every coalition of them is asked about.
    cell_grids
        Grids of cells that are averaged, each moved by its share of a cell: all coalitions again.
    cells_per_class
        Images of each class that the game is played on.
    parts_per_class
        Those of them whose cells are played within.
    rivals_per_class
        Those of them for which explainers are asked about the runner-up too.
    built_networks
        Networks of each kind that are built around the subject, a multiple of four.
    built_images
        Images that each of them is asked about.
    controls
        Stand-ins that every run carries, beside those that are known of the faces (mean face, true causes).
    """

    name: str
    per_class: int | None
    steps: int
    spectrum_draws: int
    removal_draws: int
    cascade_stages: int
    cascade_per_class: int
    random_networks: int
    costly_per_class: int
    noisy_copies: int
    seeds: int
    masks: int
    imputed_steps: int
    smooth_per_class: int
    built_networks: int
    built_images: int
    cells_per_side: int = 3
    cell_grids: int = 2
    cells_per_class: int = 10
    parts_per_class: int = 3
    rivals_per_class: int = 5
    controls: tuple[str, ...] = ("random", "edges", "centre")

    @property
    def thorough(self) -> bool:
        """Whether what is shown and decides nothing may have passes of its own: in all profiles but the quick ones."""
        return self.name not in ("glance", "quick")

    def with_per_class(self, per_class: int | None) -> "Profile":
        """Return the profile with another number of images a class; None leaves it as it is."""
        if per_class is not None and not isinstance(per_class, int):
            raise UsageError(f"per_class is {per_class!r}; give a whole number, 1 or more")
        if per_class is not None and per_class < 1:
            raise UsageError(f"--per-class {per_class}: give 1 or more")
        return self if per_class is None else replace(self, per_class=per_class)


EVERY_CONTROL = ("random", "constant", "edges", "intensity", "centre")
GLANCE = Profile(
    "glance",
    per_class=20,
    steps=6,
    spectrum_draws=1,
    removal_draws=1,
    cascade_stages=2,
    cascade_per_class=2,
    random_networks=1,
    costly_per_class=2,
    smooth_per_class=1,
    noisy_copies=1,
    seeds=2,
    masks=8,
    imputed_steps=3,
    built_networks=4,
    built_images=4,  # 16 in all: an exact sign-flip test can pass among seven rungs from 12 on
    cells_per_side=2,  # 96 passes an image on both grids, and 708 within cells: of quick's, a thirtieth and a half
    cells_per_class=20,
    parts_per_class=3,
)
QUICK = Profile(
    "quick",
    per_class=20,  # 14 at least: below that no sign-flip p reaches a class's share of alpha
    steps=10,
    spectrum_draws=2,
    removal_draws=1,
    cascade_stages=4,
    cascade_per_class=3,
    random_networks=1,
    costly_per_class=3,
    smooth_per_class=2,
    noisy_copies=2,
    seeds=2,
    masks=32,  # of each of four sizes: 128 passes an image, which serve every explainer
    imputed_steps=5,
    built_networks=4,
    built_images=6,  # 24 in all: twice the least for which an exact sign-flip test can pass among seven rungs
    cells_per_class=20,  # 3,072 passes an image; below 14 no class is decided, whatever it shows
    parts_per_class=3,
)
STANDARD = Profile(
    "standard",
    per_class=60,
    steps=32,
    spectrum_draws=4,
    removal_draws=4,
    cascade_stages=8,
    cascade_per_class=10,
    random_networks=2,
    costly_per_class=10,
    smooth_per_class=5,
    noisy_copies=4,
    seeds=3,
    masks=64,
    imputed_steps=10,
    cells_per_class=30,
    parts_per_class=10,
    rivals_per_class=15,
    built_networks=4,
    built_images=7,
    controls=EVERY_CONTROL,
)
FULL = Profile(
    "full",
    per_class=None,
    steps=64,
    spectrum_draws=8,
    removal_draws=8,
    cascade_stages=16,
    cascade_per_class=20,
    random_networks=5,
    costly_per_class=20,
    smooth_per_class=10,
    noisy_copies=8,
    seeds=5,
    masks=128,
    imputed_steps=20,
    cells_per_class=60,
    parts_per_class=20,
    rivals_per_class=30,
    built_networks=8,
    built_images=9,
    controls=EVERY_CONTROL,
)
PROFILES = {profile.name: profile for profile in (GLANCE, QUICK, STANDARD, FULL)}
