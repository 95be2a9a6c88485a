"""Finds the methods: every module of this package may register one, and no other file names it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from infosam.peft.base import Method
from infosam.types import RUN_MODES, BadInputError, RunMode

_methods: dict[str, type[Method]] = {}
T = TypeVar("T", bound=Method)


def register(name: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: makes a method known as `name`.

    Raises:
        ValueError: if the name is taken.
    """

    def decorate(method: type[T]) -> type[T]:
        if name in _methods:
            raise ValueError(f"the PEFT method {name!r} is registered twice")
        method.name = name
        _methods[name] = method
        return method

    return decorate


def methods() -> list[str]:
    """Names of all PEFT methods, sorted."""
    return sorted(_discover())


def config_for(name: str, mode: RunMode = "clean") -> Method:
    """The settings of the method `name` in a run mode.

    `official`: those of the released code. `paper`: those that the paper's text describes. `clean`: those
    that start from the pre-trained model's outputs.

    Raises:
        BadInputError: the name or the mode is unknown.
    """
    if mode not in RUN_MODES:
        raise BadInputError(f"mode must be one of {', '.join(RUN_MODES)}, not {mode!r}")
    return _method(name).for_mode(mode)


def config_to_dict(config: Method) -> dict[str, Any]:
    """A configuration as JSON values: {"method": its name, settings...}."""
    return {"method": config.name, **asdict(config)}


def config_from_dict(values: Mapping[str, Any]) -> Method:
    """The inverse of `config_to_dict`; lists become tuples, as JSON has no tuples.

    Raises:
        BadInputError: the method or a setting is unknown, or a value is not allowed.
    """
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    name = str(settings.pop("method", None))
    method = _method(name)
    try:
        return method(**settings)
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"the PEFT method {name!r} cannot have the settings {settings}: {error}"
        ) from error


def _method(name: str) -> type[Method]:
    known = _discover()
    if name not in known:
        raise BadInputError(f"unknown PEFT method {name!r}; known are {', '.join(sorted(known))}")
    return known[name]


def _discover() -> dict[str, type[Method]]:
    package = importlib.import_module("infosam.peft")
    for module in pkgutil.iter_modules(package.__path__, "infosam.peft."):
        importlib.import_module(module.name)
    return _methods
