"""What a model that looks closer sees of a labelled image: the whole, and a tile for every small object."""

from __future__ import annotations

from functools import partial

import numpy as np

from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.inference.tiles import Tile, prompt_in, tile_for
from infosam.types import Prompt


def views(image: LabelledImage, image_size: int) -> list[LabelledImage]:
    """The image, and those of its tiles on which `Predictor(zoom="auto")` would answer a box around one of
    its objects, each with the objects that it is chosen for.

    All views keep the image's key and intensity, so that they are split, named and shown as the image is.
    image_size: of the model's input, in pixels.
    """
    shape = image.image().shape[:2]
    members: dict[Tile, list[LabelledObject]] = {}
    for item in image.objects():
        tile = tile_for(item.box, (shape[0], shape[1]), image_size)
        if tile.level > 0:
            members.setdefault(tile, []).append(item)
    return [image, *(_view(image, tile, objects) for tile, objects in members.items())]


def _view(image: LabelledImage, tile: Tile, objects: list[LabelledObject]) -> LabelledImage:
    return LabelledImage(
        image.key,
        f"{image.name}, rows {tile.r0}-{tile.r1}, columns {tile.c0}-{tile.c1}",
        partial(_cut, image, tile),
        [LabelledObject(item.mask[tile.window], _recorded(item, tile), item.key) for item in objects],
        image.intensity,
    )


def _cut(image: LabelledImage, tile: Tile) -> np.ndarray:
    return image.image()[tile.window]


def _recorded(item: LabelledObject, tile: Tile) -> Prompt | None:
    """The prompt that the object was made with, as far as it lies on the tile; None if nothing of it says
    where the object is."""
    if item.prompt is None:
        return None
    moved = prompt_in(tile, item.prompt)
    return moved if 1 in moved.labels or moved.box is not None else None
