"""Colours that can be read on napari's dark and on its light theme."""

from __future__ import annotations

from napari.settings import get_settings
from napari.utils.theme import get_theme

BETTER = "#3fa652"
WORSE = "#e0664f"
WARNING = "#d99a1c"
SERIES = ("#4c8dff", "#d99a1c", "#b07be0", "#3fa652", "#7f8b99")
"""Lines of a plot, the most important first."""


def theme_colours() -> tuple[str, str]:
    """(background, text) of napari's present theme, as hexadecimal RGB."""
    theme = get_theme(get_settings().appearance.theme)
    return theme.background.as_hex(), theme.text.as_hex()
