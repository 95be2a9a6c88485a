"""Masks as objects."""

import numpy as np
import pytest

from infosam.data.objects import split_objects
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
    return [int(mask.sum()) for mask in split_objects(labels, rule)]


def test_rules(labels: np.ndarray) -> None:
    assert areas(labels, "image") == [48 + 34]
    assert areas(labels, "labels") == [48, 34]
    assert areas(labels, "components") == [32, 16, 30]
    assert areas(labels, "auto") == [48, 34]
    assert areas(np.where(labels == 1, 255, 0), "auto") == [48]


@pytest.mark.parametrize("rule", ["image", "labels", "components"])
def test_masks_are_bool_and_disjoint(labels: np.ndarray, rule: str) -> None:
    masks = list(split_objects(labels, rule))
    assert all(mask.dtype == np.bool_ and mask.shape == labels.shape for mask in masks)
    assert np.sum(masks, axis=0).max() == 1


@pytest.mark.parametrize(("side", "kept"), [((3, 3), 0), ((2, 5), 1)])
def test_components_have_ten_pixels_and_more(side: tuple[int, int], kept: int) -> None:
    labels = np.zeros((9, 9), np.int32)
    labels[2 : 2 + side[0], 3 : 3 + side[1]] = 1
    assert len(areas(labels, "components")) == kept


@pytest.mark.parametrize("rule", ["auto", "image", "labels", "components"])
def test_background_has_no_objects(rule: str) -> None:
    assert areas(np.zeros((5, 5), np.int32), rule) == []


def test_unknown_rule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInputError, match="auto, image, components, labels, not 'instances'"):
        areas(np.zeros((5, 5), np.int32), "instances")
