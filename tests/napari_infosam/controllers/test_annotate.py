"""Gestures, commits and undo, as the user meets them, without a window and with made-up candidates."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.key_bindings import coerce_keybinding
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QObject, Signal

from infosam import Project
from infosam.types import InfoSAMError, Segmentation
from napari_infosam.controllers.annotate import AnnotateController
from napari_infosam.controllers.edits import LabelEditor
from napari_infosam.controllers.prompting import PromptController
from napari_infosam.layers import ViewerLayers
from napari_infosam.models.hints import hint
from napari_infosam.models.history import Change, History
from napari_infosam.models.session import Session
from napari_infosam.models.shown_image import Place
from tests.napari_infosam.conftest import disc


class Canvas(QObject):
    """Stands in for `CanvasInput`."""

    clicked = Signal(object, bool)
    box_dragged = Signal(object, object, bool)
    double_clicked = Signal(object)
    space_held = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.active = False

    def take_focus(self) -> None:
        """There is no keyboard."""


@dataclass
class Desk:
    """Everything on the annotator's desk."""

    viewer: ViewerModel
    session: Session
    layers: ViewerLayers
    editor: LabelEditor
    history: History
    canvas: Canvas
    prompts: PromptController
    annotate: AnnotateController

    def world(self, row: float, column: float) -> tuple[float, ...]:
        return tuple(self.viewer.layers["cells"].data_to_world((row, column)))

    def click(self, row: float, column: float, negative: bool = False) -> None:
        self.canvas.clicked.emit(self.world(row, column), negative)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        for released in (False, True):
            self.canvas.box_dragged.emit(self.world(*start), self.world(*end), released)

    def answer(self, *masks: np.ndarray) -> None:
        """What the model would answer."""
        self.session.answered = self.session.prompts
        self.session.candidate_index = 0
        self.session.candidates = Segmentation(
            np.stack(masks),
            np.linspace(0.9, 0.5, len(masks)).astype(np.float32),
            np.zeros((len(masks), 4, 4), np.float32),
        )

    @property
    def labels(self) -> np.ndarray:
        return np.asarray(self.viewer.layers["cells labels"].data)

    @property
    def drawn(self) -> np.ndarray:
        return np.asarray(self.viewer.layers["infosam candidate"].data).astype(bool)


@pytest.fixture
def desk(
    viewer: ViewerModel, session: Session, layers: ViewerLayers, editor: LabelEditor, qtbot: QtBot
) -> Iterator[Desk]:
    canvas, history = Canvas(), History()
    prompts = PromptController(session, layers, cast(Any, canvas), editor, history)
    annotate = AnnotateController(session, layers, editor, history, prompts)
    session.prompting = True
    qtbot.waitUntil(lambda: "infosam points" in viewer.layers)
    made = Desk(viewer, session, layers, editor, history, canvas, prompts, annotate)
    # The model has no more to say about a prompt that is gone.
    session.events.prompts.connect(
        lambda prompt: setattr(session, "candidates", None) if prompt.is_empty else None
    )
    yield made
    annotate.close()


def test_clicks_become_points_with_signs(desk: Desk) -> None:
    desk.click(10, 12)
    desk.click(20, 22, negative=True)
    desk.prompts.turn_sign()
    desk.click(30, 32)
    prompt = desk.session.prompts
    assert np.allclose(prompt.points, [(10, 12), (20, 22), (30, 32)])
    assert prompt.labels == (1, 0, 0)
    assert len(desk.viewer.layers["infosam points"].data) == 3


def test_a_click_corrects_the_mask_that_is_shown(desk: Desk) -> None:
    masks = [disc(10, 10), disc(20, 20)]
    desk.click(10, 10)
    assert desk.session.prompts.answer is None
    desk.answer(*masks)
    desk.prompts.next_candidate(1)
    desk.click(20, 20)
    second = desk.session.prompts
    assert second.answer is not None
    assert (second.answer == masks[1]).all()
    desk.click(21, 21)  # before the answer is there
    assert (desk.session.prompts.answer == masks[1]).all()
    desk.answer(np.zeros_like(masks[0]))
    desk.click(22, 22)  # nothing to correct
    assert (desk.session.prompts.answer == masks[1]).all()
    for count in (3, 2):
        desk.annotate.undo()
        assert len(desk.session.prompts.points) == count
        assert (desk.session.prompts.answer == masks[1]).all()
    desk.annotate.undo()
    assert desk.session.prompts.answer is None
    desk.annotate.redo()
    assert desk.session.prompts.points == second.points
    assert (desk.session.prompts.answer == masks[1]).all()
    desk.drag((2, 3), (12, 23))
    assert desk.session.prompts.answer is None
    desk.answer(*masks)
    desk.click(12, 12)  # the box says more
    assert desk.session.prompts.answer is None


