"""What the commands write: results on stdout, progress and logs on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from infosam.reporting import plain

stderr = Console(stderr=True)
_WIDE = 200


def json_line(result: Mapping[str, Any]) -> str:
    """One line of strict JSON; numbers that are not finite become null."""
    return json.dumps(plain(result), allow_nan=False)


def print_json(result: Mapping[str, Any]) -> None:
    """The result as one line on stdout."""
    typer.echo(json_line(result))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout; only a terminal makes it narrower than its content."""
    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def score(value: float | None) -> str:
    """A score for people: three digits, or a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"
