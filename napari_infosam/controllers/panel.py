"""Shows the session in the views, and sends the views' requests on."""

from __future__ import annotations

from collections.abc import Callable

from superqt.utils import QSignalDebouncer

from napari_infosam.controllers.annotate import AnnotateController
from napari_infosam.controllers.edits import LabelEditor
from napari_infosam.controllers.prompting import PromptController
from napari_infosam.models.hints import hint
from napari_infosam.models.history import History
from napari_infosam.models.session import Session
from napari_infosam.views.canvas_input import CanvasInput
from napari_infosam.views.objects_view import ObjectRow, ObjectsView
from napari_infosam.views.prompt_view import PromptPanel, PromptView

GREY = (128, 128, 128)  # of an object that no layer draws


class PanelController:
    """Between the session and the views of the annotating half of the panel."""

    def __init__(
        self,
        session: Session,
        history: History,
        editor: LabelEditor,
        view: PromptView,
        objects: ObjectsView,
    ) -> None:
        self._session = session
        self._history = history
        self._editor = editor
        self._view = view
        self._objects = objects
        # Many fields change together: the views are brought up to date once, before the screen is drawn.
        self._later = QSignalDebouncer()
        self._later.setTimeout(0)
        self._later.triggered.connect(self.show)
        session.events.connect(self._later.throttle)
        history.changed.connect(self._later.throttle)
        session.events.objects.connect(self.show_objects)
        session.events.shown.connect(self.show_objects)
        self.show()

    def close(self) -> None:
        """Show nothing any more."""
        self._later.cancel()
        self._session.events.disconnect(self._later.throttle)
        self._history.changed.disconnect(self._later.throttle)

    def show(self) -> None:
        """Bring the tools and the two lines of text up to date."""
        session, candidates = self._session, self._session.candidates
        prompting = "prompt" if session.prompting and not session.suspended else None
        self._view.setValue(
            PromptPanel(
                image=session.image_name,
                tool=session.tool or prompting,
                enabled=session.shown is not None,
                positive=session.positive,
                overwrite=session.overwrite,
                candidate=session.candidate_index,
                n_candidates=0 if candidates is None else len(candidates),
                score=0.0 if candidates is None else float(candidates.scores[session.candidate_index]),
                can_clear=not session.prompts.is_empty,
                can_undo=self._history.last_done is not None,
                can_redo=self._history.last_undone is not None,
                busy=session.busy,
                status=session.status,
                problem=session.problem,
                hint=hint(session),
            )
        )

    def show_objects(self) -> None:
        """Bring the list of objects up to date."""
        items = self._session.objects
        field = self._editor.field(create=False)
        colours = field.colours([item.label for item in items]) if field and items else [GREY] * len(items)
        self._objects.setValue(
            [
                ObjectRow(item.id, item.label, item.area, item.source, colour)
                for item, colour in zip(items, colours, strict=True)
            ]
        )


def connect_tools(
    view: PromptView,
    objects: ObjectsView,
    canvas: CanvasInput,
    prompts: PromptController,
    annotate: AnnotateController,
) -> None:
    """Every button and every key to what it does."""
    session = prompts.session
    commands: dict[str, Callable[[], None]] = {
        "sign": prompts.turn_sign,
        "next_candidate": lambda: prompts.next_candidate(1),
        "previous_candidate": lambda: prompts.next_candidate(-1),
        "commit": annotate.commit,
        "clear": prompts.clear,
        "delete": annotate.delete_under_pointer,
        "undo": annotate.undo,
        "redo": annotate.redo,
        "next_image": lambda: annotate.step_image(1),
        "previous_image": lambda: annotate.step_image(-1),
    }
    canvas.command.connect(lambda name: commands[name]())
    view.tool_requested.connect(prompts.take_tool)
    view.sign_requested.connect(lambda positive: setattr(session, "positive", positive))
    view.overwrite_requested.connect(lambda on: setattr(session, "overwrite", on))
    view.candidate_requested.connect(prompts.next_candidate)
    view.commit_requested.connect(annotate.commit)
    view.clear_requested.connect(prompts.clear)
    view.undo_requested.connect(annotate.undo)
    view.redo_requested.connect(annotate.redo)
    objects.selected.connect(annotate.find)
    objects.refine_requested.connect(prompts.refine)
    objects.delete_requested.connect(annotate.delete)
