"""What a camera adds to a painted picture: blur, uneven light, noise, speckle and quantisation."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from infosam.data.scenes.canvas import random_plane
from infosam.data.scenes.style import Style
from infosam.data.scenes.texture import grain
from infosam.types import FloatArray


def _halved_and_restored(image: FloatArray) -> FloatArray:
    size = image.shape[0]
    half = image.reshape(size // 2, 2, size // 2, 2, -1).mean(axis=(1, 3))
    restored: FloatArray = ndimage.zoom(half, (2, 2, 1), order=1, mode="nearest", grid_mode=True)
    return restored


def photograph(rng: Generator, image: FloatArray, style: Style) -> NDArray[np.uint8]:
    """The (size, size, 3) picture in 0..1 as (size, size, 3) uint8, degraded as the style says."""
    size = image.shape[0]
    is_grey = bool(np.ptp(style.background) < 1e-6) and style.colour == 0
    if is_grey:
        image = image[..., :1]
    if style.blur > 0.3:
        image = ndimage.gaussian_filter(image, (style.blur, style.blur, 0), truncate=2.5)
    if size % 2 == 0 and rng.random() < 0.12:  # an image enlarged before use
        image = _halved_and_restored(image)
    if rng.random() < 0.4:
        image = image * (1 + np.float32(rng.uniform(0, 0.4)) * random_plane(rng, size)[..., None])
    if style.speckle:
        speckle = grain(rng, size, rng.uniform(2.5, 5), rng.uniform(1, 2.5), 0.0)
        image = image * (1 + style.speckle * speckle[..., None])
    if style.shot:
        scale = style.shot * np.sqrt(np.maximum(image, 0))
        image = image + scale * rng.standard_normal(image.shape, dtype=np.float32)
    if style.noise:
        image = image + style.noise * rng.standard_normal(image.shape, dtype=np.float32)
    image = np.maximum(image, 0) ** np.float32(rng.uniform(0.8, 1.25)) * np.float32(style.gain)
    if rng.random() < 0.06:
        image = 1 - image
    pixels = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if is_grey else pixels
