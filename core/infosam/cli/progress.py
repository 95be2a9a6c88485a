"""A run's reports for people, on stderr."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from infosam.types import Failed, Preparing, Report, Started, Step, Validated


class AdaptProgress:
    """A progress bar with the loss where stderr is a terminal, and a line per validation everywhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._row: TaskID | None = None

    def __enter__(self) -> AdaptProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, report: Report) -> None:
        match report:
            case Started():
                self._line(
                    f"{report.model} on {report.device}, {report.steps} steps: "
                    f"{report.n_objects} objects in {report.n_images} images to train on, "
                    f"{report.n_val_objects} in {report.n_val_images} held out"
                )
            case Preparing():
                self._advance(report.stage, report.done, report.total)
            case Step():
                self._advance(f"loss {report.losses['loss']:.3f}", report.step, report.steps)
            case Validated():
                best = ", the best so far" if report.best else ""
                self._line(f"step {report.step}: mean IoU {report.iou:.3f} on held-out objects{best}")
            case Failed():
                pass  # the error itself follows

    def _line(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _advance(self, description: str, done: int, total: int) -> None:
        if self._row is None:
            self._row = self._bar.add_task(description, total=total)
        self._bar.update(self._row, description=description, completed=done, total=total)
