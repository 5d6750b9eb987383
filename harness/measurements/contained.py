"""Calls of a metric or a check of somebody else, which cost the run nothing whatever they do."""

from collections.abc import Callable
from functools import partial
from typing import Any

from harness.containment import Limit, OverTimeError, apart, kept_state, no_exit
from harness.errors import HarnessError
from harness.identity import Reads, note_reads, reads_of, watched
from harness.importing import reason


def contained(
    call: Callable[[], Any], limit: Limit, images: int, what: str, fault: type[HarnessError], owner: str = ""
) -> Any:
    """Return what a call returns, kept from ending the process, from taking for ever or all memory and from settings.

    Parameters
    ----------
    call
        Of somebody's code.
    limit
        Of time and memory; where it is `apart`, the call is made in a process of its own.
    images
        How many it is about.
    what
        Who is called, in a message.
    fault
        What is raised.
    owner
        As whose reading the files count that are read meanwhile.

    Raises
    ------
    HarnessError
        Of the kind `fault`, saying what it did instead of returning.
    """
    ask = partial(_asked, call, limit, images, what, fault, owner)
    found, reads = apart(ask, what, fault) if limit.apart else ask()
    note_reads(owner, reads)
    return found


def _asked(
    call: Callable[[], Any], limit: Limit, images: int, what: str, fault: type[HarnessError], owner: str
) -> tuple[Any, Reads]:
    """Return what a call returns, and the files that its owner has read by then."""
    try:
        with watched(owner), kept_state() as changed, no_exit(), limit.held(images, what, fault):
            found = call()
    except fault:
        raise
    except OverTimeError as late:
        raise fault(f"{what} {late} for {images} images; --time-limit gives it more") from None
    except (Exception, SystemExit) as error:  # whatever a user's function raises must not end the run
        raise fault(f"{what} raised {reason(error)}") from error
    if changed:
        raise fault(f"{what} changed {', '.join(changed)} for everybody; put it back")
    return found, reads_of(owner)
