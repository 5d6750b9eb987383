"""Training the bundled architecture on anyone's faces.

Convolutions are trained with batch normalisation behind them, and dense layers with dropout before them. Both are gone
from what is returned: the normalisation is folded into the convolutions, so that the network under explanation is
convolutions, leaky ReLUs, max-pooling and dense layers alone.
"""

import copy
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from harness.errors import UsageError
from harness.faces.faceset import FaceSet
from harness.models.faces_cnn import FacesCNN
from harness.subject import InputSpec, Subject

TRAINED_SPEC = InputSpec(48, 48, (0.5,), (0.5,))
"""What trained networks read: grey 48x48, pixel / 127.5 - 1; pictures of another size are resized."""

CAM_LAYER = "act4"

_CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4")
_BATCH = 64
_PEAK_RATE = 4e-3


@dataclass(frozen=True)
class Held:
    """How well a network does on the faces that it was not trained on.

    Attributes
    ----------
    ids
        The held-out faces, by their ids in the face set.
    confusion
        Counts by true class (rows) and predicted class (columns), (k, k).
    """

    ids: Int[np.ndarray, " n"]
    confusion: Int[np.ndarray, "k k"]

    @property
    def accuracy(self) -> float:
        """Share of faces that are classified right."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def recall(self) -> Float[np.ndarray, " k"]:
        """Share of each class's faces that are classified right; NaN for a class without held-out faces."""
        n = self.confusion.sum(1)
        recall: np.ndarray = np.divide(np.diag(self.confusion), n, out=np.full(len(n), np.nan), where=n > 0)
        return recall


@dataclass(frozen=True)
class TrainedNetwork:
    """A network trained on a face set.

    Attributes
    ----------
    network
        The weights, normalisation folded in.
    classes
        Names of its classes.
    held
        Its figures on the faces held out. The epoch was chosen by the same faces, so they flatter a little: judge on
        a split of its own.
    epoch, ran
        The epoch whose weights were kept, from 1, and how many ran.
    """

    network: FacesCNN
    classes: tuple[str, ...]
    held: Held
    epoch: int
    ran: int

    def subject(self, name: str = "trained", device: torch.device | str = "cpu") -> Subject:
        """Return the network as a subject."""
        return _subject(self.network, name, self.classes, device)

    def save(self, path: Path) -> None:
        """Write the weights with the classes and the input as metadata, whole or not at all.

        Raises
        ------
        UsageError
            Where the name does not end in ``.safetensors``, or the folder does not exist.
        """
        writable(path)
        metadata = {
            "architecture": "FacesCNN",
            "classes": json.dumps(self.classes),
            "size": json.dumps(TRAINED_SPEC.height),
            "mean": json.dumps(TRAINED_SPEC.mean),
            "std": json.dumps(TRAINED_SPEC.std),
            "held_out_accuracy": json.dumps(self.held.accuracy),
        }
        partial = path.with_name(path.name + ".partial")
        save_file(self.network.state_dict(), partial, metadata)
        partial.replace(path)


def writable(path: Path) -> None:
    """Refuse a place where weights cannot be written, before anything is trained for it.

    Raises
    ------
    UsageError
        Where the name does not end in ``.safetensors``, or the folder does not exist.
    """
    if path.suffix != ".safetensors" or not path.parent.is_dir():
        raise UsageError(f"cannot write {path}; name a file ending in .safetensors in a folder that exists")


def load_trained(path: Path, device: torch.device | str = "cpu") -> Subject:
    """Return a network that :meth:`TrainedNetwork.save` wrote.

    Raises
    ------
    UsageError
        Where the file is no safetensors, or holds weights of something else.
    """
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no plain file; give the weights that harness train wrote")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no mapping
        classes = tuple(json.loads(metadata["classes"]))
        size, mean, std = (json.loads(metadata[key]) for key in ("size", "mean", "std"))
        with torch.device("meta"):  # it takes no memory, however large a network the file claims
            network = FacesCNN(len(classes), len(mean), size)
        network.load_state_dict({key: value.float() for key, value in weights.items()}, assign=True)
    except UsageError:
        raise
    except Exception as error:  # damaged bytes make a reader stumble over anything
        what = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{path} was not written by harness train ({what}); give other weights with the function that makes "
            f"their network: file.py:factory@{path.name}"
        ) from error
    return _subject(network, path.stem, classes, device, InputSpec(size, size, tuple(mean), tuple(std)))


