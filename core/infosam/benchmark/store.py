"""The results of runs in one SQLite file, which any number of processes may share."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infosam.benchmark.plan import Run
from infosam.data.rle import RLE
from infosam.types import BadInputError, InfoSAMError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    id TEXT PRIMARY KEY,
    run TEXT NOT NULL,          -- JSON: what decides the result
    scores TEXT NOT NULL,       -- JSON: {measured on: {prompt: {score: value}}}
    environment TEXT NOT NULL,  -- JSON: versions, device
    seconds REAL NOT NULL,      -- of training; 0 where nothing was trained
    total_seconds REAL NOT NULL,
    finished TEXT NOT NULL      -- ISO 8601, UTC
);
CREATE TABLE IF NOT EXISTS masks (
    id TEXT PRIMARY KEY,        -- of the run
    masks TEXT NOT NULL         -- JSON: {measured on: {prompt: [{image, size, truth, mask}]}}, run lengths
)
"""
_PATIENCE = 60.0  # seconds that a writer waits for another


@dataclass(frozen=True)
class ShownMask:
    """What a model made of one object. image: the name of its image. truth, mask: of the whole image."""

    image: str
    truth: RLE
    mask: RLE


@dataclass(frozen=True)
class Result:
    """What came out of a run. scores: by what was measured on, prompt and score. seconds: of training. masks:
    of some objects of its own test parts, by part and prompt."""

    scores: Mapping[str, Mapping[str, Mapping[str, float]]]
    environment: Mapping[str, str]
    seconds: float
    total_seconds: float
    masks: Mapping[str, Mapping[str, Sequence[ShownMask]]] = field(default_factory=dict)


class ResultStore:
    """Results by run. Every call is a transaction of its own: nothing is half written.

    Raises BadInputError if the file is not a store, InfoSAMError if it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._database = sqlite3.connect(path, timeout=_PATIENCE)
            self._database.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            raise InfoSAMError(f"cannot open the results store {path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise BadInputError(f"{path} is not a results store: {error}") from error

    def get(self, run: Run) -> Result | None:
        query = (
            "SELECT scores, environment, seconds, total_seconds, coalesce(masks, '{}') "
            "FROM results LEFT JOIN masks USING (id) WHERE id = ?"
        )
        row = self._database.execute(query, (run.id,)).fetchone()
        if row is None:
            return None
        return Result(json.loads(row[0]), json.loads(row[1]), row[2], row[3], _read_masks(row[4]))

    def put(self, run: Run, result: Result) -> None:
        """Keep a result; of two for the same run the first stays."""
        values = (
            run.id,
            json.dumps(run.key, sort_keys=True),
            json.dumps(result.scores),
            json.dumps(result.environment),
            result.seconds,
            result.total_seconds,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        try:
            with self._database:
                self._database.execute("INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?, ?, ?)", values)
                if result.masks:
                    masks = (run.id, json.dumps(result.masks, default=_as_json))
                    self._database.execute("INSERT OR IGNORE INTO masks VALUES (?, ?)", masks)
        except sqlite3.OperationalError as error:
            raise InfoSAMError(f"cannot write to the results store {self.path}: {error}") from error

    def typical_seconds(self, model: str) -> float | None:
        """How long runs with this model took on average; None if there are none."""
        query = "SELECT avg(total_seconds) FROM results WHERE json_extract(run, '$.model') = ?"
        seconds: float | None = self._database.execute(query, (model,)).fetchone()[0]
        return seconds

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _as_json(shown: ShownMask) -> dict[str, Any]:
    return {
        "image": shown.image,
        "size": shown.truth.size,
        "truth": shown.truth.counts.decode("ascii"),
        "mask": shown.mask.counts.decode("ascii"),
    }


def _read_masks(text: str) -> dict[str, dict[str, list[ShownMask]]]:
    def shown(item: dict[str, Any]) -> ShownMask:
        height, width = item["size"]
        truth, mask = (RLE((height, width), item[name].encode("ascii")) for name in ("truth", "mask"))
        return ShownMask(item["image"], truth, mask)

    return {
        part: {prompt: [shown(item) for item in items] for prompt, items in by_prompt.items()}
        for part, by_prompt in json.loads(text).items()
    }
