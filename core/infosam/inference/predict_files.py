"""Automatic masks for many image files, in a folder that is data again."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infosam.data.io import printable, read_image, read_mask, write_mask
from infosam.data.pairs import CSV_COLUMNS, MASK_FOLDER
from infosam.inference.everything import label_image
from infosam.inference.predictor import Predictor
from infosam.types import BadInputError, InfoSAMError

TABLE_NAME, SETTINGS_NAME = "labels.csv", "settings.json"


@dataclass(frozen=True)
class Predicted:
    """One image is done. mask: the file of its labels. n_objects: in it. failure: why the image was passed
    over, None where it was not."""

    image: Path
    mask: Path
    n_objects: int
    failure: str | None = None


def predict_files(
    predictor: Predictor,
    images: Sequence[Path],
    folder: str | Path,
    *,
    extent: float | None = None,
    min_score: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Predicted]:
    """Find the objects of every image; each is written before it is yielded.

    masks/STEM.tif: (H, W) labels, 0 for background, the surest object first. labels.csv: images and masks,
    data for `infosam import`, `evaluate` and `adapt`. settings.json: what the masks were made with. What the
    folder has of the same images, by their paths, with the same settings is not made again. Images that
    cannot be read are passed over.

    Args:
        predictor: its image is replaced.
        images: files with different stems.
        folder: not there yet, empty, or one that this has written to.
        extent, min_score: as in `Predictor.find_objects`.
        progress: called for each image with (clicks answered, clicks in all).

    Raises:
        BadInputError: two images share a stem, a setting is no such number, or the folder holds something
            else: other files, masks of other images of these names, or masks with other settings.
        InfoSAMError: a file cannot be written, or the GPU's memory does not suffice; what is done stays.
    """
    folder = Path(folder).resolve()
    masks = _mask_files(images, folder / MASK_FOLDER)
    settings = {
        "model": predictor.model.fingerprint,
        "zoom": predictor.zoom,
        "extent": None if extent is None else float(extent),
        "min_score": None if min_score is None else float(min_score),
    }
    try:
        _claim(folder, settings)
        table = _Table(folder)
        for image, mask in zip(images, masks, strict=True):
            table.check(image, mask)
        for image, mask in zip(images, masks, strict=True):
            if table.has(mask):
                found = Predicted(image, mask, int(read_mask(mask).max()))
            else:
                found = _predicted(predictor, image, mask, extent, min_score, progress)
                if found.failure is None:
                    table.add(image, mask)
            yield found
    except OSError as error:
        raise InfoSAMError(
            f"{folder} cannot be written ({error}): free some space there, or name another folder"
        ) from error


class _Table:
    """The labels.csv of a folder: the image of each mask that is done."""

    def __init__(self, folder: Path) -> None:
        self._path, self._folder = folder / TABLE_NAME, folder
        self._images: dict[str, str] = {}
        if self._path.exists():
            with self._path.open(newline="", encoding="utf-8") as file:
                rows = [(row["label"], row["image"]) for row in csv.DictReader(file)]
            # A row that was not written to its end, and those whose mask was removed, are done again.
            self._images = {label: image for label, image in rows if label and (folder / label).is_file()}
        unfinished = _unfinished(self._path)
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(CSV_COLUMNS)
            table.writerows((image, label) for label, image in self._images.items())
        unfinished.replace(self._path)

    def has(self, mask: Path) -> bool:
        return self._label(mask) in self._images

    def check(self, image: Path, mask: Path) -> None:
        """Raise BadInputError where the mask is that of another image."""
        known = self._images.get(self._label(mask), str(image.resolve()))
        if known != str(image.resolve()):
            raise BadInputError(f"{mask} is the mask of {known}, not of {image}: name a new folder")

    def add(self, image: Path, mask: Path) -> None:
        self._images[self._label(mask)] = str(image.resolve())
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([image.resolve(), self._label(mask)])

    def _label(self, mask: Path) -> str:
        return mask.relative_to(self._folder).as_posix()


def _mask_files(images: Sequence[Path], folder: Path) -> list[Path]:
    """Where the labels of each image go."""
    stems: dict[str, Path] = {}
    for image in images:
        other = stems.setdefault(image.stem.casefold(), image)  # not every file system tells a from A
        if other is not image:
            raise BadInputError(f"{other} and {image} share a stem, and so would their masks: rename one")
    return [folder / f"{image.stem}.tif" for image in images]


def _claim(folder: Path, settings: Mapping[str, str | float | None]) -> None:
    """Make the folder, or go on in it."""
    note, masks = folder / SETTINGS_NAME, folder / MASK_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    if not note.is_file() and any(folder.iterdir()):
        raise BadInputError(f"{folder} holds something already: name a new folder")
    is_begun = masks.is_dir() and any(not mask.name.startswith(".") for mask in masks.iterdir())
    if is_begun and json.loads(note.read_text(encoding="utf-8")) != settings:
        raise BadInputError(f"{folder} holds masks of another model or other settings: name a new folder")
    note.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    masks.mkdir(exist_ok=True)


def _predicted(
    predictor: Predictor,
    image: Path,
    mask: Path,
    extent: float | None,
    min_score: float | None,
    progress: Callable[[int, int], None] | None,
) -> Predicted:
    name = printable(str(image))
    if name != str(image):
        return Predicted(image, mask, 0, f"{name}: no table can hold this name, rename the file")
    try:
        pixels = read_image(image)
    except BadInputError as error:
        return Predicted(image, mask, 0, str(error))
    found = predictor.set_image(pixels).find_objects(extent, min_score, progress)
    # A file that is there is whole, whatever happens meanwhile.
    write_mask(_unfinished(mask), label_image(found, predictor.shape)).replace(mask)
    return Predicted(image, mask, len(found))


def _unfinished(path: Path) -> Path:
    """Where a file is written before it takes its place; other processes have others."""
    return path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