def train(
    faces: FaceSet,
    *,
    seed: int,
    epochs: int = 30,
    device: torch.device | str = "cpu",
    held_share: float = 0.15,
    patience: int = 10,
) -> TrainedNetwork:
    """Train the bundled architecture on labelled faces, and tell how well it does on faces held out.

    Faces are mirrored, turned, scaled, shifted and relit at random; rare classes weigh more, by the square root of
    how much rarer they are. The weights kept are those of the epoch with the best mean recall on the faces held out.

    Parameters
    ----------
    faces
        Labelled faces; colour is turned into grey, another size into 48x48.
    seed
        Of everything random: the split, the initial weights, order, dropout and augmentation.
    epochs
        Most epochs.
    device
        Where to train; the result is on the CPU.
    held_share
        Share of the faces held out: whole people where people are known, else as many of each class.
    patience
        Training stops early after so many epochs without a better mean recall.

    Raises
    ------
    UsageError
        Where the faces have no labels, are of one class alone, or are too few to hold any out.
    """
    if epochs < 1:
        raise UsageError(f"cannot train for {epochs} epochs; give 1 or more")
    if faces.labels is None:
        raise UsageError(f"image set {faces.name!r} has no labels to learn; give a labelled set")
    held = held_out(faces, held_share, seed)
    chosen, rest = faces.take(np.flatnonzero(held)), faces.take(np.flatnonzero(~held))
    if not len(np.unique(_labels(rest))) > 1:
        raise UsageError(f"image set {faces.name!r} has one class alone to learn; give images of two or more")
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        return _fitted(rest, chosen, epochs, patience, torch.device(device))


def resized(faces: FaceSet) -> tuple[str, ...]:
    """Say what becomes of pictures that are not as the network reads them."""
    height, width, *colours = faces.images.shape[1:]
    told = f"{width} x {height}" + (" and in colour" if colours else "")
    wanted = f"{TRAINED_SPEC.width} x {TRAINED_SPEC.height}"
    return (f"pictures are {told}; they are made grey, {wanted}",) if told != wanted else ()


def held_out(faces: FaceSet, share: float, seed: int) -> np.ndarray:
    """Return which faces, (n,) of bool, are kept from training: whole people where known, else a share of each class.

    Raises
    ------
    UsageError
        Where there are too few people, or too few faces of every class.
    """
    labels = _labels(faces)
    rng = np.random.default_rng(seed)
    if faces.persons is not None and len(np.unique(faces.persons)) > 1:
        people = rng.permutation(np.unique(faces.persons))
        count = min(max(1, round(share * len(people))), len(people) - 1)
        return np.isin(faces.persons, people[:count])
    held = np.zeros(len(faces), bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) > 1:
            held[members[: max(1, round(share * len(members)))]] = True
    if not held.any():
        raise UsageError(f"image set {faces.name!r} has one image a class, too few to hold any out; give more")
    return held


class _TrainedForm(nn.Module):
    """The architecture as it is trained."""

    def __init__(self, classes: int, dropout: float = 0.4) -> None:
        super().__init__()
        self.core = FacesCNN(classes, TRAINED_SPEC.channels, TRAINED_SPEC.height)
        widths = {name: getattr(self.core, name).out_channels for name in _CONVOLUTIONS}
        self.norms = nn.ModuleDict({name: nn.BatchNorm2d(width) for name, width in widths.items()})
        self.dropouts = nn.ModuleDict({"fc1": nn.Dropout(dropout), "fc2": nn.Dropout(dropout / 2)})

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Run the core's layers in their order, each with its normalisation or dropout."""
        for name, layer in self.core.named_children():
            x = layer(self.dropouts[name](x) if name in self.dropouts else x)
            x = self.norms[name](x) if name in self.norms else x
        return x

    @torch.no_grad()
    def folded(self) -> FacesCNN:
        """Return the network without normalisation that computes what this one does in evaluation."""
        network = copy.deepcopy(self.core)
        for name in _CONVOLUTIONS:
            convolution, norm = getattr(network, name), getattr(self.norms, name)
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            convolution.weight.mul_(scale[:, None, None, None])
            convolution.bias.sub_(norm.running_mean).mul_(scale).add_(norm.bias)
        return network.cpu().eval()


