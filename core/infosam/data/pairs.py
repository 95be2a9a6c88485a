"""Image files, and images with mask files: a folder with images/ and masks/, or a CSV with image,label."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
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


def image_files(source: str | Path) -> list[Path]:
    """The images that `source` names, labelled or not: one file, those of a folder or of the images/ in it,
    by stem, or those in the column image of a CSV, relative to its folder.

    Raises BadInputError where there are none, or two of a folder share a stem.
    """
    source = Path(source)
    if source.is_dir():
        within = source / IMAGE_FOLDER
        return list(_by_stem(within if within.is_dir() else source).values())
    if source.suffix.lower() == ".csv":
        images = [source.parent / row["image"] for row in _csv_rows(source, CSV_COLUMNS[:1])]
        if not images:
            raise BadInputError(f"{source} names no images: it has a header alone")
        return list(dict.fromkeys(images))
    if source.is_file() and source.suffix.lower() in IMAGE_SUFFIXES:
        return [source]
    raise BadInputError(
        f"{source} names no images: give an image file, a folder of images, or a CSV with a column image"
    )


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
    return [
        Pair(path.parent / row["image"], path.parent / row["label"]) for row in _csv_rows(path, CSV_COLUMNS)
    ]


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


def _csv_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """What a CSV has in these columns, row by row, stripped; raises BadInputError where that is nothing."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            header = rows.fieldnames or []
            if not set(columns) <= set(header):
                raise BadInputError(f"{path} needs {_columns(columns)}; it has {','.join(header) or 'none'}")
            return [_checked_row(path, rows.line_num, row, columns) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"cannot read {path} as CSV: {error}") from error


def _checked_row(path: Path, line: int, row: dict[str, str | None], columns: Sequence[str]) -> dict[str, str]:
    found = {column: (row[column] or "").strip() for column in columns}
    if not all(found.values()):
        raise BadInputError(f"{path}, line {line}: {' or '.join(columns)} is empty")
    return found


def _columns(columns: Sequence[str]) -> str:
    return f"the column{'s' * (len(columns) > 1)} {','.join(columns)}"


def _first_few(names: Iterable[str], count: int = 5) -> str:
    names = list(names)
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")
