"""Labelled images and objects."""

import numpy as np
import pytest

from infosam.data.intensity import intensity_range
from infosam.data.io import content_hash
from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.data.rle import encode_mask
from infosam.types import BadInputError


def test_object_from_mask_and_from_run_lengths(rng: np.random.Generator) -> None:
    mask = np.zeros((20, 30), bool)
    mask[3:9, 5:21] = rng.random((6, 16)) < 0.8
    mask[3, 5] = mask[8, 20] = True
    for given in (mask, encode_mask(mask)):
        item = LabelledObject(given, key="7")
        assert np.array_equal(item.mask, mask)
        assert item.area == mask.sum()
        assert item.box == (3, 5, 9, 21)
        assert "7" in repr(item)


def test_intensity_is_computed_once_and_only_if_not_given(rng: np.random.Generator) -> None:
    pixels = rng.normal(size=(8, 9))
    loads: list[int] = []

    def load() -> np.ndarray:
        loads.append(1)
        return pixels

    image = LabelledImage("key", "name", load, [])
    assert not loads
    assert image.intensity == image.intensity == intensity_range(pixels)
    assert len(loads) == 1
    given = LabelledImage("key", "name", load, [], intensity_range(pixels * 2))
    assert given.intensity == intensity_range(pixels * 2)
    assert len(loads) == 1


def test_from_array(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 9, (8, 9, 3), dtype=np.uint16)
    image = LabelledImage.from_array(pixels, [LabelledObject(np.ones((8, 9), bool))], name="a")
    assert image.key == content_hash(pixels)
    assert np.array_equal(image.image(), pixels)
    assert len(image.objects()) == 1


def test_a_mask_of_another_size_is_refused(rng: np.random.Generator) -> None:
    image = rng.integers(0, 255, (40, 50), dtype=np.uint8)
    with pytest.raises(BadInputError, match=r"leaf: the image has \(40, 50\) .* a mask of it \(50, 40\)"):
        LabelledImage.from_array(image, [LabelledObject(np.ones((50, 40), bool))], name="leaf")


def test_a_name_in_no_known_encoding_can_be_written(rng: np.random.Generator) -> None:
    image = rng.integers(0, 255, (4, 5), dtype=np.uint8)
    name = LabelledImage.from_array(image, [], name="b\udcfcro.png").name
    assert name.encode() == b"b?ro.png"
