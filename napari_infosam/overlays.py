"""The layers that show what is not committed yet: the candidate mask, the points and the box."""

from __future__ import annotations

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.utils.colormaps import DirectLabelColormap

from infosam.types import BoolArray, Prompt
from napari_infosam.geometry import Box, geometry_of, slice_geometry_of, to_layer
from napari_infosam.models.label_diff import bounding_box
from napari_infosam.models.shown_image import ShownImage

CANDIDATE_NAME = "infosam candidate"
CANDIDATE_COLOUR = "#00e5ff"
POSITIVE_COLOUR = "#3ddc60"
NEGATIVE_COLOUR = "#ff4d4d"
POINT_PIXELS = (11, 13)  # smallest and largest size of a point on the canvas


class Overlays:
    """Three layers over one shown image; they are made here and added by `ViewerLayers`."""

    def __init__(self, image: Image, shown: ShownImage) -> None:
        self.shown = shown
        self._mask: BoolArray = np.zeros(shown.shape, bool)
        self.candidate = _candidate_layer(image, shown)
        self.box = _box_layer(image, shown)
        self.points = _points_layer(image, shown)

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.candidate, self.box, self.points

    def follow(self, image: Image) -> None:
        """Lie where the image lies, after it was moved or scaled."""
        for layer, geometry in (
            (self.candidate, slice_geometry_of(image, self.shown)),
            (self.box, geometry_of(image)),
            (self.points, geometry_of(image)),
        ):
            for name, value in geometry.items():
                setattr(layer, name, value)

    def show_candidate(self, mask: BoolArray | None) -> None:
        """Draw an (H, W) mask, or none; only what differs from the last one is sent to the screen."""
        new = np.zeros(self.shown.shape, bool) if mask is None else mask
        changed = new != self._mask
        box = bounding_box(changed)
        self._mask = new
        if box is None:
            return
        r0, c0, r1, c1 = box
        rows, columns = np.nonzero(changed[r0:r1, c0:c1])
        rows, columns = rows + r0, columns + c0
        indices = [np.zeros_like(rows)] * len(self.shown.index)
        row, column = self.shown.axes
        indices[row], indices[column] = rows, columns
        self.candidate.data_setitem(tuple(indices), new[rows, columns].astype(np.uint8))

    def show_prompt(self, prompt: Prompt) -> None:
        """Draw the points, green for the object and red for the background, and the box."""
        self.points.data = to_layer(self.shown, prompt.points)
        if prompt.points:
            self.points.face_color = [
                POSITIVE_COLOUR if label else NEGATIVE_COLOUR for label in prompt.labels
            ]
        self.show_box(prompt.box)

    def show_box(self, box: Box | None) -> None:
        """Draw a box given by its pixel edges, or none."""
        if box is None:
            if self.box.nshapes:
                self.box.data = []
            return
        r0, c0, r1, c1 = (edge - 0.5 for edge in box)
        corners = to_layer(self.shown, [(r0, c0), (r0, c1), (r1, c1), (r1, c0)])
        if self.box.nshapes:
            self.box.data = [corners]
        else:
            self.box.add_rectangles(
                corners,
                edge_color=POSITIVE_COLOUR,
                face_color="transparent",
                edge_width=max(self.shown.shape) / 250,
            )


def _candidate_layer(image: Image, shown: ShownImage) -> Labels:
    shape = [1] * len(shown.index)
    row, column = shown.axes
    shape[row], shape[column] = shown.shape
    colours = {None: "transparent", 0: "transparent", 1: CANDIDATE_COLOUR}
    layer = Labels(
        np.zeros(shape, np.uint8),
        name=CANDIDATE_NAME,
        colormap=DirectLabelColormap(color_dict=colours),
        opacity=0.55,
        **slice_geometry_of(image, shown),
    )
    layer.editable = False
    return layer


def _box_layer(image: Image, shown: ShownImage) -> Shapes:
    layer = Shapes(name="infosam box", ndim=len(shown.index), **geometry_of(image))
    layer.editable = False
    return layer


def _points_layer(image: Image, shown: ShownImage) -> Points:
    layer = Points(
        name="infosam points",
        ndim=len(shown.index),
        size=POINT_PIXELS[1],
        canvas_size_limits=POINT_PIXELS,
        border_color="white",
        border_width=0.12,
        **geometry_of(image),
    )
    layer.editable = False
    return layer
