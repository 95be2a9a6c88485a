"""The one check of what metrics take: a prediction and a target of the same two-dimensional shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from infosam.types import BadInputError, BoolArray

THRESHOLD = 0.5


def as_masks(prediction: NDArray[Any], target: NDArray[Any]) -> tuple[BoolArray, BoolArray]:
    """Prediction and target as bool masks; a probability belongs to the object above 0.5.

    Raises:
        BadInputError: as `as_probability`.
    """
    _check(prediction, target)
    return prediction if prediction.dtype == bool else prediction > THRESHOLD, target


def as_probability(prediction: NDArray[Any], target: NDArray[Any]) -> tuple[NDArray[np.float64], BoolArray]:
    """The prediction as float64 probabilities, and the target.

    Raises:
        BadInputError: if the shapes differ, are not (H, W) or hold no pixel; if the target is not bool; if
            the prediction is neither bool nor a float in [0, 1].
    """
    _check(prediction, target)
    return prediction.astype(np.float64), target


def _check(prediction: NDArray[Any], target: NDArray[Any]) -> None:
    if prediction.shape != target.shape or prediction.ndim != 2 or prediction.size == 0:
        raise BadInputError(
            f"prediction and target must share one shape (H, W), not {prediction.shape} and {target.shape}"
        )
    if target.dtype != bool:
        raise BadInputError(f"the target must be bool, not {target.dtype}: give `target > 0`")
    if prediction.dtype == bool:
        return
    if not np.issubdtype(prediction.dtype, np.floating):
        raise BadInputError(f"the prediction must be bool or a probability, not {prediction.dtype}")
    low, high = float(prediction.min()), float(prediction.max())
    if not (low >= 0 and high <= 1):
        raise BadInputError(
            f"probabilities must lie in [0, 1], not [{low:g}, {high:g}]: apply a sigmoid to logits"
        )