def _fitted(faces: FaceSet, held: FaceSet, epochs: int, patience: int, device: torch.device) -> TrainedNetwork:
    """Train until the mean recall on `held` has not risen for `patience` epochs, and keep the best epoch."""
    network = _TrainedForm(len(faces.classes)).to(device)
    steps = max(len(faces) // _BATCH, 1)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, epochs * steps)
    weights = class_weights(_labels(faces), len(faces.classes)).to(device)
    best: TrainedNetwork | None = None
    best_recall = -math.inf
    progress = tqdm(range(1, epochs + 1), desc="train", unit="epoch", disable=None)
    for epoch in progress:
        network.train()
        for images, labels in _batches(faces, device):
            loss = functional.cross_entropy(network(images), labels, weights, label_smoothing=0.05)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
        figures = Held(held.ids, _confusion(network.eval(), held, device))
        recall = float(np.nanmean(figures.recall))
        progress.set_postfix(recall=f"{recall:.3f}", best=f"{max(recall, best_recall):.3f}")
        if recall > best_recall:
            best, best_recall = TrainedNetwork(network.folded(), faces.classes, figures, epoch, epoch), recall
        elif best is not None and epoch - best.epoch >= patience:
            break
    progress.close()
    assert best is not None  # the first epoch's recall is more than -inf: the held-out faces are of some class
    return replace(best, ran=epoch)


def class_weights(labels: Int[np.ndarray, " n"], classes: int) -> Float[Tensor, " k"]:
    """Return the weight of each class in the loss: the root of how much rarer than the average it is; 0 if absent.

    Examples
    --------
    >>> class_weights(np.array([0, 0, 0, 0, 1]), 3)
    tensor([0.6455, 1.2910, 0.0000])
    """
    counts = torch.from_numpy(np.bincount(labels, minlength=classes)).float()
    weights = torch.sqrt(counts.sum() / (classes * counts))
    return torch.where(counts > 0, weights, torch.zeros(()))


def _batches(faces: FaceSet, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the faces in random order and changed at random; the last few that fill no batch are left out."""
    labels = torch.from_numpy(_labels(faces))
    size = min(_BATCH, len(faces))
    order = torch.randperm(len(faces))
    for start in range(0, len(faces) - size + 1, size):
        chosen = order[start : start + size]
        images = TRAINED_SPEC.prepare(faces.images[chosen.numpy()])
        yield _changed(images).to(device), labels[chosen].to(device)


def _changed(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Mirror, turn (7 degrees), scale, shift (8 %) and relight pictures at random."""

    def spread(width: float, *shape: int) -> Tensor:
        return (torch.rand(len(images), *shape) - 0.5) * width

    angle, size, shift = spread(0.25), 1 + spread(0.16), spread(0.16, 2)
    mirror = torch.where(spread(1.0) < 0, -1.0, 1.0)
    across = torch.stack([mirror * size * angle.cos(), -size * angle.sin(), shift[:, 0]], dim=1)
    down = torch.stack([mirror * size * angle.sin(), size * angle.cos(), shift[:, 1]], dim=1)
    grid = functional.affine_grid(torch.stack([across, down], dim=1), list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return (moved * (1 + spread(0.7, 1, 1, 1)) + spread(0.5, 1, 1, 1)).clamp(-1, 1)


@torch.no_grad()
def _confusion(network: nn.Module, faces: FaceSet, device: torch.device) -> Int[np.ndarray, "k k"]:
    """Count faces by true and predicted class."""
    parts = (TRAINED_SPEC.prepare(faces.images[start : start + _BATCH]) for start in range(0, len(faces), _BATCH))
    predicted = torch.cat([network(part.to(device)).argmax(1).cpu() for part in parts]).numpy()
    k = len(faces.classes)
    return np.bincount(_labels(faces) * k + predicted, minlength=k * k).reshape(k, k)


def _subject(
    network: FacesCNN,
    name: str,
    classes: Sequence[str],
    device: torch.device | str,
    spec: InputSpec = TRAINED_SPEC,
) -> Subject:
    """Return a trained network as a subject."""
    return Subject(network, name=name, classes=classes, spec=spec, cam_layer=CAM_LAYER, device=device)


def _labels(faces: FaceSet) -> Int[np.ndarray, " n"]:
    """Return the labels of faces that are known to have them."""
    assert faces.labels is not None
    return faces.labels
