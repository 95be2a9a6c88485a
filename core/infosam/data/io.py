"""Images and masks in files."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from infosam.data.intensity import check_image
from infosam.types import BadInputError, InfoSAMError

log = logging.getLogger(__name__)

TIFF_SUFFIXES = (".tif", ".tiff")
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
LabelArray = NDArray[np.int32]


def read_image(path: str | Path, *, plane: int | None = None) -> NDArray[Any]:
    """The raw pixels of an image file, (H, W) or (H, W, C), in the file's own number type.

    Pixels come as they are stored: an EXIF orientation is not applied, as in napari. plane: which plane of a
    file that holds several. Raises BadInputError naming the file where it is missing, damaged, not an image,
    or holds several planes and none was chosen.
    """
    path = _existing(path)
    image = _read_tiff(path, plane) if _is_tiff(path) else _read_pillow(path, plane, palette=True)
    try:
        check_image(image)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error
    return image


def printable(name: str) -> str:
    """A file's name as text that can be written: one that its system keeps in no known encoding has marks for
    what cannot be read."""
    return name.encode("utf-8", "replace").decode()


def read_mask(path: str | Path) -> LabelArray:
    """The values of a mask file as (H, W) int32: palette masks by index, 0/255 masks as they are.

    A JPEG mask holds no exact values: it is taken as binary, 255 from half intensity on. Raises BadInputError
    naming the file where it cannot be read or holds colours or fractions instead of labels.
    """
    path = _existing(path)
    values = _read_tiff(path, None) if _is_tiff(path) else _read_pillow(path, None, palette=False)
    if values.ndim == 3:
        values = _equal_channels(values, path)
    if values.dtype.kind == "f" and not np.array_equal(values, np.round(values)):
        raise BadInputError(f"{path} holds fractions: a mask must hold whole numbers, 0 for background")
    if values.dtype.kind not in "buif" or values.ndim != 2:
        raise BadInputError(f"{path} is no mask: it holds {values.dtype} values of shape {values.shape}")
    limits = np.iinfo(np.int32)
    if values.size and not (limits.min <= values.min() and values.max() <= limits.max):
        raise BadInputError(f"{path} holds labels beyond {limits.max}: renumber them")
    labels: LabelArray = values.astype(np.int32)
    if path.suffix.lower() in (".jpg", ".jpeg"):
        labels = np.where(labels >= 128, 255, 0).astype(np.int32)
    return labels


def write_mask(path: str | Path, mask: NDArray[Any]) -> Path:
    """Write an (H, W) mask, bool or labels of 0 and more, as PNG or TIFF in the smallest number type.

    Raises BadInputError for a mask that the format cannot hold, InfoSAMError if the file cannot be written.
    """
    path, mask = Path(path), np.asarray(mask)
    if mask.ndim != 2 or mask.size == 0 or mask.dtype.kind not in "bui" or mask.min() < 0:
        raise BadInputError(f"a mask must be (H, W) with labels of 0 and more, not {mask.dtype} {mask.shape}")
    values = mask.astype(np.min_scalar_type(int(mask.max())) if mask.dtype.kind != "b" else np.uint8)
    try:
        if _is_tiff(path):
            tifffile.imwrite(path, values, compression="zlib", photometric="minisblack")
        elif path.suffix.lower() == ".png" and values.dtype.itemsize <= 2:
            Image.fromarray(values).save(path)
        else:
            raise BadInputError(
                f"cannot write {path.name}: masks are written as .tif, or .png up to label 65535"
            )
    except OSError as error:
        raise InfoSAMError(
            f"cannot write {path}: {error}; choose another folder or free some space"
        ) from error
    return path


def content_hash(array: NDArray[Any]) -> str:
    """SHA-256 (hex) over number type, shape and values; the same on machines of either byte order."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    digest = hashlib.sha256(f"{little.dtype.str}{little.shape}".encode())
    digest.update(little.data)
    return digest.hexdigest()


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise BadInputError(f"{path} is {'a folder, not a file' if path.is_dir() else 'missing'}")
    return path


def _is_tiff(path: Path) -> bool:
    return path.suffix.lower() in TIFF_SUFFIXES


def _read_tiff(path: Path, plane: int | None) -> NDArray[Any]:
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            values, axes = series.asarray(), series.axes
    except Exception as error:  # a damaged file makes tifffile raise many unrelated types
        if "imagecodecs" in str(error):  # a compression that Pillow may still know
            return _read_pillow(path, plane, palette=False)
        raise BadInputError(f"cannot read {path}: {error or 'the file is damaged'}") from error
    return _choose_plane(*_channels_last(values, axes), path, plane)


def _channels_last(values: NDArray[Any], axes: str) -> tuple[NDArray[Any], int]:
    """(planes..., H, W) or (planes..., H, W, S), and how many axes one plane has."""
    if "S" not in axes:
        return values, 2
    return np.moveaxis(values, axes.index("S"), -1), 3


def _choose_plane(values: NDArray[Any], plane_ndim: int, path: Path, plane: int | None) -> NDArray[Any]:
    planes = values.reshape(-1, *values.shape[values.ndim - plane_ndim :])
    _check_plane(path, plane, len(planes))
    chosen: NDArray[Any] = planes[plane or 0]
    return chosen


def _check_plane(path: Path, plane: int | None, n_planes: int) -> None:
    if plane is None and n_planes > 1:
        raise BadInputError(
            f"{path} holds {n_planes} planes: choose one, or save each as an image of its own"
        )
    if plane is not None and not 0 <= plane < n_planes:
        raise BadInputError(f"{path} has no plane {plane}: it holds {n_planes}, counted from 0")


def _read_pillow(path: Path, plane: int | None, *, palette: bool) -> NDArray[Any]:
    """palette: whether palette images become their colours (else indices stay)."""
    try:
        with Image.open(path) as image:
            # What a phone puts behind its picture, a preview or a depth map, is no plane of it.
            _check_plane(path, plane, 1 if image.format == "MPO" else getattr(image, "n_frames", 1))
            image.seek(plane or 0)
            _warn_of_lost_bits(image, path)
            return _pixels(image, palette=palette)
    except BadInputError:
        raise
    except Image.DecompressionBombError as error:
        raise BadInputError(f"{path} is too large for its format ({error}): save it as TIFF") from error
    except (
        Exception
    ) as error:  # a damaged file makes Pillow raise OSError, SyntaxError, ValueError, struct.error...
        raise BadInputError(f"cannot read {path}: {error or 'the file is damaged'}") from error


def _pixels(image: Image.Image, *, palette: bool) -> NDArray[Any]:
    if image.mode in ("LA", "La"):
        return np.array(image.convert("LA"))[:, :, 0]
    if image.mode in ("P", "PA") and palette:
        return np.array(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    if image.mode == "PA":
        return np.array(image)[:, :, 0]
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
        return np.array(image.convert("RGB"))
    return np.array(image)


def _warn_of_lost_bits(image: Image.Image, path: Path) -> None:
    tiles = getattr(image, "tile", ())
    if any(str(tile.args).startswith(("RGB;16", "RGBA;16")) for tile in tiles):
        log.warning("%s has 16 bits per colour, of which 8 are read: save it as TIFF to keep them all", path)


def _equal_channels(values: NDArray[Any], path: Path) -> NDArray[Any]:
    colours = values[:, :, :3] if values.shape[2] in (3, 4) else values
    if not (colours == colours[:, :, :1]).all():
        raise BadInputError(
            f"{path} holds colours: a mask must hold labels (whole numbers), 0 for background"
        )
    first: NDArray[Any] = colours[:, :, 0]
    return first
