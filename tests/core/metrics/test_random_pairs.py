"""Every metric on 1,000 random pairs, against pysodmetrics and against slow references by the formulas."""

import math
from itertools import product

import numpy as np
import py_sod_metrics
import pytest
from scipy.ndimage import distance_transform_edt

from infosam.metrics import (
    ber,
    boundary_f1_curve,
    dice,
    e_measure,
    iou,
    s_measure,
    weighted_f_measure,
)
from tests.core.metrics.test_boundary import slow_f1

SHAPES = ((1, 17), (9, 12), (16, 16), (24, 31), (29, 7))
TARGETS = ("empty", "full", "pixel", "block", "edge", "disc", "noise", "noise")
PREDICTIONS = ("empty", "full", "near", "near", "noise")
PAIRS = 1000
BATCHES = 10
TOLERANCE = 1e-6
EPS = np.spacing(1)


def target_of(kind, shape, rng):
    height, width = shape
    rows, columns = np.mgrid[:height, :width]
    row, column = rng.integers(height), rng.integers(width)
    return {
        "empty": np.zeros(shape, bool),
        "full": np.ones(shape, bool),
        "pixel": (rows == row) & (columns == column),
        "block": (abs(rows - row) <= height / 4) & (abs(columns - column) <= width / 4),
        "edge": (rows == height - 1) | (columns == width - 1) if rng.random() < 0.5 else rows == height - 1,
        "disc": (rows - row) ** 2 + (columns - column) ** 2 < rng.uniform(2, 1 + max(shape)) ** 2 / 4,
        "noise": rng.random(shape) < rng.uniform(0.05, 0.95),
    }[kind]


def prediction_of(kind, target, rng):
    """Probabilities, sometimes of float32, some of them exactly at the ends and at one half."""
    probability = {
        "empty": np.zeros(target.shape),
        "full": np.ones(target.shape),
        "near": np.clip(target + rng.uniform(0.1, 1) * rng.standard_normal(target.shape), 0, 1),
        "noise": np.where(rng.random(target.shape) < 0.1, 0.5, rng.random(target.shape)),
    }[kind]
    return probability.astype(np.float32 if rng.random() < 0.3 else np.float64)


def pairs(batch):
    """A tenth of the 1,000 pairs; every kind of target meets every kind of prediction at every size."""
    kinds = list(product(SHAPES, TARGETS, PREDICTIONS))
    for number in range(batch, PAIRS, BATCHES):
        shape, target_kind, prediction_kind = kinds[number % len(kinds)]
        rng = np.random.default_rng(number)
        target = target_of(target_kind, shape, rng)
        yield prediction_of(prediction_kind, target, rng), target


def counts(mask, target):
    """True positives, false positives, false negatives, true negatives, pixel by pixel."""
    places = [(bool(p), bool(t)) for p, t in zip(mask.flat, target.flat, strict=True)]
    return tuple(places.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False)))


def slow_object(values):
    squares = ((values - values.mean()) ** 2).sum()
    spread = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else 0
    return 2 * values.mean() / (values.mean() ** 2 + 1 + spread + EPS)


def slow_similarity(prediction, target):
    """Q of a rectangle: 1 where numerator and denominator vanish, 0 where only the numerator does."""
    x, y, last = prediction.mean(), target.mean(), prediction.size - 1 + EPS
    variances = (((prediction - x) ** 2).sum() + ((target - y) ** 2).sum()) / last
    above = 4 * x * y * ((prediction - x) * (target - y)).sum() / last
    below = (x**2 + y**2) * variances
    return above / (below + EPS) if above else float(below == 0)


def slow_s(prediction, target):
    """S = (S_object + S_region) / 2, Fan et al. 2017."""
    if not target.any():
        return 1 - prediction.mean()
    if target.all():
        return prediction.mean()
    share = target.mean()
    objects = share * slow_object(prediction[target]) + (1 - share) * slow_object(1 - prediction[~target])
    row, column = (int(places.mean().round()) + 1 for places in np.nonzero(target))
    regions = 0.0
    for rows, columns in product((slice(row), slice(row, None)), (slice(column), slice(column, None))):
        if target[rows, columns].size:
            part = prediction[rows, columns], target[rows, columns]
            regions += part[1].size / target.size * slow_similarity(*part)
    return max(0, (objects + regions) / 2)


def slow_e(mask, target):
    """E of a mask: the mean over N - 1 of (1 + alignment)^2 / 4, Fan et al. 2018."""
    if not target.any():
        aligned = ~mask
    elif target.all():
        aligned = mask
    else:
        a, b = mask - mask.mean(), target - target.mean()
        aligned = (1 + 2 * a * b / (a**2 + b**2 + EPS)) ** 2 / 4
    return aligned.sum() / (target.size - 1)


