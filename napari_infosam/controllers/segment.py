"""From prompts to candidate masks: loads the model, embeds the image and answers, all in the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from infosam.types import Prompt, Segmentation
from napari_infosam.controllers.engine import Engine
from napari_infosam.controllers.errors import tell
from napari_infosam.models.session import DEFAULT_MODEL, Session
from napari_infosam.models.shown_image import ImageKey, ShownImage
from napari_infosam.workers import Worker

T = TypeVar("T")
FALLBACK = (DEFAULT_MODEL, None)  # comes with the package


class PassedOver(Exception):
    """What is done in the background is no longer wanted."""


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
        self._device = ""  # of the model that is loaded
        self._quiet = False  # what begins now must not hide the error on show
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

        def still() -> bool:
            return wanted == self._wanted

        # What runs may be the load of another model, unless a load has just failed.
        if wanted != session.loaded or (self._running and not self._quiet):
            session.device = ""
            self._run(
                f"Loading {_name(*wanted)}…",
                f"{_name(*wanted)} is loaded.",
                lambda: self._engine.load(*wanted, self._download(wanted[0], still)),
                lambda device: self._on_loaded(wanted, device),
                self._on_load_failed,
                still,
            )
        else:
            session.device = self._device
        self._embed()

    # ---------------------------------------------------------------------------------------------- private

    @property
    def _wanted(self) -> tuple[str, Path | None]:
        """The model and the adapter that are asked for."""
        return self._session.model_name, self._session.adapter

    def _download(self, model: str, still: Callable[[], bool]) -> Callable[[int, int], None]:
        """Shows how a download goes on, and ends it once the model is no longer wanted."""

        def say(done: int, total: int) -> None:
            if still():
                self._session.say(f"Downloading {model}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB")

        def progress(done: int, total: int) -> None:
            if not still():
                raise PassedOver
            self._worker.tell(lambda: say(done, total))

        return progress

    def _on_loaded(self, wanted: tuple[str, Path | None], device: str) -> None:
        self._device = device
        self._session.loaded = wanted
        if wanted == self._wanted:
            self._session.device = device

    def _on_load_failed(self, error: Exception) -> None:
        """Go on with the model that is still loaded; where there is none, with the one that can be."""
        session, failed = self._session, self._wanted
        self._quiet = True
        session.ask_for(*(session.loaded or FALLBACK))
        self._quiet = False
        tell(session, error)
        if session.loaded is None and failed != FALLBACK:
            session.say(f"{DEFAULT_MODEL} is used for now: {session.status}", problem=True)

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
            f"{image.name} is ready for prompts.",
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
        begun: str,
        ended: str,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
        wanted: Callable[[], bool],
    ) -> None:
        """Work that takes longer than a moment: the session is busy until it ends, or is passed over.

        done: told the result even if it came too late to be wanted. begun, ended: what to say.
        """
        quiet = self._quiet

        def say(text: str) -> None:
            if not quiet:
                self._session.say(text)

        def count(change: int) -> None:
            self._running += change
            self._session.busy = self._running > 0

        def finish(result: T | None) -> None:
            count(-1)
            if result is not None:
                done(result)
            if wanted():
                say(ended)

        def fail(error: Exception) -> None:
            count(-1)
            if wanted():
                failed(error)

        def work_if_wanted() -> T | None:
            try:
                return work() if wanted() else None
            except PassedOver:
                return None

        count(+1)
        say(begun)
        self._worker.submit(work_if_wanted, finish, fail)


def _name(model: str, adapter: Path | None) -> str:
    return model if adapter is None else f"{model} with {adapter.name}"
