"""Distillation methods as tasks: `task(batch)` gives the losses of a batch."""

from infosam.distill.base import Task, TrainingBatch
from infosam.distill.registry import build, methods, uses_teacher

__all__ = ["Task", "TrainingBatch", "build", "methods", "uses_teacher"]
