"""Ways of explaining a prediction, one file a family."""

from harness.explainers import (
    attention,
    backprop,
    cam,
    cells,
    contrastive,
    controls,
    deeplift,
    gradient,
    layers,
    legrad,
    noise,
    paths,
    perturbation,
    regions,
    relevance,
    surrogate,
)
from harness.explainers.base import Explainer, Facts, explainer, register, registered, wrapped
from harness.explainers.controls import mean_face

__all__ = [
    "Explainer",
    "Facts",
    "attention",
    "backprop",
    "cam",
    "cells",
    "contrastive",
    "controls",
    "deeplift",
    "explainer",
    "gradient",
    "layers",
    "legrad",
    "mean_face",
    "noise",
    "paths",
    "perturbation",
    "regions",
    "register",
    "registered",
    "relevance",
    "surrogate",
    "wrapped",
]
