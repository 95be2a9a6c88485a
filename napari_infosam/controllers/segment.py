"""From prompts to candidate masks: loads the model, embeds the image and answers, all in the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from infosam.types import Prompt, Segmentation
from napari_infosam.controllers.engine import Engine
from napari_infosam.controllers.errors import tell
from napari_infosam.models.session import Session
from napari_infosam.models.shown_image import ImageKey
from napari_infosam.workers import Worker

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class SegmentRequest:
    """A prompt on an image, as it was when the user gave it. ticket: only the newest answer is shown."""

    ticket: int
    image: ImageKey
    prompt: Prompt


class SegmentController:
    """Keeps `session.candidates` in step with the prompts, the image, the model and the adapter."""

    def __init__(self, session: Session, worker: Worker, engine: Engine) -> None:
        self._session = session
        self._worker = worker
        self._engine = engine
        self._embedded = False  # the shown image is embedded, or about to be, by the model asked for last
        self._ticket = 0
        self._epoch = 0  # counts changes of model, adapter and image
        self._running = 0
        self._loaded: tuple[str, Path | None] | None = None
        session.events.model_name.connect(self.load)
        session.events.adapter.connect(self.load)
        session.events.shown.connect(self._on_image)
        session.events.prompts.connect(self._ask)
        session.events.prompting.connect(self._embed)

    def load(self) -> None:
        """Load the session's model with its adapter; the first time, this imports torch."""
        session = self._session
        wanted = (session.model_name, session.adapter)
        if wanted == self._loaded and self._running == 0:
            return
        self._epoch += 1
        self._embedded = False
        session.device = ""
        name = f"{wanted[0]} with {wanted[1].name}" if wanted[1] else wanted[0]
        self._run(
            f"Loading {name}…",
            lambda: self._engine.load(*wanted),
            lambda device: self._on_loaded(wanted, device),
            self._on_load_failed,
        )
        self._embed()

    # ---------------------------------------------------------------------------------------------- private

    def _on_loaded(self, wanted: tuple[str, Path | None], device: str) -> None:
        self._loaded = wanted
        self._session.device = device
        self._session.say(f"{wanted[0]} is loaded{' with ' + wanted[1].name if wanted[1] else ''}.")

    def _on_load_failed(self, error: Exception) -> None:
        session = self._session
        if self._loaded is not None:  # the model before is still there: go on with it
            session.model_name, session.adapter = self._loaded
        tell(session, error)

    def _on_image(self) -> None:
        self._epoch += 1
        self._embedded = False
        self._embed()

    def _embed(self) -> None:
        image = self._session.shown
        if image is None or self._embedded or not self._session.prompting:
            return
        self._embedded = True
        self._run(
            f"Preparing {image.name} for prompts…",
            lambda: self._engine.embed(image.key, image.read()),
            lambda _: self._session.say(f"{image.name} is ready for prompts."),
            self._on_embed_failed,
        )
        self._ask(self._session.prompts)

    def _on_embed_failed(self, error: Exception) -> None:
        self._embedded = False
        tell(self._session, error)

    def _ask(self, prompt: Prompt) -> None:
        """Freeze the prompt into a request; a newer one makes its answer stale."""
        self._ticket += 1
        session = self._session
        if prompt.is_empty or session.shown is None:
            session.candidates = None
            session.candidate_index = 0
            return
        request = SegmentRequest(self._ticket, session.shown.key, prompt)
        self._worker.submit(
            lambda: self._engine.answer(request.image, request.prompt),
            self._show,
            lambda error: tell(session, error),
            wanted=lambda: request.ticket == self._ticket,
        )

    def _show(self, candidates: Segmentation) -> None:
        self._session.candidate_index = 0
        self._session.candidates = candidates

    def _run(
        self,
        what: str,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Work that takes longer than a moment: the session is busy until it ends, wanted or not."""
        epoch = self._epoch

        def finish(call: Callable[[], None]) -> None:
            self._running -= 1
            self._session.busy = self._running > 0
            if epoch == self._epoch:
                call()

        self._running += 1
        self._session.busy = True
        self._session.say(what)
        self._worker.submit(
            work, lambda result: finish(lambda: done(result)), lambda error: finish(lambda: failed(error))
        )
