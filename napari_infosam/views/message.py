"""Text of the panel that may be long: what happened, an error with an address in it, a note."""

from __future__ import annotations

from html import escape
from math import ceil

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QFontMetricsF, QTextDocument, QTextOption
from qtpy.QtWidgets import QFrame, QSizePolicy, QTextEdit

from napari_infosam.views.colours import style_sheet, tones

STYLE = (  # napari gives text fields a background and a margin of their own
    "QTextEdit, QTextEdit > QWidget { background: transparent; border: none; padding: 0; margin: 0; }"
)


class Message(QTextEdit):
    """Text that takes the width it is given and the height it needs; it can be selected and copied.

    A label would not do: it never breaks a word, so that an address or a hash would widen the panel. In rich
    text the classes `good`, `bad`, `warning` and `faint` stand for the colours of `Tones`.
    """

    def __init__(self, *, lines: int = 1) -> None:
        """lines: it never gets lower than that, so that what is below it does not jump."""
        super().__init__()
        self._html = ""
        self._lines = lines
        self._drawn: object = None
        self._document = QTextDocument(self)
        self._document.setDocumentMargin(0)
        self.setDocument(self._document)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setStyleSheet(STYLE)

    def setText(self, text: str | None, tone: str = "") -> None:
        """Show plain text in one of the colours of `Tones`, or as all text is."""
        plain = escape(text or "").replace("\n", "<br>")
        self.setHtml(f"<span class='{tone}'>{plain}</span>" if tone else plain)

    def setHtml(self, html: str | None) -> None:
        """Show rich text."""
        self._html = html or ""
        self._draw()

    def heightForWidth(self, width: int) -> int:
        copy = self._document.clone()
        assert copy is not None  # Qt never returns none
        copy.setTextWidth(width)
        return max(ceil(copy.size().height()), self._least)

    def sizeHint(self) -> QSize:
        return QSize(0, self.heightForWidth(self.width()))

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self._least)

    def changeEvent(self, event: QEvent | None) -> None:
        """Another theme brings other colours, another font another height."""
        super().changeEvent(event)
        self._draw()
        self.updateGeometry()

    def _draw(self) -> None:
        """Show the text in the theme's colours, if that is not what is shown: what is selected stays so."""
        colours = tones(self)
        if self._drawn != (self._html, colours):
            self._drawn = self._html, colours
            self._document.setDefaultStyleSheet(style_sheet(colours))
            super().setHtml(self._html)
            self.updateGeometry()

    @property
    def _least(self) -> int:
        """The height of the lines that there is always room for."""
        return self._lines * ceil(QFontMetricsF(self.font()).lineSpacing())
