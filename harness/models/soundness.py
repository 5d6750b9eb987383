"""Whether a network can be explained at all, found out before any explainer is blamed for what the network does.

A network is asked for the same images twice, alone and among others, and for gradients. What differs between two such
answers is rounding or a fault of the network, and precision tells which: rounding shrinks with it, a fault stays.
"""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.digest import digest
from harness.errors import UsageError
from harness.faces.faceset import FaceSet
from harness.importing import reason
from harness.rounding import rounding
from harness.subject import Subject, copied

IMAGES = 6
"""Images asked for: evenly spread over the set, and as many of noise."""

_ROUNDING = 2.0**-26
"""Share of its largest logit by which answers in double precision may differ and still be rounding.

It is half of double's 52 bits: sums in another order lose some bits, a badly conditioned network more, and one that
loses half of them would have no bit left in single precision. Dropout or batch statistics move answers as much in
double as in single precision: by per cents.
"""

_sound: WeakKeyDictionary[Subject, dict[tuple[str, bool], tuple[str, ...]]] = WeakKeyDictionary()


def sound_network(subject: Subject, faces: FaceSet, *, gradients: bool = True) -> tuple[str, ...]:
    """Check a network, once for each face set, and return what a reader of results should know of it.

    Its passes are not counted.

    Parameters
    ----------
    subject
        The network.
    faces
        Some of whose pictures it is asked about.
    gradients
        Whether gradients will be asked for.

    Raises
    ------
    UsageError
        Naming what is wrong, and how to mend it: one class alone, weights or answers that are not finite, another
        precision than single, an answer that differs from one time to the next, with the images beside or where
        gradients are asked for, one answer to every image, probabilities instead of logits, an input changed in place,
        a buffer changed by being asked, or no gradient at the input; and pictures of 0 and 1 alone.
    """
    if faces.images.max() <= 1:
        raise UsageError(
            f"images {faces.name!r} have no pixel above 1 of 255, which is black; multiply by 255 what is 0 to 1"
        )
    known = _sound.setdefault(subject, {})
    asked = (faces.digest, gradients)
    if asked not in known:
        known[asked] = _examined(subject, _images(subject, faces), gradients)
    return known[asked]


def _examined(subject: Subject, images: Float[Tensor, "n c h w"], gradients: bool) -> tuple[str, ...]:
    """Put one question after another to the network."""
    if len(subject.classes) == 1:
        raise UsageError(
            f"subject {subject.name!r} has one class alone, whose probability is 1 whatever the picture; give it a "
            "second logit, of what is not the class: zero, where the first is that of a sigmoid"
        )
    _check_weights(subject)
    _check_precision(subject, images)
    logits = _answer(subject, subject.network, images)
    _check_input(subject, images)
    if len(images) > 1 and bool((logits == logits[:1]).all()):
        raise UsageError(
            f"subject {subject.name!r} answers {len(images)} different images alike; check its weights, and the mean "
            "and std of its InputSpec"
        )
    _check_repetition(subject, images, logits)
    if gradients:
        _check_gradient(subject, images, logits)
    _check_company(subject, images, logits)
    _check_state(subject, images)
    return _check_outputs(subject, logits)


def _images(subject: Subject, faces: FaceSet) -> Float[Tensor, "n c h w"]:
    """Return some of the pictures, and noise over the range of the input, which no two answers should be alike on."""
    places = np.unique(np.linspace(0, len(faces) - 1, IMAGES).astype(int))
    pictures = subject.prepare(faces.images[places])
    drawn = torch.rand(IMAGES, *pictures.shape[1:], generator=torch.Generator().manual_seed(0))
    noise = subject.spec.low + (subject.spec.high - subject.spec.low) * drawn
    return torch.cat([pictures, noise.to(pictures)])


def _answer(subject: Subject, network: nn.Module, images: Tensor, *, deriving: bool = False) -> Float[Tensor, "n k"]:
    """Return the network's logits; `deriving` asks as for gradients."""
    try:
        with torch.set_grad_enabled(deriving):
            logits: Tensor = network(images.clone().requires_grad_(deriving))
    except Exception as error:  # whatever a user's network raises
        count = f"{len(images)} images at once" if len(images) > 1 else "an image alone"
        raise UsageError(
            f"subject {subject.name!r} does not run on {count} ({reason(error)}); it has to take any number of images, "
            "each answered by itself"
        ) from error
    if logits.shape != (len(images), len(subject.classes)):
        raise UsageError(
            f"subject {subject.name!r} returns {tuple(logits.shape)} for {len(images)} images; give one row of "
            f"{len(subject.classes)} logits an image"
        )
    if not bool(torch.isfinite(logits).all()):
        raise UsageError(f"subject {subject.name!r} answers NaN or infinity; check its weights and its input's units")
    return logits.detach()


