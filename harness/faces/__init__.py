"""Pictures of faces and all that is known about them."""

from harness.faces.faceset import EXPRESSIONS, Counterfactuals, FaceSet, balanced_choice

__all__ = ["EXPRESSIONS", "Counterfactuals", "FaceSet", "balanced_choice"]
