"""Boundary F1: a slow reference by dilation, tolerances, empty and full masks, bad input."""

import numpy as np
import pytest

from infosam.metrics import boundary_f1, boundary_f1_curve
from infosam.metrics.boundary import boundary
from infosam.types import BadInputError

EMPTY, FULL = np.zeros((9, 12), bool), np.ones((9, 12), bool)


def slow_boundary(mask):
    height, width = mask.shape
    edge = np.zeros_like(mask)
    for r in range(height):
        for c in range(width):
            for dr, dc in ((0, 1), (1, 0), (1, 1)):
                if r + dr < height and c + dc < width:
                    edge[r, c] |= mask[r, c] != mask[r + dr, c + dc]
    return edge


def slow_share(edge, other, tolerance):
    """Share of `edge` that has a pixel of `other` within the tolerance."""
    places = np.argwhere(other)
    near = [np.any(((places - place) ** 2).sum(1) <= tolerance**2) for place in np.argwhere(edge)]
    return np.mean(near)


def slow_f1(prediction, target, tolerance):
    predicted, true = slow_boundary(prediction), slow_boundary(target)
    if not (predicted.any() and true.any()):
        return float(predicted.any() == true.any())
    precision = slow_share(predicted, true, tolerance)
    recall = slow_share(true, predicted, tolerance)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0


def blobs(seed):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:24, :30]
    target = (rows - 11) ** 2 + (columns - 14) ** 2 < 49
    return np.roll(target, rng.integers(-4, 5, 2), (0, 1)) ^ (rng.random(target.shape) > 0.98), target


@pytest.mark.parametrize("seed", range(4))
def test_follows_the_definition(seed):
    prediction, target = blobs(seed)
    assert np.array_equal(boundary(prediction), slow_boundary(prediction))
    curve = boundary_f1_curve(prediction, target)
    for tolerance in (0, 1, 2, 3):
        expected = slow_f1(prediction, target, tolerance)
        assert boundary_f1(prediction, target, tolerance) == pytest.approx(expected)
        assert curve[tolerance] == pytest.approx(expected)
    assert curve[0] < curve[3]


def test_a_shift_within_the_tolerance_is_forgiven():
    target = np.zeros((32, 32), bool)
    target[8:20, 8:20] = True
    shifted = np.roll(target, 2, axis=1)
    assert boundary_f1(shifted, target, 2) == 1
    assert boundary_f1(shifted, target, 1) < 1


def test_empty_and_full_masks():
    half = FULL.copy()
    half[:, :6] = False
    for tolerance in (0, 3):
        assert boundary_f1(EMPTY, EMPTY, tolerance) == 1
        assert boundary_f1(FULL, FULL, tolerance) == 1
        assert boundary_f1(half, half, tolerance) == 1
        for none in (EMPTY, FULL):
            assert boundary_f1(none, half, tolerance) == 0
            assert boundary_f1(half, none, tolerance) == 0


def test_far_apart_masks_score_zero():
    prediction, target = EMPTY.copy(), EMPTY.copy()
    prediction[1, 1], target[7, 10] = True, True
    assert boundary_f1(prediction, target, 3) == 0


def test_probabilities_are_cut_above_one_half():
    prediction, target = blobs(1)
    assert boundary_f1(np.where(prediction, 0.6, 0.4), target, 1) == boundary_f1(prediction, target, 1)


def test_bad_input_is_quoted():
    with pytest.raises(ValueError, match="-1"):
        boundary_f1(EMPTY, EMPTY, -1)
    with pytest.raises(ValueError, match="nan"):
        boundary_f1(EMPTY, EMPTY, float("nan"))
    with pytest.raises(BadInputError, match="must be bool"):
        boundary_f1(EMPTY, EMPTY.astype(float))
