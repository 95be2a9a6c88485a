"""The distillation methods by name."""

from __future__ import annotations

from infosam.distill.base import Task
from infosam.method_registry import MethodRegistry
from infosam.models.base import PromptableModel
from infosam.types import AdaptConfig, BadInputError

_registry: MethodRegistry[Task] = MethodRegistry("infosam.distill", "distillation method")
register = _registry.register


def methods() -> list[str]:
    """Names of all distillation methods, sorted."""
    return _registry.names()


def uses_teacher(name: str) -> bool:
    """Whether the method needs the teacher and its embeddings of the images.

    Raises:
        BadInputError: if the name is unknown.
    """
    return _registry.get(name).uses_teacher


def build(name: str, student: PromptableModel, teacher: PromptableModel | None, config: AdaptConfig) -> Task:
    """The task `name` for this student, ready to train.

    Raises:
        BadInputError: if the name is unknown, or the method needs a teacher and there is none.
    """
    task = _registry.get(name)
    if task.uses_teacher and teacher is None:
        raise BadInputError(f"the distillation method {name!r} needs a teacher: give the pre-trained model")
    return task(student, teacher, config)
