"""Every coloured text can be read on both of napari's themes, and follows when the theme changes."""

from dataclasses import asdict

import pytest
from napari._qt.qt_resources import get_stylesheet
from napari.utils.theme import get_theme
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QColor, QTextCursor
from qtpy.QtWidgets import QAbstractButton, QVBoxLayout, QWidget

from napari_infosam.views.colours import ON_DARK, ON_LIGHT, theme_colours, tones
from napari_infosam.views.message import Message
from napari_infosam.views.prompt_view import PromptPanel, PromptView

READABLE = 4.5  # contrast that WCAG asks of text
THEMES = {"dark": ON_DARK, "light": ON_LIGHT}


def luminance(colour: str) -> float:
    parts = [channel / 255 for channel in QColor(colour).getRgb()[:3]]  # type: ignore[operator]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
def test_every_tone_can_be_read_on_the_panel(theme: str) -> None:
    background = get_theme(theme).background.as_hex()
    assert {
        name: contrast(colour, background) >= READABLE for name, colour in asdict(THEMES[theme]).items()
    } == (dict.fromkeys(("good", "bad", "warning", "faint"), True))


@pytest.mark.parametrize("theme", THEMES)
def test_the_sign_can_be_read_on_its_button(theme: str) -> None:
    button = get_theme(theme).primary.as_hex()
    assert min(contrast(colour, button) for colour in (THEMES[theme].good, THEMES[theme].bad)) >= READABLE


def test_messages_and_the_sign_follow_the_theme(qtbot: QtBot) -> None:
    host = QWidget()
    qtbot.addWidget(host)
    layout = QVBoxLayout(host)
    message, view = Message(), PromptView()
    layout.addWidget(message)
    layout.addWidget(view)
    message.setText("Something went wrong.", "bad")
    view.setValue(PromptPanel(positive=False))
    host.show()
    for theme in ("light", "dark", "light"):
        host.setStyleSheet(get_stylesheet(theme))
        qtbot.wait(20)
        background, text = theme_colours(view)
        assert QColor(background) == QColor(get_theme(theme).background.as_hex())
        assert QColor(text) == QColor(get_theme(theme).text.as_hex())
        assert tones(message) == THEMES[theme]
        cursor = message.textCursor()
        cursor.movePosition(QTextCursor.MoveOperation.End)
        assert cursor.charFormat().foreground().color() == QColor(THEMES[theme].bad)
        sign = next(button for button in view.findChildren(QAbstractButton) if "background" in button.text())
        assert QColor(THEMES[theme].bad) == sign.palette().buttonText().color()