def test_undoing_a_commit_brings_back_what_was_corrected(desk: Desk) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    desk.click(12, 12)
    desk.answer(disc(11, 11, 7))
    desk.annotate.commit()
    assert desk.session.prompts.is_empty
    desk.annotate.undo()
    assert (desk.session.prompts.answer == disc(10, 10)).all()


def test_a_drag_becomes_a_box_that_is_shown_meanwhile(desk: Desk) -> None:
    box = desk.viewer.layers["infosam box"]
    desk.canvas.box_dragged.emit(desk.world(2, 3), desk.world(12, 23), False)
    assert len(box.data) == 4
    assert desk.session.prompts.is_empty
    desk.drag((2, 3), (12, 23))
    assert desk.session.prompts.box == pytest.approx((2.5, 3.5, 12.5, 23.5))


def test_useless_gestures_are_explained(desk: Desk) -> None:
    desk.click(-5, 5)
    assert "outside" in desk.session.status
    desk.click(5, 5, negative=True)
    assert "Begin on the object" in desk.session.status
    desk.drag((-9, -9), (-2, -2))
    assert "outside" in desk.session.status
    assert desk.session.prompts.is_empty
    desk.annotate.commit()
    assert "nothing to commit" in desk.session.status
    assert desk.session.problem


def test_candidates_are_drawn_and_cycled(desk: Desk) -> None:
    masks = [disc(10, 10), disc(20, 20), disc(30, 30)]
    desk.click(10, 10)
    desk.answer(*masks)
    order = [0]
    for step in (1, 1, 1, -1):
        assert (desk.drawn == masks[desk.session.candidate_index]).all()
        desk.prompts.next_candidate(step)
        order.append(desk.session.candidate_index)
    assert order == [0, 1, 2, 0, 2]


def test_a_commit_takes_the_candidate_that_is_shown_and_clears(desk: Desk, project: Project) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10), disc(20, 20))
    desk.prompts.next_candidate(1)
    desk.annotate.commit()
    assert (desk.labels == disc(20, 20)).all()
    assert desk.session.prompts.is_empty
    assert not desk.drawn.any()
    assert project.objects()[0].prompt is not None


def test_a_commit_in_haste_waits_for_the_answer_to_the_newest_prompt(desk: Desk) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    desk.click(12, 12)
    desk.annotate.commit()
    assert desk.session.objects == ()
    desk.answer(disc(11, 11, 7))
    assert (desk.labels == disc(11, 11, 7)).all()
    desk.click(30, 30)
    desk.annotate.commit()
    desk.prompts.clear()
    desk.click(30, 50)
    desk.answer(disc(30, 50))
    assert len(desk.session.objects) == 1


def test_after_a_commit_the_next_click_is_on_an_object_again(desk: Desk) -> None:
    for end in (desk.annotate.commit, desk.prompts.clear):
        desk.click(10, 10)
        desk.prompts.turn_sign()
        desk.click(20, 20)
        desk.answer(disc(10, 10))
        assert not desk.session.positive
        end()
        assert desk.session.prompts.is_empty
        assert desk.session.positive
    desk.click(30, 30)
    assert desk.session.prompts.labels == (1,)


def test_what_there_is_none_of_is_named(desk: Desk) -> None:
    desk.annotate.undo()
    assert desk.session.status == "There is nothing to undo."
    desk.annotate.redo()
    assert desk.session.status == "There is nothing to redo."


def test_undo_takes_back_commits_and_prompts_one_by_one_and_redo_does_them_again(desk: Desk) -> None:
    desk.click(10, 10)
    desk.click(11, 11)
    desk.answer(disc(10, 10))
    desk.annotate.commit()
    desk.annotate.undo()
    assert not desk.labels.any()
    assert len(desk.session.prompts.points) == 2
    desk.annotate.undo()
    assert len(desk.session.prompts.points) == 1
    desk.annotate.undo()
    assert desk.session.prompts.is_empty
    desk.annotate.undo()
    assert "nothing to undo" in desk.session.status
    for _ in range(3):
        desk.annotate.redo()
    assert (desk.labels == disc(10, 10)).all()
    assert desk.session.prompts.is_empty


def test_strokes_stand_in_the_same_row_as_commits(desk: Desk, qtbot: QtBot) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    desk.annotate.commit()
    desk.viewer.layers["cells labels"].paint((30, 30), 4)
    painted = desk.labels.copy()
    qtbot.waitUntil(lambda: len(desk.session.objects) == 2)
    desk.annotate.undo()
    assert (desk.labels == disc(10, 10)).all()
    desk.annotate.redo()
    assert (desk.labels == painted).all()


