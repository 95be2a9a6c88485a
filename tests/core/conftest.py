"""A model that is tiny, and labelled images that it can learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.models.base import PromptableModel, freeze
from infosam.models.pocket.build import PocketConfig, build_pocket

SIDE = 64
TINY = PocketConfig(
    image_size=SIDE,
    width=32,
    depth=2,
    heads=2,
    window=4,
    global_blocks=(1,),
    out_chans=32,
    decoder_mlp=32,
)


@pytest.fixture
def single_thread() -> None:
    """Small tensors train fastest, and the same everywhere, on one thread."""
    torch.set_num_threads(1)


@pytest.fixture
def tiny_model(single_thread: None) -> PromptableModel:
    """A pocket model of a few ten thousand parameters with random weights, frozen."""
    torch.manual_seed(0)
    return freeze(build_pocket(TINY))


def draw(seed: int, n_objects: int = 2) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A (48, 64, 3) image of bright squares on noise, and its label image: object i has the value i."""
    rng = np.random.default_rng(seed)
    image = rng.integers(20, 80, (48, SIDE, 3)).astype(np.uint8)
    labels = np.zeros((48, SIDE), np.uint8)
    for number in range(1, n_objects + 1):
        row, column = int(rng.integers(2, 24)), 2 + (number - 1) * (SIDE // n_objects)
        place = np.s_[row : row + 14, column : column + 14]
        image[place] += 120
        labels[place] = number
    return image, labels


@pytest.fixture
def labelled_images() -> Callable[..., list[LabelledImage]]:
    """Makes `count` labelled images, all different, with `n_objects` objects each."""

    def make(count: int, n_objects: int = 2) -> list[LabelledImage]:
        images = []
        for seed in range(count):
            image, labels = draw(seed, n_objects)
            objects = [LabelledObject(labels == number) for number in range(1, n_objects + 1)]
            images.append(LabelledImage.from_array(image, objects, name=f"image {seed}"))
        return images

    return make


@pytest.fixture
def labelled_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes `count` labelled images as a folder with images/ and masks/."""

    def write(count: int, n_objects: int = 2) -> Path:
        folder = tmp_path / "data"
        for part in ("images", "masks"):
            (folder / part).mkdir(parents=True)
        for seed in range(count):
            image, labels = draw(seed, n_objects)
            iio.imwrite(folder / "images" / f"{seed:02}.png", image)
            iio.imwrite(folder / "masks" / f"{seed:02}.png", labels)
        return folder

    return write
