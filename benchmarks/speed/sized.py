"""One run on larger pictures: rendered faces and `faces-cnn`, both stretched to a side.

    python -m benchmarks.speed.sized 96

The convolutions take as many times the pixels; what leaves them is averaged to the places that the dense layers know.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from harness import evaluate
from harness.faces.loading import load_faces
from harness.models.loading import load_subject
from harness.subject import InputSpec

EXPLAINERS = ("gradient", "integrated-gradients")
PICTURES = 7
"""How many are judged, whatever they are taken for: a stretched network takes them for other classes."""


def stretched(side: int) -> nn.Module:
    """Return `faces-cnn` for pictures of another side, a multiple of 48."""
    network = load_subject("faces-cnn").network
    places = load_subject("faces-cnn").spec.height // 8
    network.flatten = nn.Sequential(nn.AdaptiveAvgPool2d(places), nn.Flatten())
    return network


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge two explainers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("side", type=int, help="height and width of a picture, a multiple of 48")
    side = parser.parse_args(arguments).side
    torch.set_num_threads(1)
    faces = load_faces("rendered")
    pictures = torch.from_numpy(faces.images[:PICTURES, None]).float()
    larger = interpolate(pictures, size=(side, side), mode="bilinear")[:, 0].round().byte().numpy()
    run = evaluate(
        stretched(side),
        np.asarray(larger),
        classes=load_subject("faces-cnn").classes,
        spec=InputSpec(side, side),
        explainers=EXPLAINERS,
        profile="glance",
        feed="channels-last:16",
    )
    if run.scores["image"].nunique() != PICTURES:
        raise SystemExit(f"{run.scores['image'].nunique()} pictures were judged, not {PICTURES}")


if __name__ == "__main__":
    main()
