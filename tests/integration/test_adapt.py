"""The Adapt section with the real training process, on a real project."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from pytestqt.qtbot import QtBot

from infosam import Predictor, Project, load_model
from infosam.data.scenes import make_scene
from infosam.types import AdaptConfig
from napari_infosam.controllers.adapt import AdaptController
from napari_infosam.models.adapt_run import Run
from napari_infosam.models.adapt_state import AdaptState
from napari_infosam.models.session import Session
from napari_infosam.views.adapt_view import AdaptView

PATIENCE = 180_000  # ms; the machine may be busy
SIZE = 96
QUICK = AdaptConfig(batch_size=2)
LONG = replace(QUICK, steps=5000)


class Annotator:
    """The Adapt half of the panel, without a viewer."""

    def __init__(self, project: Project, qtbot: QtBot) -> None:
        self._qtbot = qtbot
        self.state, self.view, self.session = AdaptState(), AdaptView(), Session()
        self.controller = AdaptController(self.session, self.state, self.view, lambda: None)
        qtbot.addWidget(self.view)
        self.session.project = project
        self.session.n_labelled_objects = sum(project.object_counts().values())

    @property
    def run(self) -> Run:
        return self.state.run

    @property
    def child(self) -> psutil.Process:
        launched = self.controller._launched
        assert launched is not None
        assert launched.process is not None
        return psutil.Process(launched.process.pid)

    def press(self, config: AdaptConfig) -> None:
        self.view.adapt_requested.emit(config)
        assert self.run.is_active, self.state.notice

    def until_step(self, number: int) -> None:
        self.wait(lambda: not self.run.is_active or any(step.step >= number for step in self.run.steps))
        assert self.run.is_active, (self.run.message, self.run.advice)

    def until_end(self) -> None:
        self.wait(lambda: not self.run.is_active)
        self.wait(lambda: self.controller._launched is None or self.controller._launched.process is None)

    def wait(self, condition: Callable[[], bool]) -> None:
        self._qtbot.waitUntil(condition, timeout=PATIENCE)


def label_scene(project: Project, seed: int) -> None:
    scene = make_scene(SIZE, seed)
    image = project.add_image(scene.image)
    for label, mask in enumerate(scene.masks[:2], start=1):
        project.add_object(image.id, mask, label=label)


@pytest.fixture
def labelled(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project") as project:
        for seed in range(3):
            label_scene(project, seed)
        yield project


@pytest.fixture
def annotator(labelled: Project, qtbot: QtBot) -> Iterator[Annotator]:
    made = Annotator(labelled, qtbot)
    yield made
    made.controller.close()


def test_from_the_button_to_the_better_model(annotator: Annotator, labelled: Project) -> None:
    annotator.press(replace(QUICK, steps=8))
    planned = annotator.state.preflight
    annotator.until_end()
    run = annotator.run
    assert run.phase == "done", (run.message, run.advice)
    assert [step.step for step in run.steps] == list(range(1, 9))
    assert run.started is not None
    assert run.started.n_val_images == planned.n_val_images == 1
    assert run.card is not None
    assert set(run.card.new) == set(run.card.pretrained)
    annotator.view.accept_requested.emit()
    adapter = annotator.session.adapter
    assert adapter is not None
    assert labelled.current_adapter().folder == adapter


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_kill_9_and_resume_although_annotation_went_on(annotator: Annotator, labelled: Project) -> None:
    counts = labelled.object_counts()
    annotator.press(replace(QUICK, steps=12, val_fraction=0))
    annotator.until_step(4)
    os.kill(annotator.child.pid, signal.SIGKILL)
    annotator.until_end()
    assert annotator.run.phase == "failed"
    assert "was killed" in annotator.run.message
    assert annotator.run.resumable
    assert labelled.object_counts() == counts

    label_scene(labelled, 9)
    annotator.view.resume_requested.emit()
    annotator.until_end()
    run = annotator.run
    assert run.phase == "done", (run.message, run.advice)
    assert [step.step for step in run.steps] == list(range(1, 13))
    assert run.started is not None
    assert (run.started.n_images, run.started.n_objects) == (3, sum(counts.values()))
    (record,) = labelled.adapters()

    logits = []
    for adapter in (None, record.folder):
        predictor = Predictor(load_model("sam_pocket", adapter=adapter))
        predictor.set_image(labelled.read_image(1))
        logits.append(predictor.predict(points=[(SIZE // 2, SIZE // 2)], labels=[1]).logits)
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_closing_in_mid_run_leaves_no_orphan_and_it_is_resumed_the_next_time(
    annotator: Annotator, labelled: Project, qtbot: QtBot
) -> None:
    annotator.press(replace(QUICK, steps=400))
    annotator.until_step(3)
    child = annotator.child
    annotator.controller.close()
    annotator.wait(lambda: not child.is_running())

    later = Annotator(labelled, qtbot)
    assert later.state.interrupted is not None
    later.view.resume_requested.emit()
    later.until_step(4)
    assert later.run.steps[0].step > 3
    assert later.run.steps[0].steps == 400
    later.view.cancel_requested.emit()
    later.until_end()
    assert later.run.phase == "cancelled"
    assert later.run.card is not None
    later.view.discard_requested.emit()
    assert later.state.interrupted is None
    assert [record.status for record in labelled.adapters()] == ["rolled_back"]
    later.controller.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_run_of_another_window_is_left_alone_and_offered_once_it_is_cut_off(
    annotator: Annotator, labelled: Project, qtbot: QtBot
) -> None:
    annotator.press(LONG)
    annotator.until_step(2)
    with Project.open(labelled.folder) as same:
        other = Annotator(same, qtbot)
        for request in (other.view.resume_requested.emit, lambda: other.view.adapt_requested.emit(LONG)):
            request()
            assert other.state.notice.startswith("Another window trains on this project")
            assert not other.run.is_active
        assert other.state.interrupted is None
        other.view.forget_requested.emit()
        last = annotator.run.steps[-1].step
        annotator.until_step(last + 2)

        folder = annotator.run.folder
        os.kill(annotator.child.pid, signal.SIGKILL)
        annotator.until_end()
        assert annotator.run.resumable
        other.wait(lambda: other.state.interrupted is not None)
        assert other.state.interrupted is not None
        assert other.state.interrupted.folder == folder
        other.controller.close()


def in_the_child(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the training process run `code` before anything else."""
    (tmp_path / "site").mkdir()
    body = "".join(f"    {line}\n" for line in code.splitlines())
    (tmp_path / "site" / "sitecustomize.py").write_text(f"import sys\nif 'adapt' in sys.orig_argv:\n{body}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)


def test_stopping_at_once_can_be_resumed(
    annotator: Annotator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A run that was cancelled still scores its best model, which must not be waited for.
    code = "import time\nfrom infosam.training import adaptation\n"
    in_the_child(code + "adaptation.card_scores = lambda *_: time.sleep(600)", tmp_path, monkeypatch)
    annotator.press(replace(LONG, val_fraction=0))
    annotator.until_step(1)
    annotator.view.cancel_requested.emit()
    annotator.view.stop_requested.emit()
    annotator.until_end()
    assert annotator.run.phase == "cancelled"
    assert annotator.run.card is None
    assert annotator.run.resumable


def test_memory_that_runs_out_is_explained(
    annotator: Annotator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import torch\n"
        "from infosam.training.trainer import Trainer\n"
        "step = Trainer._step\n"
        "def limited(self, *arguments):\n"
        "    if self.state.progress.step == 2:\n"
        "        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB')\n"
        "    return step(self, *arguments)\n"
        "Trainer._step = limited\n"
    )
    in_the_child(code, tmp_path, monkeypatch)
    annotator.press(LONG)
    annotator.until_end()
    run = annotator.run
    assert run.phase == "failed"
    assert "ran out of memory" in run.message
    assert "smaller model" in run.advice
    assert len(run.steps) == 2


def test_a_project_that_is_gone_is_told(annotator: Annotator, labelled: Project, tmp_path: Path) -> None:
    annotator.press(LONG)
    labelled.close()
    (labelled.folder).rename(tmp_path / "elsewhere")
    annotator.until_end()
    assert annotator.run.phase == "failed"
    assert "does not exist" in annotator.run.message
    assert not annotator.run.resumable
