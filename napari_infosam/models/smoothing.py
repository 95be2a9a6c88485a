"""A noisy curve made readable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def smoothed(values: Sequence[float], decay: float = 0.9) -> NDArray[np.float64]:
    """(N,) exponential moving average, its start corrected for bias (as in Adam).

    Values that are not finite are left out of the average and are nan in the result.
    """
    result = np.full(len(values), np.nan)
    average, weight = 0.0, 0.0
    for index, value in enumerate(values):
        if np.isfinite(value):
            average = decay * average + (1 - decay) * value
            weight = decay * weight + (1 - decay)
            result[index] = average / weight
    return result
