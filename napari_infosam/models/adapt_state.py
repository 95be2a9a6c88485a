"""What the Adapt section shows: Qt-free, evented state. See `Session` for how its signals are used."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from psygnal import SignalGroupDescriptor

from napari_infosam.models.adapt_run import Run
from napari_infosam.models.preflight import Preflight


@dataclass(frozen=True)
class Interrupted:
    """A run of an earlier session that ended without a result and left a checkpoint. when: for people."""

    folder: Path
    when: str


@dataclass(eq=False)
class AdaptState:
    """The state of the Adapt section of one viewer.

    preflight: what a new run would do. run: the run that goes on or has ended and waits for a decision.
    interrupted: a run of an earlier session that can be resumed. notice: what came of the last run, one line.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    preflight: Preflight = field(default_factory=Preflight)
    run: Run = field(default_factory=Run)
    interrupted: Interrupted | None = None
    notice: str = ""
