"""N goes to the next image, whatever lies between."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager
from pytestqt.qtbot import QtBot

from infosam import Project
from napari_infosam.controllers.edits import LabelEditor
from napari_infosam.controllers.image_steps import ImageSteps
from napari_infosam.layers import ViewerLayers
from napari_infosam.models.session import Session


class Walk:
    def __init__(self, session: Session, first: Path, qtbot: QtBot) -> None:
        self.qtbot = qtbot
        PluginManager.instance().discover()  # napari's readers are plugins
        self.session, self.viewer = session, ViewerModel()
        self.viewer.open(first)
        self.layers = ViewerLayers(self.viewer)
        editor = LabelEditor(session, self.layers)
        editor.open_project(session.project)
        self.steps = ImageSteps(session, self.layers, editor)
        self.look()

    def look(self) -> None:
        self.session.shown = self.layers.shown()
        self.session.image_name = self.session.shown.name

    def step(self, step: int) -> str:
        """The name of the image that is shown then."""
        self.steps.step(step)
        self.look()
        self.qtbot.waitUntil(lambda: not self.layers._leaving)
        return self.session.image_name


@pytest.fixture
def walk(tmp_path: Path, session: Session, project: Project, qtbot: QtBot) -> Walk:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a", "c"):
        tifffile.imwrite(folder / f"{name}.tif", np.zeros((40, 60), np.uint8))
    tifffile.imwrite(folder / "b.tif", np.zeros((40, 60), np.int32))  # which napari takes for labels
    return Walk(session, folder / "a.tif", qtbot)


def test_files_without_an_image_are_passed_over_and_named(walk: Walk) -> None:
    assert walk.step(1) == "c"
    assert walk.session.status == "b.tif holds no image"
    assert not walk.session.problem
    assert walk.step(1) == "c"
    assert walk.session.status == "This is the last image here."
    assert walk.step(-1) == "a"
    assert walk.step(-1) == "a"
    assert walk.session.status == "This is the first image here."


def test_keys_that_napari_handles_while_it_opens_a_file_do_nothing(
    walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    original = ViewerModel.open

    def open_slowly(self: ViewerModel, path: Path, **options: Any) -> Any:
        opened.append(path)
        walk.steps.step(1)
        return original(self, path, **options)

    monkeypatch.setattr(ViewerModel, "open", open_slowly)
    assert walk.step(1) == "c"
    assert [path.name for path in opened] == ["b.tif", "c.tif"]


def test_strokes_on_an_image_that_is_still_being_read_are_waited_for(walk: Walk) -> None:
    field = walk.layers.labels(walk.layers.shown(), create=True)
    assert field is not None
    field.layer.paint((20, 20), 3)
    assert walk.step(1) == "a"
    assert walk.session.status == "a is still being read: once more in a moment."
    assert field.layer in walk.viewer.layers


def test_alone_and_without_a_file_there_is_no_next_one(walk: Walk) -> None:
    walk.viewer.layers.clear()
    walk.viewer.add_image(np.zeros((20, 20)), name="made up")
    assert walk.step(1) == "made up"
    assert walk.session.status == "No other image is open."
    walk.viewer.add_image(np.zeros((20, 20)), name="another")
    assert walk.step(1) == "made up"
