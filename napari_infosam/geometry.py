"""Between the canvas (world coordinates, any number of axes) and the pixels of the shown image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count, product
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from napari.components import Dims
from napari.layers import Image, Layer
from numpy.typing import NDArray

from infosam.types import BadInputError
from napari_infosam.models.shown_image import ImageKey, Index, ShownImage

MAX_PIXELS = 2**28
MAX_CHANNELS = 6  # a shown side this short, beside a long one, is taken for an axis of channels

Box = tuple[float, float, float, float]


_numbers: WeakKeyDictionary[Layer, int] = WeakKeyDictionary()
_array_numbers: dict[int, tuple[Callable[[], Any], int]] = {}  # by id: an array that may be gone, its number
_next_number = count(1)


def number_of(layer: Layer) -> int:
    """Tells a layer from all others of this process, those that are gone included: an `id` is given again."""
    return _numbers.setdefault(layer, next(_next_number))


def shown_image(layer: Image, dims: Dims) -> ShownImage:
    """The slice of `layer` that a viewer with these dims shows.

    Raises:
        BadInputError: the slice is not a 2-D image of real numbers; the message says what to do.
    """
    if dims.ndisplay != 2:
        raise BadInputError("Prompts need the 2-D view: switch off the 3-D view (Ctrl+Y).")
    source = _source(layer)
    if np.dtype(source.dtype).kind not in "biuf":
        raise BadInputError(f"“{layer.name}” has {source.dtype} pixels: convert it to real numbers first.")
    index = _shown_index(layer, dims, source.shape)
    height, width = (size for size, item in zip(source.shape, index, strict=False) if isinstance(item, slice))
    _check_size(layer, height, width)
    return _slice(layer, source, index, (height, width))


def source_number(layer: Image) -> int:
    """Tells the array that a layer holds from all others, those that it held before included."""
    return _number_of_array(_source(layer))


def _number_of_array(array: Any) -> int:
    known = _array_numbers.get(id(array))  # an `id` is given again, too, and arrays cannot be hashed
    if known is None or known[0]() is not array:
        try:
            known = ref(array), next(_next_number)
        except TypeError:  # some classes of arrays cannot be referred to weakly
            return -id(array)
        _array_numbers[id(array)] = known
    return known[1]


def _source(layer: Image) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def all_slices(layer: Image, shown: ShownImage) -> list[ShownImage]:
    """What moving the sliders shows of `layer`, along the axes along which `shown` is one of its slices."""
    ways: list[Sequence[int | slice]] = [
        [item] if isinstance(item, slice) else range(size)
        for item, size in zip(shown.index, shown.source.shape, strict=False)
    ]
    return [_slice(layer, shown.source, index, shown.shape) for index in product(*ways)]


def _slice(layer: Image, source: Any, index: Index, shape: tuple[int, int]) -> ShownImage:
    position = tuple(None if isinstance(item, slice) else item for item in index)
    numbers = ", ".join(str(item) for item in position if item is not None)
    return ShownImage(
        key=ImageKey(number_of(layer), _number_of_array(source), position),
        name=f"{layer.name} [{numbers}]" if numbers else layer.name,
        path=layer.source.path,
        source=source,
        index=index,
        shape=shape,
        rgb=layer.rgb,
    )


def _shown_index(layer: Image, dims: Dims, shape: Sequence[int]) -> Index:
    offset = dims.ndim - layer.ndim
    axes = {axis - offset for axis in dims.displayed}
    if min(axes) < 0:
        raise BadInputError(f"“{layer.name}” has no extent along the shown axes: roll the axes (Ctrl+E).")
    point = np.rint(layer.world_to_data(dims.point)).astype(int)
    index = tuple(slice(None) if axis in axes else int(point[axis]) for axis in range(layer.ndim))
    for axis, item in enumerate(index):
        if isinstance(item, int) and not 0 <= item < shape[axis]:
            raise BadInputError(f"“{layer.name}” has no slice at this slider position.")
    return index


def _check_size(layer: Image, height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise BadInputError(f"“{layer.name}” is {height} × {width} pixels: crop it to 16384 × 16384 or less.")
    if layer.ndim > 2 and min(height, width) <= MAX_CHANNELS and max(height, width) > 4 * MAX_CHANNELS:
        raise BadInputError(
            f"The shown slice of “{layer.name}” is {height} × {width} pixels, which looks like an axis of "
            "channels: roll the axes (Ctrl+E) until the image is shown; the slider then chooses the channel."
        )


def to_pixel(layer: Layer, shown: ShownImage, world: Sequence[float]) -> tuple[float, float]:
    """The (row, column) of a world position; pixel centres are at whole numbers."""
    position = layer.world_to_data(world)
    row, column = shown.axes
    return float(position[row]), float(position[column])


def to_box(one: tuple[float, float], other: tuple[float, float], shape: tuple[int, int]) -> Box | None:
    """The box between two (row, column) positions as pixel edges in the image; None if nothing is left."""
    edges = np.clip(np.sort([one, other], axis=0) + 0.5, 0, shape)
    (r0, c0), (r1, c1) = edges
    return (float(r0), float(c0), float(r1), float(c1)) if r1 > r0 and c1 > c0 else None


def to_layer(shown: ShownImage, positions: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """(N, 2) positions in the shown image as (N, ndim) data coordinates of its layer."""
    start = [0 if isinstance(item, slice) else item for item in shown.index]
    full = np.tile(np.asarray(start, dtype=float), (len(positions), 1))
    full[:, list(shown.axes)] = np.asarray(positions, dtype=float).reshape(-1, 2)
    return full


GEOMETRY = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


def geometry_of(layer: Layer) -> dict[str, Any]:
    """Where a layer lies in the world, as keyword arguments of napari's layers."""
    return {name: getattr(layer, name) for name in GEOMETRY}


def slice_geometry_of(layer: Layer, shown: ShownImage) -> dict[str, Any]:
    """As `geometry_of`, for a layer of the same number of axes that holds nothing but the shown slice."""
    start = [0 if isinstance(item, slice) else item for item in shown.index]
    corner = layer.affine.inverse(np.asarray(layer.data_to_world(start), dtype=float))
    return {**geometry_of(layer), "translate": corner}
