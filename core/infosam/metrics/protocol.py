"""The scores of one mask, in the two protocols; their numbers are not interchangeable.

"official" is what InfoSAM's released script computes: S, E and weighted F (beta^2 = 0.3) on logits clipped to
[0, 1], IoU and Dice averaged over five thresholds on the logits. "clean" uses probabilities (sigmoid), the
mask at probability 0.5, and beta^2 = 1. No boundary score was released with the paper: it is taken on the
mask in both.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from infosam.metrics.boundary import TOLERANCES, boundary_f1_curve
from infosam.metrics.overlap import dice, iou
from infosam.metrics.structural import e_measure, s_measure, weighted_f_measure
from infosam.types import BadInputError, BoolArray

ScoringProtocol = Literal["official", "clean"]
PROTOCOLS: tuple[ScoringProtocol, ...] = get_args(ScoringProtocol)
BOUNDARY_KEYS = {tolerance: f"boundary_f1_{tolerance}" for tolerance in TOLERANCES}

_OFFICIAL_THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)
_OFFICIAL_IOU_SMOOTH = 1e-6
_OFFICIAL_DICE_SMOOTH = 1e-4


def object_scores(
    logits: NDArray[Any], target: BoolArray, protocol: ScoringProtocol = "clean"
) -> dict[str, float]:
    """Every score of one predicted mask.

    Args:
        logits: (H, W) float, at the resolution of the target.
        target: (H, W) bool.
        protocol: "clean" or "official".

    Returns:
        iou, dice, s_measure, e_measure (adaptive), weighted_f and boundary_f1_0 to boundary_f1_3 (pixels).

    Raises:
        BadInputError: if logits and target do not fit each other, or logits are not finite floats.
        ValueError: if the protocol is unknown.

    >>> import numpy as np
    >>> target = np.zeros((16, 16), bool)
    >>> target[4:12, 4:12] = True
    >>> scores = object_scores(np.where(target, 0.6, -9.0), target, "official")
    >>> round(scores["iou"], 6), scores["boundary_f1_0"]
    (0.6, 1.0)
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, not {protocol!r}")
    if not (np.issubdtype(logits.dtype, np.floating) and np.isfinite(logits).all()):
        raise BadInputError(f"logits must be finite floats; these are {logits.dtype}")
    logits = logits.astype(np.float64)
    scores = _official(logits, target) if protocol == "official" else _clean(logits, target)
    curve = boundary_f1_curve(logits > 0, target)
    return scores | {BOUNDARY_KEYS[int(tolerance)]: score for tolerance, score in curve.items()}


def _clean(logits: NDArray[np.float64], target: BoolArray) -> dict[str, float]:
    mask = logits > 0
    return {"iou": iou(mask, target), "dice": dice(mask, target)} | _structural(expit(logits), target, 1.0)


def _official(logits: NDArray[np.float64], target: BoolArray) -> dict[str, float]:
    masks = [logits > threshold for threshold in _OFFICIAL_THRESHOLDS]
    return {
        "iou": float(np.mean([iou(mask, target, smooth=_OFFICIAL_IOU_SMOOTH) for mask in masks])),
        "dice": float(np.mean([dice(mask, target, smooth=_OFFICIAL_DICE_SMOOTH) for mask in masks])),
    } | _structural(logits.clip(0, 1), target, 0.3)


def _structural(probability: NDArray[np.float64], target: BoolArray, beta_squared: float) -> dict[str, float]:
    return {
        "s_measure": s_measure(probability, target),
        "e_measure": e_measure(probability, target),
        "weighted_f": weighted_f_measure(probability, target, beta_squared),
    }