def test_the_labels_layers_own_undo_is_the_panels(desk: Desk, qtbot: QtBot) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    desk.annotate.commit()
    layer = desk.viewer.layers["cells labels"]
    undo, redo = (layer.keymap[coerce_keybinding(key)] for key in ("Control-Z", "Control-Shift-Z"))
    layer.paint((30, 30), 4)
    painted = desk.labels.copy()
    undo(layer)
    assert (desk.labels == disc(10, 10)).all()
    assert desk.session.status == "Undone: correction."
    undo(layer)
    assert not desk.labels.any()
    redo(layer)
    redo(layer)
    assert (desk.labels == painted).all()
    desk.layers.close()
    assert not layer.keymap  # napari's again


def test_an_undo_that_fails_can_be_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    desk.annotate.commit()

    def fail(*_: object) -> None:
        raise InfoSAMError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(desk.session.project, "remove_object", fail)
        desk.annotate.undo()
    assert desk.session.status == "the disk is full"
    assert desk.labels.any()
    desk.annotate.undo()
    assert not desk.labels.any()


def test_another_project_begins_with_nothing_to_undo(desk: Desk, tmp_path: Path) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    desk.annotate.commit()
    with Project.create(tmp_path / "other") as other:
        desk.editor.open_project(other)
        desk.annotate.undo()
        assert "nothing to undo" in desk.session.status
        assert len(desk.session.project.objects()) == 1


def test_nothing_is_undone_on_an_image_that_is_still_being_read(desk: Desk) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    desk.annotate.commit()
    known, desk.session.image_id = desk.session.image_id, None
    desk.annotate.undo()
    assert "still being read" in desk.session.status
    assert desk.labels.any()
    desk.session.image_id = known
    desk.annotate.undo()
    assert not desk.labels.any()


def test_the_next_image_waits_for_a_mask_that_is_to_be_kept(desk: Desk) -> None:
    first = desk.viewer.layers["cells"]
    second = desk.viewer.add_image(np.zeros((40, 60), np.uint8), name="more cells")
    desk.viewer.layers.selection.active = first
    desk.click(10, 10)
    desk.annotate.commit()
    desk.annotate.step_image(1)
    assert desk.viewer.layers.selection.active is first
    desk.answer(disc(10, 10))
    assert [item.area for item in desk.session.objects] == [disc(10, 10).sum()]
    assert desk.viewer.layers.selection.active is second
    desk.viewer.layers.selection.active = first
    desk.click(30, 30)
    desk.annotate.commit()
    desk.annotate.step_image(1)
    desk.annotate.step_image(1)  # asked twice: now
    assert desk.viewer.layers.selection.active is second


def test_history_does_not_keep_images_in_memory(desk: Desk) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    clicked = desk.history.last_done
    desk.annotate.commit()
    committed = desk.history.last_done
    assert clicked is not None
    assert committed is not None
    for change in (clicked, committed):
        assert type(change.place) is Place  # and not a shown image, which holds its pixels


def test_a_stroke_that_was_not_recorded_yet_is_what_undo_takes_back(desk: Desk) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    desk.annotate.commit()
    desk.viewer.layers["cells labels"].paint((30, 30), 4)
    desk.annotate.undo()
    assert (desk.labels == disc(10, 10)).all()


def test_double_click_refines_what_lies_there(desk: Desk) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    desk.annotate.commit()
    (item,) = desk.session.objects
    desk.click(11, 11)
    desk.canvas.double_clicked.emit(desk.world(11, 11))
    assert desk.session.refining == item.id
    assert f"Refining object {item.label}" in hint(desk.session)
    assert desk.session.status == ""
    assert np.allclose(desk.session.prompts.points, [(10, 10)], atol=2)
    assert (desk.session.prompts.mask == disc(10, 10)).all()
    desk.click(15, 15)
    assert (desk.session.prompts.mask == disc(10, 10)).all()
    assert desk.session.prompts.answer is None
    desk.answer(disc(12, 12, 7))
    desk.annotate.commit()
    assert (desk.labels == disc(12, 12, 7)).all()
    assert [item.id for item in desk.session.objects] == [item.id]
    assert desk.session.refining is None
    desk.annotate.undo()
    assert (desk.labels == disc(10, 10)).all()
    assert desk.session.refining == item.id


def test_double_click_on_nothing_keeps_the_click(desk: Desk) -> None:
    desk.click(30, 30)
    desk.canvas.double_clicked.emit(desk.world(30, 30))
    assert desk.session.refining is None
    assert len(desk.session.prompts.points) == 1


