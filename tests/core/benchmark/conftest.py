"""What tests of figures have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def check_nothing_is_cut_off() -> Callable[[Any], None]:
    """Asserts that all of a figure, as drawn, lies on its canvas."""

    def check(figure: Any) -> None:
        figure.draw_without_rendering()
        width, height = figure.get_size_inches()
        needed = figure.get_tightbbox()
        assert 0 <= needed.x0 < needed.x1 <= width
        assert 0 <= needed.y0 < needed.y1 <= height

    return check
