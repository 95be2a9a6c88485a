"""What is exported is what the project holds, in forms that this library and COCO's read back."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from pycocotools.coco import COCO

from infosam.data.export import export_labels
from infosam.data.project import Project
from infosam.data.readers import read_data
from infosam.types import BadInputError, InfoSAMError


def disc(row: int, column: int, radius: int) -> np.ndarray:
    rows, columns = np.ogrid[:40, :60]
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)


@pytest.fixture
def project(tmp_path: Path, rng: np.random.Generator) -> Iterator[Project]:
    """Two labelled images, 16 bits grey and colour, and one without labels."""
    with Project.create(tmp_path / "project") as made:
        grey = made.add_image(rng.integers(0, 4000, (40, 60)).astype(np.uint16), name="week 3/leaf: *.png")
        colour = made.add_image(rng.integers(0, 255, (40, 60, 3)).astype(np.uint8), name="cells [2]")
        made.add_image(np.zeros((40, 60), np.uint8), name="nothing")
        made.add_object(grey.id, disc(10, 10, 5), label=2)
        made.add_object(grey.id, disc(12, 14, 6), label=70_000)  # they overlap
        made.add_object(colour.id, disc(30, 40, 4), label=1)
        removed = made.add_object(colour.id, disc(10, 10, 4), label=5)
        made.remove_object(removed.id)
        yield made


def test_the_folder_is_data_that_the_library_reads(project: Project, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    written = export_labels(project, tmp_path / "out", lambda done, total: seen.append((done, total)))
    assert (written.n_images, written.n_objects, written.missing) == (2, 3, ())
    assert seen == [(1, 2), (2, 2)]
    expected = project.labelled_images()
    found = read_data(tmp_path / "out", objects="labels")
    assert [image.key for image in found] == [image.key for image in expected]  # the very pixels
    (first, second), (only,) = (image.objects() for image in found)
    assert np.array_equal(first.mask, disc(10, 10, 5))
    assert np.array_equal(second.mask, disc(12, 14, 6) & ~disc(10, 10, 5))
    assert np.array_equal(only.mask, disc(30, 40, 4))
    assert [path.name for path in sorted((tmp_path / "out" / "masks").iterdir())] == [
        "0001-leaf.tif",
        "0002-cells_2.tif",
    ]


def test_the_coco_file_holds_every_object_whole(project: Project, tmp_path: Path) -> None:
    export_labels(project, tmp_path / "out")
    path = tmp_path / "out" / "annotations.json"
    found = read_data(path)
    assert [image.key for image in found] == [image.key for image in project.labelled_images()]
    masks = [item.mask for image in found for item in image.objects()]
    for mask, expected in zip(masks, [disc(10, 10, 5), disc(12, 14, 6), disc(30, 40, 4)], strict=True):
        assert np.array_equal(mask, expected)
    coco = COCO(path)
    for annotation, mask in zip(coco.loadAnns(coco.getAnnIds()), masks, strict=True):
        assert np.array_equal(coco.annToMask(annotation), mask)
        rows, columns = np.nonzero(mask)
        x, y, width, height = annotation["bbox"]
        assert (x, y, x + width - 1, y + height - 1) == (
            columns.min(),
            rows.min(),
            columns.max(),
            rows.max(),
        )
        assert annotation["area"] == mask.sum()


def test_labels_of_an_image_whose_file_is_gone_are_kept(tmp_path: Path, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 255, (40, 60)).astype(np.uint8)
    iio.imwrite(tmp_path / "leaf.png", pixels)
    with Project.create(tmp_path / "project") as project:
        image = project.add_image(pixels, path=tmp_path / "leaf.png", name="leaf.png")
        project.add_object(image.id, disc(10, 10, 5), label=1)
        (tmp_path / "leaf.png").unlink()
        written = export_labels(project, tmp_path / "out")
    assert written.missing == ("leaf.png",)
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 1
    assert len(json.loads((tmp_path / "out" / "annotations.json").read_text())["annotations"]) == 1


def test_nothing_is_overwritten_and_nothing_half_written(project: Project, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInputError, match="holds something already"):
        export_labels(project, mine)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(InfoSAMError, match="free some space"):
            export_labels(project, tmp_path / "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "project"]
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_is_filled(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    monkeypatch.chdir(tmp_path / "empty")
    for folder in (Path(), tmp_path / "link"):
        written = export_labels(project, folder)
        assert written.folder == tmp_path / "empty"
        assert len(read_data(tmp_path / "empty")) == 2
        for part in ("images", "masks"):
            shutil.rmtree(tmp_path / "empty" / part)
        (tmp_path / "empty" / "annotations.json").unlink()


def test_a_project_without_objects_says_so(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project, pytest.raises(BadInputError, match="no objects"):
        export_labels(project, tmp_path / "out")
