"""One small plot with axis titles and a legend above it, in napari's colours. Imports pyqtgraph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QEvent
from qtpy.QtGui import QColor, QFont
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_infosam.views.colours import theme_colours

FONT_SIZE = 8
Y_AXIS_WIDTH = 52  # the same for every chart, so that charts above each other line up


@dataclass(frozen=True, eq=False)
class Line:
    """One line of a chart. x, y: (N,). width, dots: pixels, 0 for none. opacity: 0 to 1."""

    name: str
    x: NDArray[Any]
    y: NDArray[Any]
    colour: str
    width: float = 2.0
    opacity: float = 1.0
    dots: float = 0.0
    in_legend: bool = True


class Chart(QWidget):
    """Lines over the steps of a run. It only shows: the mouse wheel scrolls the panel, not the plot."""

    def __init__(self, y_title: str, *, x_title: str = "") -> None:
        super().__init__()
        self._titles = {"left": y_title, "bottom": x_title}
        self._items: dict[str, Any] = {}
        self._value: tuple[Line, ...] = ()
        self._legend = QLabel()
        self._legend.setContentsMargins(Y_AXIS_WIDTH, 0, 0, 0)
        self._legend.setWordWrap(True)
        self._plot = pg.PlotWidget()
        self._item = self._plot.getPlotItem()
        self._item.setMouseEnabled(False, False)
        self._item.setMenuEnabled(False)
        self._item.hideButtons()
        self._item.showGrid(y=True, alpha=0.15)
        self._item.getAxis("left").setWidth(Y_AXIS_WIDTH)
        font = QFont()
        font.setPointSize(FONT_SIZE)
        for side in self._titles:
            self._item.getAxis(side).setTickFont(font)
            self._item.getAxis(side).enableAutoSIPrefix(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._legend)
        layout.addWidget(self._plot)
        self._take_theme()

    def value(self) -> tuple[Line, ...]:
        return self._value

    def setSteps(self, steps: int) -> None:
        """Let the horizontal axis go from 0 to the number of steps of the run."""
        self._item.setXRange(0, steps, padding=0.02)

    def setValue(self, lines: Sequence[Line]) -> None:
        """Show these lines, the first on top."""
        self._value = tuple(lines)
        names = [line.name for line in lines]
        for name in set(self._items) - set(names):
            self._item.removeItem(self._items.pop(name))
        for depth, line in enumerate(lines):
            if line.name not in self._items:
                self._items[line.name] = self._new_item(line, -depth)
            self._items[line.name].setData(line.x, line.y)
        self._legend.setText("&nbsp; ".join(_legend(line) for line in lines if line.in_legend))

    def changeEvent(self, event: QEvent | None) -> None:
        """napari changes its theme by a new style sheet, and that the palette."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.StyleChange, QEvent.Type.PaletteChange):
            self._take_theme()

    def _new_item(self, line: Line, depth: int) -> Any:
        colour = QColor(line.colour)
        colour.setAlphaF(line.opacity)
        pen = pg.mkPen(colour, width=line.width) if line.width else None
        dots = {"symbol": "o", "symbolSize": line.dots, "symbolBrush": colour, "symbolPen": None}
        item = self._plot.plot(pen=pen, antialias=True, **(dots if line.dots else {}))
        item.setZValue(depth)
        return item

    def _take_theme(self) -> None:
        background, text = theme_colours(self)
        self._plot.setBackground(background)
        for side, title in self._titles.items():
            axis = self._item.getAxis(side)
            axis.setPen(text)
            axis.setTextPen(text)
            axis.setLabel(title, **{"color": text, "font-size": f"{FONT_SIZE}pt"})
            axis.showLabel(bool(title))


def _legend(line: Line) -> str:
    """Rich text that breaks between entries only."""
    mark = "━" if line.width else "●"
    return f"<span style='color: {line.colour}'>{mark}</span>&nbsp;{line.name.replace(' ', '&nbsp;')}"
