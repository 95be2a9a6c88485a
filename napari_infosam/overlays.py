"""The layers that show what is not committed yet: the candidate mask, the points and the box."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Vectors
from napari.utils.colormaps import CyclicLabelColormap
from numpy.typing import NDArray

from infosam.types import BoolArray, Prompt
from napari_infosam.geometry import Box, geometry_of, slice_geometry_of, to_layer
from napari_infosam.models.label_diff import Box as PixelBox
from napari_infosam.models.label_diff import bounding_box, union
from napari_infosam.models.shown_image import ShownImage

CANDIDATE_NAME, BOX_NAME, POINTS_NAME = "infosam candidate", "infosam box", "infosam points"
CANDIDATE_COLOUR = "#00e5ff"
POSITIVE_COLOUR = "#3ddc60"
NEGATIVE_COLOUR = "#ff4d4d"
POINT_PIXELS = (11, 13)  # smallest and largest size of a point on the canvas


class Overlays:
    """Three layers over one shown image; they are made here and added by `ViewerLayers`."""

    def __init__(self, image: Image, shown: ShownImage) -> None:
        self._shown = shown
        self._mask: BoolArray | None = None  # that is drawn, and the box around it
        self._drawn: PixelBox | None = None
        self.candidate = _candidate_layer(image, shown)
        self.box = _box_layer(image)
        self.points = _points_layer(image)

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.candidate, self.box, self.points

    def move_to(self, image: Image, shown: ShownImage) -> None:
        """Lie over another slice or image with the same number of axes."""
        if shown.key == self._shown.key:
            return
        if (shown.shape, shown.axes) != (self._shown.shape, self._shown.axes):
            self.candidate.data = np.zeros(_slice_shape(shown), np.uint8)
            self._mask = self._drawn = None
        self._shown = shown
        self.follow(image)

    def set_visible(self, visible: bool) -> None:
        """Show or hide all three."""
        for layer in self.layers:
            if layer.visible != visible:  # napari redraws everything even where nothing changes
                layer.visible = visible

    def follow(self, image: Image) -> None:
        """Lie where the image lies, after it was moved or scaled."""
        for layer, geometry in (
            (self.candidate, slice_geometry_of(image, self._shown)),
            (self.box, geometry_of(image)),
            (self.points, geometry_of(image)),
        ):
            for name, value in geometry.items():
                if not np.array_equal(getattr(layer, name), value):
                    setattr(layer, name, value)

    def show_candidate(self, mask: BoolArray | None) -> None:
        """Draw an (H, W) mask, or none; only what differs from the last one is sent to the screen."""
        last, drawn = self._mask, self._drawn
        self._mask, self._drawn = mask, None if mask is None else bounding_box(mask)
        boxes = [box for box in (drawn, self._drawn) if box is not None]
        if not boxes:
            return
        box = reduce(union, boxes)
        after = _part(mask, box)
        rows, columns = np.nonzero(_part(last, box) != after)
        if not rows.size:
            return
        indices = [np.zeros_like(rows)] * len(self._shown.index)
        row, column = self._shown.axes
        indices[row], indices[column] = rows + box[0], columns + box[1]
        self.candidate.data_setitem(tuple(indices), after[rows, columns].astype(np.uint8))

    def show_prompt(self, prompt: Prompt) -> None:
        """Draw the points, green for the object and red for the background, and the box."""
        if len(prompt.points) or len(self.points.data):
            self.points.data = to_layer(self._shown, prompt.points)
        if prompt.points:
            colours = [POSITIVE_COLOUR if label else NEGATIVE_COLOUR for label in prompt.labels]
            self.points.face_color = colours
        self.show_box(prompt.box)

    def show_box(self, box: Box | None) -> None:
        """Draw a box given by its pixel edges, or none."""
        if box is None:
            if len(self.box.data):
                self.box.data = np.zeros((0, 2, len(self._shown.index)))
            return
        r0, c0, r1, c1 = (edge - 0.5 for edge in box)
        corners = to_layer(self._shown, [(r0, c0), (r0, c1), (r1, c1), (r1, c0)])
        if not len(self.box.data):
            self.box.edge_width = max(self._shown.shape) / 250
        self.box.data = np.stack([corners, np.roll(corners, -1, axis=0) - corners], axis=1)


def warm_up() -> None:
    """Have napari compile and load what its first Labels layers need: seconds that nobody should wait for."""
    for dtype in (np.uint8, np.int32):
        Labels(np.ones((2, 2), dtype))


def _part(mask: BoolArray | None, box: PixelBox) -> BoolArray:
    """What a mask is in a box; nothing where there is none."""
    r0, c0, r1, c1 = box
    return np.zeros((r1 - r0, c1 - c0), bool) if mask is None else mask[r0:r1, c0:c1]


def _slice_shape(shown: ShownImage) -> list[int]:
    shape = [1] * len(shown.index)
    row, column = shown.axes
    shape[row], shape[column] = shown.shape
    return shape


def _candidate_layer(image: Image, shown: ShownImage) -> Labels:
    layer = Labels(
        np.zeros(_slice_shape(shown), np.uint8),
        name=CANDIDATE_NAME,
        # Not a direct colormap, which would be the plain choice: it compiles for seconds at its first use.
        colormap=CyclicLabelColormap(colors=["transparent", CANDIDATE_COLOUR]),
        opacity=0.55,
        **slice_geometry_of(image, shown),
    )
    layer.editable = False
    return layer


def _box_layer(image: Image) -> Vectors:
    # Not Shapes: its first layer compiles triangulation code, for up to half a minute.
    nothing: NDArray[Any] = np.zeros((0, 2, image.ndim))
    return Vectors(
        nothing, name=BOX_NAME, vector_style="line", edge_color=POSITIVE_COLOUR, **geometry_of(image)
    )


def _points_layer(image: Image) -> Points:
    layer = Points(
        name=POINTS_NAME,
        ndim=image.ndim,
        size=POINT_PIXELS[1],
        canvas_size_limits=POINT_PIXELS,
        border_color="white",
        border_width=0.12,
        **geometry_of(image),
    )
    layer.editable = False
    return layer
