"""A mask's values as single objects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from infosam.data.rle import RLE, encode_mask, encode_window, rle_area
from infosam.types import BadInputError, BoolArray

OBJECT_RULES = ("auto", "image", "components", "labels", "separate")
MIN_COMPONENT_AREA = 10  # pixels; smaller components are specks of annotation, not objects
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)
_FULL = 255  # what a mask of one object holds in image files
_RIM = 3  # pixels, from full and from nothing, where smoothing has left something between
_SHADES = 8  # values above nothing; fewer may be meant


def check_rule(rule: str) -> None:
    """Raise BadInputError unless `rule` is one of OBJECT_RULES."""
    if rule not in OBJECT_RULES:
        raise BadInputError(f"objects must be one of {', '.join(OBJECT_RULES)}, not {rule!r}")


def split_objects(labels: NDArray[np.integer], rule: str = "auto") -> Iterator[RLE]:
    """The objects of an (H, W) mask as run lengths; values of 0 and less are background.

    image: all foreground is one object. labels: one object per value. components: one per connected
    component (8 neighbours) of each value, from 10 pixels on. auto: labels if there is more than one value,
    else image. separate: labels if there is more than one value, else components.

    Raises:
        BadInputError: the rule is unknown, or one of the last two finds no labels but smoothed edges.
    """
    check_rule(rule)
    values = np.unique(labels[labels > 0])
    if values.size == 0:
        return
    if rule in ("auto", "separate"):
        if _is_smoothed(labels, values):
            raise BadInputError(
                f"the mask has {values.size} values, but most only along edges: these are no labels, its "
                "edges were smoothed. Save it without smoothing, or make all of it one object "
                '(objects="image")'
            )
        alone = "image" if rule == "auto" else "components"
        rule = "labels" if values.size > 1 else alone
    if rule == "image":
        yield encode_mask(labels > 0)
    elif rule == "labels":
        numbered, inside = np.zeros(labels.shape, np.int32), labels > 0
        numbered[inside] = np.searchsorted(values, labels[inside]) + 1
        yield from _encoded(numbered)
    else:
        for value in values:
            yield from components(labels == value)


def components(mask: BoolArray) -> Iterator[RLE]:
    """The connected components (8 neighbours) of at least 10 pixels, in reading order, as run lengths."""
    regions, _ = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    return (rle for rle in _encoded(regions) if rle_area(rle) >= MIN_COMPONENT_AREA)


def _encoded(numbered: NDArray[np.integer]) -> Iterator[RLE]:
    """The regions 1, 2, ... of an (H, W) image of them; each costs what its own box holds."""
    height, width = numbered.shape
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbered), start=1):
        inside = np.asarray(numbered[rows, columns] == number)
        yield encode_window(inside, (rows.start, columns.start), (height, width))


def _is_smoothed(labels: NDArray[np.integer], values: NDArray[np.integer]) -> bool:
    """Whether several values between 0 and 255 occur, and only close to both: no labels lie so."""
    if values[-1] != _FULL or values.size <= _SHADES:
        return False
    close = [
        ndimage.binary_dilation(part, _EIGHT_NEIGHBOURS, iterations=_RIM)
        for part in (labels == _FULL, labels <= 0)
    ]
    between = (labels > 0) & (labels < _FULL)
    return bool((close[0] & close[1])[between].all())
