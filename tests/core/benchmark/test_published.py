"""The paper's data sets come from a server, here one on this machine."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from zipfile import ZipFile

import imageio.v3 as iio
import numpy as np
import pytest
from typer.testing import CliRunner

from infosam.benchmark import published
from infosam.benchmark.published import HASHES, SETS, PublishedSet, download
from infosam.benchmark.recipe import read_recipe
from infosam.cli.app import app
from infosam.data.readers import read_data
from infosam.types import BadInputError, InfoSAMError

PAPER = Path(__file__).parents[3] / "benchmarks" / "paper"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def pack(archive: Path, inside: str = "leaves/", side: int = 16) -> None:
    """A data set in the published form: a CSV with an index column, and JPEG masks."""
    square = np.zeros((side, side), np.uint8)
    square[4:12, 4:12] = 255
    with ZipFile(archive, "w") as file:
        file.writestr(f"{inside}train.csv", ",image,label\n0,train/one.png,masks/one.jpg\n")
        for place in ("train/one.png", "masks/one.jpg"):
            bytes_ = io.BytesIO()
            iio.imwrite(bytes_, square, extension=Path(place).suffix)
            file.writestr(inside + place, bytes_.getvalue())


def leaves(address: str) -> PublishedSet:
    return PublishedSet("leaves", "leaves", f"{address}/leaves.zip")


@pytest.mark.parametrize("inside", ["leaves/", ""])
def test_a_set_is_downloaded_unpacked_and_read(site: Path, address: str, tmp_path: Path, inside: str) -> None:
    pack(site / "leaves.zip", inside)
    seen: list[tuple[int, int]] = []
    place = download(leaves(address), tmp_path / "data", lambda *bytes_: seen.append(bytes_))
    assert place == tmp_path / "data" / "leaves"
    assert seen[-1] == ((site / "leaves.zip").stat().st_size,) * 2
    images = read_data(place / "train.csv", objects="image")
    assert [len(image.objects()) for image in images] == [1]


def test_what_came_first_is_what_is_accepted_later(site: Path, address: str, tmp_path: Path) -> None:
    pack(site / "leaves.zip")
    folder = tmp_path / "data"
    download(leaves(address), folder)
    first = json.loads((folder / HASHES).read_text())
    pack(site / "leaves.zip", side=20)
    download(leaves(address), folder)  # is there, and is not asked for again
    (folder / "leaves.zip").unlink()
    with pytest.raises(InfoSAMError, match=r"could not get leaves from .*hash"):
        download(leaves(address), folder)
    assert json.loads((folder / HASHES).read_text()) == first


def test_what_is_no_archive_or_not_there_is_named_and_leaves_nothing(
    site: Path, address: str, tmp_path: Path
) -> None:
    with pytest.raises(InfoSAMError, match=r"could not get leaves from .*404"):
        download(leaves(address), tmp_path / "data")
    (site / "leaves.zip").write_text("sorry")
    with pytest.raises(InfoSAMError, match="not a zip file"):
        download(leaves(address), tmp_path / "data")
    assert not (tmp_path / "data" / HASHES).exists()
    pack(site / "leaves.zip")
    download(leaves(address), tmp_path / "data")


def test_unknown_sets_are_refused() -> None:
    with pytest.raises(BadInputError, match="'pets' is not one of camo_sem_seg, isic2017"):
        published.published("pets")


def test_the_commands(site: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(site / "leaves.zip")
    monkeypatch.setattr(published, "SETS", (leaves(address),))
    assert address in CliRunner().invoke(app, ["data", "list"]).stdout
    done = CliRunner().invoke(app, ["data", "download", "leaves", "--to", str(tmp_path / "data")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "data" / "leaves" / "train.csv").exists()


def test_the_recipes_look_for_the_sets_where_they_are_unpacked() -> None:
    wanted = {data.path for path in PAPER.glob("*.toml") for data in read_recipe(path).data}
    assert wanted == {f"$INFOSAM_PAPER_DATA/{known.name}/train.csv" for known in SETS}
