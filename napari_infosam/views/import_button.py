"""Where labels that were drawn elsewhere come from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog

from napari_infosam.views.menu_button import MenuButton

NO_LAYER = "No labels layer of the image's size is open"


class ImportButton(MenuButton):
    """A menu: a labels layer of the viewer, a mask file of the shown image, or a whole labelled data set."""

    opened = Signal()  # the menu is about to be shown: `setValue` may bring it up to date
    layer_requested = Signal(int)  # the number of a layer in `value()`
    mask_requested = Signal(object)  # Path
    data_requested = Signal(object)  # Path

    def __init__(self) -> None:
        super().__init__("Import ▾", "Make labels that were drawn elsewhere objects of the project")
        self._value: tuple[str, ...] = ()
        self.items.aboutToShow.connect(self._on_opened)

    def value(self) -> tuple[str, ...]:
        return self._value

    def setValue(self, layers: Sequence[str]) -> None:
        """Offer the labels layers of these names."""
        self._value = tuple(layers)
        menu = self.items
        menu.clear()
        for number, name in enumerate(self._value):
            menu.addAction(f"Labels layer “{name}”", partial(self.layer_requested.emit, number))
        if not self._value:
            nothing = menu.addAction(NO_LAYER)
            assert nothing is not None
            nothing.setEnabled(False)
        menu.addSeparator()
        menu.addAction("Mask file for this image…", self._on_mask)
        menu.addAction("Folder with images and masks…", self._on_folder)
        menu.addAction("COCO or CSV file…", self._on_file)

    def _on_opened(self) -> None:
        self.setValue(())
        self.opened.emit()

    def _on_mask(self) -> None:
        kinds = "Masks (*.tif *.tiff *.png *.bmp *.gif *.jpg *.jpeg *.webp)"
        path, _ = QFileDialog.getOpenFileName(self, "Label mask of this image", "", kinds)
        if path:
            self.mask_requested.emit(Path(path))

    def _on_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "A folder that holds images/ and masks/")
        if folder:
            self.data_requested.emit(Path(folder))

    def _on_file(self) -> None:
        kinds = "Labelled data (*.json *.csv)"
        path, _ = QFileDialog.getOpenFileName(self, "COCO JSON, or a CSV with image,label", "", kinds)
        if path:
            self.data_requested.emit(Path(path))
