"""An evaluation from request to stored run; one visible loop."""

from harness.evaluation.loop import evaluate, examine, prepared
from harness.evaluation.notes import noted
from harness.evaluation.provenance import PACKAGES
from harness.evaluation.recognition import answers
from harness.evaluation.request import Request
from harness.evaluation.runner import Runner
from harness.evaluation.team import hands_for

__all__ = ["PACKAGES", "Request", "Runner", "answers", "evaluate", "examine", "hands_for", "noted", "prepared"]
