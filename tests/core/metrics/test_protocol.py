"""The two protocols on METHODS' case, and the accumulator."""

import doctest
import math
import sys
from importlib import import_module
from subprocess import run

import numpy as np
import pytest
from scipy.special import expit

from infosam.metrics import Accumulator, e_measure, object_scores
from infosam.types import BadInputError


def case():
    rows, columns = np.mgrid[:64, :64]
    target = np.zeros((64, 64), bool)
    target[16:48, 20:40] = True
    logits = 2 - 2 * np.maximum(np.abs(rows - 31.5) / 16, np.abs(columns - 30) / 9)
    return logits, target


OFFICIAL = {
    "s_measure": 0.771651,
    "e_measure": 0.951264,
    "weighted_f": 0.844081,
    "iou": 0.5075,
    "dice": 0.650098,
}
CLEAN = {"s_measure": 0.792268, "e_measure": 0.963492, "weighted_f": 0.451342, "iou": 0.85, "dice": 0.918919}


@pytest.mark.parametrize(("protocol", "expected"), [("official", OFFICIAL), ("clean", CLEAN)])
def test_known_values(protocol, expected):
    logits, target = case()
    scores = object_scores(logits, target, protocol)
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert set(scores) - set(expected) == {f"boundary_f1_{tolerance}" for tolerance in range(4)}


def test_known_values_of_the_e_measure_over_thresholds():
    logits, target = case()
    probability = expit(logits)
    assert e_measure(probability, target, "mean") == pytest.approx(0.581407, abs=1e-6)
    assert e_measure(probability, target, "max") == pytest.approx(0.992163, abs=1e-6)


@pytest.mark.parametrize("protocol", ["official", "clean"])
def test_a_certain_and_right_answer(protocol):
    _, target = case()
    scores = object_scores(np.where(target, 50.0, -50.0).astype(np.float32), target, protocol)
    assert scores == pytest.approx(dict.fromkeys(scores, 1), abs=1e-3)


@pytest.mark.parametrize("protocol", ["official", "clean"])
def test_an_empty_answer(protocol):
    _, target = case()
    scores = object_scores(np.full(target.shape, -50.0), target, protocol)
    assert [scores[name] for name in ("iou", "dice", "weighted_f", "boundary_f1_3")] == pytest.approx(
        [0, 0, 0, 0], abs=1e-6
    )


def test_bad_input_is_quoted():
    logits, target = case()
    with pytest.raises(ValueError, match="'paper'"):
        object_scores(logits, target, "paper")  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="bool"):
        object_scores(logits > 0, target)
    with pytest.raises(BadInputError, match="finite"):
        object_scores(np.where(target, np.nan, logits), target)
    with pytest.raises(BadInputError, match="share one shape"):
        object_scores(logits[:32], target)


def test_the_accumulator_leaves_undefined_scores_out():
    means = Accumulator()
    assert (means.n, means.compute()) == (0, {})
    for scores in ({"iou": 0.2, "ber": math.nan}, {"iou": 0.4, "ber": 10.0}, {"iou": 0.9, "ber": math.nan}):
        means.add(scores)
    assert means.n == 3
    assert means.compute() == pytest.approx({"iou": 0.5, "ber": 10.0})
    undefined = Accumulator()
    undefined.add({"ber": math.nan})
    assert math.isnan(undefined.compute()["ber"])


@pytest.mark.parametrize("module", ["accumulator", "boundary", "overlap", "protocol", "structural"])
def test_the_examples_in_the_docstrings(module):
    results = doctest.testmod(import_module(f"infosam.metrics.{module}"))
    assert results.attempted > 0
    assert results.failed == 0


def test_metrics_need_no_torch_and_bring_pysodmetrics_only_when_asked():
    code = "import sys, infosam.metrics; assert not {'torch', 'py_sod_metrics'} & set(sys.modules)"
    run([sys.executable, "-c", code], check=True, timeout=120)
