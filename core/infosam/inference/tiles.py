"""Where to look closer: a pyramid of square windows on an image, each level half as wide as the last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infosam.types import BoolArray, Prompt

MAGNIFICATION = 4  # the model's input never shows a pixel of the image on more than 4 x 4 of its own
# A tile is at least this many times as wide as the object it is chosen for. Measured with sam_pocket on real
# images (benchmarks/pocket_real.py): boxes in nuclei score the same with 3 to 5, and worse with 2.
ROOM = 4.0

Shape = tuple[int, int]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Tile:
    """A window on an image: rows r0 to r1 and columns c0 to c1, half-open, in pixels. level: 0 is the whole
    image."""

    level: int
    r0: int
    c0: int
    r1: int
    c1: int

    @property
    def shape(self) -> Shape:
        return self.r1 - self.r0, self.c1 - self.c0

    @property
    def window(self) -> tuple[slice, slice]:
        """What cuts it out of the image."""
        return slice(self.r0, self.r1), slice(self.c0, self.c1)

    def contains(self, point: tuple[float, float]) -> bool:
        """Whether the tile shows a (row, column) position; pixel centres are at whole numbers."""
        row, column = point
        return self.r0 - 0.5 <= row <= self.r1 - 0.5 and self.c0 - 0.5 <= column <= self.c1 - 0.5

    def cuts(self, mask: BoolArray, shape: Shape) -> bool:
        """Whether an object goes on beyond the tile: its mask, in the frame of the tile, touches an edge that
        is not one of the image, of `shape`. The whole image cuts nothing."""
        inner = (
            (self.r0 > 0, mask[0]),
            (self.c0 > 0, mask[:, 0]),
            (self.r1 < shape[0], mask[-1]),
            (self.c1 < shape[1], mask[:, -1]),
        )
        return any(inside and edge.any() for inside, edge in inner)


def whole(shape: Shape) -> Tile:
    """The tile of level 0."""
    return Tile(0, 0, 0, *shape)


def deepest_level(shape: Shape, image_size: int) -> int:
    """The number of the last level for an image of `shape` and a model with inputs of `image_size` pixels."""
    return max(0, math.floor(math.log2(MAGNIFICATION * max(shape) / image_size)))


def tile_for(box: Box, shape: Shape, image_size: int) -> Tile:
    """The smallest tile with room for an object in `box` (r0, c0, r1, c1): at least `ROOM` times as wide as
    the object, and of all of its level the one in whose middle the object lies best.

    Tiles of a level overlap by half, so that each object is seen whole, and objects that lie together share a
    tile and its embedding.
    """
    r0, c0, r1, c1 = box
    extent = max(r1 - r0, c1 - c0, 1.0)
    level = min(
        deepest_level(shape, image_size), math.floor(math.log2(max(1.0, max(shape) / (ROOM * extent))))
    )
    return tile_at(level, box, shape)


def tile_at(level: int, box: Box, shape: Shape) -> Tile:
    """Of the tiles of one level, the one in whose middle an object in `box` lies best."""
    r0, c0, r1, c1 = box
    side = _side(level, shape)
    (top, bottom), (left, right) = (
        min(_spans(length, side), key=lambda span: abs(sum(span) / 2 - middle))
        for length, middle in zip(shape, ((r0 + r1) / 2, (c0 + c1) / 2), strict=True)
    )
    return Tile(level, top, left, bottom, right)


def box_around(points: Sequence[tuple[float, float]], extent: float) -> Box:
    """The box of an object of `extent` pixels, or more, that was clicked at `points` (row, column)."""
    rows, columns = zip(*points, strict=True)
    half = extent / 2
    return (
        min(rows) + 0.5 - half,
        min(columns) + 0.5 - half,
        max(rows) + 0.5 + half,
        max(columns) + 0.5 + half,
    )


def within(points: NDArray[np.floating[Any]], box: Box) -> NDArray[np.bool_]:
    """Which of N positions, (N, 2) row and column, lie in a box, (N,): half-open, as it is, so that what lies
    between two boxes belongs to one of them."""
    r0, c0, r1, c1 = box
    inside: NDArray[np.bool_] = np.all(
        (points >= (r0 - 0.5, c0 - 0.5)) & (points < (r1 - 0.5, c1 - 0.5)), axis=1
    )
    return inside


def cover(points: NDArray[np.floating[Any]], level: int, shape: Shape) -> list[Tile]:
    """Few tiles of one level that together contain N points, (N, 2) row and column: the one with most of
    them, then the one with most of the others, and so on."""
    if not len(points):
        return []
    side = _side(level, shape)
    spans = [
        [(start, end) for start, end in _spans(length, side) if end > along.min() and start < along.max() + 1]
        for length, along in zip(shape, points.T, strict=True)
    ]
    tiles = [Tile(level, top, left, bottom, right) for top, bottom in spans[0] for left, right in spans[1]]
    left_out = np.array([within(points, (tile.r0, tile.c0, tile.r1, tile.c1)) for tile in tiles])
    chosen = []
    while left_out.any():
        best = int(left_out.sum(axis=1).argmax())
        chosen.append(tiles[best])
        left_out = left_out & ~left_out[best]
    return chosen


def _side(level: int, shape: Shape) -> int:
    """Of the tiles of a level, in pixels of the image."""
    return math.ceil(max(shape) / (1 << level))


def _spans(length: int, side: int) -> list[tuple[int, int]]:
    """Where the tiles of a level start and end, along an axis of `length` pixels."""
    if side >= length:
        return [(0, length)]
    count = math.ceil(2 * (length - side) / side) + 1
    starts = np.linspace(0, length - side, count).round().astype(int).tolist()
    return [(start, start + side) for start in starts]


def prompt_in(tile: Tile, prompt: Prompt) -> Prompt:
    """The prompt in the pixels of a tile. Clicks beyond it are left out: what they say no is said of there.

    Bool masks are cut; low-resolution logits cannot be, and are not for here.
    """
    kept = [
        (point, label)
        for point, label in zip(prompt.points, prompt.labels, strict=True)
        if tile.contains(point)
    ]
    box = prompt.box
    if box is not None:
        box = (
            max(box[0] - tile.r0, 0.0),
            max(box[1] - tile.c0, 0.0),
            min(box[2] - tile.r0, float(tile.shape[0])),
            min(box[3] - tile.c0, float(tile.shape[1])),
        )
    return replace(
        prompt,
        points=tuple((row - tile.r0, column - tile.c0) for (row, column), _ in kept),
        labels=tuple(label for _, label in kept),
        box=box,
        mask=None if prompt.mask is None else prompt.mask[tile.window],
        answer=None if prompt.answer is None else prompt.answer[tile.window],
    )
