"""The exact game: what the network answers to every coalition of cells of a picture, and what follows from it."""

from harness.truth.cells import Grid, cell_sums, pairs_of, pairs_within, parts_of
from harness.truth.games import (
    ExactGames,
    Game,
    Shared,
    coalition_answers,
    filled_pictures,
    games_of,
    picture_game,
    worths,
)
from harness.truth.maps import true_maps
from harness.truth.values import (
    Estimate,
    banzhaf_interactions,
    banzhaf_values,
    coalitions,
    sampled_shapley,
    shapley_interactions,
    shapley_values,
)

__all__ = [
    "Estimate",
    "ExactGames",
    "Game",
    "Grid",
    "Shared",
    "banzhaf_interactions",
    "banzhaf_values",
    "cell_sums",
    "coalition_answers",
    "coalitions",
    "filled_pictures",
    "games_of",
    "pairs_of",
    "pairs_within",
    "parts_of",
    "picture_game",
    "sampled_shapley",
    "shapley_interactions",
    "shapley_values",
    "true_maps",
    "worths",
]
