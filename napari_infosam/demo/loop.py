"""The recorded loop: open, click, correct, adapt, accept, and see it get better on images not trained on."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.layers import Image
from napari.viewer import Viewer
from qtpy.QtCore import Qt

from infosam import LabelledImage, evaluate, load_model
from infosam.data.readers import read_data
from infosam.types import BoolArray, InfoSAMError
from napari_infosam._widget import AnnotateWidget
from napari_infosam.demo.expert import ANSWER_SECONDS, Effort, Expert
from napari_infosam.demo.hand import Hand
from napari_infosam.samples import sample_folder

log = logging.getLogger(__name__)

PACK = "leaf_lesions"
LABELLED = 8  # images that the expert labels; all others are held out
MODEL = "sam_pocket"
PROMPT = "point"
START_SECONDS = 120.0
TRAINING_SECONDS = 480.0
WINDOW = (1500, 960)
HOME_NAME = "demo_project"
MARK = ".made-by-napari-infosam-demo"


@dataclass(frozen=True)
class Result:
    """What the loop brought. base, adapted: `infosam.evaluate` on the held-out images."""

    base: dict[str, Any]
    adapted: dict[str, Any]
    effort: Effort
    label_iou: float
    losses: list[tuple[int, float]]
    validations: list[tuple[int, float]]
    adapter: Path
    screenshots: list[Path]


class Loop:
    """Plays the loop in one viewer; pictures go to `out`."""

    def __init__(self, viewer: Viewer, out: Path) -> None:
        self._viewer = viewer
        self._out = out
        self._truths = read_data(sample_folder(PACK))
        viewer.open_sample("napari-infosam", PACK)
        image = viewer.layers[0]
        assert isinstance(image, Image)
        self._hand = Hand(viewer, image)
        _, self._panel = viewer.window.add_plugin_dock_widget("napari-infosam", "Annotate & adapt")
        assert isinstance(self._panel, AnnotateWidget)
        self._annotator = self._panel.annotator
        self._session = self._panel.session
        self._expert = Expert(self._hand, viewer, self._panel, self._session)
        self._pictures: list[Path] = []

    def play(self) -> Result:
        """From the first click to the better model."""
        self._hand.wait(lambda: self._session.device and self._session.shown, "the model", START_SECONDS)
        self._hand.press(self._panel, "Prompt")
        self._hand.wait(lambda: self._session.ready, "the first image", START_SECONDS)
        label_iou = self._label_all()
        log.info("labelled %d objects", self._expert.effort.objects)
        self._show(LABELLED)
        self._expert.prompt(self._truth(LABELLED)[0])
        self._picture("3_before")
        self._hand.key(Qt.Key.Key_Escape)
        losses, validations = self._adapt()
        adapter = self._session.adapter
        if adapter is None:
            raise InfoSAMError("the new model was accepted, but the session does not use it")
        self._expert.prompt(self._truth(LABELLED)[0])
        self._picture("6_after")
        base, adapted = self._scores(None), self._scores(adapter)
        return Result(
            base,
            adapted,
            self._expert.effort,
            label_iou,
            losses,
            validations,
            adapter,
            self._pictures,
        )

    # ------------------------------------------------------------------------------------------ labelling

    def _label_all(self) -> float:
        """Label the first images; the mean IoU of the labels with the truth."""
        scores: list[float] = []
        for index in range(LABELLED):
            self._show(index)
            for number, truth in enumerate(self._truth(index)):
                if (index, number) == (0, 0):
                    self._record_first(truth)
                scores.append(self._expert.label(truth))
                if (index, number) == (0, 0):
                    self._picture("2_corrected")
            log.info("image %d of %d: labels at IoU %.2f", index + 1, LABELLED, float(np.mean(scores)))
        return float(np.mean(scores))

    def _record_first(self, truth: BoolArray) -> None:
        self._expert.prompt(truth)
        self._picture("1_prompted")
        self._hand.key(Qt.Key.Key_Escape)

    def _show(self, index: int) -> None:
        """Go to a slice, and wait until prompts can be answered there."""
        self._viewer.dims.set_current_step(0, index)
        self._hand.wait(lambda: self._session.ready_on(index), f"slice {index}", ANSWER_SECONDS)

    def _truth(self, index: int) -> list[BoolArray]:
        return [item.mask for item in self._truths[index].objects()]

    # ------------------------------------------------------------------------------------------- adapting

    def _adapt(self) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
        """Press Adapt, go on working, look at the card, accept; the loss and the validation curve."""
        state = self._annotator.adapt_state
        self._hand.press(self._panel, "Adapt")
        self._hand.wait(
            lambda: len(state.run.validations) > 1 or not state.run.is_active, "training", TRAINING_SECONDS
        )
        # Annotation goes on meanwhile: another object on an image that is not trained on.
        self._expert.prompt(self._truth(LABELLED)[-1])
        self._picture("4_training")
        self._hand.key(Qt.Key.Key_Escape)
        self._hand.wait(lambda: not state.run.is_active, "the end of the training", TRAINING_SECONDS)
        run = state.run
        if run.card is None:
            raise InfoSAMError(f"the training brought no model: {run.message} {run.advice}")
        self._picture("5_card")
        self._annotator.adapt_view.curves.grab().save(str(self._out / "loss.png"))
        self._hand.press(self._panel, "Accept")
        self._hand.wait(
            lambda: self._session.adapter is not None and self._session.ready, "the new model", 60.0
        )
        return (
            [(step.step, step.losses["loss"]) for step in run.steps],
            [(validated.step, validated.iou) for validated in run.validations],
        )

    # ------------------------------------------------------------------------------------------ measuring

    def _scores(self, adapter: Path | None) -> dict[str, Any]:
        """Mean scores on the images that the expert did not touch, while the window lives on."""
        held_out: Sequence[LabelledImage] = self._truths[LABELLED:]
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(
                lambda: evaluate(
                    held_out,
                    model=load_model(MODEL, adapter=adapter),
                    prompt=PROMPT,
                    zoom="auto",
                    multimask=True,
                )
            )
            self._hand.wait(job.done, "the evaluation", TRAINING_SECONDS)
        return job.result()

    def _picture(self, name: str) -> None:
        self._pictures.append(self._hand.picture(self._out / f"{name}.png"))


def play(out: Path, *, interactive: bool = False) -> tuple[Result, float]:
    """Play the loop in a real window; the result and the seconds it took.

    The project lies in `out` too, so that nobody's own annotations are touched.

    Raises:
        InfoSAMError: a step did not do what it should, or something of yours lies where the project would.
    """
    os.environ["INFOSAM_DATA"] = str(fresh_home(out).resolve())
    began = time.monotonic()
    viewer = napari.Viewer(title="napari-infosam demo")
    viewer.window._qt_window.resize(*WINDOW)
    try:
        result = Loop(viewer, out).play()
        seconds = time.monotonic() - began
        if interactive:
            napari.run()
    finally:
        viewer.close()
    return result, seconds


def fresh_home(out: Path) -> Path:
    """An empty folder in `out` for the demo's project, in place of the one that an earlier demo left there.

    Raises:
        InfoSAMError: what lies there is not a demo's.
    """
    home = out / HOME_NAME
    if home.exists():
        if not (home / MARK).is_file():
            raise InfoSAMError(f"{home} is not the demo's: move it away, or choose another folder with --out")
        shutil.rmtree(home)
    home.mkdir(parents=True)
    (home / MARK).touch()
    return home
