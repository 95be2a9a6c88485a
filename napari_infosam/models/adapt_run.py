"""One adaptation run as the panel shows it: a frozen snapshot, and how reports change it. Pure functions."""

from __future__ import annotations

import math
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from infosam.types import Card, Failed, Finished, Preparing, Report, Started, Step, Validated
from napari_infosam.models.durations import about

Phase = Literal["idle", "preparing", "running", "done", "cancelled", "failed"]

NOTHING_LEARNT = "Training was cancelled before its first step."
FRAME = " │╭╮╰╯─"  # what command lines draw around their errors
OUT_OF_MEMORY_ADVICE = (
    "Most often the computer ran out of memory: close other programs, or choose a smaller model."
)


@dataclass(frozen=True)
class Ending:
    """How the training process ended. code: as in subprocess, -N = signal N. tail: the end of its stderr."""

    code: int
    tail: str = ""


@dataclass(frozen=True, eq=False)
class Run:
    """What is known of a run.

    phase: idle before the first run, and again once an adapter was accepted or discarded. folder: where it
    writes. preparing: what goes on between the steps, if anything. steps, validations: all so far, in order.
    finished: the result, with the before/after card.
    message, advice: why the run has no result, and what to do about it. resumable: a checkpoint waits in
    `folder`. cancelling: the run was asked to stop and has not ended yet.
    """

    phase: Phase = "idle"
    folder: Path | None = None
    started: Started | None = None
    preparing: Preparing | None = None
    steps: tuple[Step, ...] = ()
    validations: tuple[Validated, ...] = ()
    finished: Finished | None = None
    message: str = ""
    advice: str = ""
    resumable: bool = False
    cancelling: bool = False

    @property
    def is_active(self) -> bool:
        return self.phase in ("preparing", "running")

    @property
    def card(self) -> Card | None:
        return self.finished.card if self.finished else None

    @property
    def fraction(self) -> float | None:
        """How much of the present stage is done, 0 to 1; None while that is unknown."""
        if self.cancelling or not self.is_active:
            return None
        if self.preparing is not None:
            return self.preparing.done / self.preparing.total if self.preparing.total else None
        return self.steps[-1].step / self.steps[-1].steps if self.phase == "running" else None

    @property
    def progress(self) -> str:
        """What goes on at present, in a few words; empty while nothing does."""
        if not self.is_active:
            return ""
        if self.cancelling:
            return "Stopping, the best so far is kept…"
        if self.preparing is not None:
            stage = self.preparing.stage[:1].upper() + self.preparing.stage[1:]
            return f"{stage}: {self.preparing.done} of {self.preparing.total}"
        if self.phase == "preparing":
            return "Starting…"
        last = self.steps[-1]
        left = f", about {about(last.eta)} left" if math.isfinite(last.eta) else ""
        return f"Step {last.step} of {last.steps}{left}"


def begin(folder: Path) -> Run:
    """A run that has just been started in `folder`."""
    return Run(phase="preparing", folder=folder)


def resume(run: Run) -> Run:
    """The run goes on from its checkpoint; what was drawn stays."""
    return Run(phase="preparing", folder=run.folder, steps=run.steps, validations=run.validations)


def cancelling(run: Run) -> Run:
    """The user asked the run to stop."""
    return replace(run, cancelling=True) if run.is_active else run


def apply(run: Run, report: Report) -> Run:
    """The run after one more report. A report that comes after the run has ended changes nothing."""
    if not run.is_active:
        return run
    match report:
        case Started():
            return replace(run, started=report)
        case Preparing():
            return replace(run, preparing=report)
        case Step():
            # A resumed run repeats the steps after its checkpoint: the later ones count.
            steps = run.steps
            while steps and steps[-1].step >= report.step:
                steps = steps[:-1]
            return replace(run, phase="running", preparing=None, steps=(*steps, report))
        case Validated():
            kept = tuple(old for old in run.validations if old.step < report.step)
            return replace(run, validations=(*kept, report))
        case Finished(steps=0):
            return replace(run, phase="cancelled", message=NOTHING_LEARNT, cancelling=False)
        case Finished():
            phase: Phase = "cancelled" if report.status == "cancelled" else "done"
            return replace(run, phase=phase, finished=report, cancelling=False)
        case Failed():
            return replace(
                run,
                phase="failed",
                message=_sentence(report.reason),
                advice=_sentence(report.advice),
                resumable=report.resumable,
                cancelling=False,
            )


def end(run: Run, ending: Ending, *, resumable: bool) -> Run:
    """The run after its process has ended. resumable: it left a checkpoint that is worth going on from.

    A run that had reported its result keeps it. Otherwise the ending itself says what happened.
    """
    if run.phase == "failed":
        return replace(run, resumable=resumable)
    if not run.is_active:
        return run
    if run.cancelling:
        return replace(
            run, phase="cancelled", message="Training was stopped.", resumable=resumable, cancelling=False
        )
    message, advice = explain(ending)
    return replace(run, phase="failed", message=message, advice=advice, resumable=resumable)


def explain(ending: Ending) -> tuple[str, str]:
    """(what happened, what to do) for a process that ended without a result."""
    if ending.code < 0:
        name = _signal_name(-ending.code)
        if name == "SIGKILL":
            return "The training process was killed.", OUT_OF_MEMORY_ADVICE
        return f"The training process was ended by the system ({name}).", "Start it again."
    last = _last_words(ending.tail)
    if "MemoryError" in last or "out of memory" in last.lower():
        return f"The training process ran out of memory: {last}", OUT_OF_MEMORY_ADVICE
    reason = f"The training process stopped unexpectedly (exit code {ending.code})"
    return f"{reason}: {last}" if last else f"{reason}.", "The log has the details."


def _last_words(tail: str) -> str:
    """The last line that says something; a framed error, which may have several lines, as one."""
    lines = tail.rstrip().splitlines()
    framed = bool(lines) and lines[-1].lstrip().startswith("╰")
    starts = [index for index, line in enumerate(lines) if line.lstrip().startswith("╭")]
    if framed and starts:
        return " ".join(line.strip(FRAME) for line in lines[starts[-1] + 1 : -1])
    return lines[-1].strip() if lines else ""


def _sentence(text: str) -> str:
    """With a capital in front and a full stop behind."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?" else ".") if text else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
