"""Pieces that are looked at and left where they are: those of a run folder, and those that runs share."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.store.pieces import FINISHED
from harness.store.shared import SharedPieces


@dataclass(frozen=True)
class BorrowedPieces(SharedPieces):
    """What a run into a folder would find made: nothing is added to it, taken away or marked as used.

    Attributes
    ----------
    path
        The folder of the run; it need not exist.
    store
        What runs share, or None.
    """

    store: SharedPieces | None = None

    def holds(self, name: str) -> bool:
        """Whether a piece has been made."""
        return self._place(name) is not None

    def take(self, name: str, into: Path) -> bool:
        """Copy the files of a piece, whole or damaged, into a folder; whether there were any."""
        place = self._place(name)
        if place is None:
            return False
        try:
            shutil.copytree(place, into, dirs_exist_ok=True)
        except OSError:
            return False
        return True

    def give(self, name: str, piece: Path) -> None:
        """Keep nothing."""

    def tidy(self) -> None:
        """Take nothing away."""

    def _place(self, name: str) -> Path | None:
        """Return where a piece lies, None where there is none."""
        places = [self.path / name, *([] if self.store is None else [self.store.place(name)])]
        return next((place for place in places if (place / FINISHED).is_file()), None)
