"""Where to move a brush so that a mask becomes another one."""

from __future__ import annotations

from scipy import ndimage as ndi

from infosam.types import BoolArray

BRUSH = 1  # pixels
Stroke = list[tuple[float, float]]


def strokes(region: BoolArray) -> list[Stroke]:
    """Strokes of a BRUSH-wide brush that shade an (H, W) region in, line by line, as a person does it.

    A stroke stays half a brush inside the ends of its line.
    """
    half = BRUSH // 2
    result: list[Stroke] = []
    for row in range(half, region.shape[0], BRUSH):
        runs, _ = ndi.label(region[row])
        for (columns,) in ndi.find_objects(runs):
            start, end = columns.start + half, columns.stop - 1 - half
            if end >= start:
                result.append([(row, start), (row, end)])
    return result
