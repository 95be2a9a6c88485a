"""What a run of `adapt` would be and what one has left, for programs around it. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infosam.training.files import drop_checkpoint, has_checkpoint
from infosam.training.holdout import keys_to_hold_out
from infosam.training.lock import is_held
from infosam.training.schedule import default_steps
from infosam.types import AdaptConfig

__all__ = ["RunPlan", "drop_checkpoint", "has_checkpoint", "is_held", "plan_run"]


@dataclass(frozen=True)
class RunPlan:
    """The labels that a run would use, how many of the images it would hold out, and its steps at most."""

    n_images: int
    n_objects: int
    n_val_images: int
    steps: int


def plan_run(counts: Mapping[str, int], config: AdaptConfig) -> RunPlan:
    """The run on images known by their keys and their numbers of objects (`Project.object_counts`)."""
    held_out = keys_to_hold_out(counts, config.val_fraction, config.seed)
    n_train = sum(count for key, count in counts.items() if key not in held_out)
    steps = config.steps or default_steps(n_train, config.batch_size, config.mode)
    return RunPlan(len(counts), sum(counts.values()), len(held_out), steps)
