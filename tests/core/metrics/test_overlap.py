"""IoU, Dice and the balanced error rate at their edges; their values otherwise: `test_random_pairs.py`."""

import math

import numpy as np
import pytest

from infosam.metrics import ber, dice, iou
from infosam.types import BadInputError

EMPTY, FULL = np.zeros((5, 7), bool), np.ones((5, 7), bool)


def masks(seed, shape=(6, 9)):
    rng = np.random.default_rng(seed)
    return rng.random(shape) > 0.5, rng.random(shape) > 0.4


def test_empty_and_full_masks():
    assert (iou(EMPTY, EMPTY), dice(EMPTY, EMPTY)) == (1, 1)
    assert (iou(FULL, FULL), dice(FULL, FULL)) == (1, 1)
    assert (iou(EMPTY, FULL), dice(FULL, EMPTY)) == (0, 0)
    assert math.isnan(ber(EMPTY, EMPTY))
    assert math.isnan(ber(FULL, FULL))
    half = FULL.copy()
    half[:2] = False
    assert (ber(half, half), ber(~half, half), ber(EMPTY, half)) == (0, 100, 50)


def test_smoothing_is_the_released_scripts():
    assert iou(EMPTY, EMPTY, smooth=1e-6) == 1
    assert iou(EMPTY, FULL, smooth=1e-6) == pytest.approx(1e-6 / (35 + 1e-6))
    assert dice(EMPTY, FULL, smooth=1e-4) == pytest.approx(1e-4 / (35 + 1e-4))


@pytest.mark.parametrize("metric", [iou, dice, ber])
def test_probabilities_are_cut_above_one_half(metric):
    prediction, target = masks(0)
    probability = np.where(prediction, 0.5001, 0.5)
    assert metric(probability, target) == metric(prediction, target)
    assert metric(probability.astype(np.float32), target) == metric(prediction, target)


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        (EMPTY, EMPTY[:4], r"\(5, 7\) and \(4, 7\)"),
        (EMPTY[None], EMPTY[None], r"\(1, 5, 7\)"),
        (EMPTY[:0], EMPTY[:0], r"\(0, 7\)"),
        (EMPTY, EMPTY.astype(np.uint8), "must be bool, not uint8"),
        (EMPTY.astype(np.int64), EMPTY, "not int64"),
        (np.full((5, 7), 1.5), EMPTY, "1.5"),
        (np.full((5, 7), -0.1), EMPTY, "-0.1"),
        (np.full((5, 7), np.nan), EMPTY, "nan"),
    ],
)
@pytest.mark.parametrize("metric", [iou, dice, ber])
def test_bad_input_is_quoted(metric, prediction, target, message):
    with pytest.raises(BadInputError, match=message):
        metric(prediction, target)
