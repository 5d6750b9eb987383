"""The network under explanation, and the only place that runs it.

Everything that asks the network a question goes through :class:`Subject`: it feeds images in the layout and
micro-batch measured best on this machine, counts every image passed forward and backward, and works on a private copy
of the network, so that the caller's stays as it was.
"""

from harness.subject.copies import copied, evaluated
from harness.subject.counting import CountedNetwork, Passes
from harness.subject.feeding import Feed, measured_feed
from harness.subject.map_layer import as_map, everything_passes, late_map_layer, token_grid
from harness.subject.network import Subject
from harness.subject.outputs import first_of, on_first, with_first
from harness.subject.spec import MOST_CHANNELS, InputSpec

__all__ = [
    "MOST_CHANNELS",
    "CountedNetwork",
    "Feed",
    "InputSpec",
    "Passes",
    "Subject",
    "as_map",
    "copied",
    "evaluated",
    "everything_passes",
    "first_of",
    "late_map_layer",
    "measured_feed",
    "on_first",
    "token_grid",
    "with_first",
]
