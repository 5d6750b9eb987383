"""What the network says of pictures about the class that is explained for them."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.evaluation_set import EvaluationSet


def target_logits(case: EvaluationSet, images: Float[Tensor, "n c h w"]) -> Float[np.ndarray, " n"]:
    """Return the logit of each image's target for the image, or a picture, that stands in its place."""
    return class_logits(case, images, case.targets)


def class_logits(
    case: EvaluationSet, images: Float[Tensor, "n c h w"], classes: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Return the logit of one class an image."""
    logits = case.subject.logits(images)
    chosen = torch.from_numpy(classes).to(logits.device)
    return logits.gather(1, chosen[:, None])[:, 0].double().cpu().numpy()
