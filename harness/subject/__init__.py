"""The network under explanation, and the only place that runs it.

Everything that asks the network a question goes through :class:`Subject`: it feeds images in the layout and
micro-batch measured best on this machine, counts every image passed forward and backward, and works on a private copy
of the network, so that the caller's stays as it was.
"""

from harness.subject.copies import copied, evaluated
from harness.subject.counting import CountedNetwork, Passes
from harness.subject.feeding import Feed, measured_feed
from harness.subject.map_layer import late_map_layer, map_fault
from harness.subject.network import Subject
from harness.subject.outputs import first_of, on_first, with_first
from harness.subject.passing import everything_passes
from harness.subject.places import as_map, token_grid
from harness.subject.spec import MOST_CHANNELS, InputSpec
from harness.subject.token_order import map_of, order_fault

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
    "map_fault",
    "map_of",
    "measured_feed",
    "on_first",
    "order_fault",
    "token_grid",
    "with_first",
]
