"""The objects of a project, with their prompts and their history."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, get_args

from infosam.data.rle import RLE, encode_mask, rle_area
from infosam.data.store.database import Database, now
from infosam.data.store.prompt_json import prompt_from_json, prompt_to_json
from infosam.data.store.records import ImageRecord, ObjectRecord, ObjectSource, Revision
from infosam.types import BadInputError, BoolArray, Prompt

_LATEST = "(SELECT {0} FROM journal WHERE object_id = objects.id AND id <= ? AND {1} ORDER BY id DESC)"
_AT_REVISION = f"""
SELECT *, {_LATEST.format("counts", "counts IS NOT NULL")} AS counts_then,
    {_LATEST.format("prompt", "prompt IS NOT NULL")} AS prompt_then,
    {_LATEST.format("action", "action <> 'updated'")} AS presence
FROM objects ORDER BY id
"""


class ObjectTable:
    """Objects are never deleted, only marked as removed; every change is kept in the journal."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        image: ImageRecord,
        mask: BoolArray | RLE,
        label: int,
        prompt: Prompt | None,
        source: ObjectSource,
    ) -> ObjectRecord:
        rle, at = _encoded(mask, image.shape[:2]), now()
        _check_source(source)
        if label < 1:
            raise BadInputError(f"a label must be 1 or more, not {label}: 0 is the background")
        written = prompt_to_json(prompt)
        with self._database.transaction() as connection:
            _check_free(connection, image.id, label)
            object_id = _insert(connection, image.id, int(label), at, source, rle, written)
        return self.get(object_id)

    def add_all(
        self, image: ImageRecord, masks: Sequence[BoolArray | RLE], source: ObjectSource
    ) -> list[ObjectRecord]:
        """Many objects in one step, with the labels after the image's last."""
        encoded, at = [_encoded(mask, image.shape[:2]) for mask in masks], now()
        _check_source(source)
        with self._database.transaction() as connection:
            query = "SELECT max(label) FROM objects WHERE image_id = ?"  # a removed one may come back
            first = 1 + (connection.execute(query, (image.id,)).fetchone()[0] or 0)
            added = [
                _insert(connection, image.id, label, at, source, rle, None)
                for label, rle in enumerate(encoded, start=first)
            ]
        return [self.get(object_id) for object_id in added]

    def update(
        self, object_id: int, mask: BoolArray | RLE, source: ObjectSource, prompt: Prompt | None
    ) -> ObjectRecord:
        before, at = self.get(object_id), now()
        rle = _encoded(mask, before.rle.size)
        _check_source(source)
        written = prompt_to_json(prompt)
        # A prompted object that the brush has touched is neither the model's nor drawn by hand.
        became = "edited" if source == "brush" and before.source != "brush" else source
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE objects SET counts = ?, source = ?, prompt = coalesce(?, prompt),"
                " corrections = corrections + 1, updated = ? WHERE id = ?",
                (rle.counts, became, written, at, object_id),
            )
            _note(connection, object_id, "updated", at, source, rle, written)
        return self.get(object_id)

    def revert(self, record: ObjectRecord) -> ObjectRecord:
        before, at = self.get(record.id), now()
        # An empty prompt rather than none: the journal is to know that there is none any more.
        written = prompt_to_json(record.prompt or Prompt(), record.used_mask_prompt)
        with self._database.transaction() as connection:
            if before.removed:
                _check_free(connection, record.image_id, record.label)
                _note(connection, record.id, "restored", at)
            connection.execute(
                "UPDATE objects SET counts = ?, source = ?, prompt = ?, corrections = ?, removed = 0,"
                " updated = ? WHERE id = ?",
                (record.rle.counts, record.source, written, record.corrections, at, record.id),
            )
            _note(connection, record.id, "updated", at, record.source, record.rle, written)
        return self.get(record.id)

    def set_removed(self, object_ids: Sequence[int], removed: bool) -> list[ObjectRecord]:
        records, at = [self.get(object_id) for object_id in object_ids], now()
        with self._database.transaction() as connection:
            for record in records:
                if record.removed == removed:
                    continue
                if not removed:
                    _check_free(connection, record.image_id, record.label)
                connection.execute(
                    "UPDATE objects SET removed = ?, updated = ? WHERE id = ?", (removed, at, record.id)
                )
                _note(connection, record.id, "removed" if removed else "restored", at)
        return [self.get(object_id) for object_id in object_ids]

    def get(self, object_id: int) -> ObjectRecord:
        rows = self._database.rows("SELECT * FROM objects WHERE id = ?", (object_id,))
        if not rows:
            raise BadInputError(f"the project has no object {object_id}")
        return _record(rows[0])

    def all(self, image_id: int | None, include_removed: bool) -> list[ObjectRecord]:
        query = "SELECT * FROM objects WHERE (? IS NULL OR image_id = ?) AND removed <= ? ORDER BY id"
        return [_record(row) for row in self._database.rows(query, (image_id, image_id, include_removed))]

    @property
    def revision(self) -> int:
        """A number that grows with every change of an object; 0 before the first."""
        latest: int = self._database.rows("SELECT coalesce(max(id), 0) FROM journal")[0][0]
        return latest

    def changed(self, image_id: int, since: int) -> set[int]:
        """The ids of the objects of an image that have changed after a revision."""
        query = (
            "SELECT DISTINCT object_id FROM journal JOIN objects ON objects.id = object_id"
            " WHERE journal.id > ? AND image_id = ?"
        )
        return {row[0] for row in self._database.rows(query, (since, image_id))}

    def at(self, revision: int) -> list[ObjectRecord]:
        """The objects of an earlier revision, oldest first, with the masks and prompts that they had then."""
        rows = self._database.rows(_AT_REVISION, (revision, revision, revision))
        return [
            _record({**row, "counts": row["counts_then"], "prompt": row["prompt_then"], "removed": False})
            for row in map(dict, rows)
            if row["presence"] in ("added", "restored")
        ]

    def counts(self) -> dict[str, int]:
        """How many objects each image has, by the image's content hash; images without any are left out."""
        query = (
            "SELECT content_hash, count(*) FROM objects JOIN images ON images.id = image_id"
            " WHERE removed = 0 GROUP BY image_id ORDER BY image_id"
        )
        return {row[0]: row[1] for row in self._database.rows(query)}

    def history(self, object_id: int) -> list[Revision]:
        size = self.get(object_id).rle.size
        rows = self._database.rows("SELECT * FROM journal WHERE object_id = ? ORDER BY id", (object_id,))
        return [_revision(row, size) for row in rows]


