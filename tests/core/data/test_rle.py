"""Masks as run lengths."""

import numpy as np
import pytest

from infosam.data.rle import RLE, decode_mask, encode_mask, rle_area, rle_box
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


def test_box_of_a_run_that_goes_on_in_the_next_column() -> None:
    mask = np.zeros((5, 6), bool)
    mask[3:, 2] = mask[:2, 3] = True  # one run in column-major order
    assert rle_box(encode_mask(mask)) == (0, 2, 5, 4)


@pytest.mark.parametrize("mask", [np.zeros((3, 3), np.uint8), np.zeros((3, 3, 3), bool)])
def test_refuses_what_is_no_mask(mask: np.ndarray) -> None:
    with pytest.raises(BadInputError, match="must be"):
        encode_mask(mask)


def test_refuses_run_lengths_of_another_size() -> None:
    counts = encode_mask(np.ones((8, 8), bool)).counts
    with pytest.raises(BadInputError, match="do not describe"):
        decode_mask(RLE((4, 4), counts))
