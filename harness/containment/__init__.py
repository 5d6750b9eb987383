"""Somebody else's code, kept from ending, stopping or changing what is not its own."""

from harness.containment.apart import apart, how_it_ended
from harness.containment.exits import end_with, no_exit
from harness.containment.limits import Limit, OverTimeError
from harness.containment.memory import can_hold
from harness.containment.state import global_hook_tables, global_hooks_kept, kept_state

__all__ = [
    "Limit",
    "OverTimeError",
    "apart",
    "can_hold",
    "end_with",
    "global_hook_tables",
    "global_hooks_kept",
    "how_it_ended",
    "kept_state",
    "no_exit",
]
