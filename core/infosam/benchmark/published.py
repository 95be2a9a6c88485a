"""The paper's data sets, as they were published for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from infosam.types import BadInputError, InfoSAMError

HASHES = "downloads.json"
"""Beside the archives: their SHA-256 when they were first downloaded. None has been published."""

_ARCHIVES = "https://automl-mm-bench.s3.amazonaws.com/semantic_segmentation"


@dataclass(frozen=True)
class PublishedSet:
    """name: of the archive, and of the folder that it becomes. holds: what is in it, for people."""

    name: str
    holds: str
    address: str


SETS = tuple(
    PublishedSet(name, holds, f"{_ARCHIVES}/{name}.zip")
    for name, holds in (
        ("camo_sem_seg", "camouflaged animals: COD10K and CAMO, 4040 to train on"),
        ("isic2017", "skin lesions: ISIC 2017, 2000 to train on"),
        ("polyp", "polyps: Kvasir and CVC-ClinicDB, 1612 in all"),
        ("leaf_disease_segmentation", "leaf disease, 498 to train on"),
        ("road_segmentation", "roads from above, 1107 to train on"),
    )
)


def published(name: str) -> PublishedSet:
    """The set of this name. Raises BadInputError where there is none."""
    for known in SETS:
        if known.name == name:
            return known
    raise BadInputError(f"{name!r} is not one of {', '.join(known.name for known in SETS)}")


def download(wanted: PublishedSet, folder: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """The folder of the set in `folder`, downloaded unless its archive is there; a cut download goes on.

    progress: called with the bytes so far and in all. Raises InfoSAMError naming the address where it cannot
    be reached, or an archive that is broken or not the one that came first.
    """
    import pooch
    import requests

    from infosam.models.resume import ResumingDownloader

    try:
        folder.mkdir(parents=True, exist_ok=True)
        hashes = _hashes(folder)
        archive = folder / f"{wanted.name}.zip"
        downloader = ResumingDownloader(archive.with_suffix(".zip.part"), progress)
        pooch.retrieve(wanted.address, hashes.get(archive.name), archive.name, folder, downloader=downloader)
        place = _unpack(archive, wanted.name)
        hashes.setdefault(archive.name, pooch.file_hash(str(archive)))
        (folder / HASHES).write_text(json.dumps(hashes, indent=1) + "\n", encoding="utf-8")
    except (requests.RequestException, ValueError, BadZipFile, OSError) as error:
        raise InfoSAMError(
            f"could not get {wanted.name} from {wanted.address}: {error}. Downloaded by hand, unpack it as "
            f"{folder / wanted.name}"
        ) from error
    return place


def _hashes(folder: Path) -> dict[str, str]:
    record = folder / HASHES
    return dict(json.loads(record.read_text(encoding="utf-8"))) if record.exists() else {}


def _unpack(archive: Path, name: str) -> Path:
    """The folder `name` beside the archive; some archives have it inside. A broken archive is deleted."""
    place = archive.with_name(name)
    try:
        with ZipFile(archive) as file:
            inside = any(member.startswith(f"{name}/") for member in file.namelist())
            file.extractall(archive.parent if inside else place)
    except BadZipFile:
        archive.unlink()
        raise
    return place
