from __future__ import annotations

import pytest

from infosam.training.schedule import (
    cosine_lr,
    cosine_period,
    default_lr,
    default_steps,
    warm_up,
    warm_up_steps,
)


def test_cosine_falls_from_lr_to_its_end() -> None:
    rates = [cosine_lr(step, 10, 2e-4, 0.1) for step in range(12)]
    assert rates[0] == pytest.approx(2e-4)
    assert rates[5] == pytest.approx(2e-4 * 0.55)
    assert rates[10] == rates[11] == pytest.approx(2e-5)
    assert rates == sorted(rates, reverse=True)


def test_official_cosine_ends_above_its_end() -> None:
    # 99 batches of 4 and one sample too few for another: 10 epochs run 990 steps on a cosine of 1000.
    steps = default_steps(398, 4, "official")
    period = cosine_period(steps, 398, 4, "official")
    assert (steps, period) == (990, 1000)
    assert 2e-5 < cosine_lr(steps - 1, period, 2e-4, 0.1) < 2.1e-5
    assert cosine_period(steps, 398, 4, "paper") == steps


def test_the_pocket_model_learns_faster_in_clean_mode_only() -> None:
    assert default_lr("pocket", "clean") > default_lr("pocket", "official") == default_lr("sam", "clean")


def test_clean_steps_are_bounded() -> None:
    few, some, many = (default_steps(count, 8, "clean") for count in (2, 90, 5000))
    assert 0 < few < some < many
    assert default_steps(100_000, 8, "clean") == many
    assert default_steps(3, 8, "official") == 10


def test_the_learning_rate_rises_at_first_but_not_in_the_published_modes() -> None:
    rises = [warm_up(step, 4) for step in range(6)]
    assert rises == [0.25, 0.5, 0.75, 1, 1, 1]
    assert warm_up_steps("clean") > 0
    assert {warm_up(0, warm_up_steps(mode)) for mode in ("official", "paper")} == {1.0}
