"""Random textures with a chosen spectrum: clouds, grain, stripes and blotches."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft

from infosam.types import FloatArray


@lru_cache(maxsize=8)
def _frequencies(size: int) -> tuple[FloatArray, FloatArray]:
    rows = np.fft.fftfreq(size)[:, None] * size
    columns = np.fft.rfftfreq(size)[None, :] * size
    grid = np.broadcast_arrays(rows, columns)
    return grid[0].astype(np.float32), grid[1].astype(np.float32)


def filtered_noise(rng: Generator, size: int, amplitude: FloatArray) -> FloatArray:
    """White noise shaped by `amplitude` (size, size // 2 + 1), periodic, zero mean, unit variance."""
    white = rng.standard_normal((2, *amplitude.shape), dtype=np.float32)
    spectrum = (white[0] + 1j * white[1]) * amplitude
    spectrum[0, 0] = 0
    field: FloatArray = fft.irfft2(spectrum, s=(size, size)).astype(np.float32)
    return field / max(float(field.std()), 1e-6)


def clouds(rng: Generator, size: int, slope: float) -> FloatArray:
    """Noise whose amplitude falls as frequency ** -slope: 0 is white, 2 is smooth. (size, size)."""
    rows, columns = _frequencies(size)
    radius = np.sqrt(rows**2 + columns**2)
    radius[0, 0] = 1
    return filtered_noise(rng, size, radius**-slope)


def grain(rng: Generator, size: int, period: float, stretch: float = 1.0, angle: float = 0.0) -> FloatArray:
    """Noise around one scale: `period` pixels, `stretch` times longer along `angle`. (size, size)."""
    rows, columns = _frequencies(size)
    along = rows * np.sin(angle) + columns * np.cos(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    radius = np.sqrt((along * stretch) ** 2 + across**2)
    octaves = np.log2(np.maximum(radius, 1e-3) * (period / size))
    return filtered_noise(rng, size, np.exp(-2 * octaves**2).astype(np.float32))


def smooth_field(rng: Generator, size: int, period: float) -> FloatArray:
    """A smooth random field with features no smaller than `period` pixels, to bend shapes with."""
    rows, columns = _frequencies(size)
    return filtered_noise(
        rng, size, np.exp(-(rows**2 + columns**2) * (period / size) ** 2).astype(np.float32)
    )


def random_texture(rng: Generator, size: int) -> FloatArray:
    """One texture of a random kind and scale, (size, size), periodic, about unit variance."""
    kind = rng.random()
    if kind < 0.4:
        field = clouds(rng, size, rng.uniform(0.4, 2.0))
    else:
        period = np.exp(rng.uniform(np.log(2.5), np.log(24)))
        stretch = 1.0 if kind < 0.75 else rng.uniform(2, 6)
        field = grain(rng, size, period, stretch, rng.uniform(0, np.pi))
    if rng.random() < 0.3:  # two-valued patches rather than waves
        field = np.tanh(3 * (field - rng.uniform(-0.5, 1.0)))
        field -= field.mean()
    return field


def wrapped(texture: FloatArray) -> FloatArray:
    """The periodic texture repeated twice each way, so that any shifted window is a plain slice."""
    return np.tile(texture, (2, 2))


def window_of(tiled: FloatArray, window: tuple[slice, slice], shift: NDArray[np.int64]) -> FloatArray:
    """The part of a `wrapped` texture that covers `window`, moved by `shift` (rows, columns)."""
    rows, columns = window
    return tiled[
        rows.start + shift[0] : rows.stop + shift[0], columns.start + shift[1] : columns.stop + shift[1]
    ]
