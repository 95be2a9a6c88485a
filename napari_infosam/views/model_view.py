"""Which model, with which adapter, on which device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from napari_infosam.views.import_button import ImportButton

NO_ADAPTER = "none (as pre-trained)"


@dataclass(frozen=True)
class AdapterItem:
    """An adapter of the project, as the list shows it."""

    folder: Path
    name: str
    tooltip: str = ""


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
        self._models.activated.connect(self._on_model)
        self._adapters.activated.connect(self._on_adapter)

        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addRow("Model", _row(self._models, self._device))
        layout.addRow("Adapter", self._adapters)
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


def _combo(tooltip: str) -> QComboBox:
    combo = QComboBox()
    combo.setToolTip(tooltip)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return combo


def _row(wide: QWidget, *narrow: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(wide, 1)
    for widget in narrow:
        layout.addWidget(widget)
    return row
