"""What a gallery's figures and page ask of its folder."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.store import RunFolder

NONE = -1
"""The id of a class that has no image."""


@dataclass(frozen=True)
class StoredGallery:
    """A filled gallery folder and the run beside it."""

    folder: RunFolder
    run: RunFolder

    @cached_property
    def about(self) -> dict[str, Any]:
        """``gallery.json``."""
        return self.folder.read_json("gallery.json")

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """``gallery.npz``."""
        return self.folder.arrays("gallery.npz")

    @cached_property
    def filters(self) -> pd.DataFrame:
        """One row a unit and draw."""
        return self.folder.table("filters")

    @property
    def classes(self) -> list[str]:
        """The classes that are shown."""
        return [str(name) for name in self.about["subject"]["classes"]]

    def class_called(self, place: int) -> str:
        """Return the name of one of the classes that are shown, by its place among all of the network's."""
        names: dict[int, str] = dict(zip(self.about["subject"]["places"], self.classes, strict=True))
        return names[place]

    @property
    def labelled(self) -> bool:
        """Whether it is known which faces are classified right."""
        return bool(self.about["faces"]["labelled"])

    @property
    def title(self) -> str:
        """Which network looks at which faces."""
        return f"{self.about['subject']['name']} on {self.about['faces']['name']}"

    def best(self, layer: str) -> pd.DataFrame:
        """Return the row of each unit's best draw, in the order of the units."""
        held = self.filters[(self.filters["layer"] == layer) & self.filters["best_draw"]]
        return held.sort_values("unit")

    def path(self, name: str) -> Path:
        """Return where a figure lies."""
        return self.folder.path / "figures" / f"{name}.png"

    def absent(self, name: str) -> str:
        """Return why a class has no image."""
        return f"no image of {name} is classified right" if self.labelled else f"no image is seen as {name}"

    def called(self, image: int) -> str:
        """Return what an image is called: its name, else its number."""
        return str(self.about.get("names", {}).get(str(image), image))

    def images(self, choice: str) -> str:
        """Return a choice's images in a line: class and what its image is called."""
        ids = self.arrays[f"{choice}_ids"].tolist()
        pairs = zip(self.classes, ids, strict=True)
        return ", ".join(f"{name} {'none' if image == NONE else self.called(image)}" for name, image in pairs)
