"""Reports in, what the panel shows out: without Qt, without a process."""

from pathlib import Path

import pytest

from infosam.types import Card, Failed, Finished, Preparing, Scores, Started, Step, Validated
from napari_infosam.models.adapt_run import Ending, Run, apply, begin, cancelling, end, explain, resume

FOLDER = Path("run")
STARTED = Started(6, 30, 2, 8, 200, 1000, "cpu", "sam_pocket")
CARD = Card({"box": Scores(0.7, 0.8, None, 2, 8)}, {"box": Scores(0.8, 0.9, None, 2, 8)})
FINISHED = Finished("done", "run/adapter", CARD, 200, 60.0)


def step(number: int) -> Step:
    return Step(number, 200, {"loss": 1 / number}, 2e-4, 0.1, 0.1 * (200 - number))


def after(*reports: object) -> Run:
    run = begin(FOLDER)
    for report in reports:
        run = apply(run, report)  # type: ignore[arg-type]
    return run


def test_a_whole_run() -> None:
    run = begin(FOLDER)
    assert run.phase == "preparing"
    assert run.is_active
    assert (run.progress, run.fraction) == ("Starting…", None)
    run = apply(run, Preparing("embedding images", 2, 8))
    run = apply(run, STARTED)
    assert run.phase == "preparing"
    assert (run.progress, run.fraction) == ("Embedding images: 2 of 8", 0.25)
    run = apply(run, step(1))
    assert run.phase == "running"
    assert (run.progress, run.fraction) == ("Step 1 of 200, about 20 s left", 1 / 200)
    run = apply(apply(run, Validated(25, 0.7, 8, True)), step(2))
    run = apply(run, FINISHED)
    assert run.phase == "done"
    assert run.card == CARD
    assert (run.progress, run.fraction) == ("", None)
    assert [point.step for point in run.steps] == [1, 2]
    assert [point.iou for point in run.validations] == [0.7]
    assert end(run, Ending(0), resumable=True) is run


def test_scoring_after_the_last_step_is_shown_instead_of_the_step() -> None:
    run = after(step(200), Preparing("measuring", 0, 4))
    assert run.phase == "running"
    assert (run.progress, run.fraction) == ("Measuring: 0 of 4", 0.0)
    assert after(Preparing("measuring", 0, 0)).fraction is None


def test_an_unknown_time_left_is_not_shown() -> None:
    unknown = Step(1, 200, {"loss": 1.0}, 2e-4, 0.1, float("nan"))
    assert after(unknown).progress == "Step 1 of 200"


def test_a_snapshot_stays_as_it_was() -> None:
    before = after(step(1))
    apply(before, step(2))
    assert len(before.steps) == 1


def test_a_resumed_run_keeps_its_curve_and_replaces_what_it_repeats() -> None:
    run = after(STARTED, *map(step, range(1, 8)), Validated(0, 0.6, 8, True), Validated(6, 0.7, 8, True))
    run = resume(end(run, Ending(-9), resumable=True))
    assert run.phase == "preparing"
    assert run.message == ""
    run = apply(apply(run, step(5)), Validated(6, 0.72, 8, True))
    assert [point.step for point in run.steps] == [1, 2, 3, 4, 5]
    assert [(point.step, point.iou) for point in run.validations] == [(0, 0.6), (6, 0.72)]


def test_a_failure_says_why_and_whether_it_can_go_on() -> None:
    run = after(step(1), Failed("out of memory", "choose a smaller model", False))
    run = end(run, Ending(1, "Traceback ..."), resumable=True)
    assert (run.phase, run.message, run.advice) == ("failed", "Out of memory.", "Choose a smaller model.")
    assert run.resumable
    assert len(run.steps) == 1


def test_nothing_changes_a_run_that_has_ended() -> None:
    run = after(FINISHED)
    assert apply(run, step(3)) is run
    assert apply(run, Failed("late", "", False)) is run
    assert cancelling(run) is run
    assert apply(Run(), step(1)).phase == "idle"


def test_cancelling_ends_with_the_best_so_far() -> None:
    run = cancelling(after(step(1)))
    assert run.cancelling
    assert (run.progress, run.fraction) == ("Stopping, the best so far is kept…", None)
    run = apply(run, Finished("cancelled", "run/adapter", CARD, 1, 2.0))
    assert run.phase == "cancelled"
    assert run.card == CARD
    assert not run.cancelling


def test_what_was_cancelled_before_its_first_step_is_no_model() -> None:
    run = apply(cancelling(after(STARTED)), Finished("cancelled", "run/adapter", CARD, 0, 0.0))
    assert run.phase == "cancelled"
    assert run.card is None
    assert run.message == "Training was cancelled before its first step."
    assert end(run, Ending(0), resumable=False) is run


def test_a_cancelled_process_that_had_to_be_killed_counts_as_stopped() -> None:
    run = end(cancelling(after(step(1))), Ending(-15), resumable=True)
    assert run.phase == "cancelled"
    assert run.message == "Training was stopped."
    assert run.card is None
    assert run.resumable


@pytest.mark.parametrize(
    ("ending", "message", "advice"),
    [
        (Ending(-9), "was killed", "memory"),
        (Ending(-11), "SIGSEGV", "again"),
        (Ending(-250), "signal 250", "again"),
        (
            Ending(1, "Traceback\n  File\nValueError: no images\n\n"),
            "exit code 1): ValueError: no images",
            "log",
        ),
        (Ending(1, "RuntimeError: CUDA out of memory"), "ran out of memory: RuntimeError", "smaller model"),
        (
            Ending(1, "_ArrayMemoryError: Unable"),
            "ran out of memory",
            "smaller model",
        ),
        (Ending(0), "exit code 0).", "log"),
        (
            Ending(2, "Usage\n╭─ Error ─╮\n│ No such │\n│ option  │\n╰─────────╯\n"),
            "2): No such option",
            "log",
        ),
    ],
)
def test_an_ending_without_a_report_is_explained(ending: Ending, message: str, advice: str) -> None:
    said, advised = explain(ending)
    assert message in said
    assert advice in advised
    run = end(after(step(1)), ending, resumable=False)
    assert (run.phase, run.message, run.resumable) == ("failed", said, False)
