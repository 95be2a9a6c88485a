"""Raw pixel values as the 8-bit RGB that models see."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from infosam.types import BadInputError, IntensityRange

PERCENTILES = (0.1, 99.9)
_BLOCK_VALUES = 1 << 20  # values converted at a time, so that a huge image needs no huge temporary array


def check_image(image: NDArray[Any]) -> None:
    """Raise BadInputError unless `image` is numeric, not empty, and (H, W) or (H, W, 1 | 3 | 4)."""
    shape, dtype = np.shape(image), np.asarray(image).dtype
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3, 4)):
        raise BadInputError(
            f"an image must have the shape (H, W) or (H, W, C) with 1, 3 or 4 channels, not {shape}: "
            "choose one slice and one channel, or RGB"
        )
    if 0 in shape:
        raise BadInputError(f"the image is empty: its shape is {shape}")
    if dtype.kind not in "buif":
        raise BadInputError(f"an image must hold whole or real numbers, not {dtype}")


def intensity_range(image: NDArray[Any]) -> IntensityRange:
    """The raw values that become 0 and 255.

    uint8 is taken as it is, bool as 0 and 1; anything else by the 0.1 and 99.9 percentiles of its finite
    values, over all colour channels together. Raises BadInputError as `check_image` does.
    """
    check_image(image)
    colours = _colours(np.asarray(image))
    if colours.dtype == np.uint8:
        return IntensityRange(0.0, 255.0)
    if colours.dtype == np.bool_:
        return IntensityRange(0.0, 1.0)
    finite = (
        colours[np.isfinite(colours)].astype(np.float64) if colours.dtype.kind == "f" else colours.ravel()
    )
    if finite.size == 0:
        return IntensityRange(0.0, 1.0)
    low, high = (float(value) for value in np.percentile(finite, PERCENTILES))
    if low == high:  # few pixels differ from the rest: they are what there is to see
        low, high = float(finite.min()), float(finite.max())
    return IntensityRange(low, high if high > low else low + 1.0)


def to_rgb8(image: NDArray[Any], intensity: IntensityRange) -> NDArray[np.uint8]:
    """The image as contiguous (H, W, 3) uint8, `intensity` mapped to 0-255.

    Alpha is dropped, NaN becomes 0, grey is repeated. Raises BadInputError as `check_image` does.
    """
    check_image(image)
    scaled = _scale(_colours(np.asarray(image)), intensity)
    return np.ascontiguousarray(np.broadcast_to(scaled, (*scaled.shape[:2], 3)))


def _colours(image: NDArray[Any]) -> NDArray[Any]:
    """(H, W, 1 | 3): without alpha."""
    return image[:, :, np.newaxis] if image.ndim == 2 else image[:, :, :3]


def _scale(values: NDArray[Any], intensity: IntensityRange) -> NDArray[np.uint8]:
    if values.dtype == np.uint8 and intensity == IntensityRange(0.0, 255.0):
        return values
    if values.dtype.itemsize <= 2 and values.dtype.kind in "bui":
        return _scale_by_table(values, intensity)
    scaled = np.empty(values.shape, np.uint8)
    rows = max(1, _BLOCK_VALUES // (values.shape[1] * values.shape[2]))
    for start in range(0, len(values), rows):
        scaled[start : start + rows] = _scale_block(values[start : start + rows], intensity)
    return scaled


def _scale_by_table(values: NDArray[Any], intensity: IntensityRange) -> NDArray[np.uint8]:
    """Small integers have few values: scale each value once, then look pixels up."""
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
    unsigned = np.dtype(f"u{values.dtype.itemsize}")
    every = np.arange(256**values.dtype.itemsize, dtype=unsigned).view(values.dtype.newbyteorder("="))
    indices = values.astype(values.dtype.newbyteorder("="), copy=False).view(unsigned)
    return np.take(_scale_block(every, intensity), indices)


def _scale_block(values: NDArray[Any], intensity: IntensityRange) -> NDArray[np.uint8]:
    span = intensity.high - intensity.low
    scaled = values.astype(np.float64)
    scaled -= intensity.low
    scaled *= 255.0 / (span if span > 0 else 1.0)
    np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    np.clip(scaled, 0.0, 255.0, out=scaled)
    scaled += 0.5
    return scaled.astype(np.uint8)