def slow_e_curve(prediction, target):
    levels = np.floor(prediction * 255)
    return np.array([slow_e(levels >= threshold, target) for threshold in range(256)])


def slow_weighted_f(prediction, target, beta_squared):
    """Margolin et al. 2014. Among equally near pixels SciPy chooses, as in pysodmetrics."""
    if not target.any():
        return 0.0
    error = abs(prediction - target)
    distance, nearest = distance_transform_edt(~target, return_indices=True)
    spread = np.pad(error[tuple(nearest)], 3)
    offsets = np.arange(-3, 4)
    kernel = np.exp(-(offsets[:, None] ** 2 + offsets**2) / 50)
    kernel /= kernel.sum()
    weighted = np.empty_like(error)
    for row, column in np.ndindex(target.shape):
        if target[row, column]:
            smooth = (kernel * spread[row : row + 7, column : column + 7]).sum()
            weighted[row, column] = min(error[row, column], smooth)
        else:
            importance = 2 - 0.5 ** (distance[row, column] / 5)
            weighted[row, column] = error[row, column] * importance
    found = target.sum() - weighted[target].sum()
    recall, precision = found / target.sum(), found / (found + weighted[~target].sum() + EPS)
    return (1 + beta_squared) * recall * precision / (recall + beta_squared * precision + EPS)


def pysodmetrics_scores(prediction, target):
    binary = {"with_dynamic": False, "with_adaptive": False, "with_binary": True}
    handlers = {
        "iou": py_sod_metrics.IOUHandler(**binary),
        "dice": py_sod_metrics.DICEHandler(**binary),
        "ber": py_sod_metrics.BERHandler(**binary),
    }
    measures = [py_sod_metrics.Emeasure(), py_sod_metrics.WeightedFmeasure()]
    if not splits_off_nothing(target):
        measures.append(py_sod_metrics.Smeasure())
    scores = {}
    for measure in (*measures, py_sod_metrics.FmeasureV2(handlers)):
        measure.step(prediction.astype(np.float64), target, normalize=False)
        scores |= measure.get_results()
    return scores | {name: scores[name]["binary"] for name in handlers}


def splits_off_nothing(target):
    """Whether the object's centre lies in the last row or column, where pysodmetrics averages no pixels."""
    if target.all() or not target.any():
        return False
    ends = (round(places.mean()) + 1 for places in np.nonzero(target))
    return any(end == size for end, size in zip(ends, target.shape, strict=True))


def close(value, expected):
    return value == pytest.approx(expected, abs=TOLERANCE, rel=0, nan_ok=True)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_overlap_and_boundary_follow_the_slow_references(batch):
    for prediction, target in pairs(batch):
        mask = prediction > 0.5
        tp, fp, fn, tn = counts(mask, target)
        found = tp + fp + fn
        assert close(iou(prediction, target), tp / found if found else 1)
        assert close(dice(prediction, target), 2 * tp / (found + tp) if found else 1)
        one_class = target.all() or not target.any()
        rate = math.nan if one_class else 100 * (1 - (tp / (tp + fn) + tn / (tn + fp)) / 2)
        assert close(ber(prediction, target), rate)
        curve = boundary_f1_curve(prediction, target)
        for tolerance in (0, 1, 2, 3):
            assert close(curve[tolerance], slow_f1(mask, target, tolerance))


@pytest.mark.parametrize("batch", range(BATCHES))
def test_structural_measures_follow_the_slow_references(batch):
    for given, target in pairs(batch):
        prediction = given.astype(np.float64)
        assert close(s_measure(given, target), slow_s(prediction, target))
        threshold = min(2 * prediction.mean(), 1)
        assert close(e_measure(given, target), slow_e(prediction >= threshold, target))
        curve = slow_e_curve(prediction, target)
        assert close(e_measure(given, target, "mean"), curve.mean())
        assert close(e_measure(given, target, "max"), curve.max())
        for beta_squared in (0.3, 1):
            expected = slow_weighted_f(prediction, target, beta_squared)
            assert close(weighted_f_measure(given, target, beta_squared), expected)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_all_but_the_boundary_agree_with_pysodmetrics(batch):
    for given, target in pairs(batch):
        official = pysodmetrics_scores(given, target)
        assert close(e_measure(given, target), official["em"]["adp"])
        assert close(e_measure(given, target, "mean"), official["em"]["curve"].mean())
        assert close(e_measure(given, target, "max"), official["em"]["curve"].max())
        assert close(weighted_f_measure(given, target), official["wfm"])
        if not splits_off_nothing(target):
            assert close(s_measure(given, target), official["sm"])
        if target.any() or (given > 0.5).any():  # of nothing and nothing it makes 0
            assert close(iou(given, target), official["iou"])
            assert close(dice(given, target), official["dice"])
        if target.any() and not target.all():  # it takes the rate of an absent class for 0
            assert close(ber(given, target), 100 * official["ber"])
