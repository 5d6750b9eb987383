"""What a network's layers look for and what they give: computed here, drawn from what is stored (``report/``)."""

from harness.visualization.choosing import random_right, surest_right
from harness.visualization.layers import Layers, activation_after, activation_layers, convolution_layers, filter_outputs
from harness.visualization.maximisation import Ascent, Maximised, maximise
from harness.visualization.outcomes import Outcome, differs_from_random, exceeds_faces, picture_similarity
from harness.visualization.regions import speaking_regions

__all__ = [
    "Ascent",
    "Layers",
    "Maximised",
    "Outcome",
    "activation_after",
    "activation_layers",
    "convolution_layers",
    "differs_from_random",
    "exceeds_faces",
    "filter_outputs",
    "maximise",
    "picture_similarity",
    "random_right",
    "speaking_regions",
    "surest_right",
]
