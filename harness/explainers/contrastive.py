"""Why the target rather than its rival: the other class whose logit is highest for the image at hand."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.explainers._passes import input_gradients
from harness.explainers.base import explainer
from harness.explainers.cam import enlarged, layer_and_gradients
from harness.explainers.gradient import integrated_gradients
from harness.explainers.relevance import lrp_epsilon
from harness.subject import Subject


@explainer(name="contrastive-gradient", family="gradient", reference="Gu et al. 2018", cost="2 backward, shared")
def contrastive_gradient(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return the gradient of the target logit less that of its rival's, signed, summed over channels."""
    return _gradient_of_lead(subject, images, targets).sum(1)


@explainer(
    name="contrastive-input-x-gradient", family="gradient", reference="Gu et al. 2018", cost="2 backward, shared"
)
def contrastive_input_x_gradient(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return the image times the gradient of the target logit's lead over its rival's, signed, summed over channels."""
    return (images * _gradient_of_lead(subject, images, targets)).sum(1)


@explainer(name="contrastive-integrated-gradients", family="gradient", reference="Gu et al. 2018", cost="64 backward")
def contrastive_integrated_gradients(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"], *, steps: int = 32
) -> Float[Tensor, "n h w"]:
    """Return integrated gradients of the target logit less those of its rival's, signed.

    Parameters
    ----------
    steps
        Points of the quadrature.
    """
    own: Tensor = integrated_gradients(subject, images, targets, steps=steps)
    others: Tensor = integrated_gradients(subject, images, rivals(subject, images, targets), steps=steps)
    return own - others


@explainer(name="contrastive-grad-cam", family="cam", reference="Prabhushankar et al. 2020", cost="2 backward, shared")
def contrastive_grad_cam(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return Grad-CAM of the target logit's lead over its rival's, never negative."""
    maps, gradients = layer_and_gradients(subject, images, targets)
    lead = gradients - layer_and_gradients(subject, images, rivals(subject, images, targets))[1]
    return enlarged((lead.mean((2, 3), keepdim=True) * maps).sum(1).relu(), images)


@explainer(name="contrastive-lrp", family="backprop", reference="Gu et al. 2018", cost="2 backward")
def contrastive_lrp(
    subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Return relevance for the target less relevance for its rival, under the epsilon rule, signed.

    Raises
    ------
    UsageError
        Where the network runs a function that has no rule.
    """
    own: Tensor = lrp_epsilon(subject, images, targets)
    others: Tensor = lrp_epsilon(subject, images, rivals(subject, images, targets))
    return own - others


def rivals(subject: Subject, images: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Return for each image the class of the highest logit beside its target."""
    logits = subject.logits(images)
    return logits.scatter(1, targets.to(logits.device)[:, None], -torch.inf).argmax(1)


def _gradient_of_lead(subject: Subject, images: Tensor, targets: Tensor) -> Float[Tensor, "n c h w"]:
    """Return the gradient of the target logit less that of the rival's."""
    against = input_gradients(subject, images, rivals(subject, images, targets))
    return input_gradients(subject, images, targets) - against
