"""Labels that were drawn elsewhere, or found by the model, become objects of the project."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Literal

import numpy as np

from infosam.types import BadInputError
from napari_infosam.controllers.errors import guarded, tell
from napari_infosam.controllers.images import ImageController
from napari_infosam.layers import LabelSource, ViewerLayers
from napari_infosam.models.counted import counted
from napari_infosam.models.history import Change, History
from napari_infosam.models.session import Session
from napari_infosam.models.shown_image import Place, ShownImage
from napari_infosam.views.import_button import ImportButton
from napari_infosam.views.progress_window import ProgressWindow
from napari_infosam.workers import Worker

if TYPE_CHECKING:
    from infosam import Project
    from infosam.data.importing import Import
    from infosam.data.labelled import LabelledImage
    from infosam.data.rle import RLE

_NAMES = {"imported": "import", "found": "finding"}  # of what can be undone
RULE = "separate"  # of files: one value alone stands for many objects more often than for one


class Cancelled(Exception):
    """The user does not want to wait."""


class ImportController:
    """Imports when the view asks for it, in the background; a window keeps edits from coming between."""

    def __init__(
        self,
        session: Session,
        layers: ViewerLayers,
        view: ImportButton,
        worker: Worker,
        images: ImageController,
        history: History,
    ) -> None:
        self.session = session
        self._layers = layers
        self._view = view
        self._worker = worker
        self._images = images
        self._history = history
        self._sources: Sequence[LabelSource] = ()
        self._window: ProgressWindow | None = None
        view.opened.connect(self._offer)
        view.layer_requested.connect(self.import_layer)
        view.mask_requested.connect(self.import_mask)
        view.data_requested.connect(self.import_data)

    def close(self) -> None:
        """Hold nobody up any more."""
        window, self._window = self._window, None
        if window is not None:
            window.end()

    @guarded
    def import_layer(self, number: int) -> None:
        """Import a labels layer that lies on the shown image, all of its slices."""
        source, shown = self._sources[number], self._shown()
        slices = self._layers.slices(shown)
        self._import(
            f"Importing “{source.name}”…",
            lambda: (len(slices), (_split(item, source.read(item), "labels") for item in slices)),
            shown.place,
            source.show,
        )

    @guarded
    def import_mask(self, path: Path) -> None:
        """Import a mask file of the shown image."""
        shown = self._shown()

        def read() -> Iterator[LabelledImage]:
            from infosam.data.io import read_mask

            labels = read_mask(path)
            if labels.shape != shown.shape:
                raise BadInputError(
                    f"{path.name} is {labels.shape[0]} × {labels.shape[1]} pixels, “{shown.name}” "
                    f"{shown.shape[0]} × {shown.shape[1]}: choose the mask of this image."
                )
            try:
                yield _split(shown, labels, RULE)
            except BadInputError as error:
                raise BadInputError(f"{path.name}: {error}") from error

        self._import(f"Importing {path.name}…", lambda: (1, read()), shown.place)

    @guarded
    def import_data(self, path: Path) -> None:
        """Import a folder with images and masks, a CSV or a COCO file."""

        def read() -> tuple[int, Iterator[LabelledImage]]:
            from infosam.data.readers import data_entries

            entries = data_entries(path, RULE)
            return len(entries), (entry() for entry in entries)

        self._import(f"Importing {path.name}…", read, None)

    def import_found(self, shown: ShownImage, masks: Sequence[RLE]) -> None:
        """Keep the objects that the model has found on an image."""
        self._import(
            "Keeping what was found…",
            lambda: (1, iter([_labelled(shown, masks)])),
            shown.place,
            source="found",
        )

    # ---------------------------------------------------------------------------------------------- private

    def _offer(self) -> None:
        """List what lies on the shown image."""
        shown = self.session.shown
        self._sources = () if shown is None else self._layers.label_sources(shown)
        self._view.setValue([source.name for source in self._sources])

    def _shown(self) -> ShownImage:
        if self.session.shown is None:
            raise BadInputError("Open the image that these labels belong to first.")
        return self.session.shown

    def _import(
        self,
        title: str,
        read: Callable[[], tuple[int, Iterator[LabelledImage]]],
        place: Place | None,
        show_source: Callable[[bool], None] = lambda _: None,
        source: Literal["imported", "found"] = "imported",
    ) -> None:
        """read: tells, in the background, how many images there are, and reads them. place: where that can be
        undone, None for anywhere. show_source: hides the layer that they come from, or shows it again."""
        session, project = self.session, self.session.project
        if project is None:
            return
        self._images.pause()
        cancelled = Event()
        window = self._window = ProgressWindow(title, self._view.window())
        window.cancel_requested.connect(cancelled.set)

        def work() -> Import:
            from infosam import Project
            from infosam.data.importing import import_labels

            total, images = read()

            def progress(done: int) -> None:
                if cancelled.is_set():
                    raise Cancelled
                self._worker.tell(lambda: window.setValue(done, total))

            # The session's own connection may be closed before this has taken back what came in.
            with Project.open(project.folder) as same:
                return import_labels(same, images, progress, source)

        def done(imported: Import) -> None:
            self.close()
            if imported.object_ids:
                show_source(False)
                self._push(project, imported, place, show_source, _NAMES[source])
            self._images.reload(_summary(imported) if source == "imported" else _found(imported))

        def failed(error: Exception) -> None:
            self.close()
            if isinstance(error, Cancelled):
                self._images.reload(f"Cancelled: nothing was {source}.")
            else:
                self._images.reload("")
                tell(session, error)

        self._worker.submit(work, done, failed)

    def _push(
        self,
        project: Project,
        imported: Import,
        place: Place | None,
        show_source: Callable[[bool], None],
        name: str,
    ) -> None:
        ids = imported.object_ids

        def undo() -> None:
            project.remove_objects(ids)
            show_source(True)
            self._images.reload(f"Undone: {name}.")

        def redo() -> None:
            project.restore_objects(ids)
            show_source(False)
            self._images.reload(f"Done again: {name}.")

        self._history.push(Change(name, undo, redo, place=place))


def _split(shown: ShownImage, labels: np.ndarray, rule: str) -> LabelledImage:
    """A slice with the objects of its (H, W) labels."""
    from infosam.data.objects import split_objects

    return _labelled(shown, split_objects(labels, rule))


def _labelled(shown: ShownImage, masks: Iterable[RLE]) -> LabelledImage:
    """A slice with objects of these masks; its pixels are read only where there are any."""
    from infosam.data.io import content_hash
    from infosam.data.labelled import LabelledImage, LabelledObject

    objects = [LabelledObject(rle) for rle in masks]
    key = content_hash(shown.read()) if objects else ""
    path = None if shown.path is None else Path(shown.path)
    return LabelledImage(key, shown.name, shown.read, objects, path=path, plane=shown.plane)


def _summary(imported: Import) -> str:
    if not imported.object_ids:
        return "Nothing new: objects lie there already."
    objects = counted(len(imported.object_ids), "object")
    images = "" if imported.n_images == 1 else f" on {counted(imported.n_images, 'image')}"
    known = f" {imported.n_known} more were there already." if imported.n_known else ""
    return f"Imported {objects}{images}.{known}"


def _found(imported: Import) -> str:
    if not imported.object_ids:
        return "Nothing new was found: objects lie there already."
    objects = counted(len(imported.object_ids), "object")
    return f"Found {objects}. Correct or delete what is wrong before you adapt; Ctrl+Z takes all back."
