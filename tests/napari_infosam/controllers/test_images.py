"""An image that the project knows comes back with its objects; one that is only looked at leaves no trace."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import numpy as np
import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot

from infosam import Project
from infosam.data.store.records import ImageRecord
from infosam.types import InfoSAMError, Prompt
from napari_infosam.controllers.edits import LabelEditor
from napari_infosam.controllers.images import ImageController
from napari_infosam.layers import ViewerLayers
from napari_infosam.models.hints import hint
from napari_infosam.models.session import Session
from tests.napari_infosam.conftest import HeldWorker, disc


@pytest.fixture
def images(
    session: Session, layers: ViewerLayers, worker: HeldWorker, qapp: Any
) -> Iterator[ImageController]:
    made = ImageController(session, layers, cast(Any, worker), LabelEditor(session, layers))
    yield made
    made.close()


def known(project: Project, viewer: ViewerModel) -> ImageRecord:
    """The image in the viewer, which the project has with one object."""
    record = project.add_image(viewer.layers["cells"].data)
    project.add_object(record.id, disc(10, 10), label=1)
    return record


def look_at_stack(
    session: Session, worker: HeldWorker, plane: int = 1
) -> tuple[ViewerModel, ImageController]:
    """A viewer with a stack of three slices, one of which it shows."""
    viewer = ViewerModel()
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (3, 40, 60)).astype(np.uint8), name="stack")
    viewer.dims.set_current_step(0, plane)
    layers = ViewerLayers(viewer)
    return viewer, ImageController(session, layers, cast(Any, worker), LabelEditor(session, layers))


def test_looking_at_an_image_does_not_add_it(
    images: ImageController, session: Session, worker: HeldWorker, project: Project
) -> None:
    images.refresh()
    worker.run()
    assert session.image_name == "cells"
    assert session.image_id is None
    assert project.images() == []
    session.prompting = True
    worker.run()
    assert [record.id for record in project.images()] == [session.image_id]


def test_a_known_image_is_restored(
    images: ImageController, session: Session, worker: HeldWorker, project: Project, viewer: ViewerModel
) -> None:
    record = project.add_image(viewer.layers["cells"].data, name="yesterday")
    project.add_object(record.id, disc(10, 10), label=3, prompt=Prompt(box=(1.0, 1.0, 20.0, 20.0)))
    images.refresh()
    worker.run()
    assert session.image_id == record.id
    assert [(item.label, item.area) for item in session.objects] == [(3, disc(10, 10).sum())]
    assert (viewer.layers["cells labels"].data == 3 * disc(10, 10)).all()
    assert (session.n_labelled_images, session.n_labelled_objects) == (1, 1)


def test_each_slice_of_a_stack_is_an_image_of_its_own(
    session: Session, worker: HeldWorker, project: Project, qtbot: QtBot
) -> None:
    viewer = ViewerModel()
    stack = np.random.default_rng(0).integers(0, 255, (3, 40, 60)).astype(np.uint8)
    viewer.add_image(stack, name="stack")
    record = project.add_image(stack[2], name="stack [2]", plane=(2,))
    project.add_object(record.id, disc(10, 10), label=1)
    layers = ViewerLayers(viewer)
    images = ImageController(session, layers, cast(Any, worker), LabelEditor(session, layers))
    viewer.dims.set_current_step(0, 0)
    images.refresh()
    worker.run()
    assert session.objects == ()
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: session.image_name == "stack [2]")
    worker.run()
    assert session.image_id == record.id
    assert (viewer.layers["stack labels"].data[2] == disc(10, 10)).all()
    assert not viewer.layers["stack labels"].data[:2].any()
    images.close()


def test_the_labels_of_every_slice_survive_going_back_and_forth(
    session: Session, worker: HeldWorker, project: Project, qtbot: QtBot
) -> None:
    viewer = ViewerModel()
    stack = np.random.default_rng(0).integers(0, 255, (3, 40, 60)).astype(np.uint8)
    viewer.add_image(stack, name="stack")
    for plane in range(3):
        record = project.add_image(stack[plane], plane=(plane,))
        project.add_object(record.id, disc(10 + plane, 10), label=1)
    layers = ViewerLayers(viewer)
    images = ImageController(session, layers, cast(Any, worker), LabelEditor(session, layers))
    images.refresh()
    for plane in (1, 0, 2, 1, 0):
        viewer.dims.set_current_step(0, plane)
        qtbot.waitUntil(lambda plane=plane: session.image_name == f"stack [{plane}]")
        worker.run()
        assert (viewer.layers["stack labels"].data[plane] == disc(10 + plane, 10)).all()
        assert [item.area for item in session.objects] == [disc(10 + plane, 10).sum()]
    assert len(project.objects()) == 3
    images.close()


def test_what_was_painted_before_the_image_was_known_is_recorded(
    images: ImageController,
    session: Session,
    worker: HeldWorker,
    project: Project,
    viewer: ViewerModel,
    layers: ViewerLayers,
) -> None:
    images.refresh()
    worker.run()
    layers.take_tool("brush", layers.shown())
    viewer.layers["cells labels"].paint((10, 10), 2)
    session.tool = "brush"
    worker.run()
    assert [(record.label, record.source) for record in project.objects()] == [(2, "brush")]


def test_what_naparis_tools_paint_on_another_slice_is_recorded(
    session: Session, worker: HeldWorker, project: Project, qtbot: QtBot
) -> None:
    viewer = ViewerModel()
    stack = np.random.default_rng(0).integers(0, 255, (3, 40, 60)).astype(np.uint8)
    viewer.add_image(stack, name="stack")
    layers = ViewerLayers(viewer)
    editor = LabelEditor(session, layers)
    images = ImageController(session, layers, cast(Any, worker), editor)
    session.prompting = True
    images.refresh()
    worker.run()
    session.prompting = False
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: session.image_name == "stack [2]")
    worker.run()
    assert session.image_id is None
    viewer.layers["stack labels"].fill((2, 5, 5), 7)
    worker.run()
    assert [(item.label, item.source) for item in session.objects] == [(7, "brush")]
    images.close()


def test_deleting_the_labels_layer_says_that_the_objects_stay(
    images: ImageController, session: Session, worker: HeldWorker, project: Project, viewer: ViewerModel
) -> None:
    known(project, viewer)
    images.refresh()
    worker.run()
    viewer.layers.remove("cells labels")
    assert "stay in the project" in session.status
    assert len(project.objects()) == len(session.objects) == 1


def test_what_was_painted_before_the_objects_were_seen_takes_nothing_from_them(
    images: ImageController,
    session: Session,
    worker: HeldWorker,
    project: Project,
    viewer: ViewerModel,
    layers: ViewerLayers,
) -> None:
    record = known(project, viewer)
    project.add_object(record.id, disc(30, 10), label=2)
    images.refresh()
    layers.take_tool("brush", layers.shown())
    labels = viewer.layers["cells labels"]
    labels.brush_size = 9
    labels.paint((12, 12), 1)
    labels.paint((30, 50), 1)
    stroke = np.asarray(labels.data).astype(bool)
    worker.run()
    stored = project.label_image(record.id)
    assert (stored == labels.data).all()
    assert (stored == np.where(disc(10, 10), 1, np.where(disc(30, 10), 2, np.where(stroke, 3, 0)))).all()
    assert labels.selected_label == 4


def test_an_image_of_the_same_name_and_size_does_not_get_the_labels_of_another(
    images: ImageController, session: Session, worker: HeldWorker, project: Project, viewer: ViewerModel
) -> None:
    record = known(project, viewer)
    images.refresh()
    worker.run()
    viewer.layers["cells"].name = "patient 1"
    viewer.add_image(viewer.layers["patient 1"].data[::-1].copy(), name="cells")
    session.prompting = True
    images.refresh()
    worker.run()
    assert session.image_name == "cells"
    assert session.objects == ()
    assert [item.image_id for item in project.objects()] == [record.id]
    assert not viewer.layers["cells labels [1]"].data.any()


def test_a_panel_that_is_opened_again_knows_its_labels_by_the_image(
    session: Session, worker: HeldWorker, project: Project, viewer: ViewerModel, qapp: Any
) -> None:
    known(project, viewer)
    for expected in (1, 2):
        layers = ViewerLayers(viewer)
        images = ImageController(session, layers, cast(Any, worker), LabelEditor(session, layers))
        images.refresh()
        worker.run()
        assert len(session.objects) == expected
        images.close()
        layers.close()
        session.shown = session.image_id = None
        viewer.layers[0].name = "renamed"
        viewer.layers["cells labels"].data[disc(30, 30)] = 2  # while no panel is open
    assert [layer.name for layer in viewer.layers] == ["renamed", "cells labels"]


def test_another_project_shows_its_own_labels(
    images: ImageController,
    session: Session,
    worker: HeldWorker,
    project: Project,
    viewer: ViewerModel,
    tmp_path: Path,
) -> None:
    record = known(project, viewer)
    images.refresh()
    worker.run()
    with Project.create(tmp_path / "other") as other:
        record = other.add_image(viewer.layers["cells"].data)
        other.add_object(record.id, disc(30, 30), label=4)
        session.project = other
        worker.run()
        assert (viewer.layers["cells labels"].data == 4 * disc(30, 30)).all()
        assert [item.label for item in session.objects] == [4]
        assert len(project.objects()) == 1


def test_a_project_that_does_not_know_the_image_shows_no_labels_of_the_one_before(
    images: ImageController,
    session: Session,
    worker: HeldWorker,
    project: Project,
    viewer: ViewerModel,
    tmp_path: Path,
) -> None:
    known(project, viewer)
    images.refresh()
    worker.run()
    with Project.create(tmp_path / "empty") as empty:
        session.project = empty
        worker.run()
        assert session.objects == ()
        assert not viewer.layers["cells labels"].data.any()
        session.prompting = True
        worker.run()
        assert empty.objects() == []


def test_closing_the_image_ends_everything_about_it(
    images: ImageController, session: Session, worker: HeldWorker, viewer: ViewerModel
) -> None:
    session.prompting = True
    images.refresh()
    worker.run()
    session.prompts = Prompt(points=((1.0, 1.0),), labels=(1,))
    viewer.layers.clear()
    assert session.shown is None
    assert session.image_id is None
    assert session.prompts.is_empty


def test_an_image_that_cannot_be_used_is_explained(
    images: ImageController, session: Session, viewer: ViewerModel
) -> None:
    viewer.layers.clear()
    viewer.add_image(np.zeros((64, 64, 5)), rgb=False)
    images.refresh()
    assert session.shown is None
    assert session.problem
    assert "channels" in session.status


def test_an_image_in_the_3d_view_is_still_open_and_takes_no_prompts(
    session: Session, worker: HeldWorker, qapp: Any
) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((3, 40, 60), np.uint8), name="stack")
    images = ImageController(
        session, layers := ViewerLayers(viewer), cast(Any, worker), LabelEditor(session, layers)
    )
    images.refresh()
    viewer.dims.ndisplay = 3
    images.refresh()
    assert (session.shown, session.image_name) == (None, "stack")
    assert "2-D view" in session.status
    assert session.problem
    assert "Open an image" not in hint(session)
    viewer.layers.clear()
    images.refresh()
    assert (session.image_name, session.status) == ("", "")
    assert "Open an image" in hint(session)
    images.close()


def test_what_another_window_adds_is_not_taken_for_erased(
    images: ImageController, session: Session, worker: HeldWorker, project: Project, viewer: ViewerModel
) -> None:
    record = known(project, viewer)
    images.refresh()
    worker.run()
    other = viewer.add_image(np.zeros((20, 20), np.uint8), name="other")
    images.refresh()
    worker.run()
    project.import_objects(record.id, [disc(30, 40)])
    for image, count in ((viewer.layers["cells"], 2), (other, 0), (viewer.layers["cells"], 2)):
        viewer.layers.selection.active = image
        images.refresh()
        worker.run()
        assert len(session.objects) == count
    assert len(project.objects()) == 2
    assert (np.asarray(viewer.layers["cells labels"].data) == disc(10, 10) + 2 * disc(30, 40)).all()


def test_labels_of_pixels_that_are_replaced_do_not_become_objects_of_the_new_ones(
    images: ImageController, session: Session, worker: HeldWorker, project: Project, viewer: ViewerModel
) -> None:
    known(project, viewer)
    images.refresh()
    worker.run()
    layer, first = viewer.layers["cells"], viewer.layers["cells"].data
    session.prompting = True
    for size, n_labels in (((40, 60), 0), ((20, 30), 0), ((40, 60), 1)):
        layer.data = first if n_labels else np.full(size, 7, np.uint8)
        images.refresh()
        worker.run()
        assert session.shown is not None
        assert session.shown.shape == size
        assert len(session.objects) == n_labels
        assert np.asarray(viewer.layers["cells labels"].data).any() == bool(n_labels)
    assert len(project.objects()) == 1
    assert len(project.images()) == 3
    images.close()


def test_labels_of_a_size_that_the_image_no_longer_has_leave_the_viewer(
    images: ImageController, session: Session, worker: HeldWorker, viewer: ViewerModel, qtbot: QtBot
) -> None:
    session.prompting = True
    images.refresh()
    worker.run()
    viewer.layers["cells"].data = np.zeros((20, 30), np.uint8)
    images.refresh()
    worker.run()
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == ["cells", "cells labels [1]"])
    assert viewer.layers["cells labels [1]"].data.shape == (20, 30)
    images.close()


def test_what_cannot_be_recorded_is_told_and_holds_nobody_up(
    images: ImageController,
    session: Session,
    worker: HeldWorker,
    project: Project,
    viewer: ViewerModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known(project, viewer)
    images.refresh()
    worker.run()
    labels = viewer.layers["cells labels"]
    other = viewer.add_image(np.zeros((20, 20), np.uint8), name="other")
    labels.data[disc(30, 40)] = 2
    with monkeypatch.context() as patched:
        patched.setattr(project, "add_object", Mock(side_effect=InfoSAMError("the disk is full")))
        images.refresh()
        assert session.image_name == other.name
        for _ in range(2):
            viewer.layers.selection.active = viewer.layers["cells"]
            images.refresh()
            worker.run()
            assert (session.image_name, session.image_id) == ("cells", 1)
            assert (session.status, session.problem) == ("the disk is full", True)
            viewer.layers.selection.active = other
            images.refresh()
    viewer.layers.selection.active = viewer.layers["cells"]
    images.refresh()
    worker.run()
    assert len(project.objects()) == 2  # what stayed on the canvas
    images.close()


def test_another_project_can_be_opened_although_the_last_stroke_cannot_be_recorded(
    images: ImageController,
    session: Session,
    worker: HeldWorker,
    project: Project,
    viewer: ViewerModel,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    known(project, viewer)
    images.refresh()
    worker.run()
    viewer.layers["cells labels"].data[disc(30, 40)] = 2
    monkeypatch.setattr(project, "add_object", Mock(side_effect=InfoSAMError("the disk is full")))
    session.refining, session.prompts = 1, Prompt(((1.0, 1.0),), (1,))
    with Project.create(tmp_path / "other") as other:
        session.project = other
        assert session.status == "the disk is full"
        assert session.refining is None  # ids of another project mean other objects
        assert session.prompts.is_empty
        session.prompting = True
        worker.run()
        assert session.objects == ()
        assert len(other.images()) == 1
        images.close()


def test_what_was_painted_on_other_slices_is_recorded_when_they_are_seen(
    session: Session, worker: HeldWorker, project: Project, qtbot: QtBot, tmp_path: Path
) -> None:
    viewer, images = look_at_stack(session, worker)
    session.prompting = True
    images.refresh()
    worker.run()
    session.prompting = False
    viewer.dims.set_current_step(0, 0)
    viewer.layers["stack labels"].data[2, disc(10, 10)] = 1
    for plane, n_images, n_objects in ((0, 1, 0), (2, 2, 1), (1, 2, 0), (2, 2, 1)):
        viewer.dims.set_current_step(0, plane)
        qtbot.waitUntil(lambda plane=plane: session.image_name == f"stack [{plane}]")
        worker.run()
        assert len(project.images()) == n_images
        assert len(session.objects) == n_objects
    with Project.create(tmp_path / "other") as other:
        session.project = other
        worker.run()
        assert not np.asarray(viewer.layers["stack labels"].data).any()
        images.close()


def test_looking_at_the_slices_of_an_annotated_stack_does_not_add_them(
    session: Session, worker: HeldWorker, project: Project, qtbot: QtBot
) -> None:
    viewer, images = look_at_stack(session, worker)
    session.prompting = True
    images.refresh()
    worker.run()
    session.prompting = False
    for plane in (1, 2, 0, 2):
        viewer.dims.set_current_step(0, plane)
        qtbot.waitUntil(lambda plane=plane: session.image_name == f"stack [{plane}]")
        viewer.layers["stack labels"].refresh()  # napari does so for every slice that it shows
        worker.run()
    assert len(project.images()) == 1
    images.close()


def test_what_is_painted_while_the_panel_is_closed_is_recorded_when_it_is_opened(
    session: Session, worker: HeldWorker, project: Project, viewer: ViewerModel, qapp: Any
) -> None:
    known(project, viewer)
    for count in (1, 2):
        layers, again = ViewerLayers(viewer), Project.open(project.folder)
        editor = LabelEditor(session, layers)
        images = ImageController(session, layers, cast(Any, worker), editor)
        session.project = again  # as the panel does when it is opened
        images.refresh()
        worker.run()
        assert len(project.objects()) == len(session.objects) == count
        images.close()
        layers.close()
        session.shown = session.project = None
        again.close()
        viewer.layers["cells labels"].data[disc(30, 30)] = 2


def test_labels_that_find_no_memory_are_told_and_nothing_is_kept(
    images: ImageController,
    session: Session,
    worker: HeldWorker,
    project: Project,
    editor: LabelEditor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session.shown = None  # as before the first look
    no_memory = Mock(zeros=Mock(side_effect=MemoryError), prod=np.prod)
    monkeypatch.setattr("napari_infosam.label_layer.np", no_memory)
    session.prompting = True
    images.refresh()
    worker.run()
    assert session.problem
    assert "GB of memory" in session.status
    with pytest.raises(InfoSAMError, match="GB of memory"):
        editor.add(disc(10, 10), Prompt(((10.0, 10.0),), (1,)))
    assert project.objects() == []


def test_labels_go_with_their_pixels_and_what_is_painted_on_the_new_ones_counts(
    images: ImageController, session: Session, worker: HeldWorker, project: Project, viewer: ViewerModel
) -> None:
    known(project, viewer)
    images.refresh()
    worker.run()
    viewer.layers["cells"].data = np.full((40, 60), 7, np.uint8)
    images.refresh()
    worker.run()
    labels = viewer.layers["cells labels"]
    assert not labels.data.any()
    labels.data_setitem(np.nonzero(disc(30, 40)), 5)
    worker.run()
    assert [(item.label, item.area) for item in session.objects] == [(5, disc(30, 40).sum())]
    assert len(project.objects()) == 2
    images.close()


def test_a_stack_that_is_annotated_is_not_annotated_across(
    session: Session, worker: HeldWorker, project: Project, qtbot: QtBot
) -> None:
    viewer = ViewerModel()
    stack = np.random.default_rng(0).integers(0, 255, (30, 40, 60)).astype(np.uint8)
    viewer.add_image(stack, name="stack")
    viewer.dims.set_current_step(0, 4)
    record = project.add_image(stack[4], plane=(4,))
    project.add_object(record.id, disc(10, 10), label=1)
    layers = ViewerLayers(viewer)
    images = ImageController(session, layers, cast(Any, worker), LabelEditor(session, layers))
    images.refresh()
    worker.run()
    assert len(session.objects) == 1
    viewer.dims.roll()
    images.refresh()
    worker.run()
    assert session.shown is None
    assert "along other axes" in session.status
    for _ in range(2):
        viewer.dims.roll()
    images.refresh()
    worker.run()
    assert len(session.objects) == len(project.objects()) == len(project.images()) == 1
    images.close()


def test_a_reload_loses_no_stroke_of_a_slice_that_has_not_been_seen(
    session: Session, worker: HeldWorker, project: Project, qtbot: QtBot
) -> None:
    viewer, images = look_at_stack(session, worker, plane=0)
    session.prompting = True
    images.refresh()
    worker.run()
    viewer.layers["stack labels"].data[2, disc(10, 10)] = 1
    images.pause()
    project.import_objects(1, [disc(30, 30)])
    images.reload("")
    worker.run()
    assert len(session.objects) == 1
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: session.image_name == "stack [2]")
    worker.run()
    assert len(session.objects) == 1
    assert len(project.objects()) == 2
    images.close()
