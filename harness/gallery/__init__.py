"""The gallery: the figures of a classic report on an expression network, and what measurement says of their reading.

Everything is computed and stored first (``gallery.npz``, ``filters.parquet``, ``gallery.json`` and a run); reports draw
from what is stored.
"""

from harness.gallery.asked import EXPLAINERS, Gallery
from harness.gallery.choosing import random_right, surest_right
from harness.gallery.filling import fill
from harness.gallery.layers import Layers, activation_after, activation_layers, convolution_layers, filter_outputs
from harness.gallery.maximisation import Ascent, Maximised, maximise
from harness.gallery.outcomes import Outcome, differs_from_random, exceeds_faces, picture_similarity
from harness.gallery.regions import speaking_regions

__all__ = [
    "EXPLAINERS",
    "Ascent",
    "Gallery",
    "Layers",
    "Maximised",
    "Outcome",
    "activation_after",
    "activation_layers",
    "convolution_layers",
    "differs_from_random",
    "exceeds_faces",
    "fill",
    "filter_outputs",
    "maximise",
    "picture_similarity",
    "random_right",
    "speaking_regions",
    "surest_right",
]
