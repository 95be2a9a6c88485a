"""Where to move a brush so that a mask becomes another one."""

from __future__ import annotations

from scipy import ndimage as ndi

from infosam.types import BoolArray

BRUSH = 1  # pixels
Stroke = list[tuple[float, float]]


def strokes(region: BoolArray) -> list[Stroke]:
    """Strokes of a BRUSH-wide brush that shade an (H, W) region in, row by row.

    Single pixels are left out: a person would not bother.
    """
    result: list[Stroke] = []
    for row, line in enumerate(region):
        runs, _ = ndi.label(line)
        for (columns,) in ndi.find_objects(runs):
            if columns.stop - columns.start > 1:
                result.append([(row, columns.start), (row, columns.stop - 1)])
    return result
