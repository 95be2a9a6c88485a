"""The images of a project: files known by path and content hash, or copies that the project writes itself."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from infosam.data.intensity import check_image, intensity_range
from infosam.data.io import content_hash, printable, read_image
from infosam.data.store.database import Database, now
from infosam.data.store.records import ImageRecord
from infosam.types import BadInputError, InfoSAMError, IntensityRange


class ImageTable:
    """Images by content: adding the same pixels twice gives the same image."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def add(
        self, array: NDArray[Any], path: str | Path | None, name: str | None, plane: tuple[int, ...] | None
    ) -> ImageRecord:
        check_image(array)
        key = content_hash(array)
        known = self.find(key)
        if known is not None:
            return known
        intensity = intensity_range(array)
        source = Path(os.path.abspath(path)) if path is not None else None
        kept = source if plane is None and source is not None and _can_be_kept(source, key) else None
        file = kept or write_copy(array, self._folder / "images" / f"{key[:16]}.tif")
        values = {
            "content_hash": key,
            "name": printable(name or (source.name if source else "image")),
            "path": relative_to(file, self._folder),
            "is_copy": kept is None,
            "plane": None if plane is None else json.dumps([int(index) for index in plane]),
            "shape": json.dumps(array.shape),
            "dtype": array.dtype.newbyteorder("=").name,
            "low": intensity.low,
            "high": intensity.high,
            "created": now(),
        }
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        with self._database.transaction() as connection:
            connection.execute(  # DO NOTHING: another thread may have been faster
                f"INSERT INTO images({columns}) VALUES ({marks}) ON CONFLICT(content_hash) DO NOTHING",
                tuple(values.values()),
            )
        added = self.find(key)
        assert added is not None
        return added

    def all(self) -> list[ImageRecord]:
        return [self._record(row) for row in self._database.rows("SELECT * FROM images ORDER BY id")]

    def find(self, key: str) -> ImageRecord | None:
        rows = self._database.rows("SELECT * FROM images WHERE content_hash = ?", (key,))
        return self._record(rows[0]) if rows else None

    def get(self, image_id: int) -> ImageRecord:
        rows = self._database.rows("SELECT * FROM images WHERE id = ?", (image_id,))
        if not rows:
            raise BadInputError(f"the project has no image {image_id}")
        return self._record(rows[0])

    def _record(self, row: sqlite3.Row) -> ImageRecord:
        return ImageRecord(
            id=row["id"],
            content_hash=row["content_hash"],
            name=row["name"],
            path=self._folder / row["path"],
            is_copy=bool(row["is_copy"]),
            plane=None if row["plane"] is None else tuple(json.loads(row["plane"])),
            shape=tuple(json.loads(row["shape"])),
            dtype=row["dtype"],
            intensity=IntensityRange(row["low"], row["high"]),
            created=row["created"],
        )


def read_recorded(record: ImageRecord) -> NDArray[Any]:
    """The raw pixels; raises BadInputError where the file is missing or has changed since."""
    if not record.path.is_file():
        raise BadInputError(
            f"{record.path} is missing, from which {record.name!r} was annotated: put it back"
        )
    image = read_image(record.path)
    if record.is_copy and image.size == math.prod(record.shape):  # what `write_copy` had to change
        image = image.reshape(record.shape).astype(record.dtype, copy=False)
    if content_hash(image) != record.content_hash:
        raise BadInputError(
            f"{record.path} has changed since {record.name!r} was annotated: put the old file back, "
            "or add the new one as an image of its own"
        )
    return image


def relative_to(path: Path, folder: Path) -> str:
    """Relative inside the folder, so that a project can be moved; absolute elsewhere."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _can_be_kept(path: Path, key: str) -> bool:
    """Whether reading the file gives those pixels, since the training process will read it by itself, and its
    name can be written."""
    if printable(str(path)) != str(path):
        return False
    try:
        return content_hash(read_image(path)) == key
    except BadInputError:
        return False


def write_copy(array: NDArray[Any], path: Path) -> Path:
    """Write a TIFF under another name first, so that a file of the final name is always whole."""
    # TIFF has no channel axis of length one, and no colours of one bit; see read_recorded.
    pixels = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    pixels = pixels.astype(np.uint8) if pixels.dtype == np.bool_ else pixels
    colour = pixels.ndim == 3
    partial = path.with_name(f"{path.stem}.{uuid.uuid4().hex[:8]}.part.tif")
    try:
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(
            partial,
            np.ascontiguousarray(pixels),
            photometric="rgb" if colour else "minisblack",
            extrasamples=("unassalpha",) if colour and pixels.shape[2] == 4 else None,
        )
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InfoSAMError(
            f"cannot write {path}: {error}; free some space or choose another folder"
        ) from error
    return path
