"""What a model that looks closer sees of a labelled image: the whole, or a tile, for every object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.data.prompts import interior_pixel
from infosam.data.rle import Window, decode_window
from infosam.inference.thin import width_of
from infosam.inference.tiles import Shape, Tile, box_around, prompt_in, tile_at, tile_for
from infosam.types import BoolArray, ObjectSizes, Prompt

_ASSUMED = 4  # objects

Read = Callable[[LabelledImage], NDArray[Any]]
Placed = tuple[Window, BoolArray]  # a mask in its tight box, as `decode_window` gives it


def sizes_of(images: Sequence[LabelledImage]) -> ObjectSizes:
    """How large the objects of the images are: the medians of the longest sides of their boxes and of their
    widths, and how much the former differ.

    The spread is as if `_ASSUMED` more objects had been seen that differ by one octave, since a few objects
    of one size say little about the next.
    """
    objects = [item for image in images for item in image.objects()]
    extents = [max(r1 - r0, c1 - c0) for r0, c0, r1, c1 in (item.box for item in objects)]
    count = len(objects)
    variance = (count * np.log2(extents).var() + _ASSUMED) / (count + _ASSUMED)
    widths = [width_of(decode_window(item.rle)[1]) for item in objects]
    return ObjectSizes(float(np.median(extents)), float(np.sqrt(variance)), float(np.median(widths)))


def views(
    image: LabelledImage, image_size: int, extent: float, read: Read = LabelledImage.image
) -> list[LabelledImage]:
    """What `Predictor(zoom="auto")` would first look at to answer a box around each object of the image, and
    a click into it: the image itself, or tiles of it, each with the objects that it is chosen for.

    The parts of thin lines, which it looks at after that, are not trained on: those of cracks were of no use
    (0.22 IoU on held-out images before, and 0.21 after 60 steps with sam_pocket).

    All views keep the image's key and intensity, so that they are split, named and shown as the image is.

    Args:
        image: labelled objects, at least one.
        image_size: of the model's input, in pixels.
        extent: of a typical object, see `ObjectSizes`.
        read: gives the pixels of the image whenever those of a view are asked for.
    """
    shape = image.objects()[0].rle.size
    members: dict[Tile, list[LabelledObject]] = {}
    for item in image.objects():
        placed = decode_window(item.rle)
        boxed, clicked = tile_for(item.box, shape, image_size), _clicked(placed, shape, image_size, extent)
        for tile in dict.fromkeys((boxed, clicked)):
            members.setdefault(tile, []).append(_shown(item, placed, tile))
    return [_view(image, tile, objects, read) for tile, objects in members.items()]


def _clicked(placed: Placed, shape: Shape, image_size: int, extent: float) -> Tile:
    """The tile on which a clicked object is expected: as near as a typical one asks for, or so far that it is
    not cut."""
    (rows, columns), inside = placed
    row, column = interior_pixel(inside)
    tile = tile_for(box_around([(rows.start + row, columns.start + column)], extent), shape, image_size)
    while tile.cuts(_on_tile(placed, tile), shape):
        box = (rows.start, columns.start, rows.stop, columns.stop)
        tile = tile_at(tile.level - 1, box, shape)
    return tile


def _on_tile(placed: Placed, tile: Tile) -> BoolArray:
    """The mask of an object, a part of which lies on the tile, as the tile shows it."""
    (rows, columns), inside = placed
    top, bottom = max(rows.start, tile.r0), min(rows.stop, tile.r1)
    left, right = max(columns.start, tile.c0), min(columns.stop, tile.c1)
    mask = np.zeros(tile.shape, bool)
    mask[top - tile.r0 : bottom - tile.r0, left - tile.c0 : right - tile.c0] = inside[
        top - rows.start : bottom - rows.start, left - columns.start : right - columns.start
    ]
    return mask


def _shown(item: LabelledObject, placed: Placed, tile: Tile) -> LabelledObject:
    """The object as the tile shows it."""
    if tile.level == 0:
        return item
    return LabelledObject(_on_tile(placed, tile), _recorded(item, tile), item.key, item)


def _view(image: LabelledImage, tile: Tile, objects: list[LabelledObject], read: Read) -> LabelledImage:
    place = f", rows {tile.r0}-{tile.r1}, columns {tile.c0}-{tile.c1}" if tile.level > 0 else ""
    load = partial(_cut, image, tile, read)
    return LabelledImage(image.key, image.name + place, load, objects, image.intensity)


def _cut(image: LabelledImage, tile: Tile, read: Read) -> NDArray[Any]:
    return read(image)[tile.window]


def _recorded(item: LabelledObject, tile: Tile) -> Prompt | None:
    """The prompt that the object was made with, as far as it lies on the tile; None if nothing of it says
    where the object is."""
    if item.prompt is None:
        return None
    moved = prompt_in(tile, item.prompt)
    return moved if 1 in moved.labels or moved.box is not None else None
