"""Finds the methods: every module of this package may register one, and no other file names it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from infosam.peft.base import Method
from infosam.types import BadInputError, RunMode

_configs: dict[str, type[Method]] = {}
T = TypeVar("T", bound=Method)


def register(name: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: makes a method's config known as `name`.

    Raises:
        ValueError: if the name is taken.
    """

    def decorate(config: type[T]) -> type[T]:
        if name in _configs:
            raise ValueError(f"the PEFT method {name!r} is registered twice")
        _configs[name] = config
        return config

    return decorate


def methods() -> list[str]:
    """Names of all PEFT methods, sorted."""
    return sorted(_discover())


def config_for(name: str, mode: RunMode = "clean") -> Method:
    """The settings of method `name` in a run mode.

    Raises:
        BadInputError: the name is unknown.
    """
    known = _discover()
    if name not in known:
        raise BadInputError(f"unknown PEFT method {name!r}; known are {', '.join(sorted(known))}")
    return known[name].for_mode(mode)


def config_to_dict(config: Method) -> dict[str, Any]:
    """A config as JSON values: {"method": its name, settings...}."""
    names = {kind: name for name, kind in _discover().items()}
    return {"method": names[type(config)], **asdict(config)}


def config_from_dict(values: Mapping[str, Any]) -> Method:
    """The inverse of `config_to_dict`; lists become tuples, as JSON has no tuples.

    Raises:
        BadInputError: the method is unknown, or a setting is not one of its settings.
    """
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    name = settings.pop("method", None)
    config = type(config_for(str(name)))
    try:
        return config(**settings)
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"the PEFT method {name!r} cannot have the settings {settings}: {error}"
        ) from error


def config_class(name: str) -> type[Method]:
    """A config class by its class name.

    Raises:
        AttributeError: no method has a config of this name.
    """
    for config in _discover().values():
        if config.__name__ == name:
            return config
    raise AttributeError(f"module 'infosam.peft' has no attribute {name!r}")


def _discover() -> dict[str, type[Method]]:
    package = importlib.import_module("infosam.peft")
    for module in pkgutil.iter_modules(package.__path__, "infosam.peft."):
        importlib.import_module(module.name)
    return _configs