def _encoded(mask: BoolArray | RLE, size: tuple[int, ...]) -> RLE:
    shape = mask.size if isinstance(mask, RLE) else mask.shape
    if shape != size:
        raise BadInputError(f"the mask has the shape {shape}, its image {size}")
    rle = mask if isinstance(mask, RLE) else encode_mask(mask)
    if not rle_area(rle):
        raise BadInputError("the mask is empty: remove the object instead")
    return rle


def _check_source(source: str) -> None:
    if source not in get_args(ObjectSource):
        raise BadInputError(f"source must be one of {', '.join(get_args(ObjectSource))}, not {source!r}")


def _check_free(connection: sqlite3.Connection, image_id: int, label: int) -> None:
    query = "SELECT id FROM objects WHERE image_id = ? AND label = ? AND removed = 0"
    if connection.execute(query, (image_id, label)).fetchone() is not None:
        raise BadInputError(f"label {label} is taken by another object of this image: choose a free one")


def _insert(
    connection: sqlite3.Connection,
    image_id: int,
    label: int,
    at: str,
    source: ObjectSource,
    rle: RLE,
    prompt: str | None,
) -> int:
    cursor = connection.execute(
        "INSERT INTO objects(image_id, label, source, height, width, counts, prompt, created, updated)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (image_id, label, source, *rle.size, rle.counts, prompt, at, at),
    )
    object_id = cursor.lastrowid
    assert object_id is not None
    _note(connection, object_id, "added", at, source, rle, prompt)
    return object_id


def _note(
    connection: sqlite3.Connection,
    object_id: int,
    action: str,
    at: str,
    source: str | None = None,
    rle: RLE | None = None,
    prompt: str | None = None,
) -> None:
    connection.execute(
        "INSERT INTO journal(object_id, action, source, counts, prompt, at) VALUES (?, ?, ?, ?, ?, ?)",
        (object_id, action, source, None if rle is None else rle.counts, prompt, at),
    )


def _record(row: sqlite3.Row | dict[str, Any]) -> ObjectRecord:
    prompt, used_mask_prompt = prompt_from_json(row["prompt"])
    return ObjectRecord(
        id=row["id"],
        image_id=row["image_id"],
        label=row["label"],
        source=row["source"],
        prompt=prompt,
        used_mask_prompt=used_mask_prompt,
        corrections=row["corrections"],
        class_id=row["class_id"],
        removed=bool(row["removed"]),
        created=row["created"],
        updated=row["updated"],
        rle=RLE((row["height"], row["width"]), row["counts"]),
    )


def _revision(row: sqlite3.Row, size: tuple[int, int]) -> Revision:
    rle = None if row["counts"] is None else RLE(size, row["counts"])
    return Revision(row["action"], row["source"], prompt_from_json(row["prompt"])[0], row["at"], rle)
