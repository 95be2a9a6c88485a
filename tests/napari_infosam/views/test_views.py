"""The views show what they are given and say what is asked of them; nothing else."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QMessageBox,
    QTreeWidget,
    QWidget,
)

from napari_infosam.views.menu_button import MenuButton
from napari_infosam.views.model_view import AdapterItem, ModelItem, ModelPanel, ModelView
from napari_infosam.views.objects_view import ObjectRow, ObjectsView
from napari_infosam.views.prompt_view import PromptPanel, PromptView

WIDTH = 350


def button(view: QWidget, text: str) -> QAbstractButton:
    return next(found for found in view.findChildren(QAbstractButton) if text in found.text())


@pytest.fixture
def prompt_view(qtbot: QtBot) -> PromptView:
    view = PromptView()
    qtbot.addWidget(view)
    return view


@pytest.mark.parametrize(
    ("text", "signal", "arguments"),
    [
        ("Prompt", "tool_requested", ["prompt", True]),
        ("Brush", "tool_requested", ["brush", True]),
        ("Eraser", "tool_requested", ["erase", True]),
        ("object", "sign_requested", [False]),
        ("▸", "candidate_requested", [1]),
        ("◂", "candidate_requested", [-1]),
        ("Commit", "commit_requested", []),
        ("Clear", "clear_requested", []),
        ("Undo", "undo_requested", []),
        ("Redo", "redo_requested", []),
        ("May cover", "overwrite_requested", [True]),
    ],
)
def test_every_button_asks_for_what_it_says(
    prompt_view: PromptView, qtbot: QtBot, text: str, signal: str, arguments: list[object]
) -> None:
    prompt_view.setValue(
        PromptPanel(enabled=True, n_candidates=3, can_clear=True, can_undo=True, can_redo=True)
    )
    with qtbot.waitSignal(getattr(prompt_view, signal)) as asked:
        button(prompt_view, text).click()
    assert list(asked.args or []) == arguments


def test_buttons_are_on_only_where_they_can_do_something(prompt_view: PromptView) -> None:
    prompt_view.setValue(PromptPanel())
    for text in ("Prompt", "Brush", "Eraser", "Commit", "Clear", "Undo", "Redo", "▸"):
        assert not button(prompt_view, text).isEnabled()
    prompt_view.setValue(PromptPanel(enabled=True, n_candidates=1, tool="brush"))
    assert button(prompt_view, "Commit").isEnabled()
    assert not button(prompt_view, "▸").isEnabled()
    assert button(prompt_view, "Brush").isChecked()
    assert not button(prompt_view, "Prompt").isChecked()


def test_setting_a_value_asks_for_nothing(prompt_view: PromptView, qtbot: QtBot) -> None:
    value = PromptPanel(enabled=True, tool="prompt", positive=False, overwrite=True, n_candidates=2)
    with (
        qtbot.assertNotEmitted(prompt_view.tool_requested),
        qtbot.assertNotEmitted(prompt_view.overwrite_requested),
    ):
        prompt_view.setValue(value)
    assert prompt_view.value() == value
    box = prompt_view.findChild(QCheckBox)
    assert box is not None
    assert box.isChecked()


def test_long_texts_do_not_widen_the_panel(prompt_view: PromptView) -> None:
    prompt_view.setValue(PromptPanel(image="a very long name " * 20, status="word " * 60, hint="word " * 60))
    assert prompt_view.minimumSizeHint().width() <= WIDTH


def test_a_word_without_end_leaves_every_button_in_the_panel(prompt_view: PromptView, qtbot: QtBot) -> None:
    prompt_view.resize(WIDTH, 600)
    prompt_view.show()
    qtbot.waitExposed(prompt_view)
    prompt_view.setValue(PromptPanel(status=f"The SHA-256 is {'7402e0d8' * 32}.", problem=True))
    qtbot.wait(50)
    assert prompt_view.width() == WIDTH
    for text in ("Eraser", "Clear", "Redo"):
        found = button(prompt_view, text)
        assert found.mapTo(prompt_view, found.rect().topRight()).x() < WIDTH


def test_models_and_adapters_are_chosen_by_name_and_folder(qtbot: QtBot, tmp_path: Path) -> None:
    view = ModelView()
    qtbot.addWidget(view)
    panel = ModelPanel(
        models=(ModelItem("sam_pocket"), ModelItem("sam_vit_h", "2,564 MB download")),
        model="sam_vit_h",
        adapters=(AdapterItem(tmp_path / "a", "a"), AdapterItem(tmp_path / "b", "b")),
        adapter=tmp_path / "b",
        device="cuda:0",
        project=tmp_path,
    )
    view.setValue(panel)
    assert view.value() == panel
    models, adapters = view.findChildren(QComboBox)
    assert (models.currentData(), adapters.currentText()) == ("sam_vit_h", "b")
    assert view.minimumSizeHint().width() <= WIDTH
    with qtbot.waitSignal(view.model_requested) as model:
        models.activated.emit(0)
    assert model.args == ["sam_pocket"]
    for index, folder in enumerate((None, tmp_path / "a", tmp_path / "b")):
        with qtbot.waitSignal(view.adapter_requested) as chosen:
            adapters.activated.emit(index)
        assert chosen.args == [folder]


def test_the_adapter_in_use_is_shown_and_deleted_once_confirmed(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    view = ModelView()
    qtbot.addWidget(view)
    item = AdapterItem(tmp_path / "a", "a")
    panel = ModelPanel(models=(ModelItem("sam_pocket"),), model="sam_pocket", adapters=(item,))
    (menu,) = [found.items for found in view.findChildren(MenuButton) if found.text() == "▾"]
    add, show, delete = menu.actions()
    view.setValue(panel)
    assert [action.isEnabled() for action in (add, show, delete)] == [True, False, False]
    view.setValue(replace(panel, adapter=item.folder))
    assert all(action.isEnabled() for action in (add, show, delete))

    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    show.trigger()
    assert [url.toLocalFile() for url in opened] == [str(item.folder)]
    asked = Mock(return_value=QMessageBox.StandardButton.No)
    monkeypatch.setattr(QMessageBox, "question", asked)
    with qtbot.assertNotEmitted(view.adapter_delete_requested):
        delete.trigger()
    assert "for good" in asked.call_args.args[2]
    asked.return_value = QMessageBox.StandardButton.Yes
    view.setValue(replace(panel, adapter=item.folder, adapters=(replace(item, own=False),)))
    with qtbot.waitSignal(view.adapter_delete_requested):
        delete.trigger()
    assert f"Its files stay in {item.folder}" in asked.call_args.args[2]

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    with qtbot.assertNotEmitted(view.adapter_found):
        add.trigger()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    with qtbot.waitSignal(view.adapter_found) as found:
        add.trigger()
    assert found.args == [tmp_path]


@pytest.mark.parametrize(("text", "signal"), [("…", "project_requested"), ("Export", "export_requested")])
def test_folders_are_asked_for(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, signal: str
) -> None:
    view = ModelView()
    qtbot.addWidget(view)
    requested = getattr(view, signal)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    with qtbot.waitSignal(requested) as asked:
        button(view, text).click()
    assert asked.args == [tmp_path]
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    with qtbot.assertNotEmitted(requested):
        button(view, text).click()


def test_objects_are_listed_selected_and_deleted(qtbot: QtBot) -> None:
    view = ObjectsView()
    qtbot.addWidget(view)
    view.show()
    rows = [ObjectRow(11, 1, 1234, "prompt", (255, 0, 0)), ObjectRow(12, 2, 56, "brush", (0, 255, 0))]
    view.setValue(rows)
    tree = view.findChild(QTreeWidget)
    assert tree is not None
    texts = [[tree.topLevelItem(line).text(column) for column in range(3)] for line in range(2)]  # type: ignore[union-attr]
    assert texts == [["1", "1\u2009234 px", "prompt"], ["2", "56 px", "brush"]]
    delete = button(view, "Delete")
    assert not delete.isEnabled()
    second = tree.topLevelItem(1)
    assert second is not None
    with qtbot.waitSignal(view.selected) as selected:
        viewport = tree.viewport()
        assert viewport is not None
        QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=tree.visualItemRect(second).center())
    assert selected.args == [12]
    with qtbot.assertNotEmitted(view.selected):
        view.setValue(rows[::-1])
    with qtbot.waitSignal(view.delete_requested) as deleted:
        delete.click()
    assert deleted.args == [12]
    tree.setFocus()
    for key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
        with qtbot.waitSignal(view.delete_requested) as deleted:
            QTest.keyClick(tree, key)
        assert deleted.args == [12]
    with qtbot.waitSignal(view.refine_requested) as refined:
        tree.itemDoubleClicked.emit(tree.topLevelItem(1), 0)
    assert refined.args == [11]
    view.setValue(rows[:1])
    assert not delete.isEnabled()
