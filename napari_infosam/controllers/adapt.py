"""The Adapt button: starts the training process, follows it, and carries out the decision at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from qtpy.QtCore import QTimer
from superqt.utils import QSignalThrottler

from infosam.types import AdaptConfig, Finished, InfoSAMError, Report, Step
from napari_infosam.controllers.library import MODEL_SETTING
from napari_infosam.controllers.planning import plan
from napari_infosam.controllers.run_record import (
    RunRecord,
    check_idle,
    forget,
    forget_others,
    is_training,
    recall,
    remember,
    remember_pace,
)
from napari_infosam.controllers.training_process import TrainingProcess
from napari_infosam.models import adapt_run
from napari_infosam.models.adapt_run import Ending, Run
from napari_infosam.models.adapt_state import AdaptState, Interrupted
from napari_infosam.models.looking import zoom_for
from napari_infosam.models.session import Session
from napari_infosam.views.adapt_view import AdaptView

if TYPE_CHECKING:
    from infosam import Project

LOOK_MS = 1000  # between looks at a run that goes on elsewhere
DRAW_MS = 500  # reports may come faster than they are worth drawing
P = ParamSpec("P")


def shown(
    method: Callable[Concatenate[AdaptController, P], None],
) -> Callable[Concatenate[AdaptController, P], None]:
    """A method whose foreseen failures are shown in the Adapt section instead of raised."""

    @wraps(method)
    def guard(self: AdaptController, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except InfoSAMError as error:
            self.state.notice = str(error)

    return guard


@dataclass
class _Launched:
    """A run of this session. worth: it has made a step, now or before it was resumed. process: while it
    lives. adapter_id: of what it brought, in the project."""

    project: Project
    record: RunRecord
    worth: bool
    process: TrainingProcess | None = None
    adapter_id: int | None = None


class AdaptController:
    """Between the session, the training process and the Adapt section of the panel."""

    def __init__(
        self,
        session: Session,
        state: AdaptState,
        view: AdaptView,
        before_start: Callable[[], None],
        new_process: Callable[[], TrainingProcess] = TrainingProcess,
    ) -> None:
        """before_start: called before the project is read, to write down what was painted last."""
        self.state = state
        self._session = session
        self._view = view
        self._before_start = before_start
        self._new_process = new_process
        self._launched: _Launched | None = None
        self._draw = QSignalThrottler(parent=view)  # draws no view that is gone
        self._draw.setTimeout(DRAW_MS)
        self._draw.triggered.connect(lambda: view.setRun(state.run))
        self._drawn_phase = state.run.phase
        self._look = QTimer(view)
        self._look.setSingleShot(True)
        self._look.setInterval(LOOK_MS)
        self._look.timeout.connect(self._offer)
        view.adapt_requested.connect(self.start)
        view.resume_requested.connect(self.resume)
        view.cancel_requested.connect(self.cancel)
        view.stop_requested.connect(self.stop)
        view.accept_requested.connect(self.accept)
        view.discard_requested.connect(self.discard)
        view.forget_requested.connect(self.forget)
        view.valueChanged.connect(self._plan)
        state.events.preflight.connect(view.setPreflight)
        state.events.interrupted.connect(view.setInterrupted)
        state.events.notice.connect(view.setNotice)
        state.events.run.connect(self._show_run)
        session.events.project.connect(self._on_project)
        session.events.adapters_version.connect(self._on_adapters)
        for name in ("n_labelled_objects", "n_labelled_images", "model_name", "embed_seconds"):
            session.events[name].connect(self._plan)
        self._plan()

    def close(self) -> None:
        """Leave a run that goes on: it writes a checkpoint and ends; it can be resumed another time."""
        self._leave_process()
        self._draw.cancel()
        self._look.stop()
        self._session.events.project.disconnect(self._on_project)
        self._session.events.adapters_version.disconnect(self._on_adapters)

    # ------------------------------------------------------------------------------------ what the user asks

    @shown
    def start(self, config: AdaptConfig) -> None:
        """Train on everything that is labelled."""
        self._before_start()
        self._plan()
        project, run = self._session.project, self.state.run
        if self.state.preflight.blocked or run.is_active or run.card is not None:
            return
        check_idle(project)
        config = replace(config, zoom=zoom_for(self._session.model_name, self._session.device))
        record = RunRecord.new(project, self._session.model_name, config, self._session.adapter)
        self._launch(project, record, adapt_run.begin(Path(record.folder)), resume=False)

    @shown
    def resume(self) -> None:
        """Go on from the checkpoint of a run that was cut off, in this session or an earlier one."""
        project, run = self._session.project, self.state.run
        if project is not None and not run.is_active:
            check_idle(project)
        record = recall(project) if project is not None else None
        if record is None or run.is_active:
            raise InfoSAMError("There is no run that can be resumed: start a new one.")
        folder = Path(record.folder)
        run = adapt_run.resume(run) if run.folder == folder else adapt_run.begin(folder)
        self._launch(project, record, run, resume=True)

    def cancel(self) -> None:
        """End training and keep the best so far."""
        if self._launched is not None and self._launched.process is not None:
            self.state.run = adapt_run.cancelling(self.state.run)
            self._launched.process.cancel()

    def stop(self) -> None:
        """End training now, without waiting for the best so far."""
        if self._launched is not None and self._launched.process is not None:
            self._launched.process.terminate()

    @shown
    def accept(self) -> None:
        """Annotate with the new model from now on."""
        launched, adapter_id = self._decided()
        launched.project.set_setting(MODEL_SETTING, launched.record.model)
        launched.project.set_current_adapter(adapter_id)
        self._session.ask_for(launched.record.model, Path(launched.record.folder))
        self._reset("The new model is in use. Go on annotating: more labels make the next one better.")

    @shown
    def discard(self) -> None:
        """Keep the model in use; the new one stays in the list, marked as rolled back."""
        launched, adapter_id = self._decided()
        launched.project.roll_back_adapter(adapter_id)
        self._reset("The new model was discarded. It stays in the list of adapters.")

    @shown
    def forget(self) -> None:
        """Give up a run that was cut off."""
        project = self._session.project
        record = recall(project) if project is not None else None
        if project is not None and record is not None:
            forget(project, record)
        self._offer()

    # ----------------------------------------------------------------------------------------------- the run

    def _launch(self, project: Project, record: RunRecord, run: Run, *, resume: bool) -> None:
        process = self._new_process()
        process.reported.connect(self._on_report)
        process.ended.connect(self._on_end)
        remember(project, record)
        try:
            process.start(record.command(resume=resume))
        except OSError as error:
            if not resume:
                forget(project, record)
            raise InfoSAMError(f"The training process could not be started: {error}") from error
        self._launched = _Launched(project, record, worth=resume, process=process)
        self.state.notice = ""
        self.state.interrupted = None
        self.state.run = run

    @shown
    def _on_report(self, report: Report) -> None:
        self.state.run = adapt_run.apply(self.state.run, report)
        launched = self._launched
        assert launched is not None  # set before the process could report
        if isinstance(report, Step) and not launched.worth:
            launched.worth = True
            forget_others(launched.project, launched.record)
        if isinstance(report, Finished) and report.steps:
            self._keep(launched, report)  # at once: the decision may come before the process has ended

    @shown
    def _on_end(self, ending: Ending) -> None:
        launched = self._launched
        assert launched is not None  # set before the process could end
        launched.process = None
        resumable = launched.worth and launched.record.can_resume
        run = adapt_run.end(self.state.run, ending, resumable=resumable)
        self.state.run = run
        if run.finished is None and not run.resumable:
            forget(launched.project, launched.record)
            self._offer()

    def _keep(self, launched: _Launched, finished: Finished) -> None:
        """Note in the project what the run brought."""
        project, record = launched.project, launched.record
        adapter = project.add_adapter(record.folder, base_model=record.model, card=asdict(finished.card))
        launched.adapter_id = adapter.id
        forget(project, record)
        self._session.adapters_changed()
        forget_others(project, record)
        remember_pace(project, record.model, record.peft, finished.seconds / finished.steps)
        self._plan()

    def _leave_process(self) -> None:
        launched, self._launched = self._launched, None
        if launched is not None and launched.process is not None:
            launched.process.close()

    # ----------------------------------------------------------------------------------------------- private

    def _show_run(self, run: Run) -> None:
        """A new phase brings and takes buttons, so it is drawn at once; steps are drawn now and then."""
        if run.phase == self._drawn_phase:
            self._draw.throttle()
            return
        self._drawn_phase = run.phase
        self._draw.cancel()
        self._view.setRun(run)

    def _decided(self) -> tuple[_Launched, int]:
        """The run that a decision is about, and the id of its adapter."""
        if self._launched is None or self._launched.adapter_id is None:
            raise InfoSAMError("There is no new model to decide about.")
        return self._launched, self._launched.adapter_id

    def _reset(self, notice: str) -> None:
        """Ready for the next run."""
        self._leave_process()
        self.state.run = Run()
        self.state.notice = notice
        self._session.adapters_changed()

    @shown
    def _on_project(self) -> None:
        """A run belongs to its project: it is left when another is opened, and offered on its return."""
        self._leave_process()
        self.state.run = Run()
        self.state.notice = ""
        self._offer()
        self._plan()

    @shown
    def _offer(self) -> None:
        """Offer to resume the last run that was cut off, beside the one on show."""
        project, run = self._session.project, self.state.run
        if run.is_active or run.resumable:
            return
        record = None if project is None else recall(project)
        self.state.interrupted = None if record is None else Interrupted(Path(record.folder), record.when)
        if project is not None and is_training(project):  # in another window: it may be cut off there
            self._look.start()

    @shown
    def _on_adapters(self) -> None:
        """One that waits for a decision may have been deleted."""
        launched = self._launched
        if launched is None or launched.adapter_id is None:
            return
        if all(record.id != launched.adapter_id for record in launched.project.adapters()):
            self._reset("The new model was deleted.")

    def _plan(self) -> None:
        """Say what a run would do now."""
        self.state.preflight = plan(self._session, self._view.value())
