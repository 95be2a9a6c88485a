"""Overlap of two masks: IoU, Dice and the balanced error rate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from infosam.metrics._inputs import as_masks


def iou(prediction: NDArray[Any], target: NDArray[Any], *, smooth: float = 0.0) -> float:
    """Intersection over union (Jaccard index), in [0, 1].

    Two empty masks agree: 1. If only one of them is empty: 0.

    Args:
        prediction: (H, W) bool, or probability in [0, 1], which is cut at 0.5.
        target: (H, W) bool.
        smooth: added to numerator and denominator.

    Raises:
        BadInputError: if the inputs do not fit each other or this description.

    >>> import numpy as np
    >>> iou(np.array([[True, True, False]]), np.array([[False, True, True]]))
    0.3333333333333333
    """
    mask, target = as_masks(prediction, target)
    shared = int(np.count_nonzero(mask & target))
    return _ratio(shared + smooth, int(np.count_nonzero(mask | target)) + smooth)


def dice(prediction: NDArray[Any], target: NDArray[Any], *, smooth: float = 0.0) -> float:
    """Dice coefficient, 2 |P and G| / (|P| + |G|), in [0, 1]; arguments and empty masks as for `iou`.

    >>> import numpy as np
    >>> dice(np.array([[True, True, False]]), np.array([[False, True, True]]))
    0.5
    """
    mask, target = as_masks(prediction, target)
    shared = int(np.count_nonzero(mask & target))
    sizes = int(np.count_nonzero(mask)) + int(np.count_nonzero(target))
    return _ratio(2 * shared + smooth, sizes + smooth)


def ber(prediction: NDArray[Any], target: NDArray[Any]) -> float:
    """Balanced error rate in percent: the mean of the two classes' error rates (a constant answer: 50).

    Args:
        prediction: (H, W) bool, or probability in [0, 1], which is cut at 0.5.
        target: (H, W) bool. Without any object or any background pixel the rate is undefined: nan.

    Raises:
        BadInputError: if the inputs do not fit each other or this description.

    >>> import numpy as np
    >>> ber(np.array([[True, True, False, False]]), np.array([[True, False, False, False]]))
    16.666666666666664
    """
    mask, target = as_masks(prediction, target)
    positives = int(np.count_nonzero(target))
    negatives = target.size - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    missed = int(np.count_nonzero(target & ~mask)) / positives
    invented = int(np.count_nonzero(mask & ~target)) / negatives
    return 100 * (missed + invented) / 2


def _ratio(numerator: float, denominator: float) -> float:
    """The ratio of a part to its whole; nothing of nothing is all of it."""
    return numerator / denominator if denominator else 1.0
