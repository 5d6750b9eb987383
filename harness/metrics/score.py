"""Which number of an image a score is: a metric, the output and the fill it is taken with, and the kind of number."""

from dataclasses import dataclass, replace

SCORE, GAIN, EXCESS = "score", "gain", "excess"
KINDS = (SCORE, GAIN, EXCESS)
"""The metric itself; how much better it is than that of a null map; how much more it is than that of one."""


@dataclass(frozen=True)
class Score:
    """What a run's rows hold, apart in columns; the name made of it is for people and is never taken apart.

    Attributes
    ----------
    metric
        The metric, or a variant that its card names.
    output, fill
        The output that it follows and what stands where pixels were removed, "" for the usual one of either.
    kind
        One of :data:`KINDS`.

    Examples
    --------
    >>> Score("deletion-auc", output="logit").gain.name, Score("symmetric-relevance-gain", fill="mean").gain.name
    ('deletion-gain-logit', 'symmetric-relevance-gain-mean-over-null')
    """

    metric: str
    output: str = ""
    fill: str = ""
    kind: str = SCORE

    @staticmethod
    def of(metric: "str | Score") -> "Score":
        """Return a score, the usual one of a metric that is given by its name alone."""
        return metric if isinstance(metric, Score) else Score(metric)

    @property
    def plain(self) -> str:
        """Name of the metric with its output and fill, whatever the kind."""
        return "-".join(part for part in (self.metric, self.output, self.fill) if part)

    @property
    def name(self) -> str:
        """What tables and the command line call it."""
        if self.kind == SCORE:
            return self.plain
        return gain_of(self.plain) if self.kind == GAIN else excess_of(self.plain)

    @property
    def gain(self) -> "Score":
        """How much better it is than that of a null map."""
        return replace(self, kind=GAIN)

    @property
    def excess(self) -> "Score":
        """How much more it is than that of a null map."""
        return replace(self, kind=EXCESS)


def gain_of(name: str) -> str:
    """Return what the gain of a metric over its null maps is called: deletion-gain for deletion-auc.

    Examples
    --------
    >>> gain_of("deletion-auc"), gain_of("deletion-auc-logit"), gain_of("road")
    ('deletion-gain', 'deletion-gain-logit', 'road-gain')
    >>> gain_of("symmetric-relevance-gain")
    'symmetric-relevance-gain-over-null'
    """
    if "-auc" in name:
        return name.replace("-auc", "-gain")
    return f"{name}-over-null" if "-gain" in name else f"{name}-gain"


def excess_of(name: str) -> str:
    """Return what a likeness beyond that of a null map is called.

    Examples
    --------
    >>> excess_of("mprt-last")
    'mprt-last-excess'
    """
    return f"{name}-excess"
