"""Judging explainers by networks that are trained anew: ROAR, KAR and IDSDS.

They say nothing of one given network alone, which is what a run judges, so no check rests on them.
"""

from harness.retraining.deletions import Deletions, deleted_one, deletions, idsds
from harness.retraining.learning import Learner, Learning, adapted, learnt
from harness.retraining.removal import Explained, Right, Trial, kept_alone, mask_alone, right_after, roar, without

__all__ = [
    "Deletions",
    "Explained",
    "Learner",
    "Learning",
    "Right",
    "Trial",
    "adapted",
    "deleted_one",
    "deletions",
    "idsds",
    "kept_alone",
    "learnt",
    "mask_alone",
    "right_after",
    "roar",
    "without",
]
