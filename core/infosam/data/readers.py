"""Labelled data of any supported kind as a list of labelled images."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from infosam.data.coco import coco_images, read_coco
from infosam.data.labelled import LabelledImage
from infosam.data.objects import check_rule
from infosam.data.pairs import csv_pairs, folder_pairs, read_pair
from infosam.data.project import Project
from infosam.types import BadInputError

log = logging.getLogger(__name__)

Entry = Callable[[], LabelledImage]


def read_data(
    source: str | Path,
    *,
    objects: str = "auto",
    limit: int | None = None,
    seed: int = 0,
    revision: int | None = None,
) -> list[LabelledImage]:
    """The labelled images of `source`, in a stable order.

    source: a folder with images/ and masks/ (matching stems), a CSV with the columns image,label, a COCO
    JSON, or an annotation project. objects: what one object is, see `split_objects`; a project's objects
    are what was committed. limit: read only that many images, chosen at random by `seed`. revision: of a
    project, the labels as they were then. Images without objects are left out, with a logged warning.
    Raises BadInputError naming the file or folder that cannot be used.
    """
    return _chosen(data_entries(source, objects, revision), str(source), limit, seed)


def data_entries(source: str | Path, objects: str = "auto", revision: int | None = None) -> Sequence[Entry]:
    """As `read_data`, the images one by one: each call reads one, which may have no objects."""
    check_rule(objects)
    return _entries(Path(source), objects, revision)


def choose(
    images: Sequence[LabelledImage], *, limit: int | None = None, seed: int = 0
) -> list[LabelledImage]:
    """Of a list of images, those that `read_data` would read if they lay in a folder in this order."""
    return _chosen([partial(_already_read, image) for image in images], "the list of images", limit, seed)


def _chosen(entries: Sequence[Entry], source: str, limit: int | None, seed: int) -> list[LabelledImage]:
    if limit is not None and limit < 1:
        raise BadInputError(f"limit must be at least 1, not {limit}")
    images = _read(entries, _order(len(entries), limit, seed), limit)
    if not images:
        raise BadInputError(f"{source} holds no labelled objects: label at least one object in one image")
    return images


def _entries(source: Path, rule: str, revision: int | None) -> Sequence[Entry]:
    if Project.exists(source):
        with Project.open(source) as project:
            return [partial(_already_read, image) for image in project.labelled_images(revision)]
    if revision is not None:
        raise BadInputError(f"only a project has revisions, and {source} is none")
    if source.is_dir():
        return [partial(read_pair, pair, rule) for pair in folder_pairs(source)]
    if not source.exists():
        raise BadInputError(f"{source} is missing")
    if source.suffix.lower() == ".csv":
        return [partial(read_pair, pair, rule) for pair in csv_pairs(source)]
    if source.suffix.lower() == ".json":
        return [partial(read_coco, image, rule) for image in coco_images(source)]
    raise BadInputError(
        f"cannot read {source}: data is a folder with images/ and masks/, a CSV with the columns "
        "image,label, a COCO JSON, or an annotation project"
    )


def _already_read(image: LabelledImage) -> LabelledImage:
    return image


def _order(count: int, limit: int | None, seed: int) -> Iterable[int]:
    if limit is None:
        return range(count)
    order: list[int] = np.random.default_rng(seed).permutation(count).tolist()
    return order


def _read(entries: Sequence[Entry], order: Iterable[int], limit: int | None) -> list[LabelledImage]:
    """The first `limit` entries in `order` that have objects, put back into the entries' own order."""
    read: dict[int, LabelledImage] = {}
    for index in order:
        if limit is not None and len(read) == limit:
            break
        image = entries[index]()
        if image.objects():
            read[index] = image
        else:
            log.warning("%s has no objects: it is left out", image.name)
    return [read[index] for index in sorted(read)]
