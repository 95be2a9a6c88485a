"""Reports as JSON Lines: how the training process tells its parent what happens (`infosam adapt --events`).

One report is one line of strict JSON: numbers that are not finite are written as null, and read back as nan
where a number is due. The pair round-trips every report of `infosam.types`. Imports no torch.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from infosam.types import BadInputError, Failed, Finished, Preparing, Report, Started, Step, Validated

_KINDS: dict[str, type[Any]] = {
    kind.event: kind for kind in (Started, Preparing, Step, Validated, Finished, Failed)
}


def to_json(report: Report) -> str:
    """The report as one line of JSON, without a line break at its end."""
    return json.dumps(plain(asdict(report)), allow_nan=False)


def from_json(line: str) -> Report:
    """The report that `to_json` wrote as `line`; keys that are not known are passed over.

    Raises:
        BadInputError: the line is not JSON, or not a report.
    """
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"not a line of JSON: {_short(line)}") from error
    kind = _KINDS.get(str(data.get("event"))) if isinstance(data, dict) else None
    if kind is None:
        raise BadInputError(f"not a report (its event must be one of {', '.join(_KINDS)}): {_short(line)}")
    try:
        report: Report = _build(kind, data)
    except (TypeError, KeyError, ValueError) as error:
        raise BadInputError(f"not a valid {kind.event} report ({error}): {_short(line)}") from error
    return report


def plain(value: Any) -> Any:
    """Strict JSON values: mappings as dicts, tuples as lists, numbers that are not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _build(kind: type[Any], data: Any) -> Any:
    """A dataclass from a JSON object, its fields read by their declared types."""
    if not isinstance(data, dict):
        raise TypeError(f"{kind.__name__} must be an object, not {data!r}")
    hints = get_type_hints(kind)
    return kind(
        **{
            field.name: _read(hints[field.name], data[field.name])
            for field in fields(kind)
            if field.name in data
        }
    )


def _read(hint: Any, value: Any) -> Any:
    """`value` as the type `hint`; TypeError or ValueError if it is something else."""
    if hint is float:
        return math.nan if value is None else _number(value)
    if get_origin(hint) is types.UnionType:  # X | None
        inner = next(option for option in get_args(hint) if option is not types.NoneType)
        return None if value is None else _read(inner, value)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ValueError(f"{value!r} is none of {', '.join(map(repr, get_args(hint)))}")
        return value
    if get_origin(hint) is Mapping:
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, not {value!r}")
        return {key: _read(get_args(hint)[1], item) for key, item in value.items()}
    if is_dataclass(hint):
        return _build(hint, value)  # type: ignore[arg-type]
    if type(value) is not hint:
        raise TypeError(f"expected {hint.__name__}, not {value!r}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number, not {value!r}")
    return float(value)


def _short(line: str) -> str:
    return repr(line if len(line) <= 200 else line[:200] + "…")
