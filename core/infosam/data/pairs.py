"""Images with mask files: a folder with images/ and masks/, or a CSV with the columns image,label."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from infosam.data.intensity import intensity_range
from infosam.data.io import IMAGE_SUFFIXES, content_hash, read_image, read_mask
from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.data.objects import split_objects
from infosam.types import BadInputError

IMAGE_FOLDER, MASK_FOLDER = "images", "masks"
CSV_COLUMNS = ("image", "label")


@dataclass(frozen=True)
class Pair:
    """An image file with its mask file."""

    image: Path
    mask: Path


def folder_pairs(folder: Path) -> list[Pair]:
    """The files of folder/images and folder/masks with the same stem, whatever their extension, by stem.

    Raises BadInputError naming folders that are missing or empty, and stems that occur on one side only or
    twice.
    """
    images, masks = _by_stem(folder / IMAGE_FOLDER), _by_stem(folder / MASK_FOLDER)
    for here, there, what in ((images, masks, MASK_FOLDER), (masks, images, IMAGE_FOLDER)):
        alone = sorted(here.keys() - there.keys())
        if alone:
            raise BadInputError(
                f"{folder}: {len(alone)} files have no file of the same stem in {what}/: {_first_few(alone)}"
            )
    return [Pair(images[stem], masks[stem]) for stem in sorted(images)]


def csv_pairs(path: Path) -> list[Pair]:
    """The rows of a CSV with the columns image and label, paths being relative to the CSV's folder.

    Other columns are ignored, blank lines skipped. Raises BadInputError naming the missing column or the
    bad line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            header = rows.fieldnames or []
            if not set(CSV_COLUMNS) <= set(header):
                raise BadInputError(
                    f"{path} needs the columns image,label; it has {','.join(header) or 'none'}"
                )
            return [_csv_pair(path, rows.line_num, row) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"cannot read {path} as CSV: {error}") from error


def read_pair(pair: Pair, rule: str) -> LabelledImage:
    """The pair as a labelled image; raises BadInputError where a file is unreadable, the sizes differ or the
    mask's edges were smoothed."""
    image, labels = read_image(pair.image), read_mask(pair.mask)
    if image.shape[:2] != labels.shape:
        raise BadInputError(
            f"image and mask differ in size: {pair.image} is {image.shape[:2]}, {pair.mask} is {labels.shape}"
        )
    try:
        objects = [
            LabelledObject(rle, key=str(number))
            for number, rle in enumerate(split_objects(labels, rule), start=1)
        ]
    except BadInputError as error:
        raise BadInputError(f"{pair.mask}: {error}") from error
    load = partial(read_image, pair.image)
    return LabelledImage(
        content_hash(image), pair.image.name, load, objects, intensity_range(image), path=pair.image
    )


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise BadInputError(f"the folder {folder} is missing: data needs {IMAGE_FOLDER}/ and {MASK_FOLDER}/")
    files = sorted(
        file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()
    )
    files = [file for file in files if not file.name.startswith(".")]
    if not files:
        raise BadInputError(f"the folder {folder} holds no image files ({', '.join(IMAGE_SUFFIXES)})")
    stems: dict[str, Path] = {}
    for file in files:
        if file.stem in stems:
            raise BadInputError(f"{folder}: {stems[file.stem].name} and {file.name} share a stem: rename one")
        stems[file.stem] = file
    return stems


def _csv_pair(path: Path, line: int, row: dict[str, str | None]) -> Pair:
    image, label = row["image"], row["label"]
    if not image or not label:
        raise BadInputError(f"{path}, line {line}: image or label is empty")
    return Pair(path.parent / image.strip(), path.parent / label.strip())


def _first_few(names: Iterable[str], count: int = 5) -> str:
    names = list(names)
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")
