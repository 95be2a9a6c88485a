"""Differences of label images against what is plainly expected."""

import numpy as np
import pytest

from napari_infosam.models.label_diff import bounding_box, difference, erase, interior, paint, rebase


def apply(labels: np.ndarray, diff: object) -> np.ndarray:
    assert diff is not None
    result = labels.copy()
    r0, c0, r1, c1 = diff.box  # type: ignore[attr-defined]
    result[r0:r1, c0:c1] = diff.after  # type: ignore[attr-defined]
    return result


@pytest.fixture
def labels() -> np.ndarray:
    made = np.zeros((8, 10), np.int32)
    made[1:4, 1:4] = 1
    made[4:7, 5:9] = 2
    return made


def test_the_box_is_tight_and_half_open() -> None:
    mask = np.zeros((8, 10), bool)
    assert bounding_box(mask) is None
    mask[2, 3] = mask[5, 7] = True
    assert bounding_box(mask) == (2, 3, 6, 8)
    assert bounding_box(np.ones((1, 1), bool)) == (0, 0, 1, 1)


def test_a_difference_is_the_smallest_box_and_names_gaining_and_losing_labels(labels: np.ndarray) -> None:
    after = labels.copy()
    after[5, 6] = 7
    after[6, 8] = 0
    diff = difference(labels, after)
    assert diff is not None
    assert diff.box == (5, 6, 7, 9)
    assert diff.labels == (2, 7)
    assert (apply(labels, diff) == after).all()
    assert difference(labels, labels.copy()) is None


def test_a_difference_does_not_change_with_the_arrays_it_was_made_from(labels: np.ndarray) -> None:
    after = labels.copy()
    after[0, 0] = 9
    diff = difference(labels, after)
    after[0, 0] = labels[0, 0] = 5
    assert diff is not None
    assert diff.before == 0
    assert diff.after == 9


def test_the_interior_is_farthest_from_the_border() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:9, 4:11] = True
    mask[5, 11:30] = True  # a thin tail moves the centre of mass, not the interior
    assert interior(mask) == (5, 7)
    mask[:] = False
    mask[19, 29] = True
    assert interior(mask) == (19, 29)
    with pytest.raises(ValueError, match="empty"):
        interior(np.zeros((3, 3), bool))


def test_painting_takes_only_free_pixels(labels: np.ndarray) -> None:
    mask = np.zeros((8, 10), bool)
    mask[3:6, 3:7] = True
    before = labels.copy()
    painted = apply(labels, paint(labels, mask, 3, overwrite=False))
    assert (labels == before).all()
    assert (painted[before != 0] == before[before != 0]).all()
    assert (painted[mask & (before == 0)] == 3).all()
    assert (painted[~mask] == before[~mask]).all()


def test_painting_over_other_objects_takes_every_pixel(labels: np.ndarray) -> None:
    mask = np.zeros((8, 10), bool)
    mask[3:6, 3:7] = True
    diff = paint(labels, mask, 3, overwrite=True)
    assert diff is not None
    assert diff.labels == (1, 2, 3)
    assert (apply(labels, diff)[mask] == 3).all()


def test_replacing_clears_what_the_object_had_elsewhere(labels: np.ndarray) -> None:
    mask = np.zeros((8, 10), bool)
    mask[2:5, 2:6] = True
    painted = apply(labels, paint(labels, mask, 1, overwrite=False, present=(1, 1, 4, 4)))
    assert (painted == 1).sum() == (mask & (labels != 2)).sum()
    assert (painted[labels == 2] == 2).all()


def test_painting_nothing_new_is_no_change(labels: np.ndarray) -> None:
    assert paint(labels, labels == 1, 1, overwrite=True) is None
    assert paint(labels, labels == 1, 3, overwrite=False) is None
    assert paint(labels, np.zeros((8, 10), bool), 3, overwrite=True) is None


def test_erasing_takes_one_label_out(labels: np.ndarray) -> None:
    erased = apply(labels, erase(labels, 2, (4, 5, 7, 9)))
    assert (erased == np.where(labels == 2, 0, labels)).all()
    assert erase(labels, 3, (0, 0, 8, 10)) is None


def test_strokes_are_done_again_on_labels_that_others_have_changed() -> None:
    before = np.array([[1, 1, 0, 0, 0, 0]])
    drawn = np.array([[1, 0, 2, 2, 3, 0]])  # one pixel erased, objects 2 and 3 painted
    now = np.array([[1, 1, 0, 0, 0, 2]])  # another object 2
    labels, renamed = rebase(before, drawn, now, taken={2, 9}, next_label=4)
    assert labels.tolist() == [[1, 0, 4, 4, 3, 2]]
    assert renamed == {2: 4}
    assert now.tolist() == [[1, 1, 0, 0, 0, 2]]
    same, renamed = rebase(before, before, now, taken={2}, next_label=3)
    assert same.tolist() == now.tolist()
    assert renamed == {}
