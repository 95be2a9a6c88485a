"""A person at work: clicks, drags, keys and brush strokes in a real window with the real model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from napari.layers import Image
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QFocusEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from skimage.io import imsave

from infosam import Project
from tests.integration.conftest import Window, open_window

Key, Modifier = Qt.Key, Qt.KeyboardModifier
COIN = (193, 212)  # the middle of one
COIN_BOX = (168, 187), (218, 239)


def candidate(window: Window) -> np.ndarray:
    mask = window.session.candidate
    assert mask is not None
    return mask.copy()


def drawn(window: Window) -> np.ndarray:
    return np.asarray(window.viewer.layers["infosam candidate"].data).astype(bool)


def commit_coin(window: Window) -> np.ndarray:
    window.drag(*COIN_BOX)
    window.answered()
    mask = candidate(window)
    window.key(Key.Key_Return)
    return mask


def test_click_cycle_commit_and_undo(coins: Window) -> None:
    coins.prompt_on()
    session = coins.session
    coins.click(*COIN)
    coins.answered()
    assert np.allclose(session.prompts.points, [COIN], atol=1)
    assert session.prompts.labels == (1,)
    assert (drawn(coins) == candidate(coins)).all()
    assert candidate(coins)[COIN]

    masks = [candidate(coins)]
    for _ in range(len(session.candidates or ()) - 1):
        coins.key(Key.Key_Tab)
        masks.append(candidate(coins))
        assert (drawn(coins) == masks[-1]).all()
        assert (masks[-1] != masks[-2]).any()
    assert len(masks) > 1
    coins.key(Key.Key_Backtab, Modifier.ShiftModifier)
    assert (drawn(coins) == masks[-2]).all()

    coins.key(Key.Key_Return)
    assert (coins.labels == masks[-2]).all()
    assert not drawn(coins).any()
    assert len(session.objects) == 1
    coins.key(Key.Key_Z, Modifier.ControlModifier)
    assert not coins.labels.any()
    assert session.objects == ()
    coins.key(Key.Key_Z, Modifier.ControlModifier | Modifier.ShiftModifier)
    assert (coins.labels == masks[-2]).all()


def test_another_click_corrects_the_candidate_that_was_chosen(coins: Window) -> None:
    coins.prompt_on()
    session = coins.session
    coins.click(*COIN)
    coins.answered()
    coins.key(Key.Key_Tab)
    chosen = candidate(coins)
    coins.click(COIN[0] + 8, COIN[1] + 8)
    coins.answered()
    assert session.prompts.answer is not None
    assert (session.prompts.answer == chosen).all()
    assert session.answered is session.prompts
    assert candidate(coins)[COIN]
    coins.key(Key.Key_Z, Modifier.ControlModifier)
    coins.answered()
    assert session.prompts.answer is None
    coins.key(Key.Key_Z, Modifier.ControlModifier | Modifier.ShiftModifier)
    coins.answered()
    assert session.prompts.answer is not None
    assert (session.prompts.answer == chosen).all()


def test_signs_escape_and_a_box(coins: Window) -> None:
    coins.prompt_on()
    session = coins.session
    coins.click(*COIN)
    coins.click(193, 180, Modifier.ControlModifier)
    assert session.prompts.labels == (1, 0)
    coins.key(Key.Key_T)
    coins.click(160, 212)
    assert session.prompts.labels == (1, 0, 0)
    coins.key(Key.Key_T)
    coins.key(Key.Key_Escape)
    assert session.prompts.is_empty
    centre = coins.camera.center
    coins.drag(*COIN_BOX)
    coins.answered()
    assert session.prompts.box == pytest.approx((168.5, 187.5, 218.5, 239.5), abs=1)
    assert coins.camera.center == centre  # the drag was ours
    # A coin fills most of its box, and the model sees it.
    (r0, c0), (r1, c1) = COIN_BOX
    assert candidate(coins)[r0:r1, c0:c1].mean() > 0.5
    coins.key(Key.Key_C)
    assert coins.labels[COIN] == 1


def test_a_real_brush_stroke_is_kept_as_a_correction(coins: Window, data_folder: Path) -> None:
    coins.prompt_on()
    mask = commit_coin(coins)
    coins.press("Brush")
    layer = coins.viewer.layers["coins labels"]
    assert coins.viewer.layers.selection.active is layer
    layer.selected_label, layer.brush_size = 1, 9
    coins.drag((193, 225), (193, 255))
    painted = coins.labels.copy()
    assert (painted == 1).sum() > mask.sum()
    coins.wait(lambda: coins.session.objects[0].source == "edited", "the correction")

    coins.key(Key.Key_M)  # napari's own, for a new label
    coins.drag((150, 60), (150, 90))
    coins.wait(lambda: len(coins.session.objects) == 2, "the new object")
    with Project.open(data_folder / "autosave") as project:
        first, second = project.objects()
        assert (project.mask(first.id) == painted.astype(bool)).all()
        assert (first.source, first.corrections, second.label, second.source) == ("edited", 1, 2, "brush")
        assert first.prompt is not None
        assert first.prompt.box is not None
        assert (project.label_image(first.image_id) == coins.labels).all()

    coins.press("Prompt")
    coins.key(Key.Key_Z, Modifier.ControlModifier)
    coins.key(Key.Key_Z, Modifier.ControlModifier)
    assert (coins.labels == mask).all()


def test_double_click_refines_and_delete_removes(coins: Window) -> None:
    coins.prompt_on()
    mask = commit_coin(coins)
    (item,) = coins.session.objects
    zoom = coins.camera.zoom
    coins.double_click(*COIN)
    coins.answered()
    assert coins.session.refining == item.id
    assert coins.camera.zoom == zoom  # napari would have zoomed
    assert (coins.session.prompts.mask == mask).all()
    coins.click(200, 220)
    assert len(coins.session.prompts.points) == 2
    coins.wait(coins.settled, "the answer to the click")
    refined = candidate(coins)
    coins.key(Key.Key_Enter, Modifier.KeypadModifier)
    assert (coins.labels == refined).all()
    assert [made.id for made in coins.session.objects] == [item.id]
    coins.move(*COIN)
    coins.key(Key.Key_Delete)
    assert not coins.labels.any()
    coins.key(Key.Key_Z, Modifier.ControlModifier)
    assert (coins.labels == refined).all()


def test_labels_of_another_tool_are_imported_refined_and_taken_back(coins: Window) -> None:
    session = coins.session
    rows, columns = np.ogrid[:303, :384]
    rough = (rows - COIN[0]) ** 2 + (columns - COIN[1]) ** 2 <= 15**2
    coins.viewer.add_labels(3 * rough + 8 * np.roll(rough, 100, axis=1), name="cyto")
    coins.viewer.layers.selection.active = coins.viewer.layers["coins"]
    coins.prompt_on()
    menu = coins.panel.annotator.model_view.import_button.menu()
    assert menu is not None
    menu.popup(coins.panel.mapToGlobal(coins.panel.rect().center()))
    next(action for action in menu.actions() if "cyto" in action.text()).trigger()
    menu.close()
    coins.wait(lambda: session.ready and len(session.objects) == 2, "the labels")
    assert session.status == "Imported 2 objects."
    assert (coins.labels == 1 * rough + 2 * np.roll(rough, 100, axis=1)).all()

    coins.double_click(*COIN)
    coins.answered()
    better = candidate(coins)
    coins.key(Key.Key_Return)
    assert (coins.labels == 1).sum() == better.sum() != rough.sum()
    for left in (2, 2, 0):  # the commit, the prompt that refining began with, the import
        coins.key(Key.Key_Z, Modifier.ControlModifier)
        coins.wait(lambda left=left: session.ready and len(session.objects) == left, f"{left} objects")
    assert not coins.labels.any()


@pytest.fixture
def folder(data_folder: Path, qapp: Any) -> Iterator[Window]:
    """The second of two files in a folder."""
    images = data_folder / "images"
    images.mkdir()
    imsave(images / "coins 9.png", skimage.data.coins(), check_contrast=False)
    imsave(images / "coins 10.png", skimage.data.coins()[120:, ::-1].copy(), check_contrast=False)
    window = open_window(np.zeros((20, 20), np.uint8), name="black")
    window.viewer.layers.clear()
    window.viewer.open(images / "coins 10.png")
    yield window
    window.viewer.close()
    QTest.qWait(50)


def test_n_walks_through_the_folder_of_the_image(folder: Window) -> None:
    session, layers = folder.session, folder.viewer.layers
    folder.prompt_on()
    for name, shape, pixel in (
        ("coins 9", (303, 384), COIN),
        ("coins 10", (183, 384), (COIN[0] - 120, 383 - COIN[1])),
    ):
        folder.key(Key.Key_N, Modifier.ShiftModifier if name == "coins 9" else Modifier.NoModifier)
        folder.wait(lambda name=name: session.image_name == name and folder.ready(), name)
        folder.wait(lambda: len([layer for layer in layers if isinstance(layer, Image)]) == 1, "one image")
        assert layers[name].data.shape == shape
        folder.click(*pixel)
        folder.answered()
        mask = candidate(folder)
        assert mask[pixel]
        assert (drawn(folder) == mask).all()
        assert layers.index(layers["infosam candidate"]) > layers.index(layers[name])
        folder.key(Key.Key_Return)
        assert (folder.labels == mask).all()
    assert [layer.name for layer in layers if layer.name.endswith("labels")] == ["coins 10 labels"]

    folder.press("Brush")
    layers["coins 10 labels"].brush_size = 9
    folder.drag((20, 20), (20, 60))
    folder.press("Prompt")
    folder.key(Key.Key_N, Modifier.ShiftModifier)
    folder.wait(lambda: session.image_name == "coins 9" and len(session.objects) == 1, "the first")
    assert session.objects[0].source == "prompt"
    folder.key(Key.Key_N)
    folder.wait(lambda: session.image_name == "coins 10" and len(session.objects) == 1, "the second")
    assert session.objects[0].source == "edited"
    assert folder.labels[20, 40] == 1

    folder.wait(folder.ready, "prompts")
    folder.key(Key.Key_N)
    folder.wait(lambda: session.status == "This is the last image here.", "the end")
    assert session.image_name == "coins 10"


def test_outside_prompting_mouse_and_keys_are_naparis(coins: Window) -> None:
    coins.wait(lambda: coins.session.shown is not None, "the image")
    centre = coins.camera.center
    coins.drag(*COIN_BOX)
    assert coins.camera.center != centre
    assert coins.session.prompts.is_empty
    coins.prompt_on()
    coins.press("Brush")
    coins.key(Key.Key_T)
    assert coins.session.positive
    layer = coins.viewer.layers["coins labels"]
    coins.drag((50, 50), (50, 60))
    assert layer.data.any()
    coins.key(Key.Key_Z, Modifier.ControlModifier)  # takes back what the panel would
    assert not layer.data.any()
    coins.wait(lambda: coins.session.objects == (), "the object to go")
    coins.key(Key.Key_Z, Modifier.ControlModifier | Modifier.ShiftModifier)
    assert layer.data.any()
    assert len(coins.session.objects) == 1


def test_painting_on_after_the_labels_layer_was_deleted_loses_nothing(
    coins: Window, data_folder: Path
) -> None:
    coins.prompt_on()
    mask = commit_coin(coins)
    coins.viewer.layers.remove("coins labels")
    coins.press("Brush")
    assert (coins.labels == mask).all()
    coins.drag((50, 50), (50, 80))
    coins.wait(lambda: len(coins.session.objects) == 2, "the stroke")
    with Project.open(data_folder / "autosave") as project:
        first, second = project.objects()
        assert (project.mask(first.id) == mask).all()
        assert second.source == "brush"


@pytest.mark.parametrize("others", [0, 1])
def test_closing_the_image_while_prompting(coins: Window, others: int) -> None:
    coins.prompt_on()
    commit_coin(coins)
    coins.click(*COIN)
    for number in range(others):
        coins.viewer.add_image(np.full((60, 80), number, np.uint8), name=f"other {number}")
        coins.viewer.layers.selection.active = coins.viewer.layers["coins"]
    coins.viewer.layers.remove("coins")
    name = "other 0" if others else ""
    coins.wait(lambda: coins.session.image_name == name, "the image that is left")
    coins.viewer.add_image(np.zeros((50, 70), np.uint8), name="next")
    coins.wait(lambda: coins.session.image_name == "next" and coins.ready(), "the next image")
    coins.wait(lambda: coins.session.prompts.is_empty, "a new start")


def test_clicks_are_answered_again_when_the_window_lost_the_keyboard_with_space_held(coins: Window) -> None:
    coins.prompt_on()
    QTest.keyPress(coins.canvas, Key.Key_Space)
    QApplication.sendEvent(coins.canvas, QFocusEvent(QEvent.Type.FocusOut))  # the release goes elsewhere
    coins.click(*COIN)
    assert len(coins.session.prompts.points) == 1
    QTest.keyPress(coins.canvas, Key.Key_Space)
    coins.click(*COIN)
    assert len(coins.session.prompts.points) == 1
    QTest.keyRelease(coins.canvas, Key.Key_Space)


def test_space_held_moves_the_image(coins: Window) -> None:
    coins.prompt_on()
    centre = coins.camera.center
    QTest.keyPress(coins.canvas, Key.Key_Space)
    coins.drag(*COIN_BOX)
    QTest.keyRelease(coins.canvas, Key.Key_Space)
    assert coins.camera.center != centre
    assert coins.session.prompts.is_empty
    coins.click(*COIN)
    assert len(coins.session.prompts.points) == 1


def test_the_layer_list_stays_tidy_and_the_active_layer_the_same(coins: Window) -> None:
    coins.prompt_on()
    commit_coin(coins)
    assert [layer.name for layer in coins.viewer.layers] == [
        "coins",
        "coins labels",
        "infosam candidate",
        "infosam box",
        "infosam points",
    ]
    assert coins.viewer.layers.selection.active is coins.viewer.layers["coins"]
    coins.press("Prompt")
    hidden = [layer.name for layer in coins.viewer.layers if not layer.visible]
    assert hidden == ["infosam candidate", "infosam box", "infosam points"]


def test_yesterdays_labels_are_there_again(coins: Window, data_folder: Path) -> None:
    from tests.integration.conftest import open_window

    coins.prompt_on()
    mask = commit_coin(coins)
    image = coins.viewer.layers["coins"].data.copy()
    coins.viewer.close()
    again = open_window(image, name="another name")
    try:
        again.wait(lambda: again.session.objects != (), "the labels")
        assert (again.labels == mask).all()
        assert again.session.objects[0].source == "prompt"
    finally:
        again.viewer.close()


def test_one_coin_is_enough_to_find_the_others(data_folder: Path, qapp: Any) -> None:
    coins = open_window(skimage.data.coins()[150:, 130:], name="coins")
    coins.prompt_on()
    session = coins.session
    coins.press("Find all objects")
    coins.wait(lambda: session.problem, "a hint")
    assert session.status.startswith("Commit one object first")
    coins.drag((18, 57), (68, 109))
    coins.answered()
    coin = candidate(coins)
    coins.key(Key.Key_Return)
    coins.press("Find all objects")
    coins.wait(lambda: session.status.startswith("Found") and session.ready, "the coins")
    assert len(session.objects) >= 5  # of 9
    assert [item.source for item in session.objects[:2]] == ["prompt", "found"]
    assert (coins.labels[coin] == session.objects[0].label).all()
    areas = [item.area for item in session.objects]
    assert 600 < np.median(areas) < 2200
    coins.key(Key.Key_Z, Modifier.ControlModifier)
    coins.wait(lambda: session.status == "Undone: finding." and session.ready, "one coin")
    assert np.array_equal(coins.labels > 0, coin)
    coins.viewer.close()
    QTest.qWait(50)
