"""The annotation project: images, objects, adapters and settings are there again when it is opened again."""

import threading
from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from PIL import Image

from infosam.data.intensity import intensity_range
from infosam.data.io import content_hash, read_image
from infosam.data.project import Project, default_project_folder
from infosam.data.rle import decode_mask
from infosam.types import BadInputError, InfoSAMError, Prompt

PROMPT = Prompt(points=((3.5, 4.0), (9.0, 1.0)), labels=(1, 0), box=(1.0, 2.0, 8.5, 9.0))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "annotations") as project:
        yield project


def pixels(seed: int = 0, shape: tuple[int, ...] = (30, 40)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def square(top: int, left: int, side: int = 8) -> np.ndarray:
    mask = np.zeros((30, 40), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def reopened(project: Project) -> Project:
    project.close()
    return Project.open(project.folder)


# ------------------------------------------------------------------------------------------- folder


def test_create_and_open(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "new"
    assert not Project.exists(folder)
    with pytest.raises(BadInputError, match="holds no project"):
        Project.open(folder)
    Project.create(folder).close()
    assert Project.exists(folder)
    with pytest.raises(BadInputError, match="holds a project already"):
        Project.create(folder)
    with Project.open(str(folder)) as project:
        assert project.images() == []
        assert project.objects() == []
        assert project.current_adapter() is None


def test_closed_project_says_so(project: Project) -> None:
    project.close()
    project.close()
    for call in (project.images, lambda: project.set_setting("a", 1)):
        with pytest.raises(InfoSAMError, match="is closed: open it again"):
            call()


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INFOSAM_DATA", str(tmp_path))
    assert default_project_folder() == tmp_path / "autosave"
    monkeypatch.delenv("INFOSAM_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    assert default_project_folder().name == "autosave"
    assert "infosam" in str(default_project_folder())


# ------------------------------------------------------------------------------------------- images


@pytest.mark.parametrize(
    "image",
    [
        pixels(),
        pixels(1, (30, 40, 1)),
        pixels(2, (30, 40, 3)),
        pixels(3, (30, 40, 4)),
        pixels(4).astype(np.uint16) * 200,
        pixels(5).astype(">u2"),
        pixels(6, (30, 40, 4)).astype(np.uint16),
        pixels(7).astype(np.int32) - 100,
        pixels(8).astype(np.int64),
        pixels(9).astype(np.float16),
        pixels(10, (30, 40, 3)).astype(np.float32) / 7,
        pixels(11) / 7.0,
        pixels(12) > 100,
        pixels(12, (30, 40, 3)) > 100,
        pixels(12, (30, 40, 4)) > 100,
        pixels(13, (1, 1)),
        pixels(14, (30, 3)),
        pixels(15)[::2, ::-1],
    ],
    ids=lambda image: f"{image.dtype}-{image.shape}",
)
def test_image_without_a_file_is_kept(project: Project, image: np.ndarray) -> None:
    added = project.add_image(image, name="mine")
    project = reopened(project)
    (record,) = project.images()
    assert record == added == project.find_image(content_hash(image))
    assert record.shape == image.shape
    assert record.name == "mine"
    assert record.intensity == intensity_range(image)
    assert np.dtype(record.dtype) == image.dtype.newbyteorder("=")
    read = project.read_image(record.id)
    assert read.dtype == image.dtype.newbyteorder("=")
    assert np.array_equal(read, image)
    assert record.path.parent == project.folder / "images"
    assert [file.name for file in record.path.parent.iterdir()] == [record.path.name]  # nothing half-written


def test_a_file_whose_name_cannot_be_written_is_copied(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "b\udcfcro.png"
    iio.imwrite(path, pixels())
    record = project.add_image(pixels(), path=path)
    assert (record.name, record.is_copy) == ("b?ro.png", True)
    assert np.array_equal(project.read_image(record.id), pixels())


def test_a_file_beside_the_project_is_found_when_that_is_moved(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iio.imwrite(tmp_path / "beside.png", pixels())
    monkeypatch.chdir(project.folder)
    record = project.add_image(pixels(), path=Path("..", "beside.png"))
    assert record.path == tmp_path / "beside.png"
    project.close()
    (tmp_path / "deep").mkdir()
    project.folder.rename(tmp_path / "deep" / "moved")
    with Project.open(tmp_path / "deep" / "moved") as moved:
        assert np.array_equal(moved.read_image(record.id), pixels())


def test_same_pixels_are_one_image(project: Project) -> None:
    first = project.add_image(pixels(), name="a")
    assert project.add_image(pixels().copy(), name="b") == first
    assert project.add_image(pixels().astype(np.uint16)).id != first.id
    assert project.find_image("0" * 64) is None


def test_image_of_a_file_stays_there(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "cells.png"
    Image.fromarray(pixels()).save(path)
    record = project.add_image(read_image(path), path=path)
    assert (record.path, record.name, record.is_copy) == (path, "cells.png", False)
    assert not (project.folder / "images").exists()
    assert np.array_equal(project.read_image(record.id), pixels())


def test_file_is_copied_where_it_reads_differently(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    stack = np.stack([pixels(1), pixels(2)])
    tifffile.imwrite(path, stack, photometric="minisblack")
    for record in (
        project.add_image(stack[1], path=path, plane=(1,)),
        project.add_image(stack[0], path=path),
        project.add_image(pixels(3), path=tmp_path / "gone.png"),
    ):
        assert record.is_copy
        assert record.path.is_relative_to(project.folder)
        assert content_hash(project.read_image(record.id)) == record.content_hash
    assert [record.plane for record in project.images()] == [(1,), None, None]
    assert [record.name for record in project.images()] == ["stack.tif", "stack.tif", "gone.png"]


def test_changed_and_missing_files_are_refused(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "cells.png"
    Image.fromarray(pixels()).save(path)
    record = project.add_image(pixels(), path=path)
    project.add_object(record.id, square(1, 1), label=1)
    (labelled,) = project.labelled_images()
    Image.fromarray(pixels(1)).save(path)
    for read in (lambda: project.read_image(record.id), labelled.image):
        with pytest.raises(BadInputError, match=r"cells\.png has changed since"):
            read()
    path.unlink()
    for read in (lambda: project.read_image(record.id), labelled.image):
        with pytest.raises(BadInputError, match=r"cells\.png is missing"):
            read()


def test_project_can_be_moved(project: Project) -> None:
    record = project.add_image(pixels())
    adapter = project.add_adapter(project.folder / "adapters" / "1", base_model="sam_pocket")
    project.close()
    moved = project.folder.rename(project.folder.with_name("moved"))
    with Project.open(moved) as again:
        assert np.array_equal(again.read_image(record.id), pixels())
        assert again.adapters()[0].folder == moved / "adapters" / "1"
        assert again.adapters()[0].id == adapter.id


def test_unknown_ids_are_refused(project: Project) -> None:
    image = project.add_image(pixels())
    for call, what in (
        (lambda: project.read_image(9), "no image 9"),
        (lambda: project.add_object(9, square(1, 1), label=1), "no image 9"),
        (lambda: project.mask(7), "no object 7"),
        (lambda: project.update_object(7, square(1, 1)), "no object 7"),
        (lambda: project.remove_object(7), "no object 7"),
        (lambda: project.history(7), "no object 7"),
        (lambda: project.set_current_adapter(5), "no adapter 5"),
        (lambda: project.roll_back_adapter(5), "no adapter 5"),
    ):
        with pytest.raises(BadInputError, match=what):
            call()
    assert project.objects(image.id) == []


# ------------------------------------------------------------------------------------------- objects


def test_object_keeps_mask_and_prompt(project: Project) -> None:
    image = project.add_image(pixels())
    added = project.add_object(image.id, square(2, 3), label=4, prompt=PROMPT)
    project = reopened(project)
    (record,) = project.objects(image.id)
    assert (record.id, record.image_id, record.label, record.source) == (added.id, image.id, 4, "prompt")
    assert (record.corrections, record.class_id, record.removed) == (0, None, False)
    assert record.prompt is not None
    assert (record.prompt.points, record.prompt.labels, record.prompt.box) == (
        PROMPT.points,
        (1, 0),
        PROMPT.box,
    )
    assert not record.used_mask_prompt
    assert (record.area, record.box) == (64, (2, 3, 10, 11))
    assert np.array_equal(project.mask(record.id), square(2, 3))


def test_mask_prompts_are_noted_and_numpy_numbers_accepted(project: Project) -> None:
    image = project.add_image(pixels())
    prompt = Prompt(points=((np.int64(3), np.float32(4)),), labels=(np.int64(1),), mask=square(1, 1))
    record = project.add_object(image.id, square(1, 1), label=np.int64(1), prompt=prompt)
    assert record.used_mask_prompt
    assert record.prompt is not None
    assert record.prompt.points == ((3.0, 4.0),)
    assert record.prompt.mask is None
    only_mask = project.add_object(image.id, square(20, 20), label=2, prompt=Prompt(mask=square(1, 1)))
    assert only_mask.used_mask_prompt
    assert project.labelled_images()[0].objects()[1].prompt is None


def test_corrections_are_counted_and_kept(project: Project) -> None:
    image = project.add_image(pixels())
    record = project.add_object(image.id, square(1, 1), label=1, prompt=PROMPT)
    again = Prompt(points=((5, 5),), labels=(1,))
    updated = project.update_object(record.id, square(1, 2), source="prompt", prompt=again)
    assert (updated.source, updated.corrections) == ("prompt", 1)
    assert updated.prompt is not None
    assert updated.prompt.points == ((5.0, 5.0),)
    updated = project.update_object(record.id, square(1, 3))
    assert (updated.source, updated.corrections) == ("edited", 2)
    assert updated.prompt is not None
    assert updated.prompt.points == ((5.0, 5.0),)  # the brush has none of its own
    assert np.array_equal(project.mask(record.id), square(1, 3))
    project.remove_object(record.id)
    history = project.history(record.id)
    assert [revision.action for revision in history] == ["added", "updated", "updated", "removed"]
    assert [revision.source for revision in history] == ["prompt", "prompt", "brush", None]
    masks = [decode_mask(revision.rle) for revision in history if revision.rle is not None]
    assert all(np.array_equal(mask, square(1, left)) for mask, left in zip(masks, (1, 2, 3), strict=True))


def test_drawn_objects_stay_drawn(project: Project) -> None:
    image = project.add_image(pixels())
    record = project.add_object(image.id, square(1, 1), label=1, source="brush")
    assert project.update_object(record.id, square(1, 2)).source == "brush"
    assert project.update_object(record.id, square(1, 2), source="edited").source == "edited"


def test_remove_and_restore(project: Project) -> None:
    image = project.add_image(pixels())
    first = project.add_object(image.id, square(1, 1), label=1)
    second = project.add_object(image.id, square(20, 20), label=2)
    assert project.remove_object(first.id).removed
    assert project.remove_object(first.id).removed  # once more changes nothing
    assert [record.id for record in project.objects()] == [second.id]
    assert [record.id for record in project.objects(include_removed=True)] == [first.id, second.id]
    assert set(np.unique(project.label_image(image.id))) == {0, 2}
    assert not project.restore_object(first.id).removed
    assert [record.id for record in project.objects()] == [first.id, second.id]
    assert np.array_equal(project.mask(first.id), square(1, 1))
    assert [r.action for r in project.history(first.id)] == ["added", "removed", "restored"]


def test_imported_objects_come_together_with_the_labels_after_the_last(project: Project) -> None:
    image = project.add_image(pixels())
    removed = project.add_object(image.id, square(1, 1), label=6)
    project.add_object(image.id, square(20, 20), label=2)
    project.remove_object(removed.id)
    # The second is there already, nearly; the third shares pixels with the first, which is larger.
    masks = [square(1, 20), square(21, 21), square(2, 25, 6), square(1, 20)]
    made = project.import_objects(image.id, masks)
    assert [(item.label, item.source, item.prompt) for item in made] == [
        (7, "imported", None),
        (8, "imported", None),
    ]
    assert np.array_equal(project.mask(made[0].id), square(1, 20) & ~square(2, 25, 6))
    assert np.array_equal(project.mask(made[1].id), square(2, 25, 6))
    with pytest.raises(BadInputError, match="empty"):
        project.import_objects(image.id, [square(10, 10), np.zeros((30, 40), bool)])
    assert [item.label for item in project.objects()] == [2, 7, 8]
    assert project.update_object(made[0].id, square(1, 21)).source == "edited"

    ids = [item.id for item in made]
    project.remove_objects(ids)
    assert [item.label for item in project.objects()] == [2]
    taken = project.add_object(image.id, square(5, 5), label=8)
    with pytest.raises(BadInputError, match="label 8 is taken"):
        project.restore_objects(ids)
    assert [item.label for item in project.objects()] == [2, 8]  # all or none
    project.remove_object(taken.id)
    project.restore_objects(ids)
    assert [item.label for item in project.objects()] == [2, 7, 8]


def test_labels_are_taken_once_and_free_again_after_removal(project: Project) -> None:
    image, other = project.add_image(pixels()), project.add_image(pixels(1))
    first = project.add_object(image.id, square(1, 1), label=1)
    with pytest.raises(BadInputError, match="label 1 is taken"):
        project.add_object(image.id, square(20, 20), label=1)
    project.add_object(other.id, square(20, 20), label=1)
    project.remove_object(first.id)
    project.add_object(image.id, square(20, 20), label=1)
    with pytest.raises(BadInputError, match="label 1 is taken"):
        project.restore_object(first.id)
    assert len(project.objects(image.id)) == 1


@pytest.mark.parametrize(
    ("mask", "label", "source", "message"),
    [
        (np.ones((40, 30), bool), 1, "prompt", r"\(40, 30\), its image \(30, 40\)"),
        (np.zeros((30, 40), bool), 1, "prompt", "empty: remove the object"),
        (np.ones((30, 40), np.uint8), 1, "prompt", "bool, not uint8"),
        (square(1, 1), 0, "prompt", "1 or more, not 0"),
        (square(1, 1), 1, "guess", "prompt, brush, edited, imported, found, not 'guess'"),
    ],
)
def test_bad_objects_are_refused_and_leave_nothing(
    project: Project, mask: np.ndarray, label: int, source: str, message: str
) -> None:
    image = project.add_image(pixels())
    with pytest.raises(BadInputError, match=message):
        project.add_object(image.id, mask, label=label, source=source)  # type: ignore[arg-type]
    assert project.objects(include_removed=True) == []


def test_label_image_lets_the_older_object_own_shared_pixels(project: Project) -> None:
    image = project.add_image(pixels())
    project.add_object(image.id, square(1, 1), label=300)
    project.add_object(image.id, square(5, 5), label=2)
    labels = project.label_image(image.id)
    assert labels.dtype == np.int32
    assert np.array_equal(labels == 300, square(1, 1))
    assert np.array_equal(labels == 2, square(5, 5) & ~square(1, 1))


def test_labelled_images_outlive_the_project(project: Project) -> None:
    first, second = project.add_image(pixels(), name="a"), project.add_image(pixels(1), name="b")
    project.add_image(pixels(2), name="unlabelled")
    project.add_object(second.id, square(1, 1), label=3, prompt=PROMPT)
    project.add_object(first.id, square(2, 2), label=1)
    images = project.labelled_images()
    project.close()
    assert [image.name for image in images] == ["a", "b"]
    assert [image.key for image in images] == [first.content_hash, second.content_hash]
    assert np.array_equal(images[1].image(), pixels(1))
    assert images[1].intensity == second.intensity
    (item,) = images[1].objects()
    assert np.array_equal(item.mask, square(1, 1))
    assert item.prompt is not None
    assert item.prompt.box == PROMPT.box


# ----------------------------------------------------------------------------- adapters and settings


@pytest.mark.parametrize(
    ("prompt", "kept"),
    [
        (Prompt(box=(4.0, 4.0, 14.0, 14.0)), True),
        (Prompt(((8.0, 8.0),), (1,)), True),
        (Prompt(((8.0, 8.0), (20.0, 20.0)), (1, 0), (4.0, 4.0, 14.0, 14.0)), True),
        (Prompt(box=(20.0, 20.0, 28.0, 28.0)), False),
        (Prompt(((20.0, 20.0),), (1,)), False),
        (Prompt(((20.0, 20.0),), (1,), (4.0, 4.0, 14.0, 14.0)), False),
    ],
)
def test_a_prompt_is_no_longer_learnt_from_where_the_object_has_been_moved_away(
    project: Project, prompt: Prompt, kept: bool
) -> None:
    image = project.add_image(pixels())
    project.add_object(image.id, square(5, 5), label=1, prompt=prompt)
    ((item,),) = (labelled.objects() for labelled in project.labelled_images())
    assert (item.prompt is not None) == kept


def test_a_removed_adapter_takes_its_own_files_along_and_no_others(project: Project, tmp_path: Path) -> None:
    own, other = project.adapter_folder / "own", tmp_path / "elsewhere"
    for folder in (own, other):
        folder.mkdir(parents=True)
        (folder / "adapter.json").write_text("{}")
    for folder in (own, other, project.adapter_folder / "gone"):
        record = project.add_adapter(folder, base_model="sam_pocket")
        project.set_current_adapter(record.id)
        project.remove_adapter(record.id)
        assert project.current_adapter() is None
    assert project.adapters() == []
    assert (own.exists(), other.exists()) == (False, True)
    with pytest.raises(BadInputError, match="no adapter"):
        project.remove_adapter(record.id)


def test_adapters_are_accepted_and_rolled_back(project: Project, tmp_path: Path) -> None:
    first = project.add_adapter(
        tmp_path / "one", base_model="sam_pocket", card={"new": {"box": {"iou": 0.8}}}
    )
    assert (first.status, first.is_current, first.folder) == ("new", False, tmp_path / "one")
    project.set_current_adapter(first.id)
    second = project.add_adapter(tmp_path / "two", base_model="sam_pocket")
    project.set_current_adapter(second.id)
    project = reopened(project)
    assert [adapter.status for adapter in project.adapters()] == ["accepted", "accepted"]
    assert project.adapters()[0].card == {"new": {"box": {"iou": 0.8}}}
    current = project.current_adapter()
    assert current is not None
    assert current.id == second.id

    project.set_current_adapter(first.id)
    assert [(a.status, a.is_current) for a in project.adapters()] == [
        ("accepted", True),
        ("rolled_back", False),
    ]
    third = project.add_adapter(tmp_path / "three", base_model="sam_pocket")
    project.roll_back_adapter(third.id)
    assert project.adapters()[2].status == "rolled_back"
    current = project.current_adapter()
    assert current is not None
    assert current.id == first.id
    project.set_current_adapter(None)
    assert project.current_adapter() is None
    statuses = [adapter.status for adapter in project.adapters()]
    assert statuses == ["accepted", "rolled_back", "rolled_back"]


def test_settings(project: Project) -> None:
    assert project.get_setting("model") is None
    assert project.get_setting("model", "sam_pocket") == "sam_pocket"
    project.set_setting("model", "sam_vit_b")
    project.set_setting("model", {"name": "sam2.1_hiera_tiny", "sizes": [1, 2.5, None]})
    project.set_setting("off", False)
    project = reopened(project)
    assert project.get_setting("model") == {"name": "sam2.1_hiera_tiny", "sizes": [1, 2.5, None]}
    assert project.get_setting("off", True) is False


# ------------------------------------------------------------------------------------------- threads


def test_several_threads_write_and_read_together(project: Project) -> None:
    image = project.add_image(pixels())
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(15):
                project.add_image(pixels(step), name="shared")  # the same ones from every thread
                project.add_object(image.id, square(number, step), label=1 + number * 100 + step)
                assert len(project.objects(image.id)) > step
                project.set_setting(f"t{number}", step)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len({record.label for record in project.objects(image.id)}) == 60
    assert len(project.images()) == 15
    assert len(list((project.folder / "images").iterdir())) == 15


def test_what_has_changed_on_an_image_is_known(project: Project) -> None:
    image, other = (project.add_image(pixels(seed)) for seed in (1, 2))
    first, second = (project.add_object(image.id, square(2, 9 * n), label=n + 1) for n in (0, 1))
    then = project.revision
    assert project.changed_objects(image.id, then) == set()
    project.add_object(other.id, square(0, 0), label=1)
    assert project.changed_objects(image.id, then) == set()
    project.remove_object(second.id)
    project.restore_object(second.id)
    assert project.changed_objects(image.id, then) == {second.id}
    project.update_object(first.id, square(4, 4))
    assert project.changed_objects(image.id, then) == {first.id, second.id}
    assert project.changed_objects(other.id, then) == {record.id for record in project.objects(other.id)}


def test_labels_as_they_were_at_a_revision(project: Project) -> None:
    assert project.revision == 0
    assert project.labelled_images(0) == []
    rng = np.random.default_rng(0)
    image, other = (
        project.add_image(rng.integers(0, 255, (20, 30)).astype(np.uint8), name=name) for name in "ab"
    )
    masks = [np.zeros((20, 30), bool) for _ in range(3)]
    for index, mask in enumerate(masks):
        mask[5 * index : 5 * index + 4, 3:9] = True
    prompt, later = Prompt(box=(0, 3, 4, 9)), Prompt(points=((11.0, 4.0),), labels=(1,))
    first = project.add_object(image.id, masks[0], label=1, prompt=prompt)
    second = project.add_object(image.id, masks[1], label=2)
    then = project.revision
    assert project.object_counts() == {image.content_hash: 2}

    project.update_object(first.id, masks[2], source="prompt", prompt=later)
    project.remove_object(second.id)
    project.add_object(other.id, masks[1], label=1)
    assert project.revision == then + 3
    assert project.object_counts() == {image.content_hash: 1, other.content_hash: 1}

    (labelled,) = project.labelled_images(then)
    assert labelled.key == image.content_hash
    assert [item.mask.tolist() for item in labelled.objects()] == [masks[0].tolist(), masks[1].tolist()]
    assert labelled.objects()[0].prompt.box == prompt.box
    now = project.labelled_images(project.revision)
    assert [item.key for item in now] == [item.key for item in project.labelled_images()]
    assert now[0].objects()[0].mask.tolist() == masks[2].tolist()
    assert now[0].objects()[0].prompt.points == later.points

    before_restoring = project.revision
    project.restore_object(second.id)
    assert len(project.labelled_images(before_restoring)[0].objects()) == 1
    assert len(project.labelled_images(project.revision)[0].objects()) == 2
