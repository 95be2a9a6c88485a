"""Masks as objects."""

from collections.abc import Callable

import numpy as np
import pytest

from infosam.data.objects import OBJECT_RULES, split_objects
from infosam.data.rle import decode_mask, rle_area
from infosam.types import BadInputError


@pytest.fixture
def labels() -> np.ndarray:
    """Value 1 in two parts that meet at a corner and one apart; value 4 once, with a speck of 4 pixels."""
    labels = np.zeros((30, 30), np.int32)
    labels[0:4, 0:4] = labels[4:8, 4:8] = 1
    labels[20:24, 0:4] = 1
    labels[8:14, 20:25] = 4
    labels[28:30, 28:30] = 4
    labels[15, 15] = -1
    return labels


def areas(labels: np.ndarray, rule: str) -> list[int]:
    return [rle_area(rle) for rle in split_objects(labels, rule)]


def test_rules(labels: np.ndarray) -> None:
    assert areas(labels, "image") == [48 + 34]
    assert areas(labels, "labels") == [48, 34]
    assert areas(labels, "components") == [32, 16, 30]
    assert areas(labels, "auto") == [48, 34]
    assert areas(np.where(labels == 1, 255, 0), "auto") == [48]
    assert areas(labels, "separate") == [48, 34]
    assert areas(np.where(labels == 1, 255, 0), "separate") == [32, 16]


@pytest.mark.parametrize("rule", ["image", "labels", "components"])
def test_masks_are_disjoint_and_nothing_but_objects(labels: np.ndarray, rule: str) -> None:
    masks = [decode_mask(rle) for rle in split_objects(labels, rule)]
    assert all(mask.shape == labels.shape for mask in masks)
    assert np.sum(masks, axis=0).max() == 1
    for mask in masks:
        assert len(np.unique(labels[mask])) == (2 if rule == "image" else 1)


@pytest.mark.parametrize(("side", "kept"), [((3, 3), 0), ((2, 5), 1)])
def test_components_have_ten_pixels_and_more(side: tuple[int, int], kept: int) -> None:
    labels = np.zeros((9, 9), np.int32)
    labels[2 : 2 + side[0], 3 : 3 + side[1]] = 1
    assert len(areas(labels, "components")) == kept


@pytest.mark.parametrize("rule", OBJECT_RULES)
def test_background_has_no_objects(rule: str) -> None:
    assert areas(np.zeros((5, 5), np.int32), rule) == []


def test_unknown_rule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInputError, match="auto, image, components, labels, separate, not 'instances'"):
        areas(np.zeros((5, 5), np.int32), "instances")


def disk(radius: float, side: int = 128, *, smoothed: bool) -> np.ndarray:
    rows, columns = np.ogrid[:side, :side]
    edge = radius - np.hypot(rows - side / 2, columns - side / 2)
    return (255 * np.clip(edge + 0.5, 0, 1) if smoothed else np.where(edge > 0, 255, 0)).astype(np.int32)


def test_smoothed_edges_are_no_labels() -> None:
    smoothed = disk(40, smoothed=True)
    with pytest.raises(BadInputError, match=r'its edges were smoothed\. .*objects="image"'):
        areas(smoothed, "auto")
    assert areas(smoothed, "image") == [int((smoothed > 0).sum())]
    assert areas(disk(40, smoothed=False), "auto") == [int((smoothed >= 128).sum())]


def many_labels() -> np.ndarray:
    """255 squares, labelled through."""
    labels = np.zeros((96, 96), np.int32)
    for number in range(255):
        row, column = divmod(number, 16)
        labels[6 * row : 6 * row + 3, 6 * column : 6 * column + 3] = number + 1
    return labels


def void_rims() -> np.ndarray:
    """Five squares, each with a rim of 255 for what is uncertain."""
    labels = np.zeros((60, 60), np.int32)
    for number in range(5):
        labels[10 * number : 10 * number + 9, 10:30] = 255
        labels[10 * number + 1 : 10 * number + 8, 11:29] = number + 1
    return labels


def specks_on_255() -> np.ndarray:
    labels = np.full((40, 40), 255, np.int32)
    for number in range(6):
        labels[5 * number + 2 : 5 * number + 5, 8:11] = number + 1
    return labels


def shells() -> np.ndarray:
    """Three classes around each other, two of them thin."""
    labels = disk(30, smoothed=False)
    labels[(disk(32, smoothed=False) > 0) & (labels == 0)] = 100
    labels[(disk(34, smoothed=False) > 0) & (labels == 0)] = 200
    return labels


@pytest.mark.parametrize("make", [many_labels, void_rims, specks_on_255, shells])
def test_labels_up_to_255_stay_labels(make: Callable[[], np.ndarray]) -> None:
    labels = make()
    assert len(areas(labels, "auto")) == len(np.unique(labels[labels > 0])) > 2
