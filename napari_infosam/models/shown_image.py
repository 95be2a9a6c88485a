"""The 2-D image that the canvas shows: what prompts refer to, and what is encoded and stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Index = tuple[int | slice, ...]


@dataclass(frozen=True)
class ImageKey:
    """Tells shown images apart while napari runs: the number of the layer, which array, and which slice."""

    layer: int
    source: int
    index: tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Place:
    """Which slice of which layer is meant; the image itself may be closed.

    key: its identity. name: layer and slice, for people. index: picks the slice, one entry per axis of the
    layer, whole numbers for the axes not shown.
    """

    key: ImageKey
    name: str
    index: Index


@dataclass(frozen=True, eq=False)
class ShownImage(Place):
    """One slice of an image layer, with its pixels.

    path: the file it came from, if one is known. source: the layer's array (its finest level), not read yet.
    shape: (H, W). rgb: the last axis of source is colour.
    """

    path: str | None
    source: Any
    shape: tuple[int, int]
    rgb: bool

    @property
    def place(self) -> Place:
        """Where this is, for those who must not keep the pixels in memory."""
        return Place(self.key, self.name, self.index)

    @property
    def plane(self) -> tuple[int, ...] | None:
        """The position along the axes that are not shown; None if all are."""
        return tuple(item for item in self.index if not isinstance(item, slice)) or None

    @property
    def axes(self) -> tuple[int, int]:
        """The two axes of the layer that are shown, in ascending order."""
        row, column = (axis for axis, item in enumerate(self.index) if isinstance(item, slice))
        return row, column

    def read(self) -> NDArray[Any]:
        """The pixels, (H, W) or (H, W, 3 | 4); a lazy array is computed here: call it off the GUI thread."""
        return np.ascontiguousarray(np.asarray(self.source[self.index]))
