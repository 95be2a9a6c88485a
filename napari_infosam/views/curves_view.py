"""The curves of a run: the loss, and the IoU on held-out images."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from infosam.types import Step, Validated
from napari_infosam.models.adapt_run import Run
from napari_infosam.models.smoothing import smoothed
from napari_infosam.views.colours import BEST, SERIES

if TYPE_CHECKING:
    from napari_infosam.views.chart import Chart, Line

INTERVAL = 500  # ms between two drawings
LOSS_HEIGHT, IOU_HEIGHT = 180, 150
TOTAL = "loss"  # the key of the sum in a step's losses; the other keys are its parts


class CurvesView(QWidget):
    """Two charts over the steps, redrawn a few times a second at most.

    The plotting library takes half a second to import: a thread does that as soon as there is a view. Then
    the charts are built, one in a turn of the event loop, so that nothing has to wait when a run begins.
    """

    def __init__(self) -> None:
        super().__init__()
        self._value = Run()
        self._loss: Chart | None = None
        self._iou: Chart | None = None
        self._parts = QCheckBox("Parts of the loss")
        self._parts.setToolTip("Draw what the loss is the sum of, too")
        self._parts.toggled.connect(self._redraw)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(INTERVAL)
        self._timer.timeout.connect(self._redraw)
        self._import = threading.Thread(target=import_module, args=("pyqtgraph",), daemon=True)
        self._import.start()
        self._timer.start()
        self.setVisible(False)

    def value(self) -> Run:
        return self._value

    def setValue(self, value: Run) -> None:
        """Show the curves of a run; hidden while there is nothing to draw."""
        self._value = value
        self.setVisible(bool(value.steps or value.validations))
        if not self.isHidden() and not self._timer.isActive():
            self._timer.start()

    def _redraw(self) -> None:
        """Draw what is there now, once the charts are there."""
        if self._import.is_alive():
            self._timer.start()
        elif self._loss is None:
            self._loss = self._add_chart("Loss", LOSS_HEIGHT)
            self._layout.addWidget(self._parts)
            self._timer.start(0)
        elif self._iou is None:
            self._iou = self._add_chart("IoU", IOU_HEIGHT)
            self._timer.start(0)
        else:
            self._timer.setInterval(INTERVAL)
            self._draw(self._loss, self._iou)

    def _draw(self, loss: Chart, iou: Chart) -> None:
        run = self._value
        loss.setValue(_loss_lines(run.steps, parts=self._parts.isChecked()))
        iou.setValue(_iou_lines(run.validations))
        iou.setVisible(bool(run.validations))
        if run.steps:
            for chart in (loss, iou):
                chart.setSteps(run.steps[-1].steps)

    def _add_chart(self, y_title: str, height: int) -> Chart:
        from napari_infosam.views.chart import Chart

        chart = Chart(y_title, x_title="Step")
        chart.setFixedHeight(height)
        self._layout.addWidget(chart)
        return chart


def _loss_lines(steps: tuple[Step, ...], *, parts: bool) -> list[Line]:
    """The smoothed total, its parts if they are wanted, and the total as it was, faint."""
    from napari_infosam.views.chart import Line

    if not steps:
        return []
    x = np.array([step.step for step in steps])
    names = [name for name in steps[-1].losses if parts and name != TOTAL]
    lines = []
    for name, colour in zip((TOTAL, *names), SERIES, strict=False):
        y = [step.losses.get(name, np.nan) for step in steps]
        title, width = ("total", 2.5) if name == TOTAL else (name.replace("_", " "), 1.5)
        lines.append(Line(title, x, smoothed(y), colour, width))
        if name == TOTAL:
            raw = Line("every step", x, np.array(y), colour, 1.0, opacity=0.3, in_legend=False)
    return [*lines, raw]


def _iou_lines(validations: tuple[Validated, ...]) -> list[Line]:
    from napari_infosam.views.chart import Line

    if not validations:
        return []
    x, y = np.array([[point.step, point.iou] for point in validations]).T
    best = np.nanargmax(y) if np.isfinite(y).any() else 0
    return [
        Line("held-out images", x, y, SERIES[0], dots=6),
        Line("best so far", x[[best]], y[[best]], BEST, width=0, dots=11),
    ]
