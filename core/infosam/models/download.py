"""Official checkpoints: fetched on first use, kept in the user's cache folder, verified by SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock

from infosam.types import InfoSAMError

Progress = Callable[[int, int], None]  # (bytes so far, bytes in all)


@dataclass(frozen=True)
class Download:
    """One official file. about_bytes is for people; only the hash decides whether a file is right."""

    url: str
    sha256: str
    about_bytes: int

    @property
    def file_name(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    @property
    def path(self) -> Path:
        """Where the file lies once it is here; a file that was downloaded by hand is picked up there."""
        return cache_folder() / self.file_name


def cache_folder() -> Path:
    """The folder of the checkpoints: INFOSAM_CACHE if it is set, else the user's cache folder."""
    override = os.environ.get("INFOSAM_CACHE")
    return Path(override).expanduser() if override else Path(platformdirs.user_cache_dir("infosam", False))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file as lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(download: Download, progress: Progress | None = None) -> Path:
    """The verified file on disk, downloaded if it is not there yet; an interrupted download goes on.

    Of processes that ask for one file at a time, one downloads it and the others wait.

    Raises:
        InfoSAMError: no network, a wrong hash, a truncated file, or a folder that cannot be written. The
            message names the address, the expected hash and the folder where a hand-downloaded file is found.
    """
    path = download.path
    if path.exists():
        _verify(download, path)
    else:
        _retrieve(download, path, progress)
    return path


def _verify(download: Download, path: Path) -> None:
    found = sha256_of(path)
    if found == download.sha256:
        return
    size, about = path.stat().st_size, download.about_bytes
    # The sizes on record are rounded, so that only a clear shortfall is called a truncation.
    short = size < 0.98 * about
    what = f"is truncated ({size:,} of about {about:,} bytes)" if short else "is not the official file"
    raise InfoSAMError(
        f"{path} {what}: its SHA-256 is {found}, expected {download.sha256}. Delete it and try again, "
        f"or put a complete copy of {download.url} in its place. Other weights go by checkpoint=PATH."
    )


def _retrieve(download: Download, path: Path, progress: Progress | None) -> None:
    import pooch
    import requests

    from infosam.models.resume import ResumingDownloader

    downloader = ResumingDownloader(path.with_name(path.name + ".part"), progress)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock")):
            if path.exists():  # another process was faster
                _verify(download, path)
                return
            pooch.retrieve(
                download.url,
                known_hash=f"sha256:{download.sha256}",
                fname=path.name,
                path=path.parent,
                downloader=downloader,
            )
    except requests.RequestException as error:
        raise InfoSAMError(
            f"could not download {download.url}: {error}. {_by_hand(download, path)}"
        ) from error
    except ValueError as error:  # pooch's word for a wrong hash; it has removed the file
        raise InfoSAMError(
            f"what came from {download.url} is not the official file and was deleted: {error}. "
            f"Try again. {_by_hand(download, path)}"
        ) from error
    except OSError as error:
        raise InfoSAMError(
            f"could not store {path}: {error}. Free some space there or name another folder in INFOSAM_CACHE."
        ) from error


def _by_hand(download: Download, path: Path) -> str:
    return (
        f"Without network, download that address elsewhere and put the file into {path.parent} "
        f"as {path.name}; expected SHA-256: {download.sha256}"
    )
