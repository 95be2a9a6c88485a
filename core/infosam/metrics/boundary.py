"""Boundary F1: precision and recall of the contour, within a tolerance in pixels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from infosam.metrics._inputs import as_masks
from infosam.types import BoolArray

TOLERANCES = (0, 1, 2, 3)


def boundary_f1(prediction: NDArray[Any], target: NDArray[Any], tolerance: float = 2) -> float:
    """F1 of boundary pixels that lie within `tolerance` pixels of the other mask's boundary, in [0, 1].

    The form of the DAVIS benchmark (Perazzi et al. 2016), with the tolerance in pixels (Takikawa et al. 2019,
    GSCNN). Two masks without a boundary (empty, or filling the canvas) agree: 1. If only one has none: 0.

    Args:
        prediction: (H, W) bool, or probability in [0, 1], which is cut at 0.5.
        target: (H, W) bool.
        tolerance: in pixels, Euclidean; 0 asks for the same pixels.

    Raises:
        BadInputError: if the masks do not fit each other or this description.
        ValueError: if the tolerance is negative.

    >>> import numpy as np
    >>> target = np.zeros((8, 8), bool)
    >>> target[2:6, 2:6] = True
    >>> boundary_f1(np.roll(target, 1, axis=0), target, tolerance=0)
    0.5
    >>> boundary_f1(np.roll(target, 1, axis=0), target, tolerance=1)
    1.0
    """
    return boundary_f1_curve(prediction, target, (tolerance,))[tolerance]


def boundary_f1_curve(
    prediction: NDArray[Any], target: NDArray[Any], tolerances: Iterable[float] = TOLERANCES
) -> dict[float, float]:
    """`boundary_f1` at several tolerances, for little more than the price of one."""
    tolerances = tuple(tolerances)
    if any(not tolerance >= 0 for tolerance in tolerances):
        raise ValueError(f"a tolerance must be 0 or more pixels, not {min(tolerances)}")
    predicted, true = (boundary(mask) for mask in as_masks(prediction, target))
    if not predicted.any() or not true.any():
        agree = float(predicted.any() == true.any())
        return dict.fromkeys(tolerances, agree)
    window = _bounding_box(predicted | true)
    predicted, true = predicted[window], true[window]
    # Being within d pixels of a boundary is the same as lying on it after dilation by a disk of radius d.
    to_true = distance_transform_edt(~true)[predicted]
    to_predicted = distance_transform_edt(~predicted)[true]
    return {d: _f1(float(np.mean(to_true <= d)), float(np.mean(to_predicted <= d))) for d in tolerances}


def boundary(mask: BoolArray) -> BoolArray:
    """The one-pixel boundary of a bool mask: pixels unlike their right, lower or lower-right neighbour."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    edges: BoolArray = (mask != right) | (mask != below) | (mask != diagonal)
    return edges


def _bounding_box(mask: BoolArray) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
