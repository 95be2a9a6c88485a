"""The annotation project: a folder that keeps everything from the first click on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import platformdirs
from numpy.typing import NDArray

from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.data.overlap import free_parts
from infosam.data.rle import RLE, decode_mask, decode_window
from infosam.data.store.adapters import AdapterTable
from infosam.data.store.database import Database
from infosam.data.store.images import ImageTable, read_recorded
from infosam.data.store.objects import ObjectTable
from infosam.data.store.records import AdapterRecord, ImageRecord, ObjectRecord, ObjectSource, Revision
from infosam.types import BadInputError, BoolArray, InfoSAMError, Prompt

DATABASE_NAME = "project.sqlite"
ADAPTER_FOLDER = "adapters"
DATA_VARIABLE = "INFOSAM_DATA"


def default_project_folder() -> Path:
    """Where an unsaved session is kept: under $INFOSAM_DATA, or else the user's data folder."""
    data = os.environ.get(DATA_VARIABLE) or platformdirs.user_data_dir("napari-infosam", appauthor=False)
    return Path(data) / "autosave"


class Project:
    """Images, objects with their prompts and history, adapters and settings, in one folder.

    Every call is committed when it returns: a killed process loses nothing of it. A project may be used
    from several threads, and read by other processes meanwhile. Everything that can go wrong with the
    folder or its database raises InfoSAMError, and so does any call after `close`; unknown ids raise
    BadInputError.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database = Database(folder / DATABASE_NAME)
        self._images = ImageTable(self._database, folder)
        self._objects = ObjectTable(self._database)
        self._adapters = AdapterTable(self._database, folder)

    @classmethod
    def create(cls, folder: str | Path) -> Self:
        """A new project in a folder, made if need be; raises BadInputError if it holds one already."""
        if cls.exists(folder):
            raise BadInputError(f"{folder} holds a project already: open it, or choose another folder")
        folder = Path(os.path.abspath(folder))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InfoSAMError(f"cannot make the folder {folder}: {error}; choose another one") from error
        return cls(folder)

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """The project in a folder; raises BadInputError if there is none."""
        if not cls.exists(folder):
            raise BadInputError(f"{folder} holds no project (no {DATABASE_NAME})")
        return cls(Path(os.path.abspath(folder)))

    @staticmethod
    def exists(folder: str | Path) -> bool:
        """Whether the folder holds a project."""
        return (Path(folder) / DATABASE_NAME).is_file()

    def close(self) -> None:
        """Let go of the database; closing twice is fine."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---------------------------------------------------------------------------------------- images

    def add_image(
        self,
        array: NDArray[Any],
        *,
        path: str | Path | None = None,
        name: str | None = None,
        plane: tuple[int, ...] | None = None,
    ) -> ImageRecord:
        """Add an image, or find the one with the same pixels.

        array: raw pixels, (H, W) or (H, W, C). path: the file it was opened from; it is used if reading it
        gives the same pixels. Otherwise, and for a plane of a stack, a TIFF copy is written into the
        project.
        """
        return self._images.add(array, path, name, plane)

    def images(self) -> list[ImageRecord]:
        """All images, oldest first."""
        return self._images.all()

    def find_image(self, content_hash: str) -> ImageRecord | None:
        """The image with these pixels (`io.content_hash`), if the project has it."""
        return self._images.find(content_hash)

    def read_image(self, image_id: int) -> NDArray[Any]:
        """The raw pixels; raises BadInputError where the file is missing or has changed since."""
        return read_recorded(self._images.get(image_id))

    # --------------------------------------------------------------------------------------- objects

    def add_object(
        self,
        image_id: int,
        mask: BoolArray | RLE,
        *,
        label: int,
        prompt: Prompt | None = None,
        source: ObjectSource = "prompt",
    ) -> ObjectRecord:
        """Commit an object: its mask, (H, W) or as run lengths, its label value in the image, and the prompts
        that made it.

        Raises BadInputError where the mask is empty or of another size, or the label is taken.
        """
        return self._objects.add(self._images.get(image_id), mask, label, prompt, source)

    def import_objects(
        self, image_id: int, masks: Sequence[BoolArray | RLE], source: ObjectSource = "imported"
    ) -> list[ObjectRecord]:
        """Commit masks that nobody drew here, (H, W) or as run lengths: all of them or none.

        They get the labels after the image's last. A pixel has one object: those that are there keep theirs,
        and of two new ones the smaller has what they share. A mask is passed over if others have most of it,
        since it is one of them, then, as somebody else drew it.

        Raises BadInputError where a mask is empty or of another size.
        """
        taken = self.label_image(image_id) > 0
        return self._objects.add_all(self._images.get(image_id), free_parts(masks, taken), source)

    def update_object(
        self,
        object_id: int,
        mask: BoolArray | RLE,
        *,
        source: ObjectSource = "brush",
        prompt: Prompt | None = None,
    ) -> ObjectRecord:
        """Change an object's mask; what it was stays in `history`. Without a prompt the last one is kept."""
        return self._objects.update(object_id, mask, source, prompt)

    def revert_object(self, record: ObjectRecord) -> ObjectRecord:
        """Bring an object back to what it was when it was handed out as `record`: mask, source and prompt.

        Raises BadInputError if it was removed, and its label has been given to another one.
        """
        return self._objects.revert(record)

    def remove_object(self, object_id: int) -> ObjectRecord:
        """Take an object out of the image; `restore_object` brings it back."""
        return self._objects.set_removed([object_id], True)[0]

    def restore_object(self, object_id: int) -> ObjectRecord:
        """Bring a removed object back; raises BadInputError if its label has been given to another one."""
        return self._objects.set_removed([object_id], False)[0]

    def remove_objects(self, object_ids: Sequence[int]) -> None:
        """Take many objects out of their images, in one step."""
        self._objects.set_removed(object_ids, True)

    def restore_objects(self, object_ids: Sequence[int]) -> None:
        """Bring many removed objects back, all or, where a label has been given to another one, none."""
        self._objects.set_removed(object_ids, False)

    def objects(self, image_id: int | None = None, include_removed: bool = False) -> list[ObjectRecord]:
        """The objects of one image, or of all, oldest first."""
        return self._objects.all(image_id, include_removed)

    def mask(self, object_id: int) -> BoolArray:
        """(H, W) bool."""
        return decode_mask(self._objects.get(object_id).rle)

    def history(self, object_id: int) -> list[Revision]:
        """Everything that was done to an object, oldest first."""
        return self._objects.history(object_id)

    def label_image(self, image_id: int) -> NDArray[np.int32]:
        """(H, W): the label of the object that owns each pixel, 0 for none; of several, the oldest."""
        labels = np.zeros(self._images.get(image_id).shape[:2], dtype=np.int32)
        for record in self.objects(image_id):
            window, inside = decode_window(record.rle)
            part = labels[window]
            part[inside & (part == 0)] = record.label
        return labels

    @property
    def revision(self) -> int:
        """A number that grows with every change of an object; 0 before the first."""
        return self._objects.revision

    def changed_objects(self, image_id: int, since: int) -> set[int]:
        """The ids of the objects of an image that have changed after an earlier `revision`."""
        return self._objects.changed(image_id, since)

    def object_counts(self) -> dict[str, int]:
        """How many objects each labelled image has, by `ImageRecord.content_hash`."""
        return self._objects.counts()

    def labelled_images(self, revision: int | None = None) -> list[LabelledImage]:
        """The images that have objects, for training and evaluation; usable after the project is closed.

        revision: as they were then, for a run that goes on although people have annotated meanwhile.
        """
        records = self.objects() if revision is None else self._objects.at(revision)
        of_image: dict[int, list[ObjectRecord]] = {}
        for record in records:
            of_image.setdefault(record.image_id, []).append(record)
        return [self._labelled(image, of_image[image.id]) for image in self.images() if image.id in of_image]

    @staticmethod
    def _labelled(image: ImageRecord, records: list[ObjectRecord]) -> LabelledImage:
        objects = [LabelledObject(record.rle, _usable(record), key=str(record.label)) for record in records]
        return LabelledImage(
            image.content_hash,
            image.name,
            partial(read_recorded, image),
            objects,
            image.intensity,
            path=None if image.is_copy else image.path,
            plane=image.plane,
        )

    # -------------------------------------------------------------------------- adapters and settings

    @property
    def adapter_folder(self) -> Path:
        """Where the project's own adapters lie, each in a folder."""
        return self.folder / ADAPTER_FOLDER

    def add_adapter(
        self, folder: str | Path, *, base_model: str, card: Mapping[str, Any] | None = None
    ) -> AdapterRecord:
        """Note an adapter folder, with its before/after card as JSON values; it is not in use yet."""
        return self._adapters.add(folder, base_model, card or {})

    def adapters(self) -> list[AdapterRecord]:
        """All adapters, oldest first."""
        return self._adapters.all()

    def current_adapter(self) -> AdapterRecord | None:
        """The adapter in use."""
        return self._adapters.current()

    def set_current_adapter(self, adapter_id: int | None) -> None:
        """Accept an adapter and use it, which rolls a newer one back; None: use none, and decline none."""
        self._adapters.set_current(adapter_id)

    def roll_back_adapter(self, adapter_id: int) -> None:
        """Decline an adapter."""
        self._adapters.roll_back(adapter_id)

    def remove_adapter(self, adapter_id: int) -> None:
        """Forget an adapter, and delete its folder where that lies among the project's own.

        Raises InfoSAMError where files cannot be deleted; the adapter is forgotten all the same.
        """
        folder = self._adapters.get(adapter_id).folder
        self._adapters.remove(adapter_id)
        if folder.parent != self.adapter_folder or not folder.exists():
            return
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise InfoSAMError(f"the files in {folder} could not all be deleted ({error})") from error

    def get_setting(self, key: str, default: Any = None) -> Any:
        """A value that `set_setting` kept, or the default."""
        rows = self._database.rows("SELECT value FROM settings WHERE key = ?", (key,))
        return json.loads(rows[0]["value"]) if rows else default

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a JSON value."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO settings(key, value) VALUES (?, ?)"
                " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                (key, json.dumps(value)),
            )


def _usable(record: ObjectRecord) -> Prompt | None:
    """The prompt of an object where it is one for the mask that the object has now: one that held only a mask
    is empty once read back, and the brush may have moved the object elsewhere."""
    prompt = record.prompt
    if prompt is None or prompt.is_empty:
        return None
    (rows, columns), inside = decode_window(record.rle)
    if prompt.box is not None:
        r0, c0, r1, c1 = prompt.box
        if min(r1, rows.stop) <= max(r0, rows.start) or min(c1, columns.stop) <= max(c0, columns.start):
            return None
    places = [(round(row) - rows.start, round(column) - columns.start) for row, column in prompt.positive]
    height, width = inside.shape
    hits = [0 <= row < height and 0 <= column < width and inside[row, column] for row, column in places]
    return prompt if any(hits) or not hits else None
