"""Labels drawn elsewhere become objects of a project: all of them, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infosam.data.export import export_labels
from infosam.data.importing import import_labels
from infosam.data.io import write_mask
from infosam.data.project import Project
from infosam.data.readers import data_entries, read_data
from infosam.data.rle import decode_mask
from infosam.types import BadInputError


def square(top: int, left: int) -> np.ndarray:
    mask = np.zeros((30, 40), bool)
    mask[top : top + 8, left : left + 8] = True
    return mask


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project") as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two images: the first with two labels, the second with one value in two pieces."""
    made = tmp_path / "data"
    (made / "images").mkdir(parents=True)
    (made / "masks").mkdir()
    for name, mask in (
        ("a", 3 * square(1, 1) + 70 * square(15, 20)),
        ("b", 255 * (square(1, 1) | square(15, 20))),
    ):
        Image.fromarray(rng.integers(0, 255, (30, 40), dtype=np.uint8)).save(made / "images" / f"{name}.png")
        write_mask(made / "masks" / f"{name}.png", mask)
    return made


def test_a_folder_comes_in_once(project: Project, folder: Path) -> None:
    images = read_data(folder, objects="separate")
    seen: list[int] = []
    first = import_labels(project, images, seen.append)
    assert (len(first.object_ids), first.n_images, first.n_known) == (4, 2, 0)
    assert seen == [1, 2]
    again = import_labels(project, images)
    assert (again.object_ids, again.n_images, again.n_known) == ((), 0, 4)
    for found, expected in zip(project.labelled_images(), images, strict=True):
        assert found.key == expected.key
        assert [item.rle for item in found.objects()] == [item.rle for item in expected.objects()]
    assert [image.path for image in project.images()] == sorted((folder / "images").iterdir())  # no copies
    assert {item.source for item in project.objects()} == {"imported"}


def test_images_without_labels_are_passed_over_unless_all_are(project: Project, folder: Path) -> None:
    write_mask(folder / "masks" / "a.png", np.zeros((30, 40), np.uint8))
    entries = data_entries(folder, "separate")
    done = import_labels(project, (read() for read in entries))
    assert (len(done.object_ids), done.n_images) == (2, 1)
    assert [image.name for image in project.images()] == ["b.png"]
    with pytest.raises(BadInputError, match="nothing to import"):
        import_labels(project, [entries[0]()])


def test_what_was_corrected_since_is_not_brought_back(project: Project, folder: Path) -> None:
    images = read_data(folder, objects="separate")
    import_labels(project, images)
    smaller, larger, removed, _ = project.objects()
    project.update_object(smaller.id, square(1, 1) & ~square(6, 1))
    project.update_object(larger.id, square(15, 20) | square(17, 22))
    project.remove_object(removed.id)
    again = import_labels(project, images)
    assert again.n_known == 3
    assert [item.rle for item in project.objects() if item.id in again.object_ids] == [removed.rle]


def test_another_project_is_data_without_copies_of_its_pixels(
    project: Project, folder: Path, tmp_path: Path
) -> None:
    import_labels(project, read_data(folder, objects="separate"))
    stack = project.add_image(np.zeros((30, 40), np.uint8), name="stack [3]", plane=(3,))
    project.add_object(stack.id, square(1, 1), label=1)
    with Project.create(tmp_path / "other") as other:
        import_labels(other, read_data(project.folder))
        assert [(image.path, image.plane) for image in other.images()][:2] == [
            (image.path, image.plane) for image in project.images()
        ][:2]
        assert other.images()[2].plane == (3,)


def test_what_was_exported_comes_back(project: Project, folder: Path, tmp_path: Path) -> None:
    image = project.add_image(np.arange(1200, dtype=np.uint16).reshape(30, 40), name="plate")
    project.add_object(image.id, square(1, 1), label=2)
    project.add_object(image.id, square(4, 4), label=9)  # they overlap
    written = export_labels(project, tmp_path / "out")
    with Project.create(tmp_path / "other") as other:
        import_labels(other, read_data(written.folder / "annotations.json", objects="separate"))
        masks = [decode_mask(item.rle) for item in other.objects()]
        assert np.array_equal(masks[0], square(1, 1))  # of two as large the first has what they share
        assert np.array_equal(masks[1], square(4, 4) & ~square(1, 1))
        assert [item.content_hash for item in other.images()] == [image.content_hash]


def test_an_import_that_is_cancelled_or_fails_leaves_no_objects(project: Project, folder: Path) -> None:
    images = read_data(folder, objects="separate")
    kept = project.add_object(project.add_image(images[0].image()).id, square(20, 1), label=1)

    def cancel(done: int) -> None:
        if done == len(images):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_labels(project, images, cancel)
    assert [item.id for item in project.objects()] == [kept.id]
    with Project.create(project.folder / "other") as other:
        (folder / "images" / "b.png").unlink()
        with pytest.raises(BadInputError, match=r"b\.png is missing"):
            import_labels(other, images)
        assert other.objects() == []
