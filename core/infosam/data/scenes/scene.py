"""One generated scene, and batches of them: pictures with the exact mask of every object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from infosam.data.scenes.camera import photograph
from infosam.data.scenes.canvas import Canvas
from infosam.data.scenes.layout import object_size, paint_lines, paint_mosaic, paint_objects
from infosam.data.scenes.style import random_style
from infosam.types import BoolArray

MIN_AREA = 12
MIN_SIZE = 32


@dataclass(frozen=True, eq=False)
class Scene:
    """image: (size, size, 3) uint8. masks: (K, size, size) bool, K >= 1, overlapping or nested at times."""

    image: NDArray[np.uint8]
    masks: BoolArray


def _paint(rng: Generator, size: int) -> Canvas:
    canvas = Canvas(rng, size, random_style(rng))
    kind = rng.random()
    if kind < 0.08:
        paint_mosaic(rng, canvas)
    elif kind < 0.2:
        paint_lines(rng, canvas)
    if kind >= 0.16:
        paint_objects(rng, canvas, object_size(rng, size))
    if kind > 0.7:  # a second population, of another size
        paint_objects(rng, canvas, object_size(rng, size))
    return canvas


def make_scene(size: int, rng: Generator) -> Scene:
    """A scene of `size` x `size` pixels; objects of which fewer than 12 pixels show are left out.

    Raises ValueError for a size below 32 pixels.
    """
    if size < MIN_SIZE:
        raise ValueError(f"a scene needs at least {MIN_SIZE} pixels a side, not {size}")
    while True:
        canvas = _paint(rng, size)
        masks = [mask for mask in canvas.masks if MIN_AREA <= mask.sum() < 0.97 * size * size]
        if masks:
            return Scene(photograph(rng, canvas.image, canvas.style), np.stack(masks))


def scenes(n: int, size: int, generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
    """n scenes: images (n, 3, size, size) uint8 and, for each, its masks (K, size, size) bool.

    The same state of `generator` gives the same scenes.
    """
    seeds = torch.randint(2**62, (n,), generator=generator).tolist()
    made = [make_scene(size, np.random.default_rng(seed)) for seed in seeds]
    images = torch.from_numpy(np.stack([scene.image for scene in made])).permute(0, 3, 1, 2).contiguous()
    return images, [torch.from_numpy(scene.masks) for scene in made]
