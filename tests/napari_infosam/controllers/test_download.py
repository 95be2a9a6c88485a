"""A model that has to be downloaded, from a slow server over real HTTP, in the real background thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from infosam.models import registry
from infosam.models.catalogue import ModelSpec
from infosam.models.download import Download
from napari_infosam.controllers.engine import Engine
from napari_infosam.controllers.segment import SegmentController
from napari_infosam.models.session import Session
from napari_infosam.workers import Worker

SIZE = 400_000_000
PIECE = bytes(1 << 18)
PATIENCE = 60_000  # ms; the first load imports torch


class SlowHandler(BaseHTTPRequestHandler):
    """Sends a file that takes minutes."""

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.server.starts.append(start)  # type: ignore[attr-defined]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(SIZE - start))
        self.end_headers()
        try:
            for _ in range(SIZE // len(PIECE)):
                self.wfile.write(PIECE)
                time.sleep(0.05)
        except OSError:
            self.server.left.set()  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        """Keep the test output clean."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), SlowHandler)
    made.starts, made.left = [], threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    download = Download(f"http://127.0.0.1:{made.server_port}/slow.pth", "0" * 64, SIZE)
    spec = ModelSpec("slow", "pocket", 1, "", lambda: pytest.fail("it never arrives"), download)
    monkeypatch.setitem(registry._SPECS, "slow", spec)
    monkeypatch.setenv("INFOSAM_CACHE", str(tmp_path / "cache"))
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def worker(qapp: object, request: pytest.FixtureRequest) -> Iterator[Worker]:
    made = Worker(request.node.name)
    yield made
    made.close()


def downloading(session: Session) -> bool:
    return session.status.startswith("Downloading slow: ") and session.status.endswith(" of 400 MB")


def test_a_download_shows_how_far_it_is_and_makes_way_for_another_model(
    server: ThreadingHTTPServer, worker: Worker, qtbot: QtBot
) -> None:
    session = Session(model_name="slow")
    controller = SegmentController(session, worker, Engine())
    controller.load()
    qtbot.waitUntil(lambda: downloading(session), timeout=PATIENCE)
    early = session.status
    qtbot.waitUntil(lambda: downloading(session) and session.status != early, timeout=PATIENCE)
    session.ask_for("sam_pocket", None)
    qtbot.waitUntil(lambda: session.loaded == ("sam_pocket", None), timeout=PATIENCE)
    assert (session.status, session.busy) == ("sam_pocket is loaded.", False)
    session.ask_for("slow", None)
    qtbot.waitUntil(lambda: downloading(session), timeout=PATIENCE)
    begun, went_on = server.starts  # type: ignore[attr-defined]
    assert begun == 0 < went_on


def test_closing_ends_a_download(
    server: ThreadingHTTPServer, worker: Worker, qtbot: QtBot, request: pytest.FixtureRequest
) -> None:
    session = Session(model_name="slow")
    controller = SegmentController(session, worker, Engine())
    controller.load()
    qtbot.waitUntil(lambda: downloading(session), timeout=PATIENCE)
    (thread,) = (item for item in threading.enumerate() if item.name.startswith(request.node.name))
    worker.close()
    thread.join(10)
    assert not thread.is_alive()
    assert server.left.wait(10)  # type: ignore[attr-defined]
