"""File > Open Sample > InfoSAM: images that scikit-image brings along, and the packs of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infosam.types import BadInputError

LayerData = tuple[Any, dict[str, Any], str]

_HERE = Path(__file__).parent
_IMAGE_SUFFIXES = (".jpg", ".png", ".tif")


def sample_folder(name: str) -> Path:
    """The folder of a domain pack, with `images` and `masks`.

    Raises:
        BadInputError: there is no such pack; the message lists the ones there are.
    """
    roots = (_HERE / "sample_data", _HERE.parent / "sample_data")  # installed from a wheel; in a checkout
    for root in roots:
        if (root / name / "images").is_dir():
            return root / name
    known = sorted(folder.parent.name for root in roots for folder in root.glob("*/images"))
    raise BadInputError(f"there is no sample pack {name!r}: choose one of {', '.join(known)}")


def coins() -> list[LayerData]:
    """Greek coins on a dark ground, grey."""
    return _bundled("coins")


def cell() -> list[LayerData]:
    """One cell in quantitative phase contrast, grey."""
    return _bundled("cell")


def immunohistochemistry() -> list[LayerData]:
    """Stained colonic glands, colour."""
    return _bundled("immunohistochemistry")


def microaneurysms() -> list[LayerData]:
    """A part of a retina with microaneurysms, grey."""
    return _bundled("microaneurysms")


def retina() -> list[LayerData]:
    """The back of an eye with its vessels, colour."""
    return _bundled("retina")


def leaf_lesions() -> list[LayerData]:
    """Generated leaves with lesions, as a stack."""
    return _pack("leaf_lesions")


def road_net() -> list[LayerData]:
    """Generated road nets seen from above, as a stack."""
    return _pack("road_net")


def _bundled(name: str) -> list[LayerData]:
    import skimage.data

    image: NDArray[Any] = getattr(skimage.data, name)()
    return [(image, {"name": name}, "image")]


def _pack(name: str) -> list[LayerData]:
    """The images of a pack as one stack, whose slices are annotated one by one."""
    from infosam.data.io import read_image

    files = sorted(
        path for path in (sample_folder(name) / "images").iterdir() if path.suffix in _IMAGE_SUFFIXES
    )
    return [(np.stack([read_image(path) for path in files]), {"name": name}, "image")]
