"""What training and evaluation read: images with the objects labelled in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from infosam.data.intensity import intensity_range
from infosam.data.io import content_hash, printable
from infosam.data.rle import RLE, decode_mask, encode_mask, rle_area, rle_box
from infosam.types import BadInputError, BoolArray, IntensityRange, Prompt


class LabelledObject:
    """One object: its mask, and the prompt that it was made with where one is known.

    The mask is kept as run lengths, so that many objects of a large image fit in memory: `mask` decodes it
    anew on every access. key: what tells the object apart from the others of its image. whole: the object as
    the whole image shows it, where this is how a part of the image does.
    """

    def __init__(
        self,
        mask: BoolArray | RLE,
        prompt: Prompt | None = None,
        key: str = "",
        whole: LabelledObject | None = None,
    ) -> None:
        self.rle = mask if isinstance(mask, RLE) else encode_mask(mask)
        self.prompt = prompt
        self.key = key
        self.whole = whole

    @property
    def mask(self) -> BoolArray:
        """(H, W) bool."""
        return decode_mask(self.rle)

    @property
    def area(self) -> int:
        """In pixels."""
        return rle_area(self.rle)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The tight box (r0, c0, r1, c1), half-open."""
        return rle_box(self.rle)

    def __repr__(self) -> str:
        return f"LabelledObject({self.key!r}, area={self.area}, box={self.box})"


class LabelledImage:
    """An image whose pixels are loaded on demand, with its objects.

    key: the content hash of the raw pixels, by which an image is known wherever its file lies. name: for
    people. path: its file, if it has one of its own. plane: where it lies in the stack that it is from.
    """

    def __init__(
        self,
        key: str,
        name: str,
        load: Callable[[], NDArray[Any]],
        objects: Sequence[LabelledObject],
        intensity: IntensityRange | None = None,
        *,
        path: Path | None = None,
        plane: tuple[int, ...] | None = None,
    ) -> None:
        self.key = key
        self.name = printable(name)
        self.path = path
        self.plane = plane
        self._load = load
        self._objects = tuple(objects)
        self._intensity = intensity

    @classmethod
    def from_array(
        cls, image: NDArray[Any], objects: Sequence[LabelledObject], *, name: str = "image"
    ) -> LabelledImage:
        """An image that is in memory already; raises BadInputError where a mask has another size."""
        for item in objects:
            if item.rle.size != image.shape[:2]:
                raise BadInputError(
                    f"{name}: the image has {image.shape[:2]} rows and columns, a mask of it {item.rle.size}"
                )
        return cls(content_hash(image), name, lambda: image, objects, intensity_range(image))

    def image(self) -> NDArray[Any]:
        """The raw pixels, (H, W) or (H, W, C), loaded anew on every call."""
        return self._load()

    def objects(self) -> tuple[LabelledObject, ...]:
        return self._objects

    @property
    def intensity(self) -> IntensityRange:
        """The raw values that become 0 and 255; computed once, unless the image came with it."""
        if self._intensity is None:
            self._intensity = intensity_range(self.image())
        return self._intensity

    def __repr__(self) -> str:
        return f"LabelledImage({self.name!r}, {len(self._objects)} objects)"


def count_objects(images: Sequence[LabelledImage]) -> int:
    """All labelled objects of the images."""
    return sum(len(image.objects()) for image in images)


def labels_hash(image: LabelledImage) -> str:
    """SHA-256 (hex) over the masks of an image's objects and the prompts that they were made with."""
    digest = hashlib.sha256()
    for item in image.objects():
        prompt = item.prompt and (item.prompt.points, item.prompt.labels, item.prompt.box)
        digest.update(repr((item.rle, prompt)).encode())
    return digest.hexdigest()