def _check_weights(subject: Subject) -> None:
    """Refuse weights that are not finite, or of another precision than single."""
    held = {**dict(subject.network.named_parameters()), **dict(subject.network.named_buffers())}
    for name, value in held.items():
        if not value.is_floating_point():
            continue
        if value.dtype != torch.float32:
            raise UsageError(
                f"subject {subject.name!r} computes in {str(value.dtype).removeprefix('torch.')} ({name}); give it in "
                "single precision, as network.float()"
            )
        if not bool(torch.isfinite(value).all()):
            raise UsageError(f"subject {subject.name!r} has NaN or infinity in {name}; give weights that are finite")


def _check_precision(subject: Subject, images: Float[Tensor, "n c h w"]) -> None:
    """Refuse another precision than single on the way: what it rounds off would be taken for what the network does."""
    found: dict[torch.dtype, str] = {}

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.is_floating_point():
            found.setdefault(output.dtype, name)

    with torch.no_grad(), subject.listening(list(subject.runs), note):
        _answer(subject, subject.network, images)
    other = next((dtype for dtype in found if dtype != torch.float32), None)
    if other is not None:
        where = f"layer {found[other]}" if found[other] else "its answer"
        raise UsageError(
            f"subject {subject.name!r} computes in {str(other).removeprefix('torch.')} ({where}), as autocast does; "
            "give it in single precision throughout"
        )


def _check_input(subject: Subject, images: Tensor) -> None:
    """Refuse a network that changes the images handed in."""
    given = images.clone()
    with torch.no_grad():
        subject.network(given)
    if not torch.equal(given, images):
        raise UsageError(
            f"subject {subject.name!r} changes its input in place; let its forward begin with images = images.clone()"
        )


def _check_repetition(subject: Subject, images: Tensor, logits: Tensor) -> None:
    """Refuse a network that answers the same question differently."""
    again = _answer(subject, subject.network, images)
    moved = float((again - logits).abs().max())
    if moved and not _is_rounding(subject, [images], [images]):
        raise UsageError(
            f"subject {subject.name!r} answers the same images differently from one time to the next (a logit moves by "
            f"{moved:.2g}); dropout or noise is always on: make it depend on self.training"
        )


def _check_state(subject: Subject, images: Tensor) -> None:
    """Refuse a network that changes a buffer whenever it is asked: then nobody who changes the network is found out."""
    before = {name: digest(value) for name, value in subject.network.named_buffers()}
    with torch.no_grad():
        subject.network(images.clone())
    changed = [name for name, value in subject.network.named_buffers() if before.get(name) != digest(value)]
    if changed:
        raise UsageError(
            f"subject {subject.name!r} changes its buffer {changed[0]!r} whenever it is asked, though no answer moves; "
            "change it in training mode alone (if self.training), or keep it as a plain attribute"
        )


def _check_company(subject: Subject, images: Tensor, logits: Tensor) -> None:
    """Refuse a network that answers an image differently alone than among others."""
    alone = torch.cat([_answer(subject, subject.network, image[None]) for image in images])
    moved = float((alone - logits).abs().max())
    if moved and not _is_rounding(subject, [images], list(images[:, None])):
        culprits = [
            name
            for name, module in subject.network.named_modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None
        ]
        where = f" in {culprits[0]}" if culprits else ", as dynamic quantisation does" * _is_quantised(subject.network)
        raise UsageError(
            f"subject {subject.name!r} answers an image differently alone than among others (a logit moves by "
            f"{moved:.2g}); it takes statistics of the batch{where}: use running statistics, or none over images"
        )


def _is_quantised(network: nn.Module) -> bool:
    """Whether some of the network's modules compute with whole numbers."""
    return any("quantized" in type(module).__module__ for module in network.modules())


def _is_rounding(
    subject: Subject, once: Sequence[Tensor], otherwise: Sequence[Tensor], *, deriving: bool = False
) -> bool:
    """Whether two ways of asking differ by rounding alone, since in double precision they hardly differ.

    The other way may ask as for gradients.
    """
    try:
        precise = copied(subject.network).double()
        first = torch.cat([_answer(subject, precise, batch.double()) for batch in once])
        second = torch.cat([_answer(subject, precise, batch.double(), deriving=deriving) for batch in otherwise])
    except UsageError:  # a network that holds itself to single precision
        return _is_single_rounding(subject, once, otherwise, deriving=deriving)
    return float((first - second).abs().max()) <= _ROUNDING * float(first.abs().max())


