"""The SQLite file under a project: one connection for all threads, every call a committed transaction."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infosam.data.store.schema import migrate
from infosam.types import InfoSAMError

BUSY_SECONDS = 10.0  # how long to wait for another process that is writing


class Database:
    """An SQLite file in WAL mode, so that other processes read while this one writes.

    Safe to use from several threads: calls take turns. SQLite's own errors become InfoSAMError with advice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        with self._explained():
            connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                _prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection

    def close(self) -> None:
        """Close the connection; closing twice is fine."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def rows(self, query: str, parameters: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._lock, self._explained():
            return self._open().execute(query, parameters).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Statements that take effect together: committed at the end, rolled back by an exception."""
        with self._lock, self._explained():
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite has rolled back by itself after some errors
                    connection.execute("ROLLBACK")
                raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise InfoSAMError(f"the project {self.path.parent} is closed: open it again")
        return self._connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise InfoSAMError(f"{self.path}: {error}: {_advice(error, self.path)}") from error


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _prepare(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise sqlite3.DatabaseError(f"database disk image is malformed ({problem})")
    migrate(connection)
    connection.execute("PRAGMA journal_mode = WAL")  # only now: the file might have been another program's
    connection.execute("PRAGMA foreign_keys = ON")  # only now: migrations replace tables that others refer to


def _advice(error: sqlite3.Error, path: Path) -> str:
    message = str(error)
    if "not a database" in message or "malformed" in message:
        return (
            "the file is damaged and was left as it is; restore it from a backup, or rename it "
            f"(for instance to {path.name}.damaged) to start afresh in this folder"
        )
    if "full" in message:
        return "free some space; what was saved before is safe"
    if "locked" in message:
        return "another program is using the project; close it there or try again"
    if "readonly" in message or "unable to open" in message:
        return "the folder cannot be written to; choose another one or change its permissions"
    return "the project could not be read or written; check the disk and its permissions"
