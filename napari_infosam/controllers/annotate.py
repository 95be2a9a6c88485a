"""Commits, corrections, deletions, and the way back from each of them."""

from __future__ import annotations

from collections.abc import Callable

from superqt.utils import QSignalDebouncer

from infosam.types import Prompt
from napari_infosam.controllers.edits import Edit, LabelEditor
from napari_infosam.controllers.errors import guarded
from napari_infosam.controllers.image_steps import ImageSteps
from napari_infosam.controllers.prompting import PromptController
from napari_infosam.layers import ViewerLayers
from napari_infosam.models.history import Change, History
from napari_infosam.models.kept_prompt import keep
from napari_infosam.models.session import Session

STROKE_MS = 60  # strokes that follow each other this closely are recorded as one


class AnnotateController:
    """Turns candidates into objects, and keeps what napari's brush does to them."""

    def __init__(
        self,
        session: Session,
        layers: ViewerLayers,
        editor: LabelEditor,
        history: History,
        prompts: PromptController,
    ) -> None:
        self.session = session
        self._layers = layers
        self._editor = editor
        self._history = history
        self._prompts = prompts
        self._steps = ImageSteps(session, layers, editor)
        self._waiting: Prompt | None = None  # to be committed when they are answered
        self._then = 0  # images to go on by after that
        self._rested = QSignalDebouncer()
        self._rested.setTimeout(STROKE_MS)
        self._rested.triggered.connect(self.record_strokes)
        editor.opened.connect(history.clear)  # what was done in another project is not taken back in this one
        editor.touched.connect(self._rested.throttle)
        editor.undo_pressed.connect(self.undo)
        editor.redo_pressed.connect(self.redo)
        editor.brushed.connect(self._on_brushed)
        session.events.candidates.connect(self._on_candidates)

    def close(self) -> None:
        """Record no strokes any more."""
        self._rested.cancel()
        self._editor.touched.disconnect(self._rested.throttle)

    @guarded
    def commit(self) -> None:
        """Keep the mask that is shown as an object, or as the new mask of the one being refined.

        Where the model has not answered the newest prompt yet, its answer is kept when it comes.
        """
        session = self.session
        mask, prompts, refining = session.candidate, session.prompts, session.refining
        if prompts.is_empty:
            session.say("There is nothing to commit: click on an object first.", problem=True)
            return
        if mask is None or session.answered is not prompts:
            self._waiting = prompts
            session.say("Will be kept as soon as the mask is there.")
            return
        if refining is None:
            edit = self._editor.add(mask, prompts)
        else:
            edit = self._editor.replace(refining, mask, prompts)
        if edit is None:
            session.say("Nothing to commit: the mask has no pixel that is free or new.", problem=True)
            return
        self._push("commit", edit, (keep(prompts), refining))
        self._prompts.set_draft(Prompt(), None)
        made = next(record for record in edit.after.values() if record is not None)
        session.say(f"Object {made.label} is kept.")

    @guarded
    def delete(self, object_id: int) -> None:
        """Remove a committed object."""
        edit = self._editor.delete(object_id)
        if edit is not None:
            self._push("deletion", edit)
            self.session.say("Object deleted; Ctrl+Z brings it back.")
        if self.session.refining == object_id:
            self._prompts.set_draft(Prompt(), None)

    @guarded
    def delete_under_pointer(self) -> None:
        """Remove the committed object under the mouse pointer."""
        shown = self.session.shown
        if shown is None:
            return
        chosen = self._editor.object_at(*self._layers.pixel(shown, self._layers.pointer()))
        if chosen is None:
            self.session.say("There is no object under the pointer.", problem=True)
        else:
            self.delete(chosen)

    @guarded
    def record_strokes(self) -> None:
        """Write what was painted to the project."""
        self._editor.record_strokes()

    @guarded
    def find(self, object_id: int) -> None:
        """Bring an object to the middle of the canvas, and give its label to the brush."""
        field = self._editor.field(create=False)
        if self.session.shown is not None and field is not None:
            self._layers.centre_on(self.session.shown, self._editor.box(object_id))
            field.select(self._editor.label(object_id))

    def step_image(self, step: int) -> None:
        """Go on to the next (1) or previous (-1) image layer or, where one is open alone, file of its folder.

        What is still to be committed is waited for, unless this is asked twice.
        """
        if self._waiting is not None and not self._then:
            self._then = step
            self.session.say("The mask will be kept first, as soon as it is there.")
            return
        self._then = 0
        self._steps.step(step)

    @guarded
    def undo(self) -> None:
        """Take back the last prompt, commit, stroke or deletion."""
        self._editor.record_strokes()
        change = self._history.last_done
        if self._at_its_place(change, "undo") and self._history.undo() and change is not None:
            self.session.say(f"Undone: {change.name}.")

    @guarded
    def redo(self) -> None:
        """Do again what was undone last."""
        self._editor.record_strokes()
        change = self._history.last_undone
        if self._at_its_place(change, "redo") and self._history.redo() and change is not None:
            self.session.say(f"Done again: {change.name}.")

    # ------------------------------------------------------------------------------------------- private

    def _at_its_place(self, change: Change | None, what: str) -> bool:
        """Whether the image is shown on which a change was made; if not, show that and change nothing.

        what: "undo" or "redo".
        """
        session = self.session
        if change is None:
            session.say(f"There is nothing to {what}.")
            return False
        if change.place is None and not change.transient:
            return True
        if change.place is None or (session.shown is not None and session.shown.key == change.place.key):
            if session.image_id is None and not change.transient:
                session.say(f"{session.image_name} is still being read: once more in a moment.")
                return False
            return True
        if self._layers.show(change.place):
            session.say(f"This is where the last {change.name} was made: once more to {what} it.")
        else:
            self._history.forget(lambda other: other is change)
            session.say(
                f"The {change.name} stays as it is: {change.place.name} is no longer open.", problem=True
            )
        return False

    def _on_candidates(self) -> None:
        waiting, self._waiting = self._waiting, None
        step, self._then = self._then, 0
        if waiting is not None and waiting is self.session.prompts:
            self.commit()
        if step:
            self._steps.step(step)

    def _on_brushed(self, edit: Edit) -> None:
        self._push("correction", edit)
        count = len(edit.after)
        self.session.say("Correction saved." if count == 1 else f"Corrections of {count} objects saved.")

    def _push(
        self, name: str, edit: Edit, draft: tuple[Callable[[], Prompt], int | None] | None = None
    ) -> None:
        """Remember an edit; draft: the prompts that undoing it brings back."""

        def undo() -> None:
            self._editor.revert(edit)
            if draft is not None:
                prompts, refining = draft
                self._prompts.set_draft(prompts(), refining)

        def redo() -> None:
            self._editor.reapply(edit)
            if draft is not None:
                self._prompts.set_draft(Prompt(), None)

        self._history.push(Change(name, undo, redo, place=edit.place))
