"""Downloads over real HTTP: whole, resumed, refused, interrupted, by hand."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE

import pytest

from infosam.models.download import Download, cache_folder, fetch
from infosam.types import InfoSAMError

CONTENT = bytes(range(256)) * 20_000  # 5 MB
HASH = hashlib.sha256(CONTENT).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    """Serves CONTENT: in ranges at /weights.pth, only whole at /whole.pth and, after a while, /slow.pth, half
    of it at /cut.pth."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))  # type: ignore[attr-defined]
        start = 0
        if self.path == "/weights.pth" and "Range" in self.headers:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(CONTENT):
                self._headers(416, 0)
                return
            self._headers(206, len(CONTENT) - start)
        elif self.path == "/missing.pth":
            self._headers(404, 0)
            return
        else:
            self._headers(200, len(CONTENT))
        if self.path == "/slow.pth":
            time.sleep(1)  # the others come meanwhile
        end = len(CONTENT) // 2 if self.path == "/cut.pth" else len(CONTENT)
        self.wfile.write(CONTENT[start:end])
        self.close_connection = True

    def _headers(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test output clean."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("INFOSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


def _download(server: ThreadingHTTPServer, file: str, sha256: str = HASH) -> Download:
    return Download(f"http://127.0.0.1:{server.server_port}/{file}", sha256, len(CONTENT))


def _files(cache: Path) -> list[str]:
    """What lies in the cache, but for the locks of downloads, which stay."""
    return sorted(file.name for file in cache.iterdir() if file.suffix != ".lock")


def test_a_file_is_fetched_once_with_progress(server: ThreadingHTTPServer, cache: Path) -> None:
    seen: list[tuple[int, int]] = []
    download = _download(server, "weights.pth")
    path = fetch(download, lambda done, total: seen.append((done, total)))
    assert path == cache / "weights.pth"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert fetch(download) == path
    assert len(server.asked) == 1  # type: ignore[attr-defined]
    assert _files(cache) == ["weights.pth"]


def test_processes_that_start_together_share_one_download(server: ThreadingHTTPServer, cache: Path) -> None:
    program = (
        "import sys; from infosam.models.download import Download, fetch;"
        "sys.stdin.readline(); print(fetch(Download(sys.argv[1], sys.argv[2], int(sys.argv[3]))))"
    )
    url = f"http://127.0.0.1:{server.server_port}/slow.pth"
    command = [sys.executable, "-c", program, url, HASH, str(len(CONTENT))]
    processes = [subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate()[0].strip() for process in processes]
    assert answers == [str(cache / "slow.pth")] * 3
    assert (cache / "slow.pth").read_bytes() == CONTENT
    assert server.asked == [("/slow.pth", None)]  # type: ignore[attr-defined]
    assert _files(cache) == ["slow.pth"]


def test_an_interrupted_download_goes_on(server: ThreadingHTTPServer, cache: Path) -> None:
    cache.mkdir()
    (cache / "weights.pth.part").write_bytes(CONTENT[:1_000_000])
    seen: list[tuple[int, int]] = []
    fetch(_download(server, "weights.pth"), lambda done, total: seen.append((done, total)))
    assert (cache / "weights.pth").read_bytes() == CONTENT
    assert server.asked == [("/weights.pth", "bytes=1000000-")]  # type: ignore[attr-defined]
    assert seen[0][0] > 1_000_000
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert _files(cache) == ["weights.pth"]


def test_a_complete_part_needs_no_more_bytes(server: ThreadingHTTPServer, cache: Path) -> None:
    cache.mkdir()
    (cache / "weights.pth.part").write_bytes(CONTENT)
    assert fetch(_download(server, "weights.pth")).read_bytes() == CONTENT


def test_a_server_without_ranges_starts_anew(server: ThreadingHTTPServer, cache: Path) -> None:
    cache.mkdir()
    (cache / "whole.pth.part").write_bytes(b"x" * 1000)
    assert fetch(_download(server, "whole.pth")).read_bytes() == CONTENT


def test_a_broken_connection_keeps_what_came(server: ThreadingHTTPServer, cache: Path) -> None:
    download = _download(server, "cut.pth")
    with pytest.raises(InfoSAMError, match=r"could not download http://127.*cut\.pth") as caught:
        fetch(download)
    assert HASH in str(caught.value)
    assert str(cache) in str(caught.value)
    kept = (cache / "cut.pth.part").read_bytes()
    assert len(CONTENT) // 4 < len(kept) <= len(CONTENT) // 2
    assert CONTENT.startswith(kept)
    assert not (cache / "cut.pth").exists()


def test_a_damaged_part_is_found_out_and_the_next_attempt_is_clean(
    server: ThreadingHTTPServer, cache: Path
) -> None:
    cache.mkdir()
    (cache / "weights.pth.part").write_bytes(b"\0" * 1_000_000)
    with pytest.raises(InfoSAMError, match=r"not the official file and was deleted.*Try again"):
        fetch(_download(server, "weights.pth"))
    assert _files(cache) == []
    assert fetch(_download(server, "weights.pth")).read_bytes() == CONTENT


def test_a_wrong_hash_names_what_was_expected(server: ThreadingHTTPServer, cache: Path) -> None:
    expected = "0" * 64
    with pytest.raises(InfoSAMError, match=f"not the official file.*{expected}"):
        fetch(_download(server, "weights.pth", expected))
    assert _files(cache) == []


def test_an_address_that_is_gone(server: ThreadingHTTPServer) -> None:
    with pytest.raises(InfoSAMError, match=r"could not download .*missing\.pth.*404"):
        fetch(_download(server, "missing.pth"))


def test_without_network_the_error_says_how_to_go_on(cache: Path) -> None:
    download = Download("http://127.0.0.1:1/weights.pth", HASH, len(CONTENT))
    with pytest.raises(InfoSAMError) as caught:
        fetch(download)
    message = str(caught.value)
    for part in (download.url, HASH, str(cache), "weights.pth"):
        assert part in message


def test_a_file_put_there_by_hand_is_picked_up(cache: Path) -> None:
    cache.mkdir()
    (cache / "weights.pth").write_bytes(CONTENT)
    assert fetch(Download("http://127.0.0.1:1/weights.pth", HASH, len(CONTENT))) == cache / "weights.pth"


@pytest.mark.parametrize(
    ("content", "what"),
    [(CONTENT[: len(CONTENT) // 2], "is truncated"), (b"\1" + CONTENT[1:], "is not the official file")],
)
def test_a_bad_file_put_there_by_hand_is_left_but_refused(cache: Path, content: bytes, what: str) -> None:
    cache.mkdir()
    (cache / "weights.pth").write_bytes(content)
    with pytest.raises(InfoSAMError, match=f"{what}.*expected {HASH}"):
        fetch(Download("http://127.0.0.1:1/weights.pth", HASH, len(CONTENT)))
    assert (cache / "weights.pth").read_bytes() == content


def test_a_folder_that_cannot_be_written(cache: Path, server: ThreadingHTTPServer) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(InfoSAMError, match=r"could not store .*INFOSAM_CACHE"):
        fetch(_download(server, "weights.pth"))


def test_the_users_cache_folder_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INFOSAM_CACHE")
    assert cache_folder().name == "infosam"
    assert cache_folder().is_absolute()
