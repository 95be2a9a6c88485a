"""S-measure, E-measure and weighted F-measure, by pysodmetrics, on probabilities without rescaling.

pysodmetrics is imported where it is used: it brings scikit-learn and OpenCV, which takes seconds, and whoever
only trains or predicts needs none of it.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from infosam.metrics._inputs import as_probability
from infosam.types import BoolArray

EMeasureKind = Literal["adaptive", "mean", "max"]


def s_measure(prediction: NDArray[Any], target: NDArray[Any]) -> float:
    """Structure measure S with alpha = 0.5, in [0, 1] (Fan et al. 2017).

    An empty target scores 1 - mean(prediction), one that fills the canvas mean(prediction).

    Args:
        prediction: (H, W) probability in [0, 1], or bool.
        target: (H, W) bool.

    Raises:
        BadInputError: if the inputs do not fit each other or this description.

    >>> import numpy as np
    >>> target = np.eye(8, dtype=bool)
    >>> round(s_measure(0.9 * target, target), 4)
    0.9967
    """
    from py_sod_metrics import Smeasure

    probability, target = as_probability(prediction, target)
    measure = Smeasure(alpha=0.5)
    if target.all() or not target.any():
        return float(measure.cal_sm(probability, target))
    similarity = sum(
        measure.ssim(probability[part], target[part]) * target[part].size / target.size
        for part in _quadrants(target)
    )
    return max(0.0, float(measure.object(probability, target) + similarity) / 2)


def e_measure(prediction: NDArray[Any], target: NDArray[Any], kind: EMeasureKind = "adaptive") -> float:
    """Enhanced-alignment measure E (Fan et al. 2018), between 0 and N / (N - 1) for N pixels.

    An empty target scores the share of predicted background, one that fills the canvas the share of predicted
    foreground. The adaptive threshold of an all-zero prediction is 0, at which every pixel counts as
    foreground: such a prediction scores 0 even where the target is empty. A canvas of one pixel has no
    E-measure: nan.

    Args:
        prediction: (H, W) probability in [0, 1], or bool.
        target: (H, W) bool.
        kind: the threshold on the prediction: "adaptive" is min(2 * mean, 1); "mean" and "max" are over
            256 levels.

    Raises:
        BadInputError: if the inputs do not fit each other or this description.
        ValueError: if `kind` is unknown.

    >>> import numpy as np
    >>> target = np.eye(8, dtype=bool)
    >>> round(e_measure(target, target), 4)  # 64 / 63
    1.0159
    """
    from py_sod_metrics import Emeasure

    if kind not in get_args(EMeasureKind):
        raise ValueError(f"kind must be one of {', '.join(get_args(EMeasureKind))}, not {kind!r}")
    probability, target = as_probability(prediction, target)
    if target.size == 1:
        return float("nan")
    measure = Emeasure()
    measure.step(probability, target, normalize=False)
    scores = measure.get_results()["em"]
    if kind == "adaptive":
        return float(scores["adp"])
    return float(scores["curve"].mean() if kind == "mean" else scores["curve"].max())


def weighted_f_measure(prediction: NDArray[Any], target: NDArray[Any], beta_squared: float = 1.0) -> float:
    """Weighted F-measure, in [0, 1] (Margolin et al. 2014); 0 for an empty target.

    Args:
        prediction: (H, W) probability in [0, 1], or bool.
        target: (H, W) bool.
        beta_squared: weight of recall against precision. 1 is the field's default, 0.3 what InfoSAM's
            script passes.

    Raises:
        BadInputError: if the inputs do not fit each other or this description.
        ValueError: if beta_squared is not positive.

    >>> import numpy as np
    >>> target = np.eye(8, dtype=bool)
    >>> round(weighted_f_measure(0.9 * target, target), 4)
    0.9661
    """
    from py_sod_metrics import WeightedFmeasure

    if not beta_squared > 0:
        raise ValueError(f"beta_squared must be positive, not {beta_squared}")
    probability, target = as_probability(prediction, target)
    measure = WeightedFmeasure(beta=beta_squared)
    measure.step(probability, target, normalize=False)
    return float(measure.get_results()["wfm"])


def _quadrants(target: BoolArray) -> list[tuple[slice, slice]]:
    """The four parts of the canvas around the object's centre, without those that the centre leaves no pixel.

    pysodmetrics' own loop takes the mean of empty parts too, so that an object at the last row scores nan.
    """
    rows, columns = np.nonzero(target)
    row, column = int(rows.mean().round()) + 1, int(columns.mean().round()) + 1
    parts = [
        (r, c) for r in (slice(0, row), slice(row, None)) for c in (slice(0, column), slice(column, None))
    ]
    return [part for part in parts if target[part].size]
