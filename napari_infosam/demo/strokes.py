"""Where to move a brush so that a mask becomes another one."""

from __future__ import annotations

import numpy as np
from scipy import ndimage as ndi

from infosam.types import BoolArray

BRUSH = 3  # pixels
Stroke = list[tuple[float, float]]


def strokes(region: BoolArray) -> list[Stroke]:
    """Strokes of a BRUSH-wide brush over an (H, W) region: row by row, as a person shades an area in.

    Specks that a person would not bother with are left out.
    """
    region = ndi.binary_opening(region, np.ones((2, 2), bool))
    result: list[Stroke] = []
    for row in range(1, region.shape[0], BRUSH - 1):
        covered = region[row - 1 : row + 1].all(axis=0)
        runs, count = ndi.label(covered)
        for (columns,) in ndi.find_objects(runs, count):
            start, end = columns.start, columns.stop - 1
            if end > start:
                result.append([(row, start), (row, (start + end) / 2), (row, end)])
    return result
