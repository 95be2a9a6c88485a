"""The data of a recipe: read, reduced to a fixed sample of objects, and split."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from infosam.benchmark.recipe import DataSet
from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.data.readers import read_data
from infosam.data.scenes import make_scene
from infosam.types import BadInputError

_SCENE_SIDE, _FIRST_SCENE = 384, 50_000_000  # scenes that pre-training never showed


Parts = tuple[list[LabelledImage], dict[str, list[LabelledImage]]]
"""Training images, and test images by the name of the part."""


def read(data: DataSet, max_objects: int | None = None, limit: int | None = None) -> list[LabelledImage]:
    """The images at the path of a data set, with at most `max_objects` of their objects.

    Raises BadInputError where the data are not to be found.
    """
    return _read(data, data.path, max_objects, limit)


def _read(data: DataSet, place: str, max_objects: int | None, limit: int | None) -> list[LabelledImage]:
    path = os.path.expandvars(place)
    if "$" in path:
        raise BadInputError(f"{data.name} lies at {place}, and the environment does not say where that is")
    return sampled(read_data(Path(path), objects=data.objects, limit=limit), max_objects)


def sampled(images: Sequence[LabelledImage], max_objects: int | None) -> list[LabelledImage]:
    """The images with at most so many of their objects: a sample that depends on the image's place alone."""
    if max_objects is None:
        return list(images)
    result = []
    for number, image in enumerate(images):
        objects = image.objects()
        chosen = np.random.default_rng(number).permutation(len(objects))[:max_objects]
        kept = [objects[i] for i in sorted(chosen)]
        result.append(LabelledImage(image.key, image.name, image.image, kept, image.intensity))
    return result


def parts(data: DataSet, max_objects: int | None = None) -> Parts:
    """The training images of a data set and its test parts, as they are published or by `split`.

    Raises BadInputError where the data are not to be found, or one part is empty.
    """
    images = read(data, max_objects)
    if data.tests:
        return images, {name: _read(data, place, max_objects, None) for name, place in data.tests.items()}
    train, test = split(data, images)
    return train, {data.name: test}


def split(data: DataSet, images: Sequence[LabelledImage]) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """(training, test) images: always the same, and no group on both sides.

    Raises BadInputError if one part is empty.
    """
    groups = {image.key: _group(data, image.name) for image in images}
    if data.test is not None:
        test = {groups[image.key] for image in images if fnmatch(image.name, data.test)}
    else:
        every = sorted(set(groups.values()))
        order = np.random.default_rng(0).permutation(len(every))
        test = {every[i] for i in order[: round(data.test_share * len(every))]}
    both = (
        [image for image in images if groups[image.key] not in test],
        [image for image in images if groups[image.key] in test],
    )
    if not all(both):
        raise BadInputError(f"{data.name} has {len(both[0])} training and {len(both[1])} test images")
    return both


def _group(data: DataSet, name: str) -> str:
    found = None if data.group is None else re.search(data.group, name)
    return name if found is None else found.group()


def draw(images: Sequence[LabelledImage], count: int | None, seed: int) -> list[LabelledImage]:
    """`count` of the images, chosen by `seed`, in their order; None: all."""
    if count is None:
        return list(images)
    order = np.random.default_rng(seed).permutation(len(images))[:count]
    return [images[i] for i in sorted(order)]


def generated(count: int, max_objects: int | None) -> list[LabelledImage]:
    """Generated scenes as labelled images."""
    images = []
    for number in range(count):
        scene = make_scene(_SCENE_SIDE, _FIRST_SCENE + number)
        objects = [LabelledObject(mask) for mask in scene.masks]
        images.append(LabelledImage.from_array(scene.image, objects, name=f"scene {number}"))
    return sampled(images, max_objects)
