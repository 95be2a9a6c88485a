"""The list of committed objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QKeyEvent, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

Colour = tuple[int, int, int]
COLUMNS = ("Object", "Area", "Source")
ID_ROLE = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class ObjectRow:
    """One line of the list. area: pixels. colour: RGB, 0-255, of its label."""

    id: int
    label: int
    area: int
    source: str
    colour: Colour


class ObjectsView(QWidget):
    """Lists objects; a click selects one, Delete or the button removes it, a double click refines it. Another
    button asks for all objects of the image."""

    selected = Signal(int)
    refine_requested = Signal(int)
    delete_requested = Signal(int)
    find_all_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._value: tuple[ObjectRow, ...] = ()
        self._tree = _Tree()
        self._tree.setHeaderLabels(COLUMNS)
        self._tree.setRootIsDecorated(False)
        self._tree.setUniformRowHeights(True)
        header = self._tree.header()
        assert header is not None
        header.setResizeContentsPrecision(0)  # by the rows in sight, of thousands
        self._tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._tree.setMinimumHeight(96)
        self._tree.setMaximumHeight(180)
        self._tree.setToolTip("Click to find an object, double-click to refine it")
        self._find_all = QPushButton("Find all objects")
        self._find_all.setToolTip(
            "Let the model find all objects of this image, as large as those that it was adapted to or that "
            "are labelled so far. Ctrl+Z takes them back."
        )
        self._find_all.clicked.connect(self.find_all_requested)
        self._delete = QPushButton("Delete object")
        self._delete.setToolTip(
            "Remove the selected object (Delete; on the canvas, the one under the pointer)"
        )
        self._delete.clicked.connect(self._on_delete)
        self._tree.delete_pressed.connect(self._on_delete)
        self._tree.itemSelectionChanged.connect(self._on_selection)
        self._tree.itemDoubleClicked.connect(lambda item: self.refine_requested.emit(item.data(0, ID_ROLE)))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._tree)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self._find_all)
        buttons.addWidget(self._delete)
        layout.addLayout(buttons)
        self._delete.setEnabled(False)

    def value(self) -> tuple[ObjectRow, ...]:
        return self._value

    def setValue(self, rows: Sequence[ObjectRow]) -> None:
        """Show these objects; the selected one stays selected if it is among them."""
        self._value = tuple(rows)
        chosen = self._selected_id()
        self._tree.blockSignals(True)
        self._tree.clear()
        for row in self._value:
            item = QTreeWidgetItem([str(row.label), f"{row.area:,} px".replace(",", "\u2009"), row.source])
            item.setIcon(0, _swatch(row.colour))
            item.setData(0, ID_ROLE, row.id)
            self._tree.addTopLevelItem(item)
            item.setSelected(row.id == chosen)
        for column in range(len(COLUMNS)):
            self._tree.resizeColumnToContents(column)
        self._tree.blockSignals(False)
        self._delete.setEnabled(self._selected_id() is not None)

    def _selected_id(self) -> int | None:
        items = self._tree.selectedItems()
        return int(items[0].data(0, ID_ROLE)) if items else None

    def _on_selection(self) -> None:
        chosen = self._selected_id()
        self._delete.setEnabled(chosen is not None)
        if chosen is not None:
            self.selected.emit(chosen)

    def _on_delete(self) -> None:
        chosen = self._selected_id()
        if chosen is not None:
            self.delete_requested.emit(chosen)


class _Tree(QTreeWidget):
    """Says when one of the keys is pressed that delete on the canvas."""

    delete_pressed = Signal()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.delete_pressed.emit()
        else:
            super().keyPressEvent(event)


def _swatch(colour: Colour) -> QIcon:
    pixmap = QPixmap(12, 12)
    pixmap.fill(QColor(*colour))
    return QIcon(pixmap)