def test_delete_removes_the_object_under_the_pointer(desk: Desk) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    desk.annotate.commit()
    desk.viewer.cursor.position = desk.world(30, 30)
    desk.annotate.delete_under_pointer()
    assert "no object" in desk.session.status
    desk.viewer.cursor.position = desk.world(12, 8)
    desk.annotate.delete_under_pointer()
    assert not desk.labels.any()
    desk.annotate.undo()
    assert (desk.labels == disc(10, 10)).all()


def test_prompting_waits_while_the_user_paints(desk: Desk) -> None:
    assert desk.canvas.active
    assert not desk.viewer.layers["cells"].mouse_pan
    desk.prompts.take_tool("brush", True)
    assert not desk.canvas.active
    assert (desk.session.tool, desk.session.suspended) == ("brush", True)
    desk.prompts.take_tool("prompt", True)
    assert desk.canvas.active
    assert (desk.session.tool, desk.session.suspended) == (None, False)
    assert not desk.viewer.layers["cells labels"].mouse_pan
    desk.prompts.take_tool("prompt", False)
    assert not desk.canvas.active
    assert desk.viewer.layers["cells labels"].mouse_pan
    assert not desk.viewer.layers["infosam points"].visible


def test_napari_brush_keys_suspend_prompting_too(desk: Desk) -> None:
    field = desk.layers.labels(desk.layers.shown(), create=True)
    assert field is not None
    desk.viewer.layers.selection.active = field.layer
    assert desk.canvas.active
    field.layer.mode = "erase"
    assert not desk.canvas.active
    assert desk.session.tool == "erase"
    field.layer.mode = "pan_zoom"
    assert desk.canvas.active
    assert not field.layer.mouse_pan


def test_space_gives_the_mouse_to_the_camera(desk: Desk) -> None:
    desk.canvas.space_held.emit(True)
    assert not desk.canvas.active
    assert desk.viewer.layers["cells"].mouse_pan
    desk.canvas.space_held.emit(False)
    assert desk.canvas.active
    assert not desk.viewer.layers["cells"].mouse_pan


def test_undo_on_another_image_first_goes_there(desk: Desk) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    desk.annotate.commit()
    first = desk.session.shown
    other = desk.viewer.add_image(np.zeros((20, 20)), name="other")
    desk.session.shown = desk.layers.shown()
    assert desk.session.shown.name == other.name
    desk.annotate.undo()
    assert (desk.labels == disc(10, 10)).all()
    assert desk.layers.shown().key == first.key  # type: ignore[union-attr]
    desk.session.shown = first
    desk.annotate.undo()
    assert not desk.labels.any()


def test_changes_of_a_closed_image_are_forgotten(desk: Desk) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    desk.annotate.commit()
    desk.viewer.add_image(np.zeros((20, 20)), name="other")
    desk.session.shown = desk.layers.shown()
    desk.viewer.layers.remove("cells")
    desk.annotate.undo()
    assert "no longer open" in desk.session.status
    assert desk.history.last_done is None


def test_changes_of_pixels_that_are_gone_are_forgotten(desk: Desk) -> None:
    desk.click(10, 10)
    desk.answer(disc(10, 10))
    desk.annotate.commit()
    desk.viewer.layers["cells"].data = np.zeros((40, 60), np.uint8)
    desk.session.shown = desk.layers.shown()
    desk.annotate.undo()
    assert desk.history.last_done is None


def test_finding_an_object_centres_it_and_gives_its_label_to_the_brush(desk: Desk) -> None:
    for centre in ((10, 10), (30, 40)):
        desk.click(*centre)
        desk.answer(disc(*centre))
        desk.annotate.commit()
    desk.annotate.find(desk.session.objects[0].id)
    assert desk.viewer.layers["cells labels"].selected_label == 1
    camera = getattr(desk.viewer, "scene", desk.viewer).camera
    assert np.allclose(camera.center[-2:], desk.world(10, 10))
    desk.viewer.dims.order = (1, 0)  # columns run down the canvas
    desk.annotate.find(desk.session.objects[1].id)
    assert np.allclose(camera.center[-2:], desk.world(30, 40)[::-1])


def test_clearing_can_be_undone(desk: Desk) -> None:
    desk.click(10, 10)
    clicked = desk.session.prompts
    desk.prompts.clear()
    assert desk.session.prompts.is_empty
    desk.annotate.undo()
    assert (desk.session.prompts.points, desk.session.prompts.labels) == (clicked.points, clicked.labels)
    assert len(clicked.points) == 1


def test_what_belongs_to_no_image_is_undone_wherever_one_is(desk: Desk) -> None:
    undone: list[str] = []
    desk.history.push(Change("import", lambda: undone.append("import"), lambda: None))
    desk.session.image_id = None  # the image is still being read
    desk.annotate.undo()
    assert undone == ["import"]
