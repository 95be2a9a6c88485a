"""A mask's values as single objects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from infosam.types import BadInputError, BoolArray

OBJECT_RULES = ("auto", "image", "components", "labels")
MIN_COMPONENT_AREA = 10  # pixels; smaller components are specks of annotation, not objects
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def check_rule(rule: str) -> None:
    """Raise BadInputError unless `rule` is one of OBJECT_RULES."""
    if rule not in OBJECT_RULES:
        raise BadInputError(f"objects must be one of {', '.join(OBJECT_RULES)}, not {rule!r}")


def split_objects(labels: NDArray[np.integer], rule: str = "auto") -> Iterator[BoolArray]:
    """The objects of an (H, W) mask as (H, W) bool masks; values of 0 and less are background.

    image: all foreground is one object. labels: one object per value. components: one per connected
    component (8 neighbours) of each value, from 10 pixels on. auto: labels if there is more than one value,
    else image.
    """
    check_rule(rule)
    values = np.unique(labels[labels > 0])
    if values.size == 0:
        return
    if rule == "auto":
        rule = "labels" if values.size > 1 else "image"
    if rule == "image":
        yield labels > 0
        return
    for value in values:
        mask = labels == value
        yield from components(mask) if rule == "components" else [mask]


def components(mask: BoolArray) -> Iterator[BoolArray]:
    """The connected components (8 neighbours) of at least 10 pixels, in reading order."""
    regions, _ = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    areas = np.bincount(regions.ravel())
    for region in np.flatnonzero(areas >= MIN_COMPONENT_AREA):
        if region > 0:
            yield regions == region
