"""The Labels layer that holds the committed objects of one image layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import CyclicLabelColormap
from psygnal import Signal

from infosam.types import InfoSAMError
from napari_infosam.geometry import geometry_of
from napari_infosam.models import label_diff
from napari_infosam.models.shown_image import ImageKey, ShownImage

Stored = frozenset[tuple[int, int, bytes]]  # the objects of an image: id, label, run lengths

# In the layer's metadata, so that a panel that is opened later knows its layers again.
IMAGE_KEY = "infosam_image"  # a weak reference to the image layer: names may change, and may be given twice
LOADED_KEY = "infosam_loaded"  # what the project held of each slice when the layer was last in step with it
OWNER_KEY = "infosam_project"  # whose objects these are
UNDO, REDO = "Control-Z", "Control-Shift-Z"  # on a Mac napari takes them for Cmd
# Seen well on dark, light and stained images, and told from the candidate (cyan) and the points (green, red):
# napari's own first label is brown, like many a tissue and lesion.
COLOURS = (
    "#ffb000", "#e040fb", "#4d7cff", "#ffee58", "#ff7043",
    "#b388ff", "#c6ff00", "#ff80ab", "#8c9eff", "#ffcc80",
)  # fmt: skip


class LabelLayer:
    """Reads and writes slices of a Labels layer, and tells when somebody else may have painted on it."""

    painted = Signal(bool)  # for sure; if not, its data was replaced, or another slice shown
    undo_pressed = Signal()
    redo_pressed = Signal()

    def __init__(self, layer: Labels) -> None:
        self.layer = layer
        self.touched = True  # whether somebody else may have changed it since that was last looked at
        self._writing = False
        layer.events.paint.connect(self._on_paint)  # a stroke, fill or polygon
        layer.events.set_data.connect(self._on_data)
        # Napari's own undo knows nothing of commits, and would itself be recorded as one more correction.
        for key, signal in ((UNDO, self.undo_pressed), (REDO, self.redo_pressed)):
            layer.bind_key(key, lambda _, signal=signal: signal.emit(), overwrite=True)

    def close(self) -> None:
        """Give the layer, which may stay in the viewer, back to napari."""
        self.layer.events.paint.disconnect(self._on_paint)
        self.layer.events.set_data.disconnect(self._on_data)
        for key in (UNDO, REDO):
            self.layer.bind_key(key, None)

    @classmethod
    def for_image(cls, image: Image, shown: ShownImage, owner: str) -> LabelLayer:
        """An empty one of the size, and in the place, of an image layer; not yet in any viewer.

        Raises:
            InfoSAMError: there is no memory for it.
        """
        try:
            empty = np.zeros(_shape(shown), np.int32)
        except MemoryError as error:
            size = 4e-9 * float(np.prod(_shape(shown)))
            raise InfoSAMError(
                f"The labels of “{image.name}” need {size:,.0f} GB of memory: open fewer of its slices."
            ) from error
        layer = Labels(
            empty,
            name=f"{image.name} labels",
            metadata={IMAGE_KEY: ref(image), LOADED_KEY: {}, OWNER_KEY: owner},
            colormap=CyclicLabelColormap(colors=["transparent", *COLOURS]),
            **geometry_of(image),
        )
        return cls(layer)

    @staticmethod
    def is_ours(layer: Labels) -> bool:
        """Whether a layer was made by `for_image`."""
        return IMAGE_KEY in layer.metadata

    @staticmethod
    def made_for(layer: Labels, image: Image, shown: ShownImage) -> bool:
        """Whether a layer was made by `for_image` for that image layer, and has the size that it has now."""
        made_for = layer.metadata.get(IMAGE_KEY, lambda: None)()
        return made_for is image and tuple(layer.data.shape) == _shape(shown)

    @staticmethod
    def made_across(layer: Labels, image: Image, shown: ShownImage) -> bool:
        """Whether a layer was made for that image layer and has loaded slices along other axes, which cross
        the one that is shown."""
        axes = [item is None for item in shown.key.index]
        return LabelLayer.made_for(layer, image, shown) and any(
            [item is None for item in key.index] != axes for key in layer.metadata[LOADED_KEY]
        )

    def follow(self, image: Image) -> None:
        """Lie where the image lies, after it was moved or scaled."""
        for name, value in geometry_of(image).items():
            setattr(self.layer, name, value)

    def read(self, shown: ShownImage) -> label_diff.Labels:
        """The (H, W) labels of the shown slice: a view, not a copy."""
        labels: label_diff.Labels = np.asarray(self.layer.data[shown.index])
        return labels

    def write(self, shown: ShownImage, box: label_diff.Box, values: label_diff.Labels) -> None:
        """Set the labels in a box of the shown slice, through napari's own undo and refresh."""
        r0, c0, r1, c1 = box
        rows, columns = np.nonzero(self.read(shown)[r0:r1, c0:c1] != values)
        if rows.size == 0:
            return
        indices: list[Any] = [np.full(rows.shape, item) for item in shown.index]
        row, column = shown.axes
        indices[row], indices[column] = rows + r0, columns + c0
        with self._own_edit():
            self.layer.data_setitem(tuple(indices), values[rows, columns])

    @property
    def brush(self) -> int:
        """The label that the brush paints."""
        return int(self.layer.selected_label)

    def colours(self, labels: Sequence[int]) -> list[tuple[int, int, int]]:
        """RGB, 0-255, in which labels are drawn."""
        rgba = self.layer.colormap.map(np.asarray(labels, np.int32))
        return [(red, green, blue) for red, green, blue, _ in np.rint(255 * rgba).astype(int).tolist()]

    def select(self, label: int) -> None:
        """Give a label to the brush."""
        self.layer.selected_label = label

    def loaded(self, shown: ShownImage) -> Stored | None:
        """What the project held when the slice was last in step with it, if it ever was: what differs beside
        was painted or erased."""
        return self._loaded.get(shown.key)

    def note(self, shown: ShownImage, stored: Stored) -> None:
        """The slice is in step with what the project holds."""
        self._loaded[shown.key] = stored

    def drop_others(self, shown: ShownImage) -> None:
        """Show no labels of other pixels, which the image layer held before where the slice is now."""
        others = [
            key for key in self._loaded if key.index == shown.key.index and key.source != shown.key.source
        ]
        for key in others:
            del self._loaded[key]
        if others:
            with self._own_edit():
                self.layer.data[shown.index] = 0
                self.layer.refresh()

    def load(self, shown: ShownImage, labels: label_diff.Labels, stored: Stored) -> None:
        """Show the (H, W) labels of a slice; there is nothing to undo in this."""
        with self._own_edit():
            self.layer.data[shown.index] = labels
            self.layer.refresh()
        self.note(shown, stored)

    def hand_over(self, owner: str) -> None:
        """Show objects of this project from now on: those of another leave all slices."""
        if self.layer.metadata[OWNER_KEY] == owner:
            return
        self.layer.metadata[OWNER_KEY] = owner
        self._loaded.clear()
        with self._own_edit():
            # New zeros take memory only where they are written on.
            self.layer.data = np.zeros(self.layer.data.shape, self.layer.data.dtype)

    @property
    def _loaded(self) -> dict[ImageKey, Stored]:
        loaded: dict[ImageKey, Stored] = self.layer.metadata[LOADED_KEY]
        return loaded

    @contextmanager
    def _own_edit(self) -> Iterator[None]:
        self._writing = True
        try:
            yield
        finally:
            self._writing = False

    def _on_paint(self) -> None:
        self._tell(True)

    def _on_data(self) -> None:
        self._tell(False)

    def _tell(self, painted: bool) -> None:
        if not self._writing:
            self.touched = True
            self.painted.emit(painted)


def _shape(shown: ShownImage) -> tuple[int, ...]:
    """Of the labels of all slices."""
    return tuple(shown.source.shape[: len(shown.index)])
