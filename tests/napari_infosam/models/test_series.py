"""A folder is walked through in the order in which people number files."""

from pathlib import Path

import pytest

from napari_infosam.models.series import neighbour

NAMES = [
    "Plate.png",
    "plate 2.PNG",
    "plate 10.png",
    "plate 10b.png",
    "plate 2 mask.tif",
    ".hidden.png",
    "9.png",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def test_files_of_one_kind_by_number(folder: Path) -> None:
    walk, path = [], neighbour(folder / "plate 10.png", -1)
    while path is not None:
        walk.append(path.name)
        path = neighbour(path, -1)
    assert walk == ["plate 2.PNG", "Plate.png", "9.png"]
    assert neighbour(folder / "plate 10.png", 1) == folder / "plate 10b.png"
    assert neighbour(folder / "plate 10b.png", 1) is None
    assert neighbour(folder / "plate 2 mask.tif", 1) is None


def test_a_file_that_is_gone_still_has_its_place(folder: Path) -> None:
    (folder / "plate 2.PNG").unlink()
    assert neighbour(folder / "plate 2.PNG", 1) == folder / "plate 10.png"
