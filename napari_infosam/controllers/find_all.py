"""All objects of the shown image at the press of a button, to be corrected."""

from __future__ import annotations

from statistics import median
from threading import Event
from typing import TYPE_CHECKING

from infosam.types import BadInputError
from napari_infosam.controllers.edits import LabelEditor
from napari_infosam.controllers.engine import Engine
from napari_infosam.controllers.errors import guarded, tell
from napari_infosam.controllers.import_labels import Cancelled, ImportController
from napari_infosam.models.session import Session
from napari_infosam.views.objects_view import ObjectsView
from napari_infosam.views.progress_window import ProgressWindow
from napari_infosam.workers import Worker

if TYPE_CHECKING:
    import numpy as np

    from infosam import Project
    from infosam.inference.everything import FoundObject


class FindAllController:
    """Searches when the view asks for it, by the worker that answers prompts; a window keeps them away."""

    def __init__(
        self,
        session: Session,
        view: ObjectsView,
        worker: Worker,
        engine: Engine,
        editor: LabelEditor,
        imports: ImportController,
    ) -> None:
        self.session = session
        self._view = view
        self._worker = worker
        self._engine = engine
        self._editor = editor
        self._imports = imports
        self._window: ProgressWindow | None = None
        view.find_all_requested.connect(self.find_all)

    def close(self) -> None:
        """Hold nobody up any more."""
        window, self._window = self._window, None
        if window is not None:
            window.end()

    @guarded
    def find_all(self) -> None:
        """Let the model find what there is on the shown image beside what is labelled."""
        session, shown, project = self.session, self.session.shown, self.session.project
        if not session.image_name:
            raise BadInputError("Open the image first whose objects you look for.")
        if shown is None or project is None:
            return  # why is on show already
        if session.loaded != (session.model_name, session.adapter):
            raise BadInputError("The model is not loaded yet: once more in a moment.")
        self._editor.record_strokes()
        cancelled = Event()
        window = self._window = ProgressWindow("Finding objects…", self._view.window())
        window.cancel_requested.connect(cancelled.set)

        def go_on() -> None:
            if cancelled.is_set():
                raise Cancelled

        def work() -> list[FoundObject]:
            go_on()
            pixels = shown.read()
            extent = usual_extent(project, pixels)
            go_on()
            found = self._engine.find(shown.key, pixels, extent, progress)
            go_on()
            return found

        def progress(done: int, total: int) -> None:
            go_on()
            self._worker.tell(lambda: window.setValue(done, total))

        def done(found: list[FoundObject]) -> None:
            self.close()
            if found:
                self._imports.import_found(shown, [item.rle for item in found])
            else:
                session.say("The model is sure of no object here: prompt some, adapt it, and try again.")

        def failed(error: Exception) -> None:
            self.close()
            if isinstance(error, Cancelled):
                session.say("Cancelled: nothing was found.")
            else:
                tell(session, error)

        self._worker.submit(work, done, failed)


def usual_extent(project: Project, pixels: np.ndarray) -> float | None:
    """The longest side of a typical object, in pixels, of an image or, where it has none, of the project;
    None where that has none either. Takes time."""
    from infosam.data.io import content_hash

    image = project.find_image(content_hash(pixels))
    records = (image is not None and project.objects(image.id)) or project.objects()
    boxes = [record.box for record in records]
    return median(max(r1 - r0, c1 - c0) for r0, c0, r1, c1 in boxes) if boxes else None
