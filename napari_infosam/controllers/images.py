"""Which image is shown, and what the project knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from superqt.utils import QSignalDebouncer

from infosam.types import BadInputError, InfoSAMError, Prompt
from napari_infosam.controllers.edits import LabelEditor
from napari_infosam.controllers.errors import tell
from napari_infosam.layers import ViewerLayers
from napari_infosam.models.session import Session
from napari_infosam.models.shown_image import ShownImage
from napari_infosam.workers import Worker

if TYPE_CHECKING:
    from infosam import Project
    from infosam.data.store.records import ImageRecord, ObjectRecord

SETTLE_MS = 120  # how long a slider must rest before its slice is read


@dataclass(frozen=True, eq=False)
class KnownImage:
    """An image of the project with its objects, the removed ones too, and its (H, W) labels. revision: the
    project's, before they were read."""

    record: ImageRecord
    objects: list[ObjectRecord]
    labels: NDArray[np.int32]
    revision: int


class ImageController:
    """Keeps `session.shown` and the objects on it in step with what the viewer shows."""

    def __init__(self, session: Session, layers: ViewerLayers, worker: Worker, editor: LabelEditor) -> None:
        self._session = session
        self._layers = layers
        self._worker = worker
        self._editor = editor
        self._epoch = 0
        self._settled = QSignalDebouncer()
        self._settled.setTimeout(SETTLE_MS)
        self._settled.triggered.connect(self.refresh)
        layers.view_changed.connect(self._on_view)
        layers.labels_closed.connect(self._on_labels_closed)
        editor.touched.connect(self._on_touched)
        session.events.project.connect(self._on_project)
        session.events.prompting.connect(self._on_annotating)
        session.events.tool.connect(self._on_annotating)

    def close(self) -> None:
        """Record what was painted last, and follow the viewer no longer."""
        self._settled.cancel()
        self._layers.view_changed.disconnect(self._on_view)
        self._layers.labels_closed.disconnect(self._on_labels_closed)
        self._editor.touched.disconnect(self._on_touched)
        self._editor.leave()

    def refresh(self) -> None:
        """Look at what the viewer shows now."""
        session = self._session
        try:
            shown = self._layers.shown()
        except BadInputError as error:
            self._leave()
            session.image_name = name = self._layers.image_name
            session.shown = None
            session.say(str(error) if name else "", problem=bool(name))
            return
        if session.shown is not None and session.shown.key == shown.key:
            return
        session.say("")
        self._leave()
        labels = self._layers.labels(shown, create=False)
        if labels is not None:
            labels.drop_others(shown)
        session.image_name = shown.name
        session.shown = shown
        self._identify(painted=self._editor.has_strokes)

    def pause(self) -> None:
        """Nothing is edited until `reload`: somebody else is about to change the project's objects."""
        self._leave()

    def reload(self, text: str) -> None:
        """Show what the project holds now. text: what happened to it; empty: say nothing."""
        self._leave()
        self._editor.reload()
        if text:
            self._session.say(text)
        self._identify(quiet=True)

    # ---------------------------------------------------------------------------------------------- private

    def _on_view(self) -> None:
        shown = self._session.shown
        if shown is not None and not self._layers.is_open(shown):
            self.refresh()  # at once: nothing may refer to a layer that is gone
        else:
            self._settled.throttle()

    def _leave(self) -> None:
        self._epoch += 1
        self._editor.leave()
        session = self._session
        session.prompts = Prompt()
        session.refining = None
        session.image_id = None

    def _on_project(self, project: Project | None) -> None:
        self._leave()  # what is prompted or refined means nothing in another project
        if project is not None:
            self._editor.open_project(project)
            self._identify()

    def _on_annotating(self) -> None:
        if self._session.image_id is None:
            self._identify()

    def _on_touched(self, sure: bool) -> None:
        # By napari's own tools, without any of ours.
        if self._session.image_id is None and (sure or self._editor.has_strokes):
            self._identify(painted=True)

    def _on_labels_closed(self) -> None:
        if self._session.objects:
            self._session.say("The objects stay in the project; their layer comes back with the next change.")

    def _identify(self, *, painted: bool = False, quiet: bool = False) -> None:
        """Ask the project for the image; one that is being annotated becomes part of it."""
        session = self._session
        shown, project = session.shown, session.project
        if shown is None or project is None:
            return
        self._epoch += 1
        epoch, add = self._epoch, painted or session.prompting or session.tool is not None
        self._worker.submit(
            lambda: identify(project, shown, add=add),
            lambda known: self._on_identified(shown, known, quiet),
            lambda error: tell(session, error),
            wanted=lambda: epoch == self._epoch,
        )

    def _on_identified(self, shown: ShownImage, known: KnownImage | None, quiet: bool) -> None:
        if known is None:
            return
        try:
            self._editor.enter(shown, known.record.id, known.objects, known.labels, known.revision)
            self._session.image_id = known.record.id
            if self._session.prompting:
                self._editor.field(create=True)  # now rather than at the first commit, which should be quick
        except InfoSAMError as error:
            tell(self._session, error)
            return
        if self._session.objects and not quiet and not self._session.problem:
            count = len(self._session.objects)
            self._session.say("One object is back." if count == 1 else f"{count} objects are back.")


def identify(project: Any, shown: ShownImage, *, add: bool) -> KnownImage | None:
    """What a project holds of an image; takes time. add: make it part of the project if it is not yet."""
    from infosam.data.io import content_hash

    pixels = shown.read()
    if add:
        record = project.add_image(pixels, path=shown.path, name=shown.name, plane=shown.plane)
    else:
        record = project.find_image(content_hash(pixels))
    if record is None:
        return None
    revision = project.revision
    objects = project.objects(record.id, include_removed=True)
    return KnownImage(record, objects, project.label_image(record.id), revision)
