"""Masks of one image that are to share no pixel."""

from __future__ import annotations

from collections.abc import Sequence

from infosam.data.rle import RLE, decode_window, encode_mask, encode_window, rle_area
from infosam.types import BadInputError, BoolArray


def free_parts(masks: Sequence[BoolArray | RLE], taken: BoolArray) -> list[RLE]:
    """What masks, (H, W) or as run lengths, have of the pixels that are not taken, in their order.

    The smaller of two masks has what they share. One of which less than half is free is left out; an empty
    one stays.

    Args:
        masks: of one image.
        taken: (H, W), the pixels of others; left as it is.

    Raises:
        BadInputError: a mask has another size.
    """
    whole = [mask if isinstance(mask, RLE) else encode_mask(mask) for mask in masks]
    for rle in whole:
        if rle.size != taken.shape:
            raise BadInputError(f"the mask has the shape {rle.size}, its image {taken.shape}")
    taken, areas = taken.copy(), [rle_area(rle) for rle in whole]
    parts: dict[int, RLE] = {}
    for number in sorted(range(len(whole)), key=areas.__getitem__):
        rle = whole[number]
        window, inside = decode_window(rle)
        free = inside & ~taken[window]
        if 2 * free.sum() >= areas[number]:
            taken[window] |= inside
            corner = (window[0].start, window[1].start)
            parts[number] = encode_window(free, corner, rle.size)
    return [parts[number] for number in sorted(parts)]
