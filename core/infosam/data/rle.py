"""Masks as run lengths, in the compressed form of COCO (pycocotools)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
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
    window = _window(mask)
    return encode_window(mask[window], (window[0].start, window[1].start), (mask.shape[0], mask.shape[1]))


def encode_window(inside: BoolArray, corner: tuple[int, int], size: tuple[int, int]) -> RLE:
    """The run lengths of a mask of `size` (H, W) from the window (h, w) that holds all of it, whose first
    pixel lies at `corner`: what that costs depends on the window alone."""
    height, width = size
    steps = np.diff(np.pad(inside.view(np.int8), ((1, 1), (0, 0))), axis=0)
    columns, rows = np.nonzero(steps.T)  # where runs begin and end, down one column after the other
    edges = (corner[1] + columns) * height + corner[0] + rows
    # A run that reaches the last row goes on where the next column begins with one.
    meeting = np.flatnonzero(np.diff(edges) == 0)
    edges = np.delete(edges, [*meeting, *(meeting + 1)])
    counts = np.diff([0, *edges, height * width])
    counts = counts[:-1] if counts[-1] == 0 and len(counts) > 1 else counts
    coded = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return RLE(size, coded["counts"])


def decode_mask(rle: RLE) -> BoolArray:
    """The (H, W) bool mask; raises BadInputError where the run lengths do not fit its size."""
    window, inside = decode_window(rle)
    mask = np.zeros(rle.size, dtype=np.bool_)
    mask[window] = inside
    return mask


def decode_window(rle: RLE) -> tuple[Window, BoolArray]:
    """Where the mask's tight box lies, as slices, and the mask within it: what that costs does not depend on
    the size of the image."""
    edges = np.cumsum(_runs(rle))
    height = rle.size[0]
    if edges[-1] != height * rle.size[1]:
        raise BadInputError(
            f"the run lengths do not describe a mask of {rle.size}: they make up {edges[-1]} pixels"
        )
    r0, c0, r1, c1 = rle_box(rle)
    # +1 where a run of the mask begins, -1 behind its end: the sum down the columns of the box is the mask.
    steps = np.zeros((c1 - c0) * height + 1, np.int8)
    np.add.at(steps, edges[:-1:2] - c0 * height, 1)  # runs may be empty, and begin where others end
    np.subtract.at(steps, edges[1::2] - c0 * height, 1)
    columns = np.cumsum(steps[:-1], dtype=np.int8).reshape(c1 - c0, height)
    return (slice(r0, r1), slice(c0, c1)), np.ascontiguousarray(columns[:, r0:r1].T).view(np.bool_)


def _runs(rle: RLE) -> NDArray[np.int64]:
    """The lengths of the runs, background first. From the fourth on, COCO writes each as its difference from
    the one before the last, in groups of five bits, the lowest first; the sixth bit says that more follow."""
    digits = np.frombuffer(rle.counts, np.uint8).astype(np.int64) - 48
    if not digits.size or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        raise BadInputError(f"the run lengths do not describe a mask of {rle.size}: they are damaged")
    starts = np.flatnonzero(np.append(True, digits[:-1] & 32 == 0))
    lengths = np.diff([*starts, digits.size])
    place = np.arange(digits.size) - np.repeat(starts, lengths)
    runs = np.add.reduceat((digits & 31) << 5 * place, starts)
    negative = digits[starts + lengths - 1] & 16 != 0
    runs -= negative.astype(np.int64) << 5 * lengths
    for first in (1, 2):
        runs[first::2] = np.cumsum(runs[first::2])
    if runs.min() < 0:
        raise BadInputError(f"the run lengths do not describe a mask of {rle.size}: some are negative")
    return runs


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
