"""Where a mask lies, how deep its pixels lie in it, and where a prediction is wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from infosam.types import BadInputError, BoolArray

Box = tuple[int, int, int, int]
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def tight_box(mask: BoolArray) -> Box:
    """(r0, c0, r1, c1), half-open, of an (H, W) mask; raises BadInputError if no pixel is set."""
    if mask.ndim != 2 or not mask.any():
        raise BadInputError(
            f"a prompt needs an (H, W) mask with at least one pixel, not an empty {mask.shape}"
        )
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def depth_in_box(mask: BoolArray) -> tuple[NDArray[np.float64], Box]:
    """Each pixel's distance to the nearest pixel outside the mask, within the mask's tight box, and that box.

    What lies beyond the image counts as outside.
    """
    r0, c0, r1, c1 = box = tight_box(mask)
    depth = ndimage.distance_transform_edt(np.pad(mask[r0:r1, c0:c1], 1))[1:-1, 1:-1]
    return depth, box


def interior_pixel(mask: BoolArray) -> tuple[int, int]:
    """The (row, column) that lies deepest in the mask; of several, the first in reading order."""
    depth, (r0, c0, _, _) = depth_in_box(mask)
    row, column = np.unravel_index(np.argmax(depth), depth.shape)
    return int(row) + r0, int(column) + c0


def largest_error(mask: BoolArray, prediction: BoolArray) -> tuple[BoolArray, int]:
    """The largest connected region (8 neighbours) that a prediction misses, sign 1, or wrongly adds, sign 0.

    Of regions of the same size, a missed one comes first. Where prediction and mask agree, the mask itself
    with sign 1: a click there asks for nothing new.
    """
    if mask.shape != prediction.shape:
        raise BadInputError(f"the prediction has the shape {prediction.shape}, the mask {mask.shape}")
    missed, missed_area = _largest_region(mask & ~prediction)
    added, added_area = _largest_region(prediction & ~mask)
    if missed_area == added_area == 0:
        return mask, 1
    return (missed, 1) if missed_area >= added_area else (added, 0)


def _largest_region(mask: BoolArray) -> tuple[BoolArray, int]:
    regions, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    if count == 0:
        return mask, 0
    areas = np.bincount(regions.ravel())[1:]
    largest = int(np.argmax(areas))
    return regions == largest + 1, int(areas[largest])
