"""The line above the Adapt button, and why the button is off."""

import pytest

from napari_infosam.models.durations import about
from napari_infosam.models.preflight import Preflight


@pytest.mark.parametrize(
    ("value", "text", "blocked"),
    [
        (Preflight(), "Nothing labelled yet.", "Label at least two objects"),
        (Preflight(1, 1), "1 object on 1 image.", "Label one more object"),
        (
            Preflight(2, 1),
            "2 objects on 1 image: all train. With a second labelled image, the gain can be measured. "
            "The time left is shown once it trains.",
            "",
        ),
        (
            Preflight(3, 2),
            "3 objects on 2 images: all train. With more objects, the gain can be measured. "
            "The time left is shown once it trains.",
            "",
        ),
        (
            Preflight(12, 4, 1, seconds=130),
            "12 objects on 4 images: 3 to train on, 1 held out to measure. At most 2 min.",
            "",
        ),
        (
            Preflight(12, 4, 1, problem="No project is open."),
            "12 objects on 4 images.",
            "No project is open.",
        ),
    ],
)
def test_the_line_and_the_reason(value: Preflight, text: str, blocked: str) -> None:
    assert value.text == text
    assert value.blocked.startswith(blocked)
    assert bool(value.blocked) == bool(blocked)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "5 s"),
        (12, "10 s"),
        (54, "55 s"),
        (55, "1 min"),
        (100, "2 min"),
        (59 * 60, "59 min"),
        (3600, "1 h"),
        (7700, "2 h 10 min"),
        (float("nan"), "unknown"),
        (float("inf"), "unknown"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert about(seconds) == text
