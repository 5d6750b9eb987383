"""What a gallery is to show."""

from dataclasses import dataclass, field

from harness.errors import UsageError
from harness.faces.faceset import FaceSet
from harness.gallery.layers import activation_after, convolution_layers
from harness.gallery.maximisation import Ascent
from harness.models.soundness import sound_network
from harness.store import FacesRecord, RunFolder, SubjectRecord
from harness.subject import Subject

EXPLAINERS = ("saliency", "lime", "grad-cam")
"""What figures 1, 3 and 4 show, and what the gallery's run judges."""

FILTERS_SHOWN = (32, 48)
"""Filters of the first and of the second activation layer whose images are found."""

LARGE, FEWER = 128 * 128, 4
"""Pixels of a picture above which one of so many filters and classes is enough: an image takes as many passes however
large it is, and every pass takes the longer."""

IMAGE = 5607
"""The image whose filter outputs are shown, where the face set has it."""

MOST_CLASSES = 21
"""Classes that the figures show at most."""

SCALE_IMAGES = 64
"""Images on which a random network's activations are brought to scale."""


@dataclass(frozen=True)
class Gallery:
    """What is to be shown.

    Attributes
    ----------
    subject, faces
        The network, and the faces over the same classes.
    seed
        Of every random draw.
    image
        Name or id of the image whose filter outputs are shown; None for the rule of :data:`IMAGE`.
    after_activation
        Whether filter outputs are shown after their activation instead of before it.
    ascent
        How images that activate a filter are found.
    """

    subject: Subject
    faces: FaceSet
    seed: int = 0
    image: str | None = None
    after_activation: bool = False
    ascent: Ascent = field(default_factory=Ascent)

    def found(self, usual: int) -> int:
        """Return of how many filters or classes images are found, of `usual` where pictures are small."""
        spec = self.subject.spec
        return -(-usual // FEWER) if spec.height * spec.width > LARGE else usual

    def check(self) -> None:
        """Refuse what could be refused only after minutes of work, and a network that cannot be explained."""
        sound_network(self.subject, self.faces)
        if self.image is not None:
            self.faces.place_called(self.image)
        if self.after_activation:
            for layer in convolution_layers(self.subject).names:
                activation_after(self.subject, layer)

    def check_run(self, run: RunFolder) -> None:
        """Refuse a run of another network, of other faces, or without the explainers that are shown."""
        for what, mine in (("subject", self.subject), ("faces", self.faces)):
            held: SubjectRecord | FacesRecord = getattr(run.record, what)
            if held.digest != mine.digest:
                raise UsageError(
                    f"{run.path} is a run of {what} {held.name!r} (digest {held.digest}), not of {mine.name!r} "
                    f"({mine.digest}); give --{what} as in the run, or leave out --run"
                )
        missing = sorted(set(EXPLAINERS) - {each.name for each in run.record.explainers})
        if missing:
            raise UsageError(f"{run.path} did not judge {', '.join(missing)}; leave out --run to have it judged")
