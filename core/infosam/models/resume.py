"""A downloader for pooch that goes on where an interrupted download stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

_CHUNK = 1 << 18  # bytes that a broken connection loses at most
_TIMEOUT = 30  # seconds without a single byte


class ResumingDownloader:
    """Fetches an address into `part`, from where the last attempt stopped, and hands the whole file to pooch.

    A server that cannot serve ranges makes it start anew. The hash, which pooch checks afterwards, is what
    vouches for the joined pieces; a file that fails it is gone, so that the next attempt starts clean.
    """

    def __init__(self, part: Path, progress: Callable[[int, int], None] | None = None) -> None:
        self.part = part
        self.progress = progress

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download `url` to `output_file`; the signature is the one that pooch asks for.

        Raises:
            requests.RequestException: the address cannot be reached or the connection broke; `part` stays.
        """
        have = self.part.stat().st_size if self.part.exists() else 0
        # Compression in transit would make ranges and lengths refer to something other than the file.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code != requests.codes.range_not_satisfiable:  # else all of it is here
                response.raise_for_status()
                if response.status_code != requests.codes.partial_content:
                    have = 0
                self._store(response, have)
        self.part.replace(output_file)

    def _store(self, response: requests.Response, have: int) -> None:
        total = have + int(response.headers.get("Content-Length", 0))
        with self.part.open("ab" if have else "wb") as file:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                if self.progress is not None:
                    self.progress(have, max(have, total))
        if have < total:
            raise requests.ConnectionError(f"the connection ended after {have:,} of {total:,} bytes")
