"""Masks as run lengths, in the compressed form of COCO (pycocotools)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from infosam.types import BadInputError, BoolArray


@dataclass(frozen=True)
class RLE:
    """A mask of `size` (H, W) as COCO's compressed column-major run lengths."""

    size: tuple[int, int]
    counts: bytes


def encode_mask(mask: BoolArray) -> RLE:
    """An (H, W) bool mask as run lengths; raises BadInputError for any other shape or type."""
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise BadInputError(f"a mask must be (H, W) bool, not {mask.dtype} of shape {mask.shape}")
    counts: bytes = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return RLE((mask.shape[0], mask.shape[1]), counts)


def decode_mask(rle: RLE) -> BoolArray:
    """The (H, W) bool mask; raises BadInputError where the run lengths do not fill its size."""
    try:
        return np.ascontiguousarray(coco_mask.decode(_coco(rle))).view(np.bool_)
    except ValueError as error:
        raise BadInputError(f"the run lengths do not describe a mask of {rle.size}: {error}") from error


def rle_area(rle: RLE) -> int:
    """The number of pixels in the mask."""
    return int(coco_mask.area(_coco(rle)))


def rle_box(rle: RLE) -> tuple[int, int, int, int]:
    """The tight box (r0, c0, r1, c1), half-open; (0, 0, 0, 0) of an empty mask."""
    column, row, width, height = (int(value) for value in coco_mask.toBbox(_coco(rle)))
    return row, column, row + height, column + width


def _coco(rle: RLE) -> dict[str, object]:
    return {"size": list(rle.size), "counts": rle.counts}
