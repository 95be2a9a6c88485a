"""The adapters trained in a project, and which one is in use."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infosam.data.store.database import Database, now
from infosam.data.store.images import relative_to
from infosam.data.store.records import AdapterRecord
from infosam.types import BadInputError


class AdapterTable:
    """A new adapter is accepted by making it current, or rolled back."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def add(self, folder: str | Path, base_model: str, card: Mapping[str, Any]) -> AdapterRecord:
        kept = relative_to(Path(os.path.abspath(folder)), self._folder)
        with self._database.transaction() as connection:
            adapter_id = connection.execute(
                "INSERT INTO adapters(folder, base_model, status, card, created) VALUES (?, ?, 'new', ?, ?)",
                (kept, base_model, json.dumps(card), now()),
            ).lastrowid
        assert adapter_id is not None
        return self.get(adapter_id)

    def get(self, adapter_id: int) -> AdapterRecord:
        rows = self._database.rows("SELECT * FROM adapters WHERE id = ?", (adapter_id,))
        if not rows:
            raise BadInputError(f"the project has no adapter {adapter_id}")
        return self._record(rows[0])

    def all(self) -> list[AdapterRecord]:
        return [self._record(row) for row in self._database.rows("SELECT * FROM adapters ORDER BY id")]

    def current(self) -> AdapterRecord | None:
        rows = self._database.rows("SELECT * FROM adapters WHERE is_current = 1")
        return self._record(rows[0]) if rows else None

    def set_current(self, adapter_id: int | None) -> None:
        """Use this adapter from now on, or none; a newer one for which it is used is rolled back."""
        if adapter_id is not None:
            self.get(adapter_id)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE adapters SET status = 'rolled_back' WHERE is_current = 1 AND id > ?", (adapter_id,)
            )
            connection.execute("UPDATE adapters SET is_current = 0")
            connection.execute(
                "UPDATE adapters SET is_current = 1, status = 'accepted' WHERE id = ?", (adapter_id,)
            )

    def roll_back(self, adapter_id: int) -> None:
        """Decline an adapter; if it was in use, none is in use afterwards."""
        self.get(adapter_id)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE adapters SET status = 'rolled_back', is_current = 0 WHERE id = ?", (adapter_id,)
            )

    def remove(self, adapter_id: int) -> None:
        """Forget an adapter."""
        self.get(adapter_id)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM adapters WHERE id = ?", (adapter_id,))

    def _record(self, row: sqlite3.Row) -> AdapterRecord:
        return AdapterRecord(
            id=row["id"],
            folder=self._folder / row["folder"],
            base_model=row["base_model"],
            status=row["status"],
            is_current=bool(row["is_current"]),
            card=json.loads(row["card"]),
            created=row["created"],
        )
