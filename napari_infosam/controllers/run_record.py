"""What the project remembers of a training run, so that one that was cut off can be resumed later."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from infosam.types import AdaptConfig
from napari_infosam.controllers.training_process import python_module

if TYPE_CHECKING:
    from infosam import Project

RUN_SETTING = "adapt_run"
PACE_SETTING = "adapt_pace"
_SHOWN = ("peft", "distill", "mode", "seed", "batch_size", "lr", "val_fraction")


@dataclass(frozen=True)
class RunRecord:
    """A run that has been started.

    folder: its adapter's. started: ISO 8601, UTC. arguments: of `infosam`, from the command's name on.
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
        folder = project.folder / "adapters" / f"{now:%Y%m%d-%H%M%S}-{model}-{config.peft}"
        arguments = ["adapt", str(project.folder), "--model", model, "-o", str(folder)]
        for name in _SHOWN:
            arguments += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
        if config.steps is not None:
            arguments += ["--steps", str(config.steps)]
        if current is not None:
            arguments += ["--current", str(current)]
        return cls(str(folder), model, config.peft, now.isoformat(timespec="seconds"), tuple(arguments))

    def command(self, *, resume: bool) -> list[str]:
        """The training process's command line."""
        extra = ["--resume"] if resume else []
        return python_module("infosam.cli", *self.arguments, "--events", "--watch-stdin", *extra)

    @property
    def can_resume(self) -> bool:
        """Whether a checkpoint waits in the folder."""
        from infosam.training.checkpoint import CHECKPOINT_NAME

        return (Path(self.folder) / CHECKPOINT_NAME).is_file()


def remember(project: Project, record: RunRecord | None) -> None:
    """Keep the run that goes on; None when there is nothing left to resume."""
    project.set_setting(RUN_SETTING, None if record is None else asdict(record))


def recall(project: Project) -> RunRecord | None:
    """The run that was remembered last, if it can be resumed."""
    stored = project.get_setting(RUN_SETTING)
    if stored is None:
        return None
    record = RunRecord(**{**stored, "arguments": tuple(stored["arguments"])})
    return record if record.can_resume else None


def remember_pace(project: Project, model: str, peft: str, seconds_per_step: float) -> None:
    """Keep how fast a run was, for the estimate before the next one."""
    paces = project.get_setting(PACE_SETTING, {})
    project.set_setting(PACE_SETTING, {**paces, f"{model} {peft}": seconds_per_step})


def recall_pace(project: Project, model: str, peft: str) -> float | None:
    """Seconds per step of the last run of this kind in this project."""
    pace: float | None = project.get_setting(PACE_SETTING, {}).get(f"{model} {peft}")
    return pace
