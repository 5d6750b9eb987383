"""What the network says of pictures about the class that is explained for them."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from harness.evaluation_set import EvaluationSet


def target_logits(case: EvaluationSet, images: Float[Tensor, "n c h w"]) -> Float[np.ndarray, " n"]:
    """Return the logit of each image's target for the image, or a picture, that stands in its place."""
    logits = case.subject.logits(images)
    targets = torch.from_numpy(case.targets).to(logits.device)
    return logits.gather(1, targets[:, None])[:, 0].double().cpu().numpy()
