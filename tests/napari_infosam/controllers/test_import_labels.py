"""Labels drawn elsewhere become objects: of a layer with all its slices, of a mask file, of a data set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from napari.components import ViewerModel
from PIL import Image
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QApplication, QFileDialog

from infosam import Project
from infosam.data.io import write_mask
from napari_infosam.controllers.edits import LabelEditor
from napari_infosam.controllers.images import ImageController
from napari_infosam.controllers.import_labels import ImportController
from napari_infosam.layers import ViewerLayers
from napari_infosam.models.history import History
from napari_infosam.models.session import Session
from napari_infosam.overlays import CANDIDATE_NAME
from napari_infosam.views.import_button import NO_LAYER, ImportButton
from napari_infosam.views.progress_window import ProgressWindow
from tests.napari_infosam.conftest import HeldWorker, disc

MASK_FILE = "Mask file for this image…"
FOLDER = "Folder with images and masks…"


class Desk:
    """The parts of the panel that import, and that show what came in."""

    def __init__(self, session: Session, layers: ViewerLayers, worker: HeldWorker) -> None:
        self.session, self.layers, self.worker = session, layers, worker
        self.history, self.button = History(), ImportButton()
        self.editor = LabelEditor(session, layers)
        self.images = ImageController(session, layers, cast(Any, worker), self.editor)
        self.controller = ImportController(
            session, layers, self.button, cast(Any, worker), self.images, self.history
        )
        self.editor.open_project(session.project)
        self.show()

    def show(self) -> None:
        self.images.refresh()
        self.worker.run()

    @property
    def menu(self) -> dict[str, Any]:
        """The entries by their texts, as the user sees them."""
        menu = self.button.menu()
        assert menu is not None
        menu.aboutToShow.emit()
        return {action.text(): action for action in menu.actions() if action.text()}

    def choose(self, text: str) -> None:
        self.menu[text].trigger()
        self.worker.run()

    @property
    def labels(self) -> np.ndarray:
        """What the canvas shows."""
        shown = self.session.shown
        assert shown is not None
        field = self.layers.labels(shown, create=False)
        return np.zeros(shown.shape) if field is None else np.asarray(field.read(shown))


@pytest.fixture
def desk(session: Session, layers: ViewerLayers, worker: HeldWorker) -> Iterator[Desk]:
    made = Desk(session, layers, worker)
    yield made
    made.images.close()


def windows() -> list[ProgressWindow]:
    """The progress windows on the screen."""
    found = [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, ProgressWindow)]
    return [window for window in found if window.isVisible()]


def choose_file(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(path))


def test_a_labels_layer_comes_in_beside_what_is_there(
    desk: Desk, session: Session, project: Project, viewer: ViewerModel
) -> None:
    image = project.add_image(viewer.layers["cells"].data)
    project.add_object(image.id, disc(10, 10), label=5)
    desk.images.reload("")
    desk.worker.run()
    foreign = viewer.add_labels(70 * disc(10, 16) + 400 * disc(30, 40), name="cyto")
    viewer.add_labels(np.zeros((40, 61), int), name="of another size")
    viewer.layers.selection.active = viewer.layers["cells"]

    desk.menu["Labels layer “cyto”"].trigger()
    assert [text for text in desk.menu if "layer" in text] == ["Labels layer “cyto”"]  # not ours
    assert len(windows()) == 1
    desk.worker.run()
    assert windows() == []
    assert session.status == "Imported 2 objects."
    assert [(item.label, item.source) for item in session.objects] == [
        (5, "prompt"),
        (6, "imported"),
        (7, "imported"),
    ]
    assert np.array_equal(project.mask(session.objects[1].id), disc(10, 16) & ~disc(10, 10))
    expected = np.where(disc(10, 10), 5, np.where(disc(10, 16), 6, 7 * disc(30, 40)))
    assert np.array_equal(desk.labels, expected)
    assert not foreign.visible
    assert (session.n_labelled_images, session.n_labelled_objects) == (1, 3)

    desk.choose("Labels layer “cyto”")
    assert session.status == "Nothing new: objects lie there already."
    assert len(session.objects) == 3


def test_an_import_is_taken_back_and_done_again(desk: Desk, session: Session, viewer: ViewerModel) -> None:
    viewer.add_labels(2 * disc(10, 14), name="cyto")
    desk.choose("Labels layer “cyto”")
    cyto = viewer.layers["cyto"]
    for step, count in ((desk.history.undo, 0), (desk.history.redo, 1), (desk.history.undo, 0)):
        change = step()
        assert change is not None
        assert change.place is not None
        assert session.shown is not None
        assert change.place.key == session.shown.key
        desk.worker.run()
        assert len(session.objects) == session.n_labelled_objects == count
        assert (desk.labels > 0).sum() == count * disc(10, 14).sum()
        assert cyto.visible is (count == 0)
    assert session.status == "Undone: import."


def test_the_candidate_mask_is_no_labels_to_import(desk: Desk, viewer: ViewerModel, qtbot: QtBot) -> None:
    desk.layers.overlays(desk.layers.shown())
    qtbot.waitUntil(lambda: CANDIDATE_NAME in viewer.layers)
    assert NO_LAYER in desk.menu


def test_who_closes_the_panel_is_not_held_up(desk: Desk, viewer: ViewerModel) -> None:
    viewer.add_labels(2 * disc(10, 14), name="cyto")
    desk.menu["Labels layer “cyto”"].trigger()
    assert len(windows()) == 1
    desk.controller.close()
    assert windows() == []


def test_all_slices_of_a_stack_come_in(
    layers: ViewerLayers, session: Session, worker: HeldWorker, project: Project, viewer: ViewerModel
) -> None:
    stack = np.random.default_rng(1).integers(0, 255, (4, 40, 60)).astype(np.uint8)
    labels = np.zeros(stack.shape, np.uint16)
    labels[0], labels[2] = 9 * disc(10, 10), disc(30, 40) + 2 * disc(10, 40)
    viewer.layers.clear()
    viewer.add_image(stack, name="stack")
    viewer.add_labels(labels, name="cyto")
    viewer.layers.selection.active = viewer.layers["stack"]
    viewer.dims.set_current_step(0, 2)
    desk = Desk(session, layers, worker)
    desk.choose("Labels layer “cyto”")
    assert session.status == "Imported 3 objects on 2 images."
    assert np.array_equal(desk.labels > 0, labels[2] > 0)
    assert [(image.name, image.plane) for image in project.images()] == [
        ("stack [0]", (0,)),
        ("stack [2]", (2,)),
    ]
    viewer.dims.set_current_step(0, 0)
    desk.show()
    assert np.array_equal(desk.labels > 0, labels[0] > 0)
    viewer.dims.set_current_step(0, 1)
    desk.show()
    assert session.objects == ()
    desk.images.close()


def test_a_mask_file_of_one_value_is_cut_into_its_pieces(
    desk: Desk, session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    choose_file(monkeypatch, write_mask(tmp_path / "mask.png", 255 * (disc(10, 10) | disc(30, 40))))
    desk.choose(MASK_FILE)
    assert session.status == "Imported 2 objects."
    assert [item.area for item in session.objects] == [disc(10, 10).sum()] * 2


def test_a_data_set_comes_in_whatever_is_shown(
    desk: Desk, session: Session, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number in range(2):
        for part, pixels in (("images", np.full((40, 60), number, np.uint8)), ("masks", disc(10, 10))):
            (tmp_path / "data" / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "data" / part / f"{number}.png")
    choose_file(monkeypatch, tmp_path / "data")
    desk.choose(FOLDER)
    assert session.status == "Imported 2 objects on 2 images."
    assert (session.n_labelled_images, session.n_labelled_objects) == (2, 2)
    assert len(project.objects()) == 2
    assert desk.history.last_done is not None
    assert desk.history.last_done.place is None  # it can be taken back wherever one is


def test_cancelled_or_failed_nothing_comes_in(
    desk: Desk,
    session: Session,
    project: Project,
    viewer: ViewerModel,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    viewer.add_labels(2 * disc(10, 14), name="cyto")
    desk.menu["Labels layer “cyto”"].trigger()
    (window,) = windows()
    window.reject()
    assert windows() == [window]  # nothing is to be painted as long as the job runs
    desk.worker.run()
    assert windows() == []
    assert session.status == "Cancelled: nothing was imported."
    assert viewer.layers["cyto"].visible

    choose_file(monkeypatch, write_mask(tmp_path / "mask.png", np.ones((40, 61), np.uint8)))
    desk.choose(MASK_FILE)
    assert session.problem
    assert "mask.png is 40 × 61 pixels, “cells” 40 × 60" in session.status
    choose_file(monkeypatch, tmp_path)
    desk.choose(FOLDER)
    assert session.problem
    assert "images is missing" in session.status
    assert project.objects() == []
    assert desk.history.last_done is None
    assert windows() == []


def test_without_an_image_data_sets_are_offered(desk: Desk, session: Session, viewer: ViewerModel) -> None:
    viewer.layers.clear()
    desk.images.refresh()
    entries = desk.menu
    assert not entries[NO_LAYER].isEnabled()
    assert entries[FOLDER].isEnabled()
    desk.controller.import_mask(Path("mask.png"))
    assert session.problem
    assert session.status == "Open the image that these labels belong to first."
