"""The Adapt button: validates, starts the training process, follows it, and carries out the decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from superqt.utils import QSignalDebouncer

from infosam.types import AdaptConfig, InfoSAMError, Report
from napari_infosam.controllers.errors import guarded
from napari_infosam.controllers.run_record import (
    RunRecord,
    recall,
    recall_pace,
    remember,
    remember_pace,
)
from napari_infosam.controllers.training_process import TrainingProcess
from napari_infosam.models import adapt_run
from napari_infosam.models.adapt_run import Ending, Run
from napari_infosam.models.adapt_state import AdaptState, Interrupted
from napari_infosam.models.preflight import Preflight
from napari_infosam.models.session import Session
from napari_infosam.views.adapt_view import AdaptView

if TYPE_CHECKING:
    from infosam import Project

DRAW_MS = 200  # reports may come faster than curves are worth drawing
# A step costs about as much as this many embeddings: forward and backward through four images.
EMBEDDINGS_PER_STEP = 12


class AdaptController:
    """Between the session, the training process and the Adapt section of the panel."""

    def __init__(
        self,
        session: Session,
        state: AdaptState,
        view: AdaptView,
        before_start: Callable[[], None],
        process: Callable[[], TrainingProcess] = TrainingProcess,
    ) -> None:
        """before_start: called before the project is read, to write down what was painted last."""
        self.session = session
        self._state = state
        self._view = view
        self._before_start = before_start
        self._new_process = process
        self._process: TrainingProcess | None = None
        self._project: Project | None = None  # of the run
        self._record: RunRecord | None = None
        self._draw = QSignalDebouncer()
        self._draw.setTimeout(DRAW_MS)
        self._draw.triggered.connect(lambda: view.setRun(state.run))
        view.adapt_requested.connect(self.start)
        view.resume_requested.connect(self.resume)
        view.cancel_requested.connect(self.cancel)
        view.stop_requested.connect(self.stop)
        view.accept_requested.connect(self.accept)
        view.discard_requested.connect(self.discard)
        view.forget_requested.connect(self.forget)
        state.events.preflight.connect(view.setPreflight)
        state.events.interrupted.connect(view.setInterrupted)
        state.events.notice.connect(view.setNotice)
        state.events.run.connect(self._draw.throttle)
        session.events.project.connect(self._on_project)
        for name in ("n_labelled_images", "n_labelled_objects", "model_name", "embed_seconds"):
            session.events[name].connect(self._plan)
        self._plan()

    def close(self) -> None:
        """Leave a run that goes on: it writes a checkpoint and ends; it can be resumed another time."""
        self._draw.cancel()
        if self._process is not None:
            self._process.close()

    # ------------------------------------------------------------------------------------ what the user asks

    @guarded
    def start(self, config: AdaptConfig) -> None:
        """Train on everything that is labelled."""
        self._before_start()
        self._plan()
        project = self.session.project
        if self._state.preflight.blocked or self._state.run.is_active or project is None:
            return
        record = RunRecord.new(project, self.session.model_name, config, self.session.adapter)
        self._launch(project, record, adapt_run.begin(Path(record.folder)), resume=False)

    @guarded
    def resume(self) -> None:
        """Go on from the checkpoint of a run that was cut off, in this session or an earlier one."""
        project = self._project or self.session.project
        record = self._record or (recall(project) if project is not None else None)
        if project is None or record is None or self._state.run.is_active:
            return
        run = self._state.run
        same = run.folder == Path(record.folder)
        run = adapt_run.resume(run) if same else adapt_run.begin(Path(record.folder))
        self._launch(project, record, run, resume=True)

    def cancel(self) -> None:
        """End training and keep the best so far."""
        if self._process is not None and self._state.run.is_active:
            self._state.run = adapt_run.cancelling(self._state.run)
            self._process.cancel()

    def stop(self) -> None:
        """End training now, without waiting for the best so far."""
        if self._process is not None:
            self._process.terminate()

    @guarded
    def accept(self) -> None:
        """Annotate with the new model from now on."""
        project, record, adapter = self._decide()
        project.set_current_adapter(adapter)
        self.session.model_name = record.model
        self.session.adapter = Path(record.folder)
        self._leave("The new model is in use.")

    @guarded
    def discard(self) -> None:
        """Keep the model in use; the new one stays in the list."""
        project, _, adapter = self._decide()
        project.roll_back_adapter(adapter)
        self._leave("The new model was discarded; it stays in the list of adapters.")

    @guarded
    def forget(self) -> None:
        """Give up a run of an earlier session."""
        if self.session.project is not None:
            remember(self.session.project, None)
        self._state.interrupted = None

    # ----------------------------------------------------------------------------------------------- the run

    def _launch(self, project: Project, record: RunRecord, run: Run, *, resume: bool) -> None:
        remember(project, record)
        process = self._new_process()
        process.reported.connect(self._on_report)
        process.ended.connect(self._on_end)
        try:
            process.start(record.command(resume=resume))
        except OSError as error:
            raise InfoSAMError(f"the training process could not be started: {error.strerror}") from error
        self._process, self._project, self._record = process, project, record
        state = self._state
        state.notice = ""
        state.interrupted = None
        state.run = run
        self._view.setRun(run)

    def _on_report(self, report: Report) -> None:
        self._state.run = adapt_run.apply(self._state.run, report)

    @guarded
    def _on_end(self, ending: Ending) -> None:
        record = self._record
        self._process = None
        assert record is not None  # set before the process could end
        self._state.run = run = adapt_run.end(self._state.run, ending, resumable=record.can_resume)
        self._view.setRun(run)
        if self._project is None:
            return
        if run.finished is not None:
            card = asdict(run.finished.card)
            self._project.add_adapter(record.folder, base_model=record.model, card=card)
            self.session.adapters_changed()
            if run.finished.steps:
                pace = run.finished.seconds / run.finished.steps
                remember_pace(self._project, record.model, record.peft, pace)
        if run.finished is not None or not run.resumable:
            remember(self._project, None)
        self._plan()

    # ----------------------------------------------------------------------------------------------- private

    def _decide(self) -> tuple[Project, RunRecord, int]:
        """The project, the run and the adapter that a decision is about."""
        project, record = self._project, self._record
        if project is None or record is None:
            raise InfoSAMError("There is no new model to decide about.")
        found = [item.id for item in project.adapters() if item.folder == Path(record.folder)]
        if not found:
            raise InfoSAMError(f"the project has no adapter in {record.folder}: was it deleted?")
        return project, record, found[-1]

    def _leave(self, notice: str) -> None:
        """The decision was carried out: ready for the next run."""
        self._record = self._project = None
        self._state.run = Run()
        self._state.notice = notice
        self._view.setRun(self._state.run)
        self.session.adapters_changed()
        self._plan()

    def _on_project(self) -> None:
        project = self.session.project
        record = None if project is None else recall(project)
        self._state.interrupted = None if record is None else Interrupted(Path(record.folder), _when(record))
        self._plan()

    def _plan(self) -> None:
        """Say what a run would do now."""
        session, config = self.session, self._view.value()
        n_images, n_objects = session.n_labelled_images, session.n_labelled_objects
        self._state.preflight = Preflight(
            n_objects=n_objects,
            n_images=n_images,
            n_val_images=_held_out(n_images, n_objects, config.val_fraction),
            seconds=self._estimate(n_objects, config) if n_objects else None,
            problem="" if session.project is not None else "No project is open.",
        )

    def _estimate(self, n_objects: int, config: AdaptConfig) -> float | None:
        """Seconds that a run would take at most, from the last one or from how long an embedding took."""
        from infosam.training.schedule import default_steps

        session = self.session
        pace = None
        if session.project is not None:
            pace = recall_pace(session.project, session.model_name, config.peft)
        if pace is None and session.embed_seconds:
            pace = EMBEDDINGS_PER_STEP * session.embed_seconds
        steps = config.steps or default_steps(n_objects, config.batch_size, config.mode)
        return None if pace is None else steps * pace


def _held_out(n_images: int, n_objects: int, fraction: float) -> int:
    """How many images a run would hold out; see `infosam.data.split`."""
    if n_images < 2 or n_objects < 3 or not fraction:
        return 0
    return min(max(1, round(fraction * n_images)), n_images - 1)


def _when(record: RunRecord) -> str:
    return datetime.fromisoformat(record.started).astimezone().strftime("%d %B, %H:%M")
