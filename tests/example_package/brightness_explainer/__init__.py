"""An explainer that takes brightness for relevance: right where bright pixels matter, and blind to the network."""

from harness import explainer


@explainer(name="brightness", reference="this example", cost="none", target_free=True)
def brightness(subject, images, targets):
    """Return each pixel's value over the mean of its picture, (n, h, w), whatever the network does with it."""
    values = images.mean(1)
    return values - values.mean((1, 2), keepdim=True)
