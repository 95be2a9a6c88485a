"""Many images: what is written, and what happens when that is cut off."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from infosam import Predictor
from infosam.data.io import read_mask
from infosam.data.pairs import image_files
from infosam.data.readers import data_entries
from infosam.inference import predict_files as module
from infosam.inference.everything import FoundObject
from infosam.inference.predict_files import Predicted, predict_files
from infosam.models.base import PromptableModel
from infosam.types import BadInputError, InfoSAMError


@pytest.fixture
def predictor(tiny_model: PromptableModel) -> Predictor:
    return Predictor(tiny_model, "off")


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Three images of different sizes."""
    folder = tmp_path / "plates"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        iio.imwrite(folder / f"plate{number}.png", rng.integers(0, 255, (40 + number, 50), np.uint8))
    return image_files(folder)


def run(predictor: Predictor, images: list[Path], folder: Path) -> list[Predicted]:
    return list(predict_files(predictor, images, folder, extent=30, min_score=0.0))


def test_what_is_written_is_data_again(predictor: Predictor, images: list[Path], tmp_path: Path) -> None:
    done = run(predictor, images, tmp_path / "found")
    assert [item.image for item in done] == images
    assert all(item.failure is None for item in done)
    read = [entry() for entry in data_entries(tmp_path / "found" / "labels.csv", "labels")]
    assert [image.path for image in read] == images
    assert [len(image.objects()) for image in read] == [item.n_objects for item in done]
    assert sum(item.n_objects for item in done) > 0
    assert read_mask(done[2].mask).shape == (42, 50)


