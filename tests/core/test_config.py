"""The settings of an adaptation run."""

from __future__ import annotations

import math
from typing import Any

import pytest

from infosam.types import AdaptConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("threads", 0),
        ("lr", 0.0),
        *((name, math.inf) for name in ("lr", "alpha", "rkd_weight", "lambda_compress", "lambda_distill")),
        *((name, math.nan) for name in ("lr", "alpha", "rkd_weight", "lambda_compress", "lambda_distill")),
        *((name, -0.5) for name in ("rkd_weight", "lambda_compress", "lambda_distill")),
    ],
)
def test_a_value_that_no_run_can_use_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .*, not {value}"):
        AdaptConfig(**{name: value})


def test_weights_of_zero_leave_a_loss_out() -> None:
    AdaptConfig(rkd_weight=0, lambda_compress=0, lambda_distill=0, threads=1)
