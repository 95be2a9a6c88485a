"""Masks as run lengths."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from infosam.data.rle import RLE, decode_mask, encode_mask, encode_window, rle_area, rle_box
from infosam.types import BadInputError


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (40, 30)])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_round_trip_area_and_box(shape: tuple[int, int], share: float, rng: np.random.Generator) -> None:
    mask = rng.random(shape) < share
    rle = encode_mask(mask)
    decoded = decode_mask(rle)
    assert decoded.dtype == np.bool_
    assert decoded.flags.c_contiguous
    assert np.array_equal(decoded, mask)
    assert rle_area(rle) == mask.sum()
    r0, c0, r1, c1 = rle_box(rle)
    if mask.any():
        rows, columns = np.nonzero(mask)
        assert (r0, c0, r1, c1) == (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
    else:
        assert (r0, c0, r1, c1) == (0, 0, 0, 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 5), (40, 30)])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_run_lengths_are_those_of_coco(
    shape: tuple[int, int], share: float, rng: np.random.Generator
) -> None:
    for _ in range(20):
        mask = rng.random(shape) < share
        expected = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"]
        assert encode_mask(mask).counts == expected
        assert np.array_equal(decode_mask(encode_mask(mask)), mask)
        r0, c0 = (int(rng.integers(0, side)) for side in shape)
        part = np.zeros(shape, bool)
        part[r0:, c0:] = mask[r0:, c0:]
        window = np.ascontiguousarray(part[r0:, c0:])
        assert encode_window(window, (r0, c0), shape) == encode_mask(part)


def test_box_of_a_run_that_goes_on_in_the_next_column() -> None:
    mask = np.zeros((5, 6), bool)
    mask[3:, 2] = mask[:2, 3] = True  # one run in column-major order
    assert rle_box(encode_mask(mask)) == (0, 2, 5, 4)


@pytest.mark.parametrize("mask", [np.zeros((3, 3), np.uint8), np.zeros((3, 3, 3), bool)])
def test_refuses_what_is_no_mask(mask: np.ndarray) -> None:
    with pytest.raises(BadInputError, match="must be"):
        encode_mask(mask)


@pytest.mark.parametrize("counts", [b"", b"\x00\x01", b"0Z", b"zzzz", b"1O"])
def test_refuses_damaged_run_lengths(counts: bytes) -> None:
    with pytest.raises(BadInputError, match="do not describe"):
        decode_mask(RLE((8, 8), counts))


def test_long_runs_of_a_large_image() -> None:
    mask = np.zeros((5000, 4000), bool)
    mask[10:4990, 5:3990] = True
    mask[2000:2100, 100:3000] = False
    rle = encode_mask(mask)
    assert np.array_equal(decode_mask(rle), mask)
    assert np.array_equal(coco_mask.decode({"size": list(rle.size), "counts": rle.counts}), mask)


def test_refuses_run_lengths_of_another_size() -> None:
    counts = encode_mask(np.ones((8, 8), bool)).counts
    with pytest.raises(BadInputError, match="do not describe"):
        decode_mask(RLE((4, 4), counts))


@pytest.mark.parametrize(("size", "counts"), [((5, 5), [5, 0, 0, 3, 17]), ((3, 1), [0, 0, 0, 2, 1])])
def test_empty_runs_between_others(size: tuple[int, int], counts: list[int]) -> None:
    coded = coco_mask.frPyObjects({"size": list(size), "counts": counts}, *size)
    assert np.array_equal(decode_mask(RLE(size, coded["counts"])), coco_mask.decode(coded))