def test_a_run_that_was_cut_off_goes_on(
    predictor: Predictor, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(predictor, images, tmp_path / "whole")
    folder = tmp_path / "found"
    first = next(iter(predict_files(predictor, images, folder, extent=30, min_score=0.0)))
    assert first.mask.is_file()
    # As a process that is killed leaves it: with a mask that is not whole, and a line.
    (folder / "masks" / ".plate1.1.tif").write_bytes(b"II*")
    with (folder / "labels.csv").open("a") as file:
        file.write(str(images[1])[:9])
    searched: list[object] = []
    find = Predictor.find_objects
    monkeypatch.setattr(
        Predictor, "find_objects", lambda self, *args: searched.append(0) or find(self, *args)
    )
    assert [item.n_objects for item in run(predictor, images, folder)] == [item.n_objects for item in whole]
    assert len(searched) == 2
    for name in ("plate0", "plate1", "plate2"):
        masks = [read_mask(tmp_path / run / "masks" / f"{name}.tif") for run in ("whole", "found")]
        assert np.array_equal(*masks)
    with (folder / "labels.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 3


def test_a_folder_with_anything_else_is_left_alone(
    predictor: Predictor, images: list[Path], tmp_path: Path
) -> None:
    run(predictor, images[:1], tmp_path / "found")
    with pytest.raises(BadInputError, match="other settings"):
        next(predict_files(predictor, images, tmp_path / "found", extent=31, min_score=0.0))
    with pytest.raises(BadInputError, match="holds something already"):
        next(predict_files(predictor, images, images[0].parent))
    assert sorted(path.name for path in images[0].parent.iterdir()) == [path.name for path in images]


def test_masks_are_not_taken_for_those_of_other_images(
    predictor: Predictor, images: list[Path], tmp_path: Path
) -> None:
    run(predictor, images[:2], tmp_path / "found")
    elsewhere = tmp_path / "other plates" / images[1].name
    elsewhere.parent.mkdir()
    iio.imwrite(elsewhere, np.zeros((9, 9), np.uint8))
    before = (tmp_path / "found" / "labels.csv").read_text()
    with pytest.raises(BadInputError, match="is the mask of"):
        run(predictor, [images[2], elsewhere], tmp_path / "found")
    assert (tmp_path / "found" / "labels.csv").read_text() == before
    run(predictor, images[2:], tmp_path / "found")
    assert len(data_entries(tmp_path / "found" / "labels.csv")) == 3
    (tmp_path / "found" / "masks" / "plate0.tif").unlink()
    run(predictor, images[1:], tmp_path / "found")
    assert len(data_entries(tmp_path / "found" / "labels.csv")) == 2


def test_settings_can_be_changed_until_something_is_found_by_them(
    predictor: Predictor, images: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match="least score"):
        next(predict_files(predictor, images, tmp_path / "found", min_score=2))
    assert len(run(predictor, images, tmp_path / "found")) == 3
    again = predict_files(predictor, images, tmp_path / "found", extent=30.0, min_score=0)
    assert len(list(again)) == 3


def test_names_that_no_table_can_hold_hold_nothing_up(
    predictor: Predictor, images: list[Path], tmp_path: Path
) -> None:
    strange = images[0].with_name(os.fsdecode(b"k\xf6ln.png"))
    images[0].rename(strange)
    done = run(predictor, [strange, *images[1:]], tmp_path / "found")
    assert "rename" in (done[0].failure or "")
    assert (done[0].failure or "").isprintable()
    assert [item.failure for item in done[1:]] == [None, None]


def test_images_that_cannot_be_read_hold_nothing_up(
    predictor: Predictor, images: list[Path], tmp_path: Path
) -> None:
    images[0].write_bytes(b"\x89PNG but no more")
    done = run(predictor, images, tmp_path / "found")
    assert str(images[0]) in (done[0].failure or "")
    assert [item.failure for item in done[1:]] == [None, None]
    assert not done[0].mask.exists()
    assert len(data_entries(tmp_path / "found" / "labels.csv")) == 2


def test_masks_of_one_name_are_refused_before_anything_is_done(
    predictor: Predictor, images: list[Path], tmp_path: Path
) -> None:
    twin = tmp_path / "Plate0.tif"
    with pytest.raises(BadInputError, match="share a stem"):
        next(predict_files(predictor, [*images, twin], tmp_path / "found"))
    assert not (tmp_path / "found").exists()


def test_what_cannot_be_written_is_told(
    predictor: Predictor, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InfoSAMError, match="name another folder"):
        next(predict_files(predictor, images, images[0] / "found"))
    assert images[0].is_file()
    run(predictor, images[:1], tmp_path / "found")
    disk_is_full = OSError(28, "No space left on device")

    def fail(*_: object, **__: object) -> None:
        raise disk_is_full

    monkeypatch.setattr("infosam.data.io.tifffile.imwrite", fail)
    with pytest.raises(InfoSAMError, match="No space left"):
        run(predictor, images, tmp_path / "found")
    monkeypatch.undo()
    assert len(run(predictor, images, tmp_path / "found")) == 3


def test_an_image_without_objects_has_an_empty_mask(
    predictor: Predictor, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing: list[FoundObject] = []
    monkeypatch.setattr(Predictor, "find_objects", lambda *_: nothing)
    assert [item.n_objects for item in run(predictor, images, tmp_path / "found")] == [0, 0, 0]
    assert read_mask(tmp_path / "found" / module.MASK_FOLDER / "plate1.tif").max() == 0


# ------------------------------------------------------------------------------------ what names the images


def test_images_are_named_by_a_file_a_folder_or_a_table(images: list[Path], tmp_path: Path) -> None:
    folder = images[0].parent
    (folder / "notes.txt").write_text("no image")
    assert image_files(images[1]) == [images[1]]
    assert image_files(folder) == images
    (tmp_path / "data").mkdir()
    folder.rename(tmp_path / "data" / "images")
    moved = [tmp_path / "data" / "images" / image.name for image in images]
    assert image_files(tmp_path / "data") == moved
    (tmp_path / "table.csv").write_text("image,score\ndata/images/plate2.png,3\ndata/images/plate2.png,4\n")
    assert image_files(tmp_path / "table.csv") == [moved[2]]


def test_what_names_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("picture\na.png\n")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "header.csv").write_text("image\n")
    for name, reason in (
        ("table.csv", "needs the column image"),
        ("header.csv", "a header alone"),
        ("notes.txt", "names no images"),
    ):
        with pytest.raises(BadInputError, match=reason):
            image_files(tmp_path / name)
    with pytest.raises(BadInputError, match="names no images"):
        image_files(tmp_path / "gone.png")
