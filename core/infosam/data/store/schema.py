"""The tables, and how older projects become newer ones."""

from __future__ import annotations

import sqlite3

from infosam.types import InfoSAMError

APPLICATION_ID = 0x494E4653  # "INFS", in the file's header: tells a project from other SQLite files

_VERSION_1 = """
CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    content_hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    path TEXT NOT NULL,              -- relative paths start at the project's folder
    is_copy INTEGER NOT NULL,        -- 1: the file was written by the project
    plane TEXT,                      -- JSON list: indices of a slice or channel in its stack
    shape TEXT NOT NULL,             -- JSON list
    dtype TEXT NOT NULL,
    low REAL NOT NULL,
    high REAL NOT NULL,
    created TEXT NOT NULL
);
CREATE TABLE objects (
    id INTEGER PRIMARY KEY,
    image_id INTEGER NOT NULL REFERENCES images(id),
    label INTEGER NOT NULL CHECK (label > 0),
    class_id INTEGER,
    source TEXT NOT NULL CHECK (source IN ('prompt', 'brush', 'edited')),
    height INTEGER NOT NULL,
    width INTEGER NOT NULL,
    counts BLOB NOT NULL,            -- COCO's compressed run lengths
    prompt TEXT,                     -- JSON
    corrections INTEGER NOT NULL DEFAULT 0,
    removed INTEGER NOT NULL DEFAULT 0,
    created TEXT NOT NULL,
    updated TEXT NOT NULL
);
CREATE UNIQUE INDEX one_object_per_label ON objects(image_id, label) WHERE removed = 0;
CREATE TABLE journal (
    id INTEGER PRIMARY KEY,
    object_id INTEGER NOT NULL REFERENCES objects(id),
    action TEXT NOT NULL,
    source TEXT,
    counts BLOB,                     -- the mask after the action, where it changed
    prompt TEXT,
    at TEXT NOT NULL
);
CREATE INDEX journal_of_object ON journal(object_id);
CREATE TABLE adapters (
    id INTEGER PRIMARY KEY,
    folder TEXT NOT NULL,
    base_model TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('new', 'accepted', 'rolled_back')),
    is_current INTEGER NOT NULL DEFAULT 0,
    card TEXT NOT NULL,              -- JSON
    created TEXT NOT NULL
);
CREATE UNIQUE INDEX one_current_adapter ON adapters(is_current) WHERE is_current = 1;
CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL              -- JSON
);
"""


def _sources(names: str) -> str:
    """Objects may have these sources. SQLite changes a constraint by a new table; foreign keys are off
    meanwhile: see `database._prepare`."""
    return f"""
CREATE TABLE new_objects (
    id INTEGER PRIMARY KEY,
    image_id INTEGER NOT NULL REFERENCES images(id),
    label INTEGER NOT NULL CHECK (label > 0),
    class_id INTEGER,
    source TEXT NOT NULL CHECK (source IN ({names})),
    height INTEGER NOT NULL,
    width INTEGER NOT NULL,
    counts BLOB NOT NULL,
    prompt TEXT,
    corrections INTEGER NOT NULL DEFAULT 0,
    removed INTEGER NOT NULL DEFAULT 0,
    created TEXT NOT NULL,
    updated TEXT NOT NULL
);
INSERT INTO new_objects SELECT * FROM objects;
DROP TABLE objects;
ALTER TABLE new_objects RENAME TO objects;
CREATE UNIQUE INDEX one_object_per_label ON objects(image_id, label) WHERE removed = 0;
"""


_VERSION_2 = _sources("'prompt', 'brush', 'edited', 'imported'")
_VERSION_3 = _sources("'prompt', 'brush', 'edited', 'imported', 'found'")
MIGRATIONS = (_VERSION_1, _VERSION_2, _VERSION_3)  # MIGRATIONS[v] turns version v into v + 1
SCHEMA_VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an open database to SCHEMA_VERSION; it is changed either wholly or not at all.

    Raises InfoSAMError for a database of a newer version or of another program.
    """
    if _checked_version(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _checked_version(connection)  # again: another process may have done it meanwhile
        for script in MIGRATIONS[version:]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _checked_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise InfoSAMError(
            f"the project was written by a newer version (its format is {version}, this one knows up to "
            f"{SCHEMA_VERSION}): update napari-infosam to open it"
        )
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    has_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    if has_tables and application != APPLICATION_ID:
        raise InfoSAMError("the database belongs to another program: choose another folder")
    return version


def _statements(script: str) -> list[str]:
    """Single statements: sqlite3's executescript would commit before each script."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
