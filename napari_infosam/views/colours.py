"""Colours that can be read on napari's dark and on its light theme."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from qtpy.QtWidgets import QWidget

SERIES = ("#4c8dff", "#d99a1c", "#b07be0", "#3fa652", "#7f8b99", "#e0664f", "#2fb5b5")
"""Lines of a plot, the most important first."""
BEST = SERIES[3]
"""The best point of a plot."""
PRIMARY = (
    "QPushButton:enabled { background: #3b6fd4; color: white; }"
    "QPushButton:enabled:hover { background: #4c80e6; }"
    "QPushButton:enabled:pressed { background: #2f5bb3; }"
)
"""Style of the button that is meant to be pressed next."""
BAR = f"QProgressBar::chunk {{ background: {SERIES[0]}; }}"
"""Style of a progress bar."""


@dataclass(frozen=True)
class Tones:
    """Colours of text: good and bad news, what to be careful about, and what matters less."""

    good: str
    bad: str
    warning: str
    faint: str


ON_DARK = Tones(good="#4fd46e", bad="#ffa08c", warning="#e8b13c", faint="#a3acb8")
ON_LIGHT = Tones(good="#0f5c26", bad="#94200f", warning="#6e4a00", faint="#565d66")


def tones(widget: QWidget) -> Tones:
    """The colours for the theme that a widget is shown in."""
    return ON_DARK if widget.palette().windowText().color().lightness() > 127 else ON_LIGHT


def style_sheet(colours: Tones) -> str:
    """The tones as classes of rich text."""
    return " ".join(f".{name} {{ color: {colour}; }}" for name, colour in asdict(colours).items())


def theme_colours(widget: QWidget) -> tuple[str, str]:
    """(background, text) of the theme that a widget is shown in, as hexadecimal RGB.

    Taken from the widget, since a viewer may have another theme than napari's settings name.
    """
    palette = widget.palette()
    return palette.window().color().name(), palette.windowText().color().name()
