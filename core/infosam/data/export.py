"""The labels of a project as files that other programs read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infosam.data.io import write_mask
from infosam.data.project import Project
from infosam.data.rle import rle_area
from infosam.data.store.images import write_copy
from infosam.data.store.records import ImageRecord, ObjectRecord
from infosam.types import BadInputError, InfoSAMError

ANNOTATIONS = "annotations.json"


@dataclass(frozen=True)
class Export:
    """What was written. missing: the images whose files are gone or have changed, so that only their labels
    are there."""

    folder: Path
    n_images: int
    n_objects: int
    missing: tuple[str, ...]


def export_labels(
    project: Project, folder: str | Path, progress: Callable[[int, int], None] | None = None
) -> Export:
    """Write the labelled images of a project and their labels into a new folder.

    images/NAME.tif: the raw pixels. masks/NAME.tif: (H, W) labels, 0 for background; where objects overlap,
    the oldest has the pixel. annotations.json: COCO, every object whole, as run lengths. The folder, and the
    COCO file alone, are data that `adapt` and `evaluate` read.

    Args:
        project: it stays as it is.
        folder: not there yet, or empty.
        progress: called with (images done, images in all).

    Raises:
        BadInputError: there are no objects, or the folder holds something.
        InfoSAMError: it cannot be written; nothing is left there then.
    """
    folder = Path(folder).resolve()
    objects: dict[int, list[ObjectRecord]] = {}
    for record in project.objects():
        objects.setdefault(record.image_id, []).append(record)
    images = [image for image in project.images() if image.id in objects]
    if not images:
        raise BadInputError(f"the project {project.folder} has no objects yet: there is nothing to export")
    try:
        if folder.exists() and any(folder.iterdir()):
            raise BadInputError(f"{folder} holds something already: name a new folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as staging:
            written = Path(staging, "written")
            missing = _write(project, images, objects, written, progress)
            if folder.exists():  # some systems put no folder in the place of another
                for part in written.iterdir():
                    part.replace(folder / part.name)
            else:
                written.replace(folder)
    except OSError as error:
        raise InfoSAMError(
            f"{folder} cannot be written ({error}): free some space there, or name another folder"
        ) from error
    return Export(folder, len(images), sum(map(len, objects.values())), missing)


def _write(
    project: Project,
    images: list[ImageRecord],
    objects: dict[int, list[ObjectRecord]],
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> tuple[str, ...]:
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    missing, entries, annotations = [], [], []
    for done, image in enumerate(images, start=1):
        name = f"{image.id:04}-{_plain(image.name)}.tif"
        try:
            write_copy(project.read_image(image.id), folder / "images" / name)
        except BadInputError:  # the file is gone: labels are worth more
            missing.append(image.name)
        write_mask(folder / "masks" / name, project.label_image(image.id))
        height, width = image.shape[:2]
        entries.append({"id": image.id, "file_name": f"images/{name}", "height": height, "width": width})
        annotations += [_annotation(record) for record in objects[image.id]]
        if progress is not None:
            progress(done, len(images))
    content = {
        "images": entries,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "object"}],
    }
    (folder / ANNOTATIONS).write_text(json.dumps(content), encoding="utf-8")
    return tuple(missing)


def _annotation(record: ObjectRecord) -> dict[str, Any]:
    r0, c0, r1, c1 = record.box
    return {
        "id": record.id,
        "image_id": record.image_id,
        "category_id": 1,
        "segmentation": {"size": list(record.rle.size), "counts": record.rle.counts.decode("ascii")},
        "bbox": [c0, r0, c1 - c0, r1 - r0],
        "area": rle_area(record.rle),
        "iscrowd": 0,
    }


def _plain(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w.-]+", "_", Path(name).stem).strip("._")[:80] or "image"
