"""From the button to the better model: the controller, with a process that does what a test tells it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QObject, Signal

from infosam import Project
from infosam.planning import plan_run
from infosam.training.files import CHECKPOINT_NAME
from infosam.types import AdaptConfig, Card, Failed, Finished, Report, Scores, Step
from napari_infosam.controllers.adapt import AdaptController
from napari_infosam.controllers.run_record import recall
from napari_infosam.models.adapt_run import Ending, Run
from napari_infosam.models.adapt_state import AdaptState
from napari_infosam.models.session import Session
from napari_infosam.views.adapt_view import AdaptView

SCORES = Scores(0.7, 0.8, None, 1, 3)
CARD = Card({"point": SCORES}, {"point": SCORES})


class Process(QObject):
    """Stands in for `TrainingProcess`."""

    reported = Signal(object)
    ended = Signal(object)
    made: "list[Process]"
    startable = True

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.command: list[str] = []
        Process.made.append(self)

    def start(self, command: Sequence[str]) -> None:
        if not Process.startable:
            raise FileNotFoundError("no python")
        self.command = list(command)

    def cancel(self) -> None:
        self.calls.append("cancel")

    def terminate(self) -> None:
        self.calls.append("terminate")

    def close(self) -> None:
        self.calls.append("close")

    def option(self, name: str) -> str:
        return self.command[self.command.index(f"--{name}") + 1]

    @property
    def folder(self) -> Path:
        return Path(self.option("out"))

    def leave_checkpoint(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / CHECKPOINT_NAME).touch()

    def finish(self, steps: int = 10) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "adapter.json").touch()
        self.reported.emit(Finished("done", str(self.folder), CARD, steps, 5.0 * steps))
        self.ended.emit(Ending(0))


class Bench:
    """The controller with all that it needs."""

    def __init__(self, session: Session, project: Project) -> None:
        self.session, self.project = session, project
        self.state, self.view = AdaptState(), AdaptView()
        self.before: list[int] = []
        self.controller = AdaptController(
            session, self.state, self.view, lambda: self.before.append(project.revision), Process
        )

    @property
    def process(self) -> Process:
        return Process.made[-1]

    @property
    def run(self) -> Run:
        return self.state.run

    def label(self, images: int = 3, objects: int = 2) -> None:
        """Commit objects on new images, and tell the session as the annotating half does."""
        for index in range(len(self.project.images()), len(self.project.images()) + images):
            image = self.project.add_image(np.full((20, 20), index, np.uint8) + np.eye(20, dtype=np.uint8))
            for label in range(1, objects + 1):
                self.project.add_object(image.id, np.eye(20, k=label, dtype=bool), label=label)
        counts = self.project.object_counts()
        self.session.n_labelled_images = len(counts)
        self.session.n_labelled_objects = sum(counts.values())

    def press(self, config: AdaptConfig | None = None) -> Process:
        self.view.adapt_requested.emit(config or AdaptConfig())
        return self.process

    def report(self, *reports: Report) -> None:
        for report in reports:
            self.process.reported.emit(report)


@pytest.fixture
def bench(session: Session, project: Project, qtbot: QtBot) -> Bench:
    Process.made, Process.startable = [], True
    made = Bench(session, project)
    qtbot.addWidget(made.view)
    return made


def step(number: int) -> Step:
    return Step(number, 10, {"loss": 1.0}, 1e-4, 0.1, 1.0)


def test_the_plan_follows_the_labels_and_is_what_a_run_does(bench: Bench) -> None:
    assert bench.state.preflight.blocked
    bench.label(images=1, objects=1)
    assert bench.state.preflight.blocked.startswith("Label one more object")
    bench.label(images=4)
    planned = plan_run(bench.project.object_counts(), AdaptConfig())
    preflight = bench.state.preflight
    assert not preflight.blocked
    assert (preflight.n_images, preflight.n_objects) == (5, 9)
    assert preflight.n_val_images == planned.n_val_images
    assert preflight.seconds is None
    bench.session.embed_seconds = 0.5
    estimate = bench.state.preflight.seconds
    assert estimate == pytest.approx(planned.steps * 6)
    bench.view.setValue(AdaptConfig(steps=2 * planned.steps))
    assert bench.state.preflight.seconds == pytest.approx(2 * estimate)


def test_without_a_project_nothing_starts(qtbot: QtBot) -> None:
    Process.made = []
    state, view = AdaptState(), AdaptView()
    qtbot.addWidget(view)
    controller = AdaptController(Session(), state, view, lambda: None, Process)
    assert state.preflight.blocked == "No project is open."
    view.adapt_requested.emit(AdaptConfig())
    view.resume_requested.emit()
    view.cancel_requested.emit()
    view.stop_requested.emit()
    view.forget_requested.emit()
    assert Process.made == []
    controller.close()


def test_pressing_adapt_runs_the_command_on_the_labels_as_they_are(bench: Bench, tmp_path: Path) -> None:
    bench.label()
    current = tmp_path / "current"
    current.mkdir()
    bench.session.adapter = current
    config = AdaptConfig(peft="lora", distill="none", steps=7, seed=4)
    process = bench.press(config)
    assert bench.before == [bench.project.revision]
    assert process.command[1:5] == ["-P", "-m", "infosam.cli", "adapt"]
    assert process.command[5] == str(bench.project.folder)
    options = {"model": "sam_pocket", "peft": "lora", "distill": "none", "steps": "7", "seed": "4"}
    options |= {"zoom": "auto"}  # as the model is asked on the canvas
    options |= {"current": str(current), "revision": str(bench.project.revision)}
    assert {name: process.option(name) for name in options} == options
    assert process.folder.parent == bench.project.folder / "adapters"
    assert {"--events", "--watch-stdin"} <= set(process.command)
    assert "--resume" not in process.command
    assert bench.run.phase == "preparing"


def test_what_is_not_set_or_gone_is_not_passed_on(bench: Bench, tmp_path: Path) -> None:
    bench.label()
    bench.session.adapter = tmp_path / "deleted"
    command = bench.press().command
    assert "--steps" not in command
    assert "--threads" not in command
    assert "--current" not in command


def test_only_one_run_at_a_time(bench: Bench) -> None:
    bench.label()
    bench.press()
    bench.press()
    assert len(Process.made) == 1
    bench.process.finish()
    bench.press()
    bench.view.resume_requested.emit()
    assert len(Process.made) == 1
    assert bench.run.card is not None


def test_reports_reach_the_view(bench: Bench, qtbot: QtBot) -> None:
    bench.label()
    bench.press()
    for number in range(1, 9):
        bench.report(step(number))
    assert [report.step for report in bench.run.steps] == list(range(1, 9))
    qtbot.waitUntil(lambda: bench.view.curves.value() is bench.run)


def test_steps_that_come_fast_are_drawn_all_the_same(bench: Bench, qtbot: QtBot) -> None:
    """A debouncer would wait for a pause that never comes."""
    bench.label()
    bench.press()
    drawn = 0
    for number in range(1, 31):
        bench.report(step(number))
        qtbot.wait(50)
        drawn += bench.view.curves.value().steps[-1:] == (step(number),)
    assert 1 <= drawn < 30


def test_accepting_uses_the_new_model(bench: Bench) -> None:
    bench.label()
    process = bench.press()
    versions: list[int] = []
    bench.session.events.adapters_version.connect(versions.append)
    process.finish()
    (record,) = bench.project.adapters()
    assert (record.folder, record.status, record.base_model) == (process.folder, "new", "sam_pocket")
    assert record.card == asdict(CARD)
    assert bench.session.adapter is None
    assert versions
    bench.view.accept_requested.emit()
    assert bench.session.adapter == process.folder
    assert bench.project.current_adapter().folder == process.folder
    assert bench.run.phase == "idle"
    assert "new model is in use" in bench.state.notice
    bench.press()
    assert bench.state.notice == ""
    assert bench.process.option("current") == str(process.folder)


def test_accepting_goes_back_to_the_model_that_was_adapted(bench: Bench) -> None:
    bench.label()
    bench.press().finish()
    bench.session.model_name = "sam_vit_b"
    bench.project.set_setting("model", "sam_vit_b")
    bench.view.accept_requested.emit()
    assert bench.session.model_name == "sam_pocket"
    assert bench.project.get_setting("model") == "sam_pocket"


def test_discarding_keeps_the_model_in_use(bench: Bench, tmp_path: Path) -> None:
    bench.label()
    bench.press().finish()
    bench.view.accept_requested.emit()
    first = bench.session.adapter
    bench.press().finish()
    bench.view.discard_requested.emit()
    assert bench.session.adapter == first
    assert [record.status for record in bench.project.adapters()] == ["accepted", "rolled_back"]
    assert bench.project.current_adapter().folder == first
    assert bench.run.phase == "idle"
    bench.view.discard_requested.emit()
    assert "no new model" in bench.state.notice


def test_the_pace_of_a_run_makes_the_next_estimate(bench: Bench) -> None:
    bench.label()
    bench.press().finish(steps=10)
    assert bench.project.get_setting("adapt_pace") == {"sam_pocket adapter": 5.0}
    planned = plan_run(bench.project.object_counts(), AdaptConfig())
    assert bench.state.preflight.seconds == pytest.approx(5 * planned.steps)
    bench.view.setValue(AdaptConfig(steps=30))
    assert bench.state.preflight.seconds == pytest.approx(150)


def test_cancel_and_stop_reach_the_process(bench: Bench) -> None:
    bench.label()
    process = bench.press()
    bench.report(step(1))
    bench.view.cancel_requested.emit()
    bench.view.stop_requested.emit()
    assert process.calls == ["cancel", "terminate"]
    assert bench.run.cancelling
    process.leave_checkpoint()
    process.ended.emit(Ending(-15))
    assert (bench.run.phase, bench.run.resumable) == ("cancelled", True)
    bench.view.cancel_requested.emit()
    bench.view.stop_requested.emit()
    assert process.calls == ["cancel", "terminate"]


def test_a_killed_run_is_explained_and_resumed_on_the_labels_it_began_with(bench: Bench) -> None:
    bench.label()
    killed = bench.press(AdaptConfig(peft="decoder"))
    bench.report(step(1), step(2))
    killed.leave_checkpoint()
    killed.ended.emit(Ending(-9))
    assert bench.run.phase == "failed"
    assert "was killed" in bench.run.message
    assert bench.run.resumable
    bench.label(images=2)
    bench.view.setValue(AdaptConfig(peft="lora"))
    bench.view.resume_requested.emit()
    assert bench.process is not killed
    assert bench.process.command == [*killed.command, "--resume"]
    assert [report.step for report in bench.run.steps] == [1, 2]
    bench.process.finish()
    bench.view.accept_requested.emit()
    assert recall(bench.project) is None


def test_a_failure_without_a_checkpoint_is_told_and_forgotten(bench: Bench) -> None:
    bench.label()
    bench.press()
    bench.report(Failed("out of memory", "choose a smaller model", False))
    bench.process.ended.emit(Ending(1))
    assert bench.run.message == "Out of memory."
    assert not bench.run.resumable
    assert bench.project.adapters() == []
    bench.view.resume_requested.emit()
    assert "no run that can be resumed" in bench.state.notice
    bench.press()
    assert len(Process.made) == 2


def cut_off(bench: Bench) -> Process:
    """A run that was killed after a step, with its checkpoint."""
    killed = bench.press()
    bench.report(step(1))
    killed.leave_checkpoint()
    killed.ended.emit(Ending(-9))
    return killed


def test_a_new_run_drops_the_checkpoint_of_the_one_before_with_its_first_step(bench: Bench) -> None:
    bench.label()
    killed = cut_off(bench)
    bench.press(AdaptConfig(peft="lora"))
    assert killed.folder.exists()
    bench.report(step(1))
    assert not killed.folder.exists()


@pytest.mark.parametrize("with_checkpoint", [False, True], ids=["without", "with a checkpoint"])
def test_a_new_run_that_fails_before_its_first_step_gives_the_one_before_back(
    bench: Bench, with_checkpoint: bool
) -> None:
    bench.label()
    killed = cut_off(bench)
    failing = bench.press(AdaptConfig(peft="lora"))
    assert bench.state.interrupted is None
    if with_checkpoint:  # one is written before the first step
        failing.leave_checkpoint()
    bench.report(Failed("out of memory", "choose a smaller model", with_checkpoint))
    failing.ended.emit(Ending(1))
    assert not bench.run.resumable
    assert bench.state.interrupted is not None
    assert bench.state.interrupted.folder == killed.folder
    bench.view.resume_requested.emit()
    assert bench.process.command == [*killed.command, "--resume"]


def test_a_new_run_that_cannot_start_or_is_cancelled_at_once_costs_the_one_before_nothing(
    bench: Bench,
) -> None:
    bench.label()
    killed = cut_off(bench)
    Process.startable = False
    bench.press(AdaptConfig(peft="lora"))
    assert recall(bench.project).folder == str(killed.folder)
    Process.startable = True
    bench.press(AdaptConfig(peft="lora"))
    bench.view.cancel_requested.emit()
    bench.process.finish(steps=0)
    assert bench.project.adapters() == []  # it has learnt nothing
    assert bench.state.interrupted is not None
    assert bench.state.interrupted.folder == killed.folder


def test_a_process_that_cannot_start_is_told(bench: Bench) -> None:
    bench.label()
    Process.startable = False
    bench.press()
    assert bench.state.notice == "The training process could not be started: no python"
    assert bench.run.phase == "idle"


def test_what_cannot_be_written_is_told_in_the_panel(bench: Bench) -> None:
    bench.label()
    bench.press()
    bench.project.close()
    bench.process.finish()
    assert "is closed" in bench.state.notice


def test_closing_leaves_the_process_to_itself(bench: Bench) -> None:
    bench.label()
    process = bench.press()
    bench.controller.close()
    assert process.calls == ["close"]


def test_a_run_cut_off_by_closing_is_offered_the_next_time(
    bench: Bench, qtbot: QtBot, tmp_path: Path
) -> None:
    bench.label()
    cut = bench.press()
    bench.controller.close()
    cut.leave_checkpoint()
    later = Bench(Session(), bench.project)
    qtbot.addWidget(later.view)
    later.session.project = bench.project
    assert later.state.interrupted is not None
    assert later.state.interrupted.folder == cut.folder
    later.view.resume_requested.emit()
    assert later.process.command == [*cut.command, "--resume"]
    assert later.state.interrupted is None


def test_an_interrupted_run_can_be_forgotten(bench: Bench, qtbot: QtBot) -> None:
    bench.label()
    cut = bench.press()
    cut.leave_checkpoint()
    later = Bench(Session(), bench.project)
    qtbot.addWidget(later.view)
    later.session.project = bench.project
    later.view.forget_requested.emit()
    assert later.state.interrupted is None
    assert not cut.folder.exists()
    assert recall(bench.project) is None


def test_another_project_leaves_the_run_and_coming_back_offers_it(bench: Bench, tmp_path: Path) -> None:
    bench.label()
    process = bench.press()
    bench.report(step(1))
    with Project.create(tmp_path / "other") as other:
        bench.session.project = other
        assert process.calls == ["close"]
        assert bench.run.phase == "idle"
        assert bench.state.interrupted is None
        process.leave_checkpoint()
        bench.session.project = bench.project
    assert bench.state.interrupted is not None


def test_a_deleted_model_is_no_longer_decided_about(bench: Bench) -> None:
    bench.label()
    bench.press().finish()
    (record,) = bench.project.adapters()
    bench.session.adapters_changed()
    assert bench.run.card is not None
    bench.project.remove_adapter(record.id)
    bench.session.adapters_changed()
    assert (bench.run.phase, bench.state.notice) == ("idle", "The new model was deleted.")
    bench.press()
    assert bench.run.is_active


def test_a_run_is_resumed_although_the_adapter_to_compare_with_has_been_deleted(
    bench: Bench, tmp_path: Path
) -> None:
    bench.label()
    bench.session.adapter = tmp_path / "adapter"
    bench.session.adapter.mkdir()
    killed = bench.press()
    assert killed.option("current") == str(bench.session.adapter)
    bench.report(step(1))
    killed.leave_checkpoint()
    killed.ended.emit(Ending(-9))
    bench.session.adapter.rmdir()
    bench.view.resume_requested.emit()
    assert bench.process is not killed
    assert "--current" not in bench.process.command
    assert bench.process.folder == killed.folder


def test_an_undecided_model_waits_in_the_list(bench: Bench, tmp_path: Path, monkeypatch: Any) -> None:
    bench.label()
    bench.press().finish()
    with Project.create(tmp_path / "other") as other:
        bench.session.project = other
        bench.view.accept_requested.emit()
        assert bench.session.adapter is None
        assert other.adapters() == []
    assert [record.status for record in bench.project.adapters()] == ["new"]
