"""The PEFT methods by name, and their settings as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from infosam.method_registry import MethodRegistry
from infosam.peft.base import Method
from infosam.types import RUN_MODES, BadInputError, RunMode

_registry: MethodRegistry[Method] = MethodRegistry("infosam.peft", "PEFT method")
register = _registry.register


def methods() -> list[str]:
    """Names of all PEFT methods, sorted."""
    return _registry.names()


def config_for(name: str, mode: RunMode = "clean") -> Method:
    """The settings of the method `name` in a run mode.

    `official`: those of the released code. `paper`: those that the paper's text describes. `clean`: those
    that start from the pre-trained model's outputs.

    Raises:
        BadInputError: the name or the mode is unknown.
    """
    if mode not in RUN_MODES:
        raise BadInputError(f"mode must be one of {', '.join(RUN_MODES)}, not {mode!r}")
    return _registry.get(name).for_mode(mode)


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
    method = _registry.get(name)
    try:
        return method(**settings)
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"the PEFT method {name!r} cannot have the settings {settings}: {error}"
        ) from error
