"""A conformance suite for explanations of image classifiers."""

from harness.explainers.base import explainer
from harness.faces.faceset import FaceSet
from harness.subject import InputSpec, Subject

__all__ = ["FaceSet", "InputSpec", "Subject", "explainer"]
__version__ = "0.1.0"
