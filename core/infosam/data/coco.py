"""COCO JSON: objects as polygons or run lengths."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from infosam.data.intensity import intensity_range
from infosam.data.io import content_hash, read_image
from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.data.objects import components
from infosam.data.rle import RLE, decode_mask, decode_window, encode_window, rle_area
from infosam.types import BadInputError, BoolArray


@dataclass(frozen=True)
class CocoImage:
    """One image of a COCO file: where it lies, its (H, W), and its annotations as they stand in the file."""

    path: Path
    size: tuple[int, int]
    annotations: tuple[dict[str, Any], ...]


def coco_images(path: Path) -> list[CocoImage]:
    """The images of a COCO file in its order, looked for beside it and in images/.

    Crowds (iscrowd) and annotations without a segmentation are left out. Raises BadInputError if the file
    is no COCO JSON.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        annotations = defaultdict(list)
        for annotation in content["annotations"]:
            if annotation.get("segmentation") and not annotation.get("iscrowd"):
                annotations[annotation["image_id"]].append(annotation)
        return [
            CocoImage(
                _find(path.parent, image["file_name"]),
                (int(image["height"]), int(image["width"])),
                tuple(annotations[image["id"]]),
            )
            for image in content["images"]
        ]
    except KeyError as error:
        raise BadInputError(f"{path} is no COCO file: it lacks {error}") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BadInputError(f"cannot read {path} as COCO JSON: {error}") from error


def read_coco(entry: CocoImage, rule: str) -> LabelledImage:
    """The image; one object is an annotation (labels, auto, separate), a component of a category, or
    all (image).

    Raises BadInputError where the image is unreadable or its size is not the one stated, or a segmentation
    is bad.
    """
    image = read_image(entry.path)
    if image.shape[:2] != entry.size:
        raise BadInputError(f"{entry.path} is {image.shape[:2]}, but its COCO entry says {entry.size} (H, W)")
    objects = _objects(entry, rule)
    load = partial(read_image, entry.path)
    return LabelledImage(
        content_hash(image), entry.path.name, load, objects, intensity_range(image), path=entry.path
    )


def _objects(entry: CocoImage, rule: str) -> list[LabelledObject]:
    masks = [(annotation, _mask(annotation, entry)) for annotation in entry.annotations]
    if rule in ("labels", "auto", "separate"):
        return [
            LabelledObject(rle, key=str(annotation.get("id", "")))
            for annotation, rle in masks
            if rle_area(rle)
        ]
    groups: dict[Any, BoolArray] = {}
    for annotation, rle in masks:
        group = annotation.get("category_id") if rule == "components" else None
        groups[group] = groups.get(group, np.zeros(entry.size, dtype=np.bool_)) | decode_mask(rle)
    parts: list[BoolArray | RLE] = []
    for group in filter(np.any, groups.values()):
        parts += components(group) if rule == "components" else [group]
    return [LabelledObject(part, key=str(number)) for number, part in enumerate(parts, start=1)]


def _mask(annotation: dict[str, Any], entry: CocoImage) -> RLE:
    """The mask of a segmentation: a list of polygons, or run lengths, compressed or not."""
    segmentation, size = annotation["segmentation"], entry.size
    try:
        if isinstance(segmentation, list):
            if any(len(polygon) < 6 or len(polygon) % 2 for polygon in segmentation):
                raise ValueError("a polygon needs at least three x, y pairs")
            coded = coco_mask.merge(coco_mask.frPyObjects(segmentation, *size))
        elif isinstance(segmentation["counts"], list):
            if sum(segmentation["counts"]) != size[0] * size[1]:
                raise ValueError(f"its run lengths do not fill an image of {size}")
            coded = coco_mask.frPyObjects(segmentation, *segmentation["size"])
        else:
            coded = {"size": segmentation["size"], "counts": segmentation["counts"].encode()}
        if tuple(coded["size"]) != size:
            raise ValueError(f"its size is {tuple(coded['size'])}, the image's {size}")
        (rows, columns), inside = decode_window(RLE(size, coded["counts"]))
        return encode_window(inside, (rows.start, columns.start), size)  # as we write it ourselves
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        name = f"annotation {annotation.get('id', '?')} of {entry.path.name}"
        raise BadInputError(f"{name} has a bad segmentation: {error}") from error


def _find(folder: Path, name: str) -> Path:
    beside = folder / name
    return beside if beside.exists() else folder / "images" / name
