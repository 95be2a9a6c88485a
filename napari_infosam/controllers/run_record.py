"""What the project remembers of training: runs without a result yet, to be resumed, and the pace."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from infosam.planning import drop_checkpoint, has_checkpoint, is_held
from infosam.types import AdaptConfig, InfoSAMError
from napari_infosam.controllers.training_process import python_module

if TYPE_CHECKING:
    from infosam import Project

RUNS_SETTING = "adapt_runs"
PACE_SETTING = "adapt_pace"
PASSED_ON = (
    "peft",
    "distill",
    "mode",
    "zoom",
    "batch_size",
    "lr",
    "val_fraction",
    "seed",
    "steps",
    "threads",
)


@dataclass(frozen=True)
class RunRecord:
    """A run that has been started.

    folder: its adapter's. started: ISO 8601, UTC. arguments: of `infosam`, from the command's name on; they
    name the labels by their revision, so that a resumed run sees those that it began with.
    """

    folder: str
    model: str
    peft: str
    started: str
    arguments: tuple[str, ...]

    @classmethod
    def new(cls, project: Project, model: str, config: AdaptConfig, current: Path | None) -> RunRecord:
        """A run on everything that the project holds, in a folder of its own there."""
        now = datetime.now(UTC)
        folder = project.adapter_folder / f"{now:%Y%m%d-%H%M%S}-{model}-{config.peft}"
        options: dict[str, object] = {"model": model, "out": folder, "revision": project.revision}
        options |= {name: getattr(config, name) for name in PASSED_ON} | {"current": current}
        arguments = ["adapt", str(project.folder)]
        for name, value in options.items():
            if value is not None:
                arguments += [f"--{name.replace('_', '-')}", str(value)]
        return cls(str(folder), model, config.peft, now.isoformat(timespec="seconds"), tuple(arguments))

    def command(self, *, resume: bool) -> list[str]:
        """The training process's command line."""
        extra = ["--resume"] if resume else []
        return python_module("infosam.cli", *self._usable_arguments(), "--events", "--watch-stdin", *extra)

    def _usable_arguments(self) -> list[str]:
        """Without the adapter to compare with, where that has been deleted."""
        arguments = list(self.arguments)
        if "--current" in arguments:
            place = arguments.index("--current")
            if not Path(arguments[place + 1]).is_dir():
                del arguments[place : place + 2]
        return arguments

    @property
    def is_running(self) -> bool:
        return is_held(Path(self.folder))

    @property
    def can_resume(self) -> bool:
        return has_checkpoint(Path(self.folder)) and not self.is_running

    @property
    def when(self) -> str:
        """When it was started, in local time, for people."""
        return datetime.fromisoformat(self.started).astimezone().strftime("%d %B, %H:%M").lstrip("0")


def remember(project: Project, record: RunRecord) -> None:
    """Keep a run. Those before it can still be resumed: it may come to nothing."""
    _store(project, [record, *_others(project, record)])


def forget(project: Project, record: RunRecord) -> None:
    """A run has its result, or is given up: what it left to be resumed is dropped."""
    if not record.is_running:
        drop_checkpoint(Path(record.folder))
    _store(project, _others(project, record))


def forget_others(project: Project, record: RunRecord) -> None:
    """A run has got somewhere: those before it are given up, unless they go on in another window."""
    for other in _others(project, record):
        if not other.is_running:
            forget(project, other)


def recall(project: Project) -> RunRecord | None:
    """The last run that can be resumed."""
    return next((record for record in _stored(project) if record.can_resume), None)


def is_training(project: Project) -> bool:
    """Whether a run on the project goes on, in any window."""
    return any(record.is_running for record in _stored(project))


def check_idle(project: Project) -> None:
    """Raises InfoSAMError while a run on the project goes on."""
    if is_training(project):
        raise InfoSAMError("Another window trains on this project: wait for the end, or cancel it there.")


def _others(project: Project, record: RunRecord) -> list[RunRecord]:
    return [other for other in _stored(project) if other != record]


def _stored(project: Project) -> list[RunRecord]:
    """The newest first."""
    stored = project.get_setting(RUNS_SETTING, [])
    return [RunRecord(**{**record, "arguments": tuple(record["arguments"])}) for record in stored]


def _store(project: Project, records: list[RunRecord]) -> None:
    project.set_setting(RUNS_SETTING, [asdict(record) for record in records])


def remember_pace(project: Project, model: str, peft: str, seconds_per_step: float) -> None:
    """Keep how fast a run was, for the estimate before the next one."""
    paces = project.get_setting(PACE_SETTING, {})
    project.set_setting(PACE_SETTING, {**paces, f"{model} {peft}": seconds_per_step})


def recall_pace(project: Project, model: str, peft: str) -> float | None:
    """Seconds per step of the last run of this kind in this project."""
    pace: float | None = project.get_setting(PACE_SETTING, {}).get(f"{model} {peft}")
    return pace
