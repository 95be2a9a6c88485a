"""From prompts to candidate masks: loads the model, embeds the image and answers, all in the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar, cast

from infosam.types import Prompt, Segmentation
from napari_infosam.controllers.engine import Engine
from napari_infosam.controllers.errors import tell
from napari_infosam.models.session import Session
from napari_infosam.models.shown_image import ImageKey, ShownImage
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
        self._took: dict[tuple[str, ImageKey], float] = {}  # seconds to embed an image, by model and image
        self._ticket = 0
        self._running = 0
        self._loaded: tuple[str, Path | None] | None = None
        session.events.model_name.connect(self.load)
        session.events.adapter.connect(self.load)
        session.events.shown.connect(self._on_image)
        session.events.prompts.connect(self._ask)
        session.events.prompting.connect(self._embed)

    def load(self) -> None:
        """Load the session's model with its adapter; the first time, this imports torch."""
        session, wanted = self._session, self._wanted
        self._embedded = False
        session.embed_seconds = self._usual_seconds
        if wanted != self._loaded or self._running:
            session.device = ""
            self._run(
                f"Loading {_name(*wanted)}…",
                lambda: self._engine.load(*wanted),
                lambda device: self._on_loaded(wanted, device),
                self._on_load_failed,
                lambda: wanted == self._wanted,
            )
        self._embed()

    # ---------------------------------------------------------------------------------------------- private

    @property
    def _wanted(self) -> tuple[str, Path | None]:
        """The model and the adapter that are asked for."""
        return self._session.model_name, self._session.adapter

    def _on_loaded(self, wanted: tuple[str, Path | None], device: str) -> None:
        self._loaded = wanted
        self._session.device = device
        self._session.say(f"{_name(*wanted)} is loaded.")

    def _on_load_failed(self, error: Exception) -> None:
        session = self._session
        if self._loaded is not None:  # the model before is still there: go on with it
            session.model_name, session.adapter = self._loaded
        tell(session, error)

    def _on_image(self) -> None:
        self._embedded = False
        self._embed()

    def _embed(self) -> None:
        image = self._session.shown
        if image is None or self._embedded or not self._session.prompting:
            return
        self._embedded = True
        model = self._wanted
        self._run(
            f"Preparing {image.name} for prompts…",
            lambda: self._engine.embed(image.key, image.read()),
            lambda seconds: self._on_embedded(image, seconds),
            self._on_embed_failed,
            lambda: self._session.shown is image and model == self._wanted,
        )
        self._ask(self._session.prompts)

    def _on_embedded(self, image: ShownImage, seconds: float) -> None:
        # One that is seen again may come from the cache: the first time counts.
        self._took.setdefault((self._session.model_name, image.key), seconds)
        self._session.embed_seconds = self._usual_seconds
        self._session.say(f"{image.name} is ready for prompts.")

    @property
    def _usual_seconds(self) -> float:
        """What embedding an image takes with the present model; 0 before the first."""
        took = [seconds for (model, _), seconds in self._took.items() if model == self._session.model_name]
        return median(took) if took else 0.0

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
            lambda candidates: self._show(request, candidates),
            lambda error: tell(session, error),
            wanted=lambda: request.ticket == self._ticket,
        )

    def _show(self, request: SegmentRequest, candidates: Segmentation) -> None:
        self._session.answered = request.prompt
        self._session.candidate_index = 0
        self._session.candidates = candidates

    def _run(
        self,
        what: str,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
        wanted: Callable[[], bool],
    ) -> None:
        """Work that takes longer than a moment: the session is busy until it ends, or is passed over."""

        def finish(result: Callable[[], None]) -> None:
            self._running -= 1
            self._session.busy = self._running > 0
            if wanted():
                result()

        def work_if_wanted() -> T | None:
            return work() if wanted() else None

        self._running += 1
        self._session.busy = True
        self._session.say(what)
        self._worker.submit(
            work_if_wanted,
            lambda result: finish(lambda: done(cast(T, result))),
            lambda error: finish(lambda: failed(error)),
        )


def _name(model: str, adapter: Path | None) -> str:
    return model if adapter is None else f"{model} with {adapter.name}"
