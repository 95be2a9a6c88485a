"""A simulated expert who knows the true masks and labels them with clicks, keys and the brush."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from napari.layers import Labels
from napari.viewer import Viewer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QScrollArea

from infosam.data.prompts import corrective_point, interior_pixel
from infosam.metrics import iou
from infosam.types import BoolArray, Segmentation
from napari_infosam.demo.hand import Hand
from napari_infosam.demo.strokes import BRUSH, strokes
from napari_infosam.models.session import Session

GOOD = 0.9  # IoU at which the expert is content
CLICKS = 2  # at most, before the brush
ANSWER_SECONDS = 60.0


@dataclass
class Effort:
    """What the expert did."""

    objects: int = 0
    clicks: int = 0
    strokes: int = 0


class Expert:
    """Labels objects in the plugin's own way: click, look at the candidates, commit, correct."""

    def __init__(self, hand: Hand, viewer: Viewer, panel: QScrollArea, session: Session) -> None:
        self._hand = hand
        self._viewer = viewer
        self._panel = panel
        self._session = session
        self.effort = Effort()

    def prompt(self, truth: BoolArray) -> float:
        """Click inside the object, and on errors of the best candidate; the IoU of the candidate shown."""
        position: tuple[float, float] = interior_pixel(truth)
        positive, score = True, 0.0
        for _ in range(CLICKS):
            before = self._session.candidates
            self._hand.click(position, control=not positive)
            self.effort.clicks += 1
            self._wait_for_other_than(before)
            score = self._choose(truth)
            if score >= GOOD:
                break
            row, column, sign = corrective_point(truth, self._candidate())
            position, positive = (row, column), bool(sign)
        return score

    def label(self, truth: BoolArray) -> float:
        """Prompt an object, commit the mask, and paint what is wrong with it; the IoU of the label."""
        known = len(self._session.objects)
        self.prompt(truth)
        self._hand.key(Qt.Key.Key_Return)
        self._hand.wait(lambda: len(self._session.objects) == known + 1, "the commit", ANSWER_SECONDS)
        self.effort.objects += 1
        if iou(self._committed(), truth) < GOOD:
            self._correct(truth)
        return float(iou(self._committed(), truth))

    def _wait_for_other_than(self, before: Segmentation | None) -> None:
        self._hand.wait(lambda: self._answer() not in (None, before), "a mask", ANSWER_SECONDS)

    def _answer(self) -> Segmentation | None:
        return None if self._session.busy else self._session.candidates

    def _candidate(self) -> BoolArray:
        mask = self._session.candidate
        assert mask is not None  # waited for
        return mask

    def _choose(self, truth: BoolArray) -> float:
        """Tab to the candidate that fits best."""
        candidates = self._answer()
        assert candidates is not None  # waited for
        scores = [iou(mask, truth) for mask in candidates.masks]
        for _ in range(len(scores)):
            if self._session.candidate_index == int(np.argmax(scores)):
                break
            self._hand.key(Qt.Key.Key_Tab)
        return float(max(scores))

    @property
    def _labels(self) -> Labels:
        (layer,) = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Labels) and layer.name.endswith(" labels")
        ]
        return layer

    def _newest(self) -> int:
        return max(item.label for item in self._session.objects)

    def _committed(self) -> BoolArray:
        layer = self._labels
        shown = layer.data[tuple(self._viewer.dims.current_step[: layer.ndim - 2])]
        return np.asarray(shown == self._newest())

    def _correct(self, truth: BoolArray) -> None:
        """Paint what is missing, erase what is too much, with napari's own brush."""
        layer, label = self._labels, self._newest()
        missing, extra = truth & ~self._committed(), self._committed() & ~truth
        for tool, region in (("Brush", missing), ("Eraser", extra)):
            self._hand.press(self._panel, tool)
            layer.brush_size = BRUSH
            layer.selected_label = label
            for stroke in strokes(region):
                self._hand.drag(stroke)
                self.effort.strokes += 1
        self._hand.press(self._panel, "Prompt")
        self._hand.wait(lambda: self._session.prompting and not self._session.suspended, "the prompts", 10.0)
