"""Masks as run lengths, in the compressed form of COCO (pycocotools)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from infosam.types import BadInputError, BoolArray

Window = tuple[slice, slice]


@dataclass(frozen=True)
class RLE:
    """A mask of `size` (H, W) as COCO's compressed column-major run lengths."""

    size: tuple[int, int]
    counts: bytes


def encode_mask(mask: BoolArray) -> RLE:
    """An (H, W) bool mask as run lengths; raises BadInputError for any other shape or type."""
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise BadInputError(f"a mask must be (H, W) bool, not {mask.dtype} of shape {mask.shape}")
    pixels = np.zeros(mask.shape, dtype=np.uint8, order="F")
    window = _window(mask)
    pixels[window] = mask[
        window
    ]  # turning the whole image into column-major order would take ten times as long
    return RLE((mask.shape[0], mask.shape[1]), coco_mask.encode(pixels)["counts"])


def decode_mask(rle: RLE) -> BoolArray:
    """The (H, W) bool mask; raises BadInputError where the run lengths do not fit its size."""
    window, inside = decode_window(rle)
    mask = np.zeros(rle.size, dtype=np.bool_)
    mask[window] = inside
    return mask


def decode_window(rle: RLE) -> tuple[Window, BoolArray]:
    """Where the mask's tight box lies, as slices, and the mask within it; cheaper than the whole mask."""
    try:
        pixels = coco_mask.decode(_coco(rle))
    except ValueError as error:
        raise BadInputError(f"the run lengths do not describe a mask of {rle.size}: {error}") from error
    r0, c0, r1, c1 = rle_box(rle)
    window = slice(r0, r1), slice(c0, c1)
    return window, np.ascontiguousarray(pixels[window]).view(np.bool_)


def rle_area(rle: RLE) -> int:
    """The number of pixels in the mask."""
    return int(coco_mask.area(_coco(rle)))


def rle_box(rle: RLE) -> tuple[int, int, int, int]:
    """The tight box (r0, c0, r1, c1), half-open; (0, 0, 0, 0) of an empty mask."""
    column, row, width, height = (int(value) for value in coco_mask.toBbox(_coco(rle)))
    return row, column, row + height, column + width


def _coco(rle: RLE) -> dict[str, object]:
    return {"size": list(rle.size), "counts": rle.counts}


def _window(mask: BoolArray) -> Window:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
