"""What ``run.json`` says of a run, typed; a record is read and written here alone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from harness.metrics.cards import ScoreFacts
from harness.store.schema import SCHEMA_VERSION

Record = TypeVar("Record")


@dataclass(frozen=True)
class SubjectRecord:
    """The network: its name, digest and classes, those that are judged, and the layer of class activation maps."""

    name: str
    digest: str
    classes: tuple[str, ...]
    judged: tuple[str, ...]
    cam_layer: str | None


@dataclass(frozen=True)
class FacesRecord:
    """The pictures: their name, digest and number, whether they are labelled, and their licence."""

    name: str
    digest: str
    n: int
    labelled: bool
    licence: str


@dataclass(frozen=True)
class RungRecord:
    """A rung, as :class:`harness.checks.ladder.Rung` states it."""

    number: int
    name: str
    claim: str
    gap: str


@dataclass(frozen=True)
class CheckRecord:
    """A check, as :class:`harness.checks.Check` states it; `fault` says why somebody else's broke down."""

    name: str
    family: str
    claim: str
    control: str
    margin: float
    margin_reason: str
    reference: str
    figure: str
    metric: str
    at_most: bool
    decides: bool
    rung: int
    unit: str
    origin: str
    needs: tuple[str, ...]
    fault: str


@dataclass(frozen=True)
class Cost:
    """Images passed forward and backward, and seconds."""

    forward: int
    backward: int
    seconds: float


@dataclass(frozen=True)
class PassesRecord:
    """Images passed forward and backward."""

    forward: int
    backward: int


@dataclass(frozen=True)
class ExplainerRecord:
    """An explainer: what it is, its settings in words, whether it gave maps that can be judged, and what it cost.

    `status` is "ok", or "failed" for the `reason`.
    """

    name: str
    family: str
    control: bool
    reference: str
    origin: str
    settings: dict[str, str]
    digest: str
    status: str
    reason: str
    cost: Cost


@dataclass(frozen=True)
class RunRecord:
    """What is needed to read a run, to make it again, and to tell whether it may be compared with another.

    Attributes
    ----------
    command
        As it was given.
    subject, faces, evaluation_set
        What was explained; the last is the digest of the images that were chosen.
    chosen
        How many images of each class.
    profile, seed, device
        As asked for.
    rungs, alpha, confidence, checks
        What was claimed, and how it was decided.
    random_labels
        The twin trained on permuted labels; None where there is none.
    cascade
        The groups of layers that were drawn at random one after the other.
    arithmetic, versions
        On what the numbers were made; see :func:`harness.arithmetic.arithmetic`. A package that is used from its
        folder has no version.
    notes
        What a reader should know first.
    explainers
        In the run's order.
    metrics
        By the name of each score.
    shared_cost, passes, seconds
        What serves all explainers; the images passed and the seconds of everything.
    files
        The digest of each file that belongs to the run.
    schema_version
        Of the tables and of this record.
    """

    command: str
    subject: SubjectRecord
    faces: FacesRecord
    evaluation_set: str
    chosen: dict[str, int]
    profile: dict[str, Any]
    seed: int
    rungs: tuple[RungRecord, ...]
    alpha: float
    confidence: float
    checks: tuple[CheckRecord, ...]
    random_labels: str | None
    cascade: tuple[tuple[str, ...], ...]
    device: str
    arithmetic: dict[str, str]
    versions: dict[str, str | None]
    notes: tuple[str, ...]
    explainers: tuple[ExplainerRecord, ...]
    metrics: dict[str, ScoreFacts]
    shared_cost: Cost
    passes: PassesRecord
    seconds: float
    files: dict[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def told(self) -> dict[str, Any]:
        """Return it as ``run.json`` holds it, the schema first."""
        return {"schema_version": self.schema_version, **asdict(self)}

    @staticmethod
    def read(told: Mapping[str, Any]) -> "RunRecord":
        """Return the record that ``run.json`` holds.

        Raises
        ------
        ValueError
            Where a field is missing, unknown or of another type; the message names it.
        """
        return _typed(RunRecord, told, "")


def _typed(kind: type[Record], told: Any, where: str) -> Record:
    """Return a record of a kind, each of its fields as its annotation has it."""
    if not isinstance(told, Mapping):
        raise ValueError(f"{where or 'it'} is no object")
    hints, names = get_type_hints(kind), [one.name for one in fields(kind)]  # type: ignore[arg-type]
    within = f"{where}." if where else ""
    for name in [*names, *told]:
        if name not in told:
            raise ValueError(f"{within}{name} is missing")
        if name not in hints:
            raise ValueError(f"{within}{name} is unknown to this version")
    return kind(**{name: _value(hints[name], told[name], f"{within}{name}") for name in names})


def _value(kind: Any, told: Any, where: str) -> Any:
    """Return one value as its annotation has it: a record, a tuple, a mapping, one of several types, or a plain one."""
    inner: tuple[Any, ...] = get_args(kind)
    whole: Any = get_origin(kind) or kind
    if whole in (Union, UnionType):
        return None if told is None else _value(next(one for one in inner if one is not type(None)), told, where)
    if whole is tuple and isinstance(told, list):
        return tuple(_value(inner[0], one, f"{where}[{place}]") for place, one in enumerate(told))
    if whole is dict and isinstance(told, Mapping):
        return {str(name): _value(inner[1], one, f"{where}.{name}") for name, one in told.items()}
    if isinstance(whole, type) and is_dataclass(whole):
        return _typed(whole, told, where)
    # A whole number may stand for another, and neither is true or false.
    plain = (int, float) if whole is float else whole
    if kind is Any or (isinstance(told, plain) and isinstance(told, bool) == (whole is bool)):
        return told
    raise ValueError(f"{where} is {told!r}, not of type {getattr(kind, '__name__', kind)}")
