"""A conformance suite for explanations of image classifiers."""

import harness.waiting  # noqa: F401  # first: it has to come before torch is loaded
from harness.explainers.base import explainer
from harness.faces.faceset import FaceSet
from harness.subject import InputSpec, Subject

__all__ = ["FaceSet", "InputSpec", "Subject", "explainer"]
__version__ = "0.1.0"
