"""Colours that can be read on napari's dark and on its light theme."""

from __future__ import annotations

from napari.settings import get_settings
from napari.utils.theme import get_theme

BETTER = "#3fa652"
WORSE = "#e0664f"
WARNING = "#d99a1c"
SERIES = ("#4c8dff", "#d99a1c", "#b07be0", "#3fa652", "#7f8b99", "#e0664f", "#2fb5b5")
"""Lines of a plot, the most important first."""
PRIMARY = (
    "QPushButton:enabled { background: #3b6fd4; color: white; }"
    "QPushButton:enabled:hover { background: #4c80e6; }"
    "QPushButton:enabled:pressed { background: #2f5bb3; }"
)
"""Style of the button that is meant to be pressed next."""
BAR = f"QProgressBar::chunk {{ background: {SERIES[0]}; }}"
"""Style of a progress bar."""


def theme_colours() -> tuple[str, str]:
    """(background, text) of napari's present theme, as hexadecimal RGB."""
    theme = get_theme(get_settings().appearance.theme)
    return theme.background.as_hex(), theme.text.as_hex()
