"""A folder of image files as a series."""

from __future__ import annotations

import os
import re
from pathlib import Path


def neighbour(path: Path, step: int) -> Path | None:
    """The next (1) or previous (-1) file of the same kind in the folder of `path`; None beyond the ends.

    Files are ordered as people number them: image 9 comes before image 10.

    Raises:
        OSError: the folder cannot be read.
    """
    with os.scandir(path.parent) as entries:  # which knows what is a file without asking for each
        files = [
            Path(entry.path) for entry in entries if entry.is_file() and _kind(entry.name) == _kind(path.name)
        ]
    series = sorted({*files, path}, key=_order)  # `path` has its place also when it has been removed
    index = series.index(path) + step
    return series[index] if 0 <= index < len(series) else None


def _kind(name: str) -> tuple[str, bool]:
    return Path(name).suffix.lower(), name.startswith(".")


def _order(path: Path) -> tuple[list[tuple[str, int]], str]:
    parts = re.findall(r"(\d+)|(\D+)", path.stem.lower())
    return [(text, int(number or 0)) for number, text in parts], path.name
