"""All objects at the press of a button: what is asked of the engine, and what becomes of its answer."""

from collections.abc import Callable, Hashable, Iterator
from typing import Any, cast

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QPushButton

from infosam import Project
from infosam.data.objects import split_objects
from infosam.inference.everything import FoundObject
from infosam.types import InfoSAMError
from napari_infosam.controllers.find_all import FindAllController, usual_extent
from napari_infosam.layers import ViewerLayers
from napari_infosam.models.session import Session
from napari_infosam.views.objects_view import ObjectsView
from tests.napari_infosam.conftest import HeldWorker, disc
from tests.napari_infosam.controllers.test_import_labels import Desk, windows


class KnownEngine:
    """Finds what it is told to, in two steps."""

    def __init__(self) -> None:
        self.labels = np.zeros((40, 60), np.int32)
        self.asked: list[tuple[Hashable, float | None]] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.tells_again = True

    def find(
        self, key: Hashable, pixels: np.ndarray, extent: float | None, progress: Callable[[int, int], None]
    ) -> list[FoundObject]:
        self.asked.append((key, extent))
        progress(1, 2)
        self.meanwhile()
        if self.tells_again:
            progress(2, 2)
        return [FoundObject(rle, 1.0) for rle in split_objects(self.labels, "labels")]


@pytest.fixture
def engine() -> KnownEngine:
    return KnownEngine()


@pytest.fixture
def desk(session: Session, layers: ViewerLayers, worker: HeldWorker) -> Iterator[Desk]:
    made = Desk(session, layers, worker)
    yield made
    made.images.close()


@pytest.fixture
def finder(desk: Desk, session: Session, worker: HeldWorker, engine: KnownEngine) -> FindAllController:
    session.loaded = (session.model_name, session.adapter)
    return FindAllController(
        session, ObjectsView(), cast(Any, worker), cast(Any, engine), desk.editor, desk.controller
    )


def test_what_is_found_is_kept_beside_what_is_labelled(
    desk: Desk, finder: FindAllController, engine: KnownEngine, session: Session, project: Project
) -> None:
    shown = session.shown
    assert shown is not None
    image = project.add_image(shown.read())
    project.add_object(image.id, disc(10, 10), label=5)
    desk.images.reload("")
    desk.worker.run()
    engine.labels = 2 * disc(30, 40) + 3 * disc(10, 30) + 4 * disc(10, 11)
    finder._view.findChildren(QPushButton)[0].click()
    assert len(windows()) == 1
    assert engine.asked == []  # in the background
    desk.worker.run()
    assert engine.asked == [(shown.key, 11.0)]
    assert windows() == []
    assert [(item.label, item.source) for item in session.objects] == [
        (5, "prompt"),
        (6, "found"),
        (7, "found"),
    ]
    assert session.status.startswith("Found 2 objects. Correct or delete")
    assert np.array_equal(desk.labels > 0, disc(10, 10) | disc(30, 40) | disc(10, 30))

    assert desk.history.undo() is not None
    desk.worker.run()
    assert session.status == "Undone: finding."
    assert [item.label for item in session.objects] == [5]


def test_nothing_found_is_told(desk: Desk, finder: FindAllController, session: Session) -> None:
    finder.find_all()
    desk.worker.run()
    assert windows() == []
    assert "sure of no object" in session.status
    assert not session.problem
    assert desk.history.last_done is None


def test_a_search_can_be_cancelled(
    desk: Desk, finder: FindAllController, engine: KnownEngine, session: Session, project: Project
) -> None:
    engine.labels = 1 * disc(30, 40)
    engine.meanwhile = lambda: windows()[0].reject()
    for engine.tells_again in (True, False):
        finder.find_all()
        desk.worker.run()
        assert windows() == []
        assert session.status == "Cancelled: nothing was found."
    assert project.objects() == []


def test_a_failed_search_says_why(
    desk: Desk, finder: FindAllController, engine: KnownEngine, session: Session
) -> None:
    def fail() -> None:
        raise InfoSAMError("cuda has too little free memory")

    engine.meanwhile = fail
    finder.find_all()
    desk.worker.run()
    assert windows() == []
    assert session.problem
    assert session.status == "cuda has too little free memory"


def test_who_closes_the_panel_is_not_held_up(desk: Desk, finder: FindAllController) -> None:
    finder.find_all()
    assert len(windows()) == 1
    finder.close()
    assert windows() == []


def test_without_an_image_one_is_asked_for(
    desk: Desk, finder: FindAllController, session: Session, viewer: ViewerModel
) -> None:
    viewer.layers.clear()
    desk.images.refresh()
    finder.find_all()
    assert session.problem
    assert "Open the image first" in session.status
    assert desk.worker.jobs == []


def test_objects_are_as_large_as_those_of_the_image_or_else_of_the_project(project: Project) -> None:
    one, other, new = (np.full((40, 60), value, np.uint8) for value in range(3))
    assert usual_extent(project, new) is None
    records = [project.add_image(pixels) for pixels in (one, other)]
    assert usual_extent(project, one) is None
    for label, (column, radius) in enumerate(((10, 2), (30, 3), (45, 8)), start=1):
        project.add_object(records[0].id, disc(20, column, radius), label=label)
    assert usual_extent(project, one) == usual_extent(project, other) == usual_extent(project, new) == 7
    project.add_object(records[1].id, disc(20, 20, 9), label=1)
    assert usual_extent(project, other) == 19


def test_nobody_waits_for_a_model_to_be_loaded(
    desk: Desk, finder: FindAllController, session: Session
) -> None:
    session.ask_for("sam_vit_h", None)
    finder.find_all()
    assert windows() == []
    assert session.problem
    assert "not loaded yet" in session.status
    assert desk.worker.jobs == []


def test_a_search_that_waits_can_be_cancelled(
    desk: Desk, finder: FindAllController, engine: KnownEngine, session: Session
) -> None:
    finder.find_all()
    windows()[0].reject()
    desk.worker.run()
    assert engine.asked == []
    assert session.status == "Cancelled: nothing was found."


def test_why_an_image_cannot_be_searched_stays_on_show(
    desk: Desk, finder: FindAllController, session: Session
) -> None:
    session.shown = None
    session.say("This image cannot be prompted: it has five channels.", problem=True)
    finder.find_all()
    assert windows() == []
    assert "five channels" in session.status
