"""What changed between two states of a label image: pure array functions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.signedinteger[Any] | np.unsignedinteger[Any]]
BoolArray = NDArray[np.bool_]
Box = tuple[int, int, int, int]  # r0, c0, r1, c1, half-open


@dataclass(frozen=True, eq=False)
class LabelDiff:
    """The smallest box in which two label images differ, with its values before and after."""

    box: Box
    before: Labels
    after: Labels

    @property
    def labels(self) -> tuple[int, ...]:
        """Labels (never 0) that gained or lost pixels, in ascending order."""
        changed = self.before != self.after
        values = np.union1d(self.before[changed], self.after[changed])
        return tuple(int(value) for value in values if value != 0)


def bounding_box(mask: BoolArray) -> Box | None:
    """The box around the true pixels of an (H, W) mask, or None if there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def interior(mask: BoolArray) -> tuple[float, float]:
    """The (row, column) of a pixel as far as any from the border of an (H, W) mask that is not empty."""
    from scipy.ndimage import distance_transform_cdt

    box = bounding_box(mask)
    if box is None:
        raise ValueError("an empty mask has no interior")
    r0, c0, r1, c1 = box
    distance = distance_transform_cdt(np.pad(mask[r0:r1, c0:c1], 1))
    row, column = np.unravel_index(int(np.argmax(distance)), distance.shape)
    return float(row + r0 - 1), float(column + c0 - 1)


def difference(before: Labels, after: Labels) -> LabelDiff | None:
    """What changed from `before` to `after`, both (H, W); None if nothing did. The values are copies."""
    box = bounding_box(before != after)
    if box is None:
        return None
    r0, c0, r1, c1 = box
    return LabelDiff(box, before[r0:r1, c0:c1].copy(), after[r0:r1, c0:c1].copy())


def union(one: Box, other: Box) -> Box:
    """The smallest box that holds both."""
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def paint(
    labels: Labels, mask: BoolArray, label: int, *, overwrite: bool, present: Box | None = None
) -> LabelDiff | None:
    """What painting `mask` as `label` onto `labels` changes; `labels` itself is left as it is.

    overwrite: take pixels of other objects; otherwise only background and pixels of `label` itself are taken.
    present: a box with all pixels that have the label now, to be replaced: those outside `mask` become
    background.
    """
    box = bounding_box(mask)
    if box is None:
        return None
    r0, c0, r1, c1 = box = box if present is None else union(box, present)
    before = labels[r0:r1, c0:c1].copy()
    after = before.copy()
    inside = mask[r0:r1, c0:c1]
    if present is not None:
        after[before == label] = 0
    after[inside if overwrite else inside & ((before == 0) | (before == label))] = label
    if np.array_equal(before, after):
        return None
    return LabelDiff(box, before, after)


def rebase(
    before: Labels, drawn: Labels, now: Labels, taken: Collection[int], next_label: int
) -> tuple[Labels, dict[int, int]]:
    """`now` with what was painted and erased from `before` to `drawn`, all (H, W).

    taken: labels that objects of others have got meanwhile: what was painted with one of them gets a label of
    its own, from `next_label` on. Returns the labels, and those that took the place of others, by these.
    """
    strokes = drawn != before
    painted = drawn[strokes]
    renamed = dict(zip(np.intersect1d(painted, list(taken)).tolist(), count(next_label), strict=False))
    for label, other in renamed.items():
        painted[painted == label] = other
    labels = now.copy()
    labels[strokes] = painted
    return labels, renamed


def erase(labels: Labels, label: int, box: Box) -> LabelDiff | None:
    """What taking a label out of `labels`, all of whose pixels lie in `box`, changes."""
    r0, c0, r1, c1 = box
    before = labels[r0:r1, c0:c1].copy()
    after = np.where(before == label, 0, before)
    return None if np.array_equal(before, after) else LabelDiff(box, before, after)
