"""What the project remembers of training: the run that goes on, so that it can be resumed, and the pace."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from infosam.planning import drop_checkpoint, has_checkpoint
from infosam.types import AdaptConfig
from napari_infosam.controllers.training_process import python_module

if TYPE_CHECKING:
    from infosam import Project

RUN_SETTING = "adapt_run"
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
        folder = project.folder / "adapters" / f"{now:%Y%m%d-%H%M%S}-{model}-{config.peft}"
        options: dict[str, object] = {"model": model, "out": folder, "revision": project.revision}
        options |= {name: getattr(config, name) for name in PASSED_ON}
        if current is not None and current.is_dir():
            options["current"] = current
        arguments = ["adapt", str(project.folder)]
        for name, value in options.items():
            if value is not None:
                arguments += [f"--{name.replace('_', '-')}", str(value)]
        return cls(str(folder), model, config.peft, now.isoformat(timespec="seconds"), tuple(arguments))

    def command(self, *, resume: bool) -> list[str]:
        """The training process's command line."""
        extra = ["--resume"] if resume else []
        return python_module("infosam.cli", *self.arguments, "--events", "--watch-stdin", *extra)

    @property
    def can_resume(self) -> bool:
        return has_checkpoint(Path(self.folder))

    @property
    def when(self) -> str:
        """When it was started, in local time, for people."""
        return datetime.fromisoformat(self.started).astimezone().strftime("%d %B, %H:%M").lstrip("0")


def remember(project: Project, record: RunRecord | None) -> None:
    """Keep the run that goes on (None: there is none), and drop what one before it left to be resumed."""
    before = _stored(project)
    if before is not None and before != record:
        drop_checkpoint(Path(before.folder))
    project.set_setting(RUN_SETTING, None if record is None else asdict(record))


def recall(project: Project) -> RunRecord | None:
    """The run that was remembered last, if it can be resumed."""
    record = _stored(project)
    return record if record is not None and record.can_resume else None


def _stored(project: Project) -> RunRecord | None:
    stored = project.get_setting(RUN_SETTING)
    return None if stored is None else RunRecord(**{**stored, "arguments": tuple(stored["arguments"])})


def remember_pace(project: Project, model: str, peft: str, seconds_per_step: float) -> None:
    """Keep how fast a run was, for the estimate before the next one."""
    paces = project.get_setting(PACE_SETTING, {})
    project.set_setting(PACE_SETTING, {**paces, f"{model} {peft}": seconds_per_step})


def recall_pace(project: Project, model: str, peft: str) -> float | None:
    """Seconds per step of the last run of this kind in this project."""
    pace: float | None = project.get_setting(PACE_SETTING, {}).get(f"{model} {peft}")
    return pace
