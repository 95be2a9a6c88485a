"""S, E and weighted F at their edges; their values otherwise: `test_random_pairs.py`."""

import math

import numpy as np
import pytest

from infosam.metrics import e_measure, s_measure, weighted_f_measure
from infosam.types import BadInputError

EMPTY, FULL = np.zeros((6, 8), bool), np.ones((6, 8), bool)


def case(seed, shape=(24, 31)):
    rng = np.random.default_rng(seed)
    target = np.zeros(shape, bool)
    target[5:14, 8:20] = True
    return np.clip(target + 0.5 * rng.standard_normal(shape), 0, 1), target


def test_a_perfect_mask():
    _, target = case(0)
    assert s_measure(target, target) == pytest.approx(1)
    assert e_measure(target, target) == pytest.approx(target.size / (target.size - 1))
    assert weighted_f_measure(target, target) == pytest.approx(1)


def test_an_object_at_the_last_row_or_column_is_scored():
    for edge in (np.s_[-1, :], np.s_[:, -1], np.s_[-1, -1]):
        target = EMPTY.copy()
        target[edge] = True
        assert s_measure(target, target) == pytest.approx(1)
        assert 0 <= s_measure(~target, target) < 0.5


def test_empty_and_full_targets():
    quarter = np.full((6, 8), 0.25)
    assert s_measure(quarter, EMPTY) == pytest.approx(0.75)
    assert s_measure(quarter, FULL) == pytest.approx(0.25)
    assert s_measure(EMPTY, EMPTY) == 1
    assert s_measure(FULL, FULL) == 1
    one_wrong = EMPTY.copy()
    one_wrong[2, 3] = True
    assert e_measure(one_wrong, EMPTY) == pytest.approx(47 / 47)
    assert e_measure(one_wrong, FULL) == pytest.approx(1 / 47)
    assert e_measure(FULL, FULL) == pytest.approx(48 / 47)
    assert weighted_f_measure(quarter, EMPTY) == 0
    assert weighted_f_measure(FULL, FULL) == pytest.approx(1)


def test_an_all_zero_prediction_has_an_adaptive_threshold_of_zero():
    _, target = case(0)
    assert e_measure(EMPTY, EMPTY) == 0
    assert e_measure(np.zeros(target.shape), target) == pytest.approx(0.25, abs=1e-3)


def test_a_single_pixel_has_no_e_measure():
    assert math.isnan(e_measure(np.ones((1, 1), bool), np.ones((1, 1), bool)))


def test_bad_input_is_quoted():
    probability, target = case(0)
    with pytest.raises(ValueError, match="'adp'"):
        e_measure(probability, target, "adp")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="-1"):
        weighted_f_measure(probability, target, -1)
    for metric in (s_measure, e_measure, weighted_f_measure):
        with pytest.raises(BadInputError, match="apply a sigmoid"):
            metric(probability * 3, target)
        with pytest.raises(BadInputError, match="target > 0"):
            metric(probability, target.astype(np.uint8))
