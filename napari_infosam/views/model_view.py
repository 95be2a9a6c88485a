"""Which model, with which adapter, on which device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import Qt, QUrl, Signal
from qtpy.QtGui import QAction, QDesktopServices
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QMessageBox,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from napari_infosam.views.import_button import ImportButton
from napari_infosam.views.menu_button import MenuButton

NO_ADAPTER = "none (as pre-trained)"
DELETE, FORGET = "Delete it…", "Take it off the list…"


@dataclass(frozen=True)
class AdapterItem:
    """An adapter of the project, as the list shows it. own: its files lie in the project."""

    folder: Path
    name: str
    tooltip: str = ""
    own: bool = True


@dataclass(frozen=True)
class ModelItem:
    """A model, as the list shows it. note: for instance the size of its download."""

    name: str
    note: str = ""


@dataclass(frozen=True)
class ModelPanel:
    """What the view shows. project: the folder in which everything is kept."""

    models: tuple[ModelItem, ...] = ()
    model: str = ""
    adapters: tuple[AdapterItem, ...] = ()
    adapter: Path | None = None
    device: str = ""
    project: Path | None = None


class ModelView(QWidget):
    """Chooses the model, the adapter and the project."""

    model_requested = Signal(str)
    adapter_requested = Signal(object)  # Path | None
    adapter_found = Signal(object)  # Path: the folder of one that was trained elsewhere
    adapter_delete_requested = Signal()  # the one in use
    project_requested = Signal(object)  # Path
    export_requested = Signal(object)  # Path

    def __init__(self) -> None:
        super().__init__()
        self._value = ModelPanel()
        self._models = _combo("The model that turns prompts into masks")
        self._adapters = _combo("What the model has learnt from your labels")
        self._device = QLabel()
        self._device.setToolTip("Where the model runs")
        self._project = QLabel()
        self._project.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        browse = QToolButton()
        browse.setText("…")
        browse.setToolTip("Keep labels and adapters in another folder")
        browse.clicked.connect(self._on_browse)
        export = QToolButton()
        export.setText("Export")
        export.setToolTip("Write all labels of the project as label images and COCO into a new folder")
        export.clicked.connect(self._on_export)
        self.import_button = ImportButton()
        more = MenuButton("▾", "Add an adapter, look at its files, or delete it")
        more.items.addAction("Add one that was trained elsewhere…", self._on_find_adapter)
        self._show_adapter = _action(more.items, "Show its folder", self._on_show_adapter)
        self._delete_adapter = _action(more.items, DELETE, self._on_delete_adapter)
        self._models.activated.connect(self._on_model)
        self._adapters.activated.connect(self._on_adapter)

        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addRow("Model", _row(self._models, self._device))
        layout.addRow("Adapter", _row(self._adapters, more))
        layout.addRow("Project", _row(self._project, browse, self.import_button, export))

    def value(self) -> ModelPanel:
        return self._value

    def setValue(self, value: ModelPanel) -> None:
        old, self._value = self._value, value
        if old.models != value.models:
            self._models.clear()
            for model in value.models:
                self._models.addItem(
                    f"{model.name}  ({model.note})" if model.note else model.name, model.name
                )
        if old.adapters != value.adapters or not self._adapters.count():
            self._adapters.clear()
            self._adapters.addItem(NO_ADAPTER, None)
            for adapter in value.adapters:
                self._adapters.addItem(adapter.name, adapter.folder)
                self._adapters.setItemData(
                    self._adapters.count() - 1, adapter.tooltip, Qt.ItemDataRole.ToolTipRole
                )
        self._models.setCurrentIndex([model.name for model in value.models].index(value.model))
        folders = [None, *(adapter.folder for adapter in value.adapters)]
        self._adapters.setCurrentIndex(folders.index(value.adapter) if value.adapter in folders else -1)
        in_use = self._in_use()
        self._delete_adapter.setText(DELETE if in_use is None or in_use.own else FORGET)
        for action in (self._show_adapter, self._delete_adapter):
            action.setEnabled(in_use is not None)
        self._device.setText(value.device)
        self._project.setText(value.project.name if value.project else "")
        self._project.setToolTip(f"Kept in {value.project}" if value.project else "")

    def _on_browse(self) -> None:
        before = str(self._value.project or Path.home())
        folder = QFileDialog.getExistingDirectory(self, "Keep labels and adapters in this folder", before)
        if folder:
            self.project_requested.emit(Path(folder))

    def _on_export(self) -> None:
        project = self._value.project
        before = str(project.parent if project else Path.home())
        folder = QFileDialog.getExistingDirectory(self, "Export the labels into a new folder in", before)
        if folder:
            self.export_requested.emit(Path(folder))

    def _on_model(self, index: int) -> None:
        self.model_requested.emit(self._models.itemData(index))

    def _on_adapter(self, index: int) -> None:
        self.adapter_requested.emit(self._adapters.itemData(index))

    def _on_find_adapter(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "The folder of an adapter: it holds adapter.json")
        if folder:
            self.adapter_found.emit(Path(folder))

    def _on_show_adapter(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._value.adapter)))

    def _on_delete_adapter(self) -> None:
        item = self._in_use()
        if item is None:
            return
        question = f"Delete the adapter “{item.name}” for good?\n\nLabels stay as they are."
        if not item.own:
            question = f"Take the adapter “{item.name}” off the list?\n\nIts files stay in {item.folder}."
        buttons = QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No
        answer = QMessageBox.question(self, "Adapter", question, buttons, QMessageBox.StandardButton.No)
        if answer == QMessageBox.StandardButton.Yes:
            self.adapter_delete_requested.emit()

    def _in_use(self) -> AdapterItem | None:
        """The adapter that is chosen in the list."""
        return next((item for item in self._value.adapters if item.folder == self._value.adapter), None)


def _combo(tooltip: str) -> QComboBox:
    combo = QComboBox()
    combo.setToolTip(tooltip)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return combo


def _action(menu: QMenu, text: str, called: Callable[[], None]) -> QAction:
    action = menu.addAction(text, called)
    assert action is not None
    return action


def _row(wide: QWidget, *narrow: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(wide, 1)
    for widget in narrow:
        layout.addWidget(widget)
    return row
