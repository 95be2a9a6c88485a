"""Finds the methods: every module of this package may register one, and no other file names it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import TypeVar

from infosam.distill.base import Task
from infosam.models.base import PromptableModel
from infosam.types import AdaptConfig, BadInputError

_tasks: dict[str, type[Task]] = {}
T = TypeVar("T", bound=Task)


def register(name: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: makes a task known as `name`.

    Raises:
        ValueError: if the name is taken.
    """

    def decorate(task: type[T]) -> type[T]:
        if name in _tasks:
            raise ValueError(f"the distillation method {name!r} is registered twice")
        _tasks[name] = task
        return task

    return decorate


def methods() -> list[str]:
    """Names of all distillation methods, sorted."""
    return sorted(_discover())


def uses_teacher(name: str) -> bool:
    """Whether the method needs the teacher and its embeddings of the images.

    Raises:
        BadInputError: if the name is unknown.
    """
    return _task(name).uses_teacher


def build(name: str, student: PromptableModel, teacher: PromptableModel | None, config: AdaptConfig) -> Task:
    """The task `name` for this student, ready to train.

    Raises:
        BadInputError: if the name is unknown, or the method needs a teacher and there is none.
    """
    task = _task(name)
    if task.uses_teacher and teacher is None:
        raise BadInputError(f"the distillation method {name!r} needs a teacher: give the pre-trained model")
    return task(student, teacher, config)


def _task(name: str) -> type[Task]:
    known = _discover()
    if name not in known:
        raise BadInputError(f"unknown distillation method {name!r}; known are {', '.join(sorted(known))}")
    return known[name]


def _discover() -> dict[str, type[Task]]:
    package = importlib.import_module("infosam.distill")
    for module in pkgutil.iter_modules(package.__path__, "infosam.distill."):
        importlib.import_module(module.name)
    return _tasks
