"""The only place that touches `viewer.layers`: which image is meant, and the layers made for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.events import disconnect_events
from napari.viewer import Viewer
from numpy.typing import NDArray
from psygnal import Signal
from qtpy.QtCore import QTimer

from infosam.types import BadInputError
from napari_infosam.geometry import (
    GEOMETRY,
    all_slices,
    number_of,
    shown_image,
    source_number,
    to_layer,
    to_pixel,
)
from napari_infosam.label_layer import LabelLayer
from napari_infosam.models.label_diff import Box
from napari_infosam.models.shown_image import Place, ShownImage
from napari_infosam.overlays import Overlays

DRAW_MS = 60
PAN_ZOOM = "pan_zoom"
TOOLS = {"brush": "paint", "erase": "erase"}  # our names and napari's


@dataclass(frozen=True, eq=False)
class LabelSource:
    """A labels layer that is not ours, of the size of an image."""

    layer: Labels

    @property
    def name(self) -> str:
        return str(self.layer.name)

    def read(self, shown: ShownImage) -> NDArray[Any]:
        """The (H, W) labels on a slice of the image; a lazy array is computed here."""
        return np.asarray(self.layer.data[shown.index])

    def show(self, visible: bool) -> None:
        """Draw it on the canvas, or not."""
        self.layer.visible = visible


class ViewerLayers:
    """The image that prompts go to, its labels and the overlays, in one viewer."""

    view_changed = Signal()  # another image may be shown: active layer, layer list or sliders changed
    mode_changed = Signal()  # the active layer, or what the mouse does on it, changed
    overlays_closed = Signal()  # somebody else removed one of our overlays
    labels_closed = Signal()  # or the labels of an image that is still open

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._image: Image | None = None
        self._active: Layer | None = None
        self._held: Layer | None = None  # the layer whose dragging we have taken over
        self._labels: dict[int, LabelLayer] = {}  # by `number_of` the image layer
        self._overlays: dict[int, Overlays] = {}  # by the number of axes of the image
        self._leaving: list[Layer] = []  # about to be removed
        self._owner = ""  # the project whose objects labels layers show
        self._adding = False
        viewer.layers.selection.events.active.connect(self._on_active)
        viewer.layers.events.removed.connect(self._on_removed)
        for name in ("current_step", "ndisplay", "order"):
            viewer.dims.events[name].connect(self._on_view)
        self._on_active()

    def close(self) -> None:
        """Let go of the viewer; the labels stay in it."""
        self._drop_overlays()
        self.hold_camera(False)
        self._follow(None)
        for labels in self._labels.values():
            labels.close()
        for events in (
            self._viewer.layers.selection.events,
            self._viewer.layers.events,
            self._viewer.dims.events,
        ):
            disconnect_events(events, self)

    # ------------------------------------------------------------------------------------- the shown image

    @property
    def image_name(self) -> str:
        """The name of the image that prompts would go to, usable or not; empty if none is open."""
        return "" if self._image is None or self._image not in self._images() else str(self._image.name)

    def is_open(self, shown: ShownImage) -> bool:
        """Whether the layer of an image is still in the viewer."""
        return any(number_of(image) == shown.key.layer for image in self._images())

    def shown(self) -> ShownImage:
        """The image that prompts go to now.

        Raises:
            BadInputError: there is none, or it cannot be used; the message says what to do.
        """
        if self._image is None or self._image not in self._images():  # napari tells of its removal later
            raise BadInputError("Open an image first.")
        shown = shown_image(self._image, self._viewer.dims)
        if any(
            isinstance(layer, Labels) and LabelLayer.made_across(layer, self._image, shown)
            for layer in self._viewer.layers
        ):
            raise BadInputError(
                f"“{self._image.name}” is annotated along other axes: roll them back (Ctrl+E) to go on."
            )
        return shown

    def pixel(self, shown: ShownImage, world: Sequence[float]) -> tuple[float, float]:
        """The (row, column) in the shown image of a position on the canvas."""
        return to_pixel(self._layer_of(shown), shown, world)

    def pointer(self) -> tuple[float, ...]:
        """Where the mouse pointer is, in world coordinates."""
        return tuple(self._viewer.cursor.position)

    def centre_on(self, shown: ShownImage, box: Box) -> None:
        """Move the camera to the middle of a box."""
        r0, c0, r1, c1 = box
        (middle,) = to_layer(shown, [((r0 + r1 - 1) / 2, (c0 + c1 - 1) / 2)])
        layer, dims = self._layer_of(shown), self._viewer.dims
        world = layer.data_to_world(middle)
        scene = getattr(self._viewer, "scene", self._viewer)  # cameras belong to scenes since napari 0.9
        scene.camera.center = tuple(world[axis - dims.ndim + layer.ndim] for axis in dims.displayed)

    def show(self, place: Place) -> bool:
        """Bring an image back to the canvas; False if its layer is gone, or holds other pixels now."""
        image = next((layer for layer in self._images() if number_of(layer) == place.key.layer), None)
        if image is None or source_number(image) != place.key.source:
            return False
        dims = self._viewer.dims
        offset = dims.ndim - image.ndim
        dims.ndisplay = 2
        shown = {axis + offset for axis, item in enumerate(place.index) if isinstance(item, slice)}
        if set(dims.displayed) != shown:
            dims.order = (*(axis for axis in range(dims.ndim) if axis not in shown), *sorted(shown))
        world = image.data_to_world([0 if isinstance(item, slice) else item for item in place.index])
        for axis, item in enumerate(place.index):
            if isinstance(item, int):
                dims.set_point(axis + offset, world[axis])
        image.visible = True
        if self._image is not image:
            self._viewer.layers.selection.active = image
        return True

    def step_image(self, step: int) -> bool:
        """Show the next (1) or previous (-1) image layer alone; False if there is no other."""
        images = self._images()
        if self._image is None or len(images) < 2:
            return False
        image = images[(images.index(self._image) + step) % len(images)]
        for other in images:
            other.visible = other is image
            if number_of(other) in self._labels:
                self._labels[number_of(other)].layer.visible = other is image
        self._turn_to(image, self._image)
        return True

    @property
    def file(self) -> Path | None:
        """Where the image comes from, if it is a file of its own and no other image is open."""
        image = self._image
        if image is None or image.ndim != 2 or not image.source.path or len(self._images()) != 1:
            return None  # a stack may be made of many files
        path = Path(image.source.path)
        return path if path.is_file() else None

    def open_instead(self, path: Path) -> None:
        """Open a file in place of the image, whose labels go with it.

        Raises:
            BadInputError: the file cannot be opened; nothing has changed.
        """
        old = self._image
        if old is None:
            return
        try:
            with self._adding_layers():
                opened = self._viewer.open(path, plugin=old.source.reader_plugin or "napari")
                images = [layer for layer in opened if isinstance(layer, Image)]
                if not images:
                    for layer in opened:
                        self._viewer.layers.remove(layer)
        except Exception as error:  # readers raise what they like
            raise BadInputError(f"{path.name} cannot be opened: {error}") from error
        if not images:
            raise BadInputError(f"{path.name} holds no image")
        labels = self._labels.pop(number_of(old), None)
        if labels is not None:
            labels.close()
        leaving: list[Layer] = [old] if labels is None else [labels.layer, old]
        self._leaving += leaving
        for number, layer in enumerate(leaving):
            layer.visible = False
            # One at a time, as overlays are.
            QTimer.singleShot(DRAW_MS * (number + 1), partial(self._remove, layer))
        images[-1].visible = True
        self._turn_to(images[-1], old)
        self.view_changed.emit()

    def _turn_to(self, image: Image, before: Image) -> None:
        self._viewer.layers.selection.active = image
        if image.extent.world.tolist() != before.extent.world.tolist():
            self._viewer.reset_view()

    # -------------------------------------------------------------------------------------- labels, overlays

    def labels(self, shown: ShownImage, *, create: bool) -> LabelLayer | None:
        """The labels of an image: those in the viewer, or an empty layer made now if `create`.

        Raises InfoSAMError where there is no memory for one.
        """
        image = self._layer_of(shown)
        number = number_of(image)
        if number in self._labels and not LabelLayer.made_for(self._labels[number].layer, image, shown):
            self._discard(self._labels.pop(number))  # of the size that the image had before
        if number not in self._labels:
            found = self._find_labels(image, shown)
            if found is None:
                if not create:
                    return None
                found = LabelLayer.for_image(image, shown, self._owner)
                with self._adding_layers():
                    self._viewer.layers.insert(self._viewer.layers.index(image) + 1, found.layer)
            self._labels[number] = found
        return self._labels[number]

    def label_sources(self, shown: ShownImage) -> list[LabelSource]:
        """The labels layers of others that may belong to an image, topmost first."""
        shape = tuple(shown.source.shape[: self._layer_of(shown).ndim])
        return [
            LabelSource(layer)
            for layer in reversed(self._viewer.layers)
            if isinstance(layer, Labels)
            and not LabelLayer.is_ours(layer)
            and not self._is_overlay(layer)
            and not layer.multiscale
            and tuple(layer.data.shape) == shape
        ]

    def slices(self, shown: ShownImage) -> list[ShownImage]:
        """All slices of an image that moving the sliders shows."""
        return all_slices(self._layer_of(shown), shown)

    def hand_labels_over(self, owner: str) -> None:
        """Labels layers of ours, those also that another panel has left, show this project's objects from now
        on: those that show another's are emptied."""
        self._owner = owner
        known = {id(labels.layer): labels for labels in self._labels.values()}
        for layer in self._viewer.layers:
            if isinstance(layer, Labels) and LabelLayer.is_ours(layer):
                labels = known.get(id(layer)) or LabelLayer(layer)
                labels.hand_over(owner)
                if id(layer) not in known:
                    labels.close()

    def _discard(self, labels: LabelLayer) -> None:
        """Take a labels layer of ours off the viewer, a moment later: one layer at a time."""
        labels.close()
        labels.layer.visible = False
        self._leaving.append(labels.layer)
        QTimer.singleShot(DRAW_MS, partial(self._remove, labels.layer))

    def overlays(self, shown: ShownImage) -> Overlays:
        """The overlays over the shown image, visible; made if none can lie there, and added one by one."""
        image, ndim = self._layer_of(shown), len(shown.index)
        if ndim in self._overlays:
            self._overlays[ndim].move_to(image, shown)
        else:
            self._overlays[ndim] = Overlays(image, shown)
            for number, layer in enumerate(self._overlays[ndim].layers):
                # One at a time: napari blocks for some 70 ms for every layer.
                QTimer.singleShot(DRAW_MS * number, partial(self._append, layer))
        self._raise(self._overlays[ndim], image)
        self._overlays[ndim].set_visible(True)
        return self._overlays[ndim]

    def hide_overlays(self) -> None:
        """Take the overlays off the canvas; they stay in the layer list, because removing them has a price.

        Drawing after several layers were removed at once, and others added, was seen to crash vispy.
        """
        for overlays in self._overlays.values():
            overlays.set_visible(False)

    def _drop_overlays(self) -> None:
        """Remove what is left of the overlays, one layer at a time, so that each removal is drawn."""
        left = [layer for overlays in self._overlays.values() for layer in overlays.layers]
        self._overlays = {}
        for number, layer in enumerate(left):
            QTimer.singleShot(DRAW_MS * (number + 1), partial(self._remove, layer))

    def _raise(self, overlays: Overlays, image: Image) -> None:
        """Bring overlays back to the top, if the image was opened after them and lies on them."""
        layers = self._viewer.layers
        for layer in overlays.layers:
            if layer in layers and layers.index(layer) < layers.index(image):
                layers.move(layers.index(layer), len(layers))

    def _append(self, layer: Layer) -> None:
        if self._is_overlay(layer):
            with self._adding_layers():
                self._viewer.layers.append(layer)

    def _is_overlay(self, layer: Layer) -> bool:
        return any(layer in overlays.layers for overlays in self._overlays.values())

    def _remove(self, layer: Layer) -> None:
        with self._adding_layers():
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        if layer in self._leaving:
            self._leaving.remove(layer)

    # ------------------------------------------------------------------------------------------------ tools

    @property
    def in_pan_zoom(self) -> bool:
        """Whether the active layer leaves clicks to us."""
        return self._active is not None and str(self._active.mode) == PAN_ZOOM

    @property
    def tool(self) -> str | None:
        """The tool, "brush" or "erase" with which the user paints on labels of ours, or None."""
        if all(field.layer is not self._active for field in self._labels.values()) or self._active is None:
            return None
        return next((name for name, mode in TOOLS.items() if mode == str(self._active.mode)), None)

    def take_tool(self, tool: str | None, shown: ShownImage) -> None:
        """Take the brush or the eraser to the labels of an image; None puts it down."""
        if tool is None:
            if self._active is None:  # no layer is selected, or several are
                self._viewer.layers.selection.active = self._layer_of(shown)
            if self._active is not None:
                self._active.mode = PAN_ZOOM
            return
        labels = self.labels(shown, create=True)
        if labels is not None:
            self._viewer.layers.selection.active = labels.layer
            labels.layer.mode = TOOLS[tool]

    def hold_camera(self, hold: bool) -> None:
        """Keep the camera still while the mouse is dragged on the active layer, or let it move again."""
        held = self._active if hold else None
        if self._held is not None and self._held is not held and str(self._held.mode) == PAN_ZOOM:
            self._held.mouse_pan = True
        self._held = held
        if held is not None:
            held.mouse_pan = False

    # ---------------------------------------------------------------------------------------------- private

    def _images(self) -> list[Image]:
        layers = [layer for layer in self._viewer.layers if layer not in self._leaving]
        return [layer for layer in layers if isinstance(layer, Image)]

    def _layer_of(self, shown: ShownImage) -> Image:
        for image in self._images():
            if number_of(image) == shown.key.layer:
                return image
        raise BadInputError(f"“{shown.name}” is no longer open.")

    def _find_labels(self, image: Image, shown: ShownImage) -> LabelLayer | None:
        known = [field.layer for field in self._labels.values()]
        for layer in self._viewer.layers:
            if isinstance(layer, Labels) and layer not in known and LabelLayer.made_for(layer, image, shown):
                return LabelLayer(layer)
        return None

    @contextmanager
    def _adding_layers(self) -> Iterator[None]:
        """Layers come and go without changing which one is active."""
        active = self._viewer.layers.selection.active
        self._adding = True
        try:
            yield
        finally:
            self._adding = False
            if active not in self._viewer.layers:  # none was, or the one that has just been removed
                active = self._image
            if active in self._viewer.layers:
                self._viewer.layers.selection.active = active
            if self._viewer.layers.selection.active is not self._active:
                self._on_active()

    def _on_active(self) -> None:
        if self._adding:
            return
        active = self._viewer.layers.selection.active
        if active is not self._active:
            if self._active is not None:
                self._active.events.mode.disconnect(self._on_mode)
            if active is not None:
                active.events.mode.connect(self._on_mode)
            self._active = active
        if isinstance(active, Image):
            self._follow(active)
        elif self._image not in (images := self._images()):
            self._follow(images[-1] if images else None)
        self.view_changed.emit()
        self.mode_changed.emit()

    def _follow(self, image: Image | None) -> None:
        """Make `image` the one that prompts go to, and watch where it lies."""
        if image is self._image:
            return
        for name in GEOMETRY:
            if self._image is not None:
                self._image.events[name].disconnect(self._on_geometry)
            if image is not None:
                image.events[name].connect(self._on_geometry)
        if self._image is not None:
            self._image.events.data.disconnect(self._on_view)
        if image is not None:
            image.events.data.connect(self._on_view)
        self._image = image
        self._on_geometry()  # it may have been moved while another was shown

    def _on_geometry(self) -> None:
        if self._image is not None and number_of(self._image) in self._labels:
            self._labels[number_of(self._image)].follow(self._image)
        if self._image is not None and self._image.ndim in self._overlays:
            self._overlays[self._image.ndim].follow(self._image)

    def _on_removed(self, event: Any) -> None:
        if self._adding:
            return
        if self._is_overlay(event.value):
            self._drop_overlays()
            self.overlays_closed.emit()
        self._labels.pop(number_of(event.value), None)
        for key, labels in list(self._labels.items()):
            if labels.layer is event.value:
                del self._labels[key]
                self.labels_closed.emit()
        self._on_active()

    def _on_view(self) -> None:
        if self._viewer.dims.ndisplay != 2:
            self.hide_overlays()  # at once: napari fails to draw a box layer of two axes in 3-D
        self.view_changed.emit()

    def _on_mode(self) -> None:
        self.mode_changed.emit()
