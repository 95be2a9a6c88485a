"""The layers made for an image: where they lie, what they hold, and that they disturb nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager
from pytestqt.qtbot import QtBot

from infosam.types import BadInputError, Prompt
from napari_infosam.geometry import GEOMETRY
from napari_infosam.layers import ViewerLayers
from napari_infosam.overlays import BOX_NAME, CANDIDATE_NAME, POINTS_NAME


def lies_like(layer: Any, other: Any) -> bool:
    return all(
        np.array_equal(getattr(layer, name), getattr(other, name)) for name in GEOMETRY if name != "affine"
    )


def test_no_image_is_refused(qapp: Any) -> None:
    layers = ViewerLayers(ViewerModel())
    assert not layers.image_name
    with pytest.raises(BadInputError, match="Open an image"):
        layers.shown()


def test_labels_lie_over_the_image_and_the_active_layer_stays(
    viewer: ViewerModel, layers: ViewerLayers
) -> None:
    image = viewer.layers["cells"]
    assert layers.labels(layers.shown(), create=False) is None
    field = layers.labels(layers.shown(), create=True)
    assert field is not None
    assert [layer.name for layer in viewer.layers] == ["cells", "cells labels"]
    assert viewer.layers.selection.active is image
    assert field.layer.data.shape == (40, 60)
    assert lies_like(field.layer, image)
    assert layers.labels(layers.shown(), create=True) is field


def test_labels_follow_an_image_that_is_moved(viewer: ViewerModel, layers: ViewerLayers) -> None:
    image = viewer.layers["cells"]
    field = layers.labels(layers.shown(), create=True)
    overlays = layers.overlays(layers.shown())
    image.scale, image.translate = (0.5, 0.25), (1, 2)
    assert field is not None
    for layer in (field.layer, *overlays.layers):
        assert lies_like(layer, image)


def test_labels_follow_an_image_that_was_moved_while_another_was_shown(
    viewer: ViewerModel, layers: ViewerLayers
) -> None:
    image = viewer.layers["cells"]
    field = layers.labels(layers.shown(), create=True)
    viewer.add_image(np.zeros((40, 60)), name="other")
    image.scale = (0.5, 0.25)
    viewer.layers.selection.active = image
    assert field is not None
    assert lies_like(field.layer, image)


def test_labels_are_found_again_but_not_by_another_image_of_the_same_name(
    viewer: ViewerModel, layers: ViewerLayers
) -> None:
    first = layers.labels(layers.shown(), create=True)
    assert first is not None
    found = ViewerLayers(viewer).labels(layers.shown(), create=False)
    assert found is not None
    assert found.layer is first.layer
    viewer.layers.remove("cells")
    viewer.add_image(np.zeros((40, 60)), name="cells")
    assert layers.labels(layers.shown(), create=False) is None


def test_writing_labels_goes_through_naparis_undo(viewer: ViewerModel, layers: ViewerLayers) -> None:
    shown = layers.shown()
    field = layers.labels(shown, create=True)
    assert field is not None
    painted: list[None] = []
    field.painted.connect(lambda: painted.append(None))
    field.write(shown, (2, 3, 5, 7), np.full((3, 4), 6))
    assert (field.read(shown)[2:5, 3:7] == 6).all()
    assert (field.read(shown) == 6).sum() == 12
    assert painted == []
    field.layer.undo()
    assert not field.read(shown).any()
    assert painted


def test_a_users_stroke_is_told(viewer: ViewerModel, layers: ViewerLayers) -> None:
    field = layers.labels(layers.shown(), create=True)
    assert field is not None
    painted: list[None] = []
    field.painted.connect(lambda: painted.append(None))
    field.layer.paint((10, 10), 3)
    assert painted


def test_slices_of_a_stack_have_their_own_labels(qapp: Any) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.random.default_rng(0).random((4, 20, 30)), name="stack")
    layers = ViewerLayers(viewer)
    viewer.dims.set_current_step(0, 1)
    shown = layers.shown()
    field = layers.labels(shown, create=True)
    assert field is not None
    field.write(shown, (0, 0, 2, 2), np.full((2, 2), 5))
    assert (field.layer.data[1] == 5).sum() == 4
    assert not field.layer.data[[0, 2, 3]].any()
    viewer.dims.set_current_step(0, 2)
    assert not field.read(layers.shown()).any()


def test_the_candidate_is_drawn_and_redrawn(viewer: ViewerModel, layers: ViewerLayers) -> None:
    overlays = layers.overlays(layers.shown())
    assert viewer.layers.selection.active is viewer.layers["cells"]
    rng = np.random.default_rng(0)
    for _ in range(3):
        mask = rng.random((40, 60)) > 0.5
        overlays.show_candidate(mask)
        assert (overlays.candidate.data == mask).all()
    overlays.show_candidate(None)
    assert not overlays.candidate.data.any()
    assert not overlays.candidate.editable


def test_points_and_box_are_drawn_in_their_colours(viewer: ViewerModel, layers: ViewerLayers) -> None:
    overlays = layers.overlays(layers.shown())
    overlays.show_prompt(Prompt(points=((3, 4), (7, 8)), labels=(1, 0), box=(1.0, 2.0, 11.0, 22.0)))
    assert overlays.points.data.tolist() == [[3, 4], [7, 8]]
    green, red = overlays.points.face_color
    assert green[1] > green[0]
    assert red[0] > red[1]
    corners = overlays.box.data[:, 0]
    assert corners.min(axis=0).tolist() == [0.5, 1.5]
    assert corners.max(axis=0).tolist() == [10.5, 21.5]
    assert np.allclose(corners + overlays.box.data[:, 1], np.roll(corners, -1, axis=0))
    overlays.show_prompt(Prompt())
    assert len(overlays.points.data) == len(overlays.box.data) == 0


def test_overlays_are_kept_from_slice_to_slice_and_image_to_image(qtbot: QtBot) -> None:
    viewer = ViewerModel()
    stack = viewer.add_image(np.zeros((4, 20, 30)), name="stack", scale=(3, 1, 1))
    layers = ViewerLayers(viewer)
    viewer.dims.set_current_step(0, 1)
    overlays = layers.overlays(layers.shown())
    overlays.show_candidate(np.ones((20, 30), bool))
    viewer.dims.set_current_step(0, 3)
    assert layers.overlays(layers.shown()) is overlays
    assert overlays.candidate.data_to_world((0, 0, 0)) == pytest.approx(stack.data_to_world((3, 0, 0)))
    other = viewer.add_image(np.zeros((2, 9, 9)), name="other")
    viewer.layers.selection.active = other
    viewer.dims.set_point(0, 0)
    assert layers.overlays(layers.shown()) is overlays
    assert overlays.candidate.data.shape == (1, 9, 9)
    overlays.show_candidate(np.eye(9, dtype=bool))
    assert overlays.candidate.data.sum() == 9
    qtbot.waitUntil(lambda: len(viewer.layers) == 5)
    names = [layer.name for layer in viewer.layers]
    assert sorted(names) == sorted(["stack", "other", CANDIDATE_NAME, BOX_NAME, POINTS_NAME])


def test_overlays_lie_on_an_image_that_is_opened_after_them(
    viewer: ViewerModel, layers: ViewerLayers, qtbot: QtBot
) -> None:
    overlays = layers.overlays(layers.shown())
    qtbot.waitUntil(lambda: all(layer in viewer.layers for layer in overlays.layers))
    other = viewer.add_image(np.zeros((40, 60)), name="other")
    assert layers.overlays(layers.shown()) is overlays
    assert [layer.name for layer in viewer.layers] == [
        "cells",
        "other",
        CANDIDATE_NAME,
        BOX_NAME,
        POINTS_NAME,
    ]
    assert viewer.layers.selection.active is other


def test_a_layer_that_is_gone_is_never_taken_for_another(viewer: ViewerModel, layers: ViewerLayers) -> None:
    seen = set()
    for _ in range(20):  # their ids are given again
        viewer.layers.clear()
        viewer.add_image(np.zeros((8, 8)))
        seen.add(layers.shown().key.layer)
    assert len(seen) == 20


def test_hidden_overlays_stay_and_are_removed_at_the_end(
    viewer: ViewerModel, layers: ViewerLayers, qtbot: QtBot
) -> None:
    overlays = layers.overlays(layers.shown())
    layers.hide_overlays()
    assert not any(layer.visible for layer in overlays.layers)
    assert layers.overlays(layers.shown()) is overlays
    assert all(layer.visible for layer in overlays.layers)
    qtbot.waitUntil(lambda: all(layer in viewer.layers for layer in overlays.layers))
    layers.close()
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == ["cells"])


def test_a_removed_overlay_ends_prompting(viewer: ViewerModel, layers: ViewerLayers, qtbot: QtBot) -> None:
    told: list[None] = []
    layers.overlays_closed.connect(lambda: told.append(None))
    layers.overlays(layers.shown())
    qtbot.waitUntil(lambda: POINTS_NAME in viewer.layers)
    viewer.layers.remove(POINTS_NAME)
    assert told
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == ["cells"])


def test_prompts_are_taken_although_no_layer_was_active(viewer: ViewerModel, layers: ViewerLayers) -> None:
    viewer.layers.selection.clear()
    assert viewer.layers.selection.active is None
    assert layers.labels(layers.shown(), create=True) is not None
    assert viewer.layers.selection.active is viewer.layers["cells"]
    assert layers.in_pan_zoom


def test_prompting_needs_no_layer_to_be_selected(viewer: ViewerModel, layers: ViewerLayers) -> None:
    assert layers.labels(layers.shown(), create=True) is not None
    viewer.layers.selection = set(viewer.layers)
    assert viewer.layers.selection.active is None
    layers.take_tool(None, layers.shown())
    assert viewer.layers.selection.active is viewer.layers["cells"]
    assert layers.in_pan_zoom


def test_the_brush_goes_to_the_labels_and_back(viewer: ViewerModel, layers: ViewerLayers) -> None:
    shown = layers.shown()
    assert layers.tool is None
    assert layers.in_pan_zoom
    for tool, mode in (("brush", "paint"), ("erase", "erase")):
        layers.take_tool(tool, shown)
        assert layers.tool == tool
        assert not layers.in_pan_zoom
        assert viewer.layers.selection.active is viewer.layers["cells labels"]
        assert str(viewer.layers["cells labels"].mode) == mode
    layers.take_tool(None, shown)
    assert layers.tool is None
    assert layers.in_pan_zoom


def test_the_camera_is_held_for_the_active_layer_only(viewer: ViewerModel, layers: ViewerLayers) -> None:
    image = viewer.layers["cells"]
    layers.hold_camera(True)
    assert not image.mouse_pan
    field = layers.labels(layers.shown(), create=True)
    assert field is not None
    viewer.layers.selection.active = field.layer
    layers.hold_camera(True)
    assert image.mouse_pan
    assert not field.layer.mouse_pan
    layers.hold_camera(False)
    assert field.layer.mouse_pan


def test_next_and_previous_image_show_one_alone(qapp: Any) -> None:
    viewer = ViewerModel()
    for name in ("a", "b", "c"):
        viewer.add_image(np.zeros((8, 8)), name=name)
    layers = ViewerLayers(viewer)
    assert layers.shown().name == "c"
    layers.step_image(1)
    assert layers.shown().name == "a"
    assert [layer.visible for layer in viewer.layers] == [True, False, False]
    layers.step_image(-1)
    assert layers.shown().name == "c"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    PluginManager.instance().discover()  # napari's readers are plugins
    made = [tmp_path / name for name in ("a.tif", "b.tif")]
    for path in made:
        tifffile.imwrite(path, np.zeros((40, 60), np.uint8))
    return made


def test_a_file_takes_the_place_of_the_only_image(qtbot: QtBot, files: list[Path]) -> None:
    viewer = ViewerModel()
    viewer.open(files[0])
    layers = ViewerLayers(viewer)
    first = layers.shown()
    layers.labels(first, create=True)
    overlays = layers.overlays(first)
    qtbot.waitUntil(lambda: all(layer in viewer.layers for layer in overlays.layers))
    assert layers.file == files[0]
    seen: list[str] = []
    layers.view_changed.connect(lambda: seen.append(layers.shown().name))
    layers.labels_closed.connect(lambda: seen.append("labels closed"))
    layers.open_instead(files[1])
    assert seen[-1] == "b"
    assert not layers.is_open(first)
    assert layers.file == files[1]
    layers.overlays(layers.shown())
    qtbot.waitUntil(lambda: len(viewer.layers) == 4)
    assert [layer.name for layer in viewer.layers] == ["b", CANDIDATE_NAME, BOX_NAME, POINTS_NAME]
    assert viewer.layers.selection.active is viewer.layers["b"]
    assert "labels closed" not in seen
    viewer.add_image(np.zeros((4, 4)))
    assert layers.file is None


@pytest.mark.parametrize(("opened", "message"), [(OSError("bad disk"), "bad disk"), ([], "holds no image")])
def test_a_file_that_cannot_be_opened_changes_nothing(
    files: list[Path], monkeypatch: pytest.MonkeyPatch, opened: Any, message: str
) -> None:
    viewer = ViewerModel()
    viewer.open(files[0])
    layers = ViewerLayers(viewer)
    labels = layers.labels(layers.shown(), create=True)

    def read(*_: object, **__: object) -> list[Any]:
        if isinstance(opened, Exception):
            raise opened
        return list(opened)

    monkeypatch.setattr(ViewerModel, "open", read)
    with pytest.raises(BadInputError, match=rf"b\.tif .*{message}"):
        layers.open_instead(files[1])
    assert layers.file == files[0]
    assert layers.labels(layers.shown(), create=False) is labels
    assert [layer.visible for layer in viewer.layers] == [True, True]


def test_an_image_that_is_gone_is_refused(viewer: ViewerModel, layers: ViewerLayers) -> None:
    shown = layers.shown()
    assert layers.is_open(shown)
    viewer.layers.clear()
    assert not layers.is_open(shown)
    assert not layers.show(shown)
    with pytest.raises(BadInputError, match="no longer open"):
        layers.pixel(shown, (0, 0))


def test_a_slice_is_brought_back_from_other_axes_and_from_3d(qapp: Any) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((30, 40, 60), np.uint8), name="stack")
    viewer.dims.set_current_step(0, 2)
    layers = ViewerLayers(viewer)
    before = layers.shown()
    viewer.dims.roll()
    assert layers.shown().key != before.key
    assert layers.show(before.place)
    assert layers.shown().key == before.key
    viewer.dims.ndisplay = 3
    assert layers.show(before.place)
    assert layers.shown().key == before.key
    viewer.layers["stack"].data = np.ones((30, 40, 60), np.uint8)
    assert not layers.show(before.place)


def test_an_earlier_image_is_brought_back(qapp: Any) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((5, 8, 8)), name="stack", scale=(2, 1, 1))
    layers = ViewerLayers(viewer)
    viewer.dims.set_current_step(0, 4)
    shown = layers.shown()
    viewer.add_image(np.zeros((8, 8)), name="other")
    viewer.dims.set_current_step(0, 0)
    assert layers.shown().name == "other"
    assert layers.show(shown)
    assert layers.shown().key == shown.key
