"""Labelled data of every kind, and what is wrong with it when it is."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools import mask as coco_mask

from infosam.data.intensity import intensity_range
from infosam.data.io import content_hash, read_image, write_mask
from infosam.data.project import Project
from infosam.data.readers import read_data
from infosam.types import BadInputError, Prompt


def picture(seed: int, shape: tuple[int, ...] = (30, 40, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def square(top: int, left: int, side: int = 8, value: int = 1) -> np.ndarray:
    mask = np.zeros((30, 40), np.uint8)
    mask[top : top + side, left : left + side] = value
    return mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures, each with one value in two squares."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number in range(12):
        Image.fromarray(picture(number)).save(tmp_path / "images" / f"p{number:02}.JPEG", quality=95)
        write_mask(tmp_path / "masks" / f"p{number:02}.png", square(2, number) + square(20, 20))
    return tmp_path


def test_folder(folder: Path) -> None:
    (folder / "images" / "Thumbs.db").write_bytes(b"x")
    (folder / "images" / "._p00.JPEG").write_bytes(b"x")
    images = read_data(folder)
    assert [image.name for image in images] == [f"p{number:02}.JPEG" for number in range(12)]
    for number, image in enumerate(images):
        pixels = read_image(folder / "images" / f"p{number:02}.JPEG")
        assert np.array_equal(image.image(), pixels)
        assert image.key == content_hash(pixels)
        assert image.intensity == intensity_range(pixels)
        (item,) = image.objects()
        assert np.array_equal(item.mask, (square(2, number) + square(20, 20)) > 0)
        assert item.prompt is None
    assert [len(image.objects()) for image in read_data(folder, objects="components")] == [2] * 12


def test_a_mask_with_smoothed_edges_is_named(folder: Path) -> None:
    whole = Image.fromarray(np.kron(square(5, 5, 15, 255), np.ones((4, 4), np.uint8)))
    turned = whole.rotate(30, Image.Resampling.BICUBIC).resize((40, 30), Image.Resampling.BILINEAR)
    turned.save(folder / "masks" / "p03.png")
    with pytest.raises(BadInputError, match=r"p03\.png: the mask has \d+ values.*smoothed"):
        read_data(folder)
    assert [len(image.objects()) for image in read_data(folder, objects="image")] == [1] * 12


def test_instance_labels_of_16_bits_on_rgba(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    Image.fromarray(picture(0, (30, 40, 4))).save(tmp_path / "images" / "a.png")
    write_mask(tmp_path / "masks" / "a.png", square(0, 0).astype(np.uint16) * 300 + square(20, 20) * 2)
    (image,) = read_data(tmp_path)
    assert image.image().shape == (30, 40, 4)
    assert [item.box for item in image.objects()] == [(20, 20, 28, 28), (0, 0, 8, 8)]


def test_16_bit_tiff_keeps_its_range(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    pixels = np.random.default_rng(0).integers(500, 4000, (30, 40), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "images" / "a.tif", pixels)
    write_mask(tmp_path / "masks" / "a.tif", square(0, 0))
    (image,) = read_data(tmp_path)
    assert image.image().dtype == np.uint16
    assert image.intensity == intensity_range(pixels)


def test_limit_picks_by_seed_in_a_stable_order(folder: Path) -> None:
    picks = [[image.name for image in read_data(folder, limit=5, seed=seed)] for seed in (1, 1, 2)]
    assert picks[0] == picks[1] != picks[2]
    assert all(len(pick) == 5 and pick == sorted(pick) for pick in picks)
    assert len(read_data(folder, limit=100)) == 12
    with pytest.raises(BadInputError, match="at least 1, not 0"):
        read_data(folder, limit=0)


def test_limit_leaves_other_files_unread(folder: Path) -> None:
    chosen = {image.name for image in read_data(folder, limit=3)}
    for file in (folder / "images").iterdir():
        if file.name not in chosen:
            file.write_bytes(b"damaged")
    assert {image.name for image in read_data(folder, limit=3)} == chosen


def test_images_without_objects_are_left_out_and_not_counted(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(6):
        write_mask(folder / "masks" / f"p{number:02}.png", np.zeros((30, 40), np.uint8))
    assert len(read_data(folder)) == 6
    assert "p00.JPEG has no objects" in caplog.text
    assert len(read_data(folder, limit=6, seed=4)) == 6


def test_no_objects_at_all(folder: Path) -> None:
    for file in (folder / "masks").iterdir():
        write_mask(file, np.zeros((30, 40), np.uint8))
    with pytest.raises(BadInputError, match="no labelled objects"):
        read_data(folder)


def _rename(name: str, to: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).rename(folder / to)


def _damage(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:50])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_rename("masks", "labels"), r"masks is missing"),
        (_rename("images/p03.JPEG", "images/q.JPEG"), r"1 files .* in masks/: q"),
        (lambda folder: (folder / "images/p03.JPEG").unlink(), r"1 files .* in images/: p03"),
        (
            lambda folder: [f.unlink() for f in (folder / "images").glob("p0[1-7]*")],
            r"7 files .*: p01, p02, p03, p04, p05, \.\.\.",
        ),
        (
            lambda folder: shutil.copy(folder / "masks/p03.png", folder / "masks/p03.bmp"),
            r"p03\.bmp and p03\.png share",
        ),
        (lambda folder: [f.unlink() for f in (folder / "masks").iterdir()], r"masks holds no image files"),
        (_damage("images/p05.JPEG"), r"cannot read .*p05\.JPEG"),
        (_damage("masks/p05.png"), r"cannot read .*p05\.png"),
        (
            lambda folder: write_mask(folder / "masks/p05.png", np.ones((40, 30), int)),
            r"p05\.JPEG is \(30, 40\), .*p05\.png is \(40, 30\)",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(
    folder: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(folder)
    with pytest.raises(BadInputError, match=message):
        read_data(folder)


def test_unknown_sources_and_rules(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="nowhere is missing"):
        read_data(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BadInputError, match=r"notes\.txt: data is a folder"):
        read_data(tmp_path / "notes.txt")
    with pytest.raises(BadInputError, match="not 'instances'"):
        read_data(tmp_path, objects="instances")


def test_csv_with_an_extra_index_column(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        ",image,label",
        "0,images/p02.JPEG,masks/p02.png",
        "",
        f"1,{folder}/images/p01.JPEG, masks/p01.png",
    ]
    (folder / "train.csv").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    monkeypatch.chdir(os.sep)
    images = read_data(folder / "train.csv")
    assert [image.name for image in images] == ["p02.JPEG", "p01.JPEG"]
    assert [image.key for image in images] == [read_data(folder)[2].key, read_data(folder)[1].key]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture,label\na,b", "needs the columns image,label; it has picture,label"),
        ("", "it has none"),
        ("image,label\n", "no labelled objects"),
        ("image,label\nimages/p01.JPEG,", "line 2: image or label is empty"),
        ("image,label\nimages/p01.JPEG", "line 2: image or label is empty"),
        ("image,label\nimages/no.JPEG,masks/p01.png", r"no\.JPEG is missing"),
        ("\0", "it has|cannot read"),
    ],
)
def test_what_is_wrong_with_a_csv_is_named(folder: Path, text: str, message: str) -> None:
    (folder / "train.csv").write_text(text)
    with pytest.raises(BadInputError, match=message):
        read_data(folder / "train.csv")


def test_binary_csv(folder: Path) -> None:
    (folder / "train.csv").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(BadInputError, match=r"cannot read .*train\.csv"):
        read_data(folder / "train.csv")


@pytest.fixture
def coco(folder: Path) -> Path:
    """p00 has a polygon, compressed and plain run lengths; p01 a crowd and a box alone; p02 two polygons."""
    compressed = coco_mask.encode(np.asfortranarray(square(20, 20)))
    plain = {"size": [30, 40], "counts": [0, 30 * 3, 30 * 37]}  # the first three columns
    polygon = [[10.0, 4.0, 16.0, 4.0, 16.0, 9.0, 10.0, 9.0]]
    two = [[1, 1, 6, 1, 6, 6, 1, 6], [20, 1, 26, 1, 26, 6, 20, 6]]
    segmentations = [
        (0, 1, polygon, 0),
        (0, 1, {"size": [30, 40], "counts": compressed["counts"].decode()}, 0),
        (0, 2, plain, 0),
        (1, 1, plain, 1),
        (1, 1, [], 0),
        (2, 1, two, 0),
    ]
    content = {
        "images": [
            {"id": number, "file_name": f"p{number:02}.JPEG", "height": 30, "width": 40}
            for number in range(3)
        ],
        "annotations": [
            {
                "id": 10 + i,
                "image_id": image,
                "category_id": category,
                "segmentation": given,
                "iscrowd": crowd,
            }
            for i, (image, category, given, crowd) in enumerate(segmentations)
        ],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


def test_coco_polygons_and_run_lengths(coco: Path) -> None:
    first, third = read_data(coco)
    assert (first.name, third.name) == ("p00.JPEG", "p02.JPEG")
    polygon, compressed, plain = first.objects()
    assert [item.key for item in first.objects()] == ["10", "11", "12"]
    expected = np.zeros((30, 40), bool)
    expected[4:9, 10:16] = True
    assert np.array_equal(polygon.mask, expected)
    assert np.array_equal(compressed.mask, square(20, 20) > 0)
    assert plain.box == (0, 0, 30, 3)
    assert plain.area == 90
    (two_parts,) = third.objects()
    assert two_parts.area == 25 + 30


def test_coco_rules(coco: Path) -> None:
    assert [len(image.objects()) for image in read_data(coco, objects="image")] == [1, 1]
    assert [len(image.objects()) for image in read_data(coco, objects="components")] == [3, 2]


def test_coco_images_beside_the_file(coco: Path) -> None:
    moved = coco.rename(coco.parent / "images" / coco.name)
    assert len(read_data(moved)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("images"), r"lacks 'images'"),
        (lambda c: c["images"][0].pop("height"), r"lacks 'height'"),
        (lambda c: c["images"][0].update(width=41), r"p00\.JPEG is \(30, 40\), .* \(30, 41\)"),
        (lambda c: c["images"][0].update(file_name="no.png"), r"no\.png is missing"),
        (
            lambda c: c["annotations"][0].update(segmentation=[[1, 2, 3, 4]]),
            r"annotation 10 of p00\.JPEG .*three",
        ),
        (lambda c: c["annotations"][0].update(segmentation="abc"), r"annotation 10"),
        (lambda c: c["annotations"][2]["segmentation"].update(size=[3, 4]), r"annotation 12"),
        (lambda c: c["annotations"][2]["segmentation"].update(counts=[5, 5]), r"annotation 12"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts="`ll1"), r"annotation 11"),
    ],
)
def test_what_is_wrong_with_coco_is_named(coco: Path, change: Callable[[dict], object], message: str) -> None:
    content = json.loads(coco.read_text())
    change(content)
    coco.write_text(json.dumps(content))
    with pytest.raises(BadInputError, match=message):
        read_data(coco)


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"images": 3, "annotations": []}'])
def test_json_that_is_not_coco(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadInputError, match=r"a\.json"):
        read_data(tmp_path / "a.json")


def test_project(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        for seed in range(3):
            image = project.add_image(picture(seed), name=f"n{seed}")
            if seed != 1:
                project.add_object(
                    image.id, square(1, 1) > 0, label=1, prompt=Prompt(points=((3, 4),), labels=(1,))
                )
                removed = project.add_object(image.id, square(20, 20) > 0, label=2)
                project.remove_object(removed.id)
    images = read_data(tmp_path)
    assert [image.name for image in images] == ["n0", "n2"]
    assert np.array_equal(images[1].image(), picture(2))
    assert images[1].key == content_hash(picture(2))
    (item,) = images[0].objects()
    assert np.array_equal(item.mask, square(1, 1) > 0)
    assert item.prompt is not None
    assert item.prompt.points == ((3, 4),)
    assert len(read_data(tmp_path, limit=1)) == 1


@pytest.mark.real_data
@pytest.mark.skipif("INFOSAM_REAL_DATA" not in os.environ, reason="INFOSAM_REAL_DATA is not set")
@pytest.mark.parametrize(
    ("name", "rule", "pairs"),
    [
        ("dsb2018_nuclei", "auto", 70),
        ("soybean_rust", "components", 63),
        ("uav75_crack", "components", 75),
        ("usgra_ultrasound", "components", 110),
    ],
)
def test_real_data(name: str, rule: str, pairs: int) -> None:
    images = read_data(Path(os.environ["INFOSAM_REAL_DATA"]) / name, objects=rule)
    assert 0.9 * pairs <= len(images) <= pairs
    for image in images[::10]:
        size = image.image().shape[:2]
        assert all(item.mask.shape == size and item.area > 0 for item in image.objects())
    if name == "dsb2018_nuclei":
        assert sum(len(image.objects()) for image in images) > 10 * len(images)


def test_only_a_project_has_revisions(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(BadInputError, match="only a project has revisions"):
        read_data(tmp_path, revision=3)
    with Project.create(tmp_path / "project") as project:
        image = project.add_image(np.arange(400, dtype=np.uint8).reshape(20, 20))
        project.add_object(image.id, np.eye(20, dtype=bool), label=1)
        revision = project.revision
        project.add_object(image.id, np.eye(20, k=5, dtype=bool), label=2)
    assert [len(image.objects()) for image in read_data(project.folder, revision=revision)] == [1]
    assert [len(image.objects()) for image in read_data(project.folder)] == [2]
    with pytest.raises(BadInputError, match="no labelled objects"):
        read_data(project.folder, revision=0)
