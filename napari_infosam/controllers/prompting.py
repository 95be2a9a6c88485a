"""From gestures on the canvas to `session.prompts`, and from the session to what the canvas shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from infosam.types import BoolArray, Prompt
from napari_infosam.controllers.edits import LabelEditor
from napari_infosam.controllers.errors import guarded
from napari_infosam.geometry import to_box
from napari_infosam.layers import ViewerLayers
from napari_infosam.models.history import Change, History
from napari_infosam.models.kept_prompt import keep
from napari_infosam.models.session import Session
from napari_infosam.overlays import Overlays
from napari_infosam.views.canvas_input import CanvasInput

World = Sequence[float]


class PromptController:
    """Edits the prompts of the present draft: a new object, or a committed one that is being refined."""

    def __init__(
        self,
        session: Session,
        layers: ViewerLayers,
        canvas: CanvasInput,
        editor: LabelEditor,
        history: History,
    ) -> None:
        self.session = session
        self._layers = layers
        self._canvas = canvas
        self._editor = editor
        self._history = history
        self._clicked: Change | None = None
        self._space = False
        canvas.clicked.connect(self.click)
        canvas.box_dragged.connect(self.drag)
        canvas.double_clicked.connect(self.double_click)
        canvas.space_held.connect(self._on_space)
        layers.mode_changed.connect(self._on_mode)
        layers.overlays_closed.connect(lambda: setattr(session, "prompting", False))
        session.events.prompting.connect(self._on_mode)
        session.events.shown.connect(self._on_image)
        session.events.prompts.connect(self._on_prompts)
        session.events.candidates.connect(self._draw_candidate)
        session.events.candidate_index.connect(self._draw_candidate)

    # ------------------------------------------------------------------------------------------- gestures

    @guarded
    def click(self, world: World, negative: bool = False) -> None:
        """Add a point: on the object, or, where the sign or Ctrl says so, on the background."""
        session = self.session
        if session.shown is None:
            return
        row, column = self._layers.pixel(session.shown, world)
        height, width = session.shown.shape
        if not (-0.5 <= row < height - 0.5 and -0.5 <= column < width - 0.5):
            session.say("That is outside the image.", problem=True)
            return
        positive = session.positive and not negative
        if not positive and session.prompts.is_empty:
            session.say("Begin on the object: a background click only takes away.", problem=True)
            return
        prompt = session.prompts.with_click((row, column), int(positive), self._answer())
        self._clicked = self._change("point", prompt, session.refining)

    @guarded
    def drag(self, start: World, end: World, released: bool) -> None:
        """Draw a box; it becomes a prompt when the mouse is released."""
        shown = self.session.shown
        if shown is None:
            return
        box = to_box(self._layers.pixel(shown, start), self._layers.pixel(shown, end), shown.shape)
        if not released:
            self._layers.overlays(shown).show_box(box)
        elif box is None:
            self._draw_prompt()
            self.session.say("That box is outside the image.", problem=True)
        else:
            prompt = replace(self.session.prompts, box=box, answer=None)
            self._change("box", prompt, self.session.refining)

    @guarded
    def double_click(self, world: World) -> None:
        """Refine the object under the pointer."""
        shown = self.session.shown
        chosen = None if shown is None else self._editor.object_at(*self._layers.pixel(shown, world))
        if chosen is None:
            return
        if self._clicked is not None and self._clicked is self._history.last_done:
            self._history.undo()  # the first half of the double click came as a click
        self.refine(chosen)

    @guarded
    def refine(self, object_id: int) -> None:
        """Change a committed object by more prompts."""
        self._change("refine", self._editor.prompt_for(object_id), object_id)
        self.session.say("")  # the hint says which object
        self.session.prompting = True

    def clear(self) -> None:
        """Forget the prompts."""
        if not self.session.prompts.is_empty:
            self._change("clear", Prompt(), None)

    def turn_sign(self) -> None:
        """The next click means the other thing."""
        self.session.positive = not self.session.positive

    def next_candidate(self, step: int) -> None:
        """Show another candidate mask."""
        session = self.session
        if session.candidates is not None:
            session.candidate_index = (session.candidate_index + step) % len(session.candidates)

    def set_draft(self, prompt: Prompt, refining: int | None) -> None:
        """Replace the prompts without a trace in the history."""
        self.session.refining = refining
        self.session.prompts = prompt

    # ------------------------------------------------------------------------------------------- the mode

    @guarded
    def take_tool(self, tool: str, on: bool) -> None:
        """Prompt, paint or erase."""
        session = self.session
        if session.shown is None:
            return
        if tool != "prompt":
            self._editor.field(create=True)  # it is painted on what the project holds
            self._layers.take_tool(tool if on else None, session.shown)
            return
        if on:
            self._layers.take_tool(None, session.shown)
            self._canvas.take_focus()
        session.prompting = on

    def _on_mode(self) -> None:
        session = self.session
        session.tool = self._layers.tool
        session.suspended = session.prompting and not self._layers.in_pan_zoom
        self._take_canvas()
        self._draw_prompt()

    def _on_image(self) -> None:
        self._history.forget(lambda change: change.transient)
        self._take_canvas()
        self._draw_prompt()

    def _on_prompts(self, prompts: Prompt) -> None:
        if prompts.is_empty:
            self.session.positive = True  # the next one begins on an object: background only takes away
        self._draw_prompt()

    def _on_space(self, held: bool) -> None:
        self._space = held
        self._take_canvas()

    def _take_canvas(self) -> None:
        """Take the mouse and the keys, or give them back to napari."""
        session = self.session
        active = session.prompting and not session.suspended and session.shown is not None
        self._canvas.active = active and not self._space
        self._layers.hold_camera(self._canvas.active)

    # ------------------------------------------------------------------------------------------- private

    def _answer(self) -> BoolArray | None:
        """The mask on the canvas, if it is the answer to the present prompts."""
        session = self.session
        if session.candidate is None or session.answered is not session.prompts:
            return None
        return session.candidate.copy()  # the mask alone, without the other candidates

    def _change(self, name: str, prompt: Prompt, refining: int | None) -> Change:
        session = self.session
        before, refined_before = keep(session.prompts), session.refining
        after = keep(prompt)
        change = Change(
            name,
            undo=lambda: self.set_draft(before(), refined_before),
            redo=lambda: self.set_draft(after(), refining),
            place=None if session.shown is None else session.shown.place,
            transient=True,
        )
        self.set_draft(prompt, refining)
        self._history.push(change)
        return change

    def _draw_prompt(self) -> None:
        overlays = self._overlays()
        if overlays is None:
            self._layers.hide_overlays()
        else:
            overlays.show_prompt(self.session.prompts)
            self._draw_candidate()

    def _draw_candidate(self) -> None:
        overlays = self._overlays()
        if overlays is not None:
            overlays.show_candidate(self.session.candidate)

    def _overlays(self) -> Overlays | None:
        """Those over the shown image, while it is prompted; an image that was just closed has none."""
        session = self.session
        if not session.prompting or session.shown is None or not self._layers.is_open(session.shown):
            return None
        return self._layers.overlays(session.shown)
