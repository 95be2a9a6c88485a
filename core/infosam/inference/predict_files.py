"""Automatic masks for many image files, in a folder that is data again."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infosam.data.io import read_image, read_mask, write_mask
from infosam.data.pairs import CSV_COLUMNS, MASK_FOLDER
from infosam.inference.everything import label_image
from infosam.inference.predictor import Predictor
from infosam.types import BadInputError, InfoSAMError

TABLE_NAME, SETTINGS_NAME = "labels.csv", "settings.json"
_UNFINISHED = ".unfinished.tif"


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
    data for `infosam import`, `evaluate` and `adapt`. settings.json: what the masks were made with. A folder
    that was left unfinished with the same settings is gone on with. Images that cannot be read are passed
    over.

    Args:
        predictor: its image is replaced.
        images: files with different stems.
        folder: not there yet, empty, or with the beginnings of the same.
        extent, min_score: as in `Predictor.find_objects`.
        progress: called for each image with (clicks answered, clicks in all).

    Raises:
        BadInputError: two images share a stem, a setting is no such number, or the folder holds something
            else.
        InfoSAMError: a file cannot be written, or the GPU's memory does not suffice; what is done stays.
    """
    folder = Path(folder).resolve()
    masks = _mask_files(images, folder / MASK_FOLDER)
    settings = {
        "model": predictor.model.fingerprint,
        "zoom": predictor.zoom,
        "extent": extent,
        "min_score": min_score,
    }
    try:
        _claim(folder, settings)
        with (folder / TABLE_NAME).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(CSV_COLUMNS)
            for image, mask in zip(images, masks, strict=True):
                found = _known(image, mask) or _predicted(predictor, image, mask, extent, min_score, progress)
                if found.failure is None:
                    table.writerow([image.resolve(), mask.relative_to(folder).as_posix()])
                    file.flush()
                yield found
    except OSError as error:
        raise InfoSAMError(
            f"{folder} cannot be written ({error}): free some space there, or name another folder"
        ) from error


def _mask_files(images: Sequence[Path], folder: Path) -> list[Path]:
    """Where the labels of each image go."""
    stems: dict[str, Path] = {}
    for image in images:
        other = stems.setdefault(image.stem, image)
        if other is not image:
            raise BadInputError(
                f"{other} and {image} share a stem: rename one, their masks would have one name"
            )
    return [folder / f"{stem}.tif" for stem in stems]


def _claim(folder: Path, settings: Mapping[str, str | float | None]) -> None:
    """Make the folder, or go on in it."""
    note, text = folder / SETTINGS_NAME, json.dumps(settings, indent=2) + "\n"
    if not folder.exists() or not any(folder.iterdir()):
        (folder / MASK_FOLDER).mkdir(parents=True)
        note.write_text(text, encoding="utf-8")
    elif not note.is_file():
        raise BadInputError(f"{folder} holds something already: name a new folder")
    elif note.read_text(encoding="utf-8") != text:
        raise BadInputError(f"{folder} holds masks of another model or other settings: name a new folder")


def _known(image: Path, mask: Path) -> Predicted | None:
    """What an earlier run made of an image."""
    return Predicted(image, mask, int(read_mask(mask).max())) if mask.is_file() else None


def _predicted(
    predictor: Predictor,
    image: Path,
    mask: Path,
    extent: float | None,
    min_score: float | None,
    progress: Callable[[int, int], None] | None,
) -> Predicted:
    try:
        pixels = read_image(image)
    except BadInputError as error:
        return Predicted(image, mask, 0, str(error))
    found = predictor.set_image(pixels).find_objects(extent, min_score, progress)
    # A file that is there is whole, whatever happens meanwhile.
    unfinished = write_mask(mask.with_name(_UNFINISHED), label_image(found, predictor.shape))
    unfinished.replace(mask)
    return Predicted(image, mask, len(found))
