"""The project's labels, written as files that other programs read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from napari_infosam.controllers.errors import guarded, tell
from napari_infosam.models.counted import counted
from napari_infosam.models.session import Session
from napari_infosam.views.model_view import ModelView
from napari_infosam.workers import Worker

if TYPE_CHECKING:
    from infosam.data.export import Export


class ExportController:
    """Exports when the view asks for it, in the background.

    record_strokes: writes what was painted last to the project.
    """

    def __init__(
        self, session: Session, view: ModelView, worker: Worker, record_strokes: Callable[[], None]
    ) -> None:
        self.session = session
        self._worker = worker
        self._record_strokes = record_strokes
        view.export_requested.connect(self.export)

    @guarded
    def export(self, parent: Path) -> None:
        """Write the labels of the project into a new folder in `parent`."""
        session, project = self.session, self.session.project
        if project is None:
            return
        self._record_strokes()
        folder = _new_folder(parent, f"{project.folder.name} labels")
        session.say(f"Writing {folder.name}…")

        def work() -> Export:
            from infosam.data.export import export_labels

            return export_labels(project, folder)

        self._worker.submit(work, self._on_exported, lambda error: tell(session, error))

    def _on_exported(self, written: Export) -> None:
        objects, images = counted(written.n_objects, "object"), counted(written.n_images, "image")
        text = f"Exported {objects} on {images} to {written.folder}."
        if written.missing:
            names = ", ".join(written.missing)
            text += f" Without their pixels, whose files are gone or have changed: {names}."
        self.session.say(text, problem=bool(written.missing))


def _new_folder(parent: Path, name: str) -> Path:
    """A folder that is not there yet."""
    names = (name if number == 1 else f"{name} {number}" for number in count(1))
    return next(parent / name for name in names if not (parent / name).exists())