def _is_single_rounding(
    subject: Subject, once: Sequence[Tensor], otherwise: Sequence[Tensor], *, deriving: bool
) -> bool:
    """Judge by single precision alone: by the fan-ins of all layers, taken as one chain of sums."""
    first = torch.cat([_answer(subject, subject.network, batch) for batch in once])
    second = torch.cat([_answer(subject, subject.network, batch, deriving=deriving) for batch in otherwise])
    fan_ins = sum(weight[0].numel() for weight in subject.network.parameters() if weight.ndim > 1)
    bound = rounding("float32", max(1, fan_ins), scale=float(first.abs().max()))
    return float((first - second).abs().max()) <= bound


def _check_outputs(subject: Subject, logits: Float[Tensor, "n k"]) -> tuple[str, ...]:
    """Refuse probabilities, and note what else may be no logits."""
    classes = logits.shape[1]
    near = rounding("float32", classes + 8)  # an exponential, a division, and a sum over classes
    within = bool(((logits >= 0) & (logits <= 1)).all())
    if within and bool(((logits.double().sum(1) - 1).abs() <= near).all()):
        raise UsageError(
            f"subject {subject.name!r} returns probabilities (on {len(logits)} images each row lies in 0 to 1 and adds "
            "up to 1); give logits: leave out its softmax"
        )
    # A logarithm near log p is rounded to |log p| of its last bit, which is as much of p.
    shares = logits.double().exp().sum(1)
    loose = near * (1 + float(logits.abs().max()))
    if bool((logits <= 0).all()) and bool(((shares - 1).abs() <= loose).all()):
        return (f"{subject.name} returns logarithms of probabilities: they are what is called its logits here",)
    if bool((logits >= 0).all()):
        _check_shares(subject, logits, near, loose)
    if within:
        return (f"all outputs of {subject.name} lie in 0 to 1: if they are sigmoids, give what they are made of",)
    return ()


def _check_shares(subject: Subject, logits: Float[Tensor, "n k"], near: float, loose: float) -> None:
    """Refuse outputs above 0 that are shares of some whole, or logarithms of probabilities less their sign."""
    wholes = logits.double().sum(1)
    if bool((wholes > 0).all()) and bool(((wholes / wholes[0] - 1).abs() <= near).all()):
        raise UsageError(
            f"subject {subject.name!r} returns shares of {float(wholes[0]):.4g} (each of {len(logits)} rows adds up to "
            "it), which are no logits; leave out its softmax and what multiplies it"
        )
    if bool((((-logits.double()).exp().sum(1) - 1).abs() <= loose).all()):
        raise UsageError(
            f"subject {subject.name!r} returns logarithms of probabilities less their sign, of which the likeliest "
            "class has the lowest; give logits"
        )


def finite_answers(subject: Subject, faces: FaceSet, answers: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """Return a network's answers to all pictures of a set, where none is NaN: which class that would be nothing tells.

    Raises
    ------
    UsageError
        Naming the first picture that is answered so.
    """
    bad = np.flatnonzero(~np.isfinite(answers).all(axis=1))
    if len(bad):
        raise UsageError(
            f"subject {subject.name!r} answers NaN or infinity to {len(bad)} of {len(faces)} pictures, first to image "
            f"{faces.called(int(bad[0]))}; leave them out, or mend what it divides by"
        )
    return answers


def _check_gradient(subject: Subject, images: Tensor, logits: Tensor) -> None:
    """Refuse a network through which no gradient reaches the input, or that is another one where gradients are had."""
    leaf = images.clone().requires_grad_()
    try:
        with torch.enable_grad():
            derived: Tensor = subject.network(leaf)
            (found,) = torch.autograd.grad(derived.square().sum(), leaf)
    except Exception as error:  # whatever a user's network raises
        why = "it is quantised" if _is_quantised(subject.network) else reason(error)
        raise UsageError(
            f"no gradient reaches the input of subject {subject.name!r} ({why}); take out no_grad, detach and numpy, "
            "give it unquantised, or ask for perturbation and surrogate explainers alone"
        ) from error
    if not bool(torch.isfinite(found).all()):
        raise UsageError(f"the gradient at the input of subject {subject.name!r} is NaN or infinite; mend its forward")
    moved = float((derived.detach() - logits).abs().max())
    if moved and not _is_rounding(subject, [images], [images], deriving=True):
        raise UsageError(
            f"subject {subject.name!r} answers otherwise where gradients are asked for (a logit moves by {moved:.2g}), "
            "so that they would be of another function; let its forward not ask torch.is_grad_enabled()"
        )
    if not bool((found != 0).any()):
        raise UsageError(
            f"the gradient at the input of subject {subject.name!r} is zero on all of {len(images)} images: something "
            "in it rounds or saturates; mend that, or ask for perturbation and surrogate explainers alone"
        )
