"""How a scene looks: background, contrast, texture and what the camera does to it, for kinds of image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from infosam.types import FloatArray


@dataclass(frozen=True)
class Style:
    """One scene's look; intensities are in 0..1.

    background: (3,) colour. background_texture: its amplitude. contrast: range of the difference between an
    object and the background; sign: +1 brighter, -1 darker, 0 either. colour: how much an object's hue may
    differ. texture: range of the amplitude inside objects. rim: range of the extra brightness at an object's
    edge. soft: width of the edge in pixels. add: objects add light to each other instead of hiding each
    other. blur: sigma in pixels. noise, shot, speckle: additive, signal-dependent and multiplicative noise.
    gain: final brightness.
    """

    background: FloatArray
    background_texture: float
    contrast: tuple[float, float]
    sign: int = 0
    colour: float = 0.0
    texture: tuple[float, float] = (0.0, 0.1)
    rim: tuple[float, float] = (0.0, 0.0)
    soft: float = 1.0
    add: bool = False
    blur: float = 0.0
    noise: float = 0.0
    shot: float = 0.0
    speckle: float = 0.0
    gain: float = 1.0


def _grey(value: float) -> FloatArray:
    return np.full(3, value, dtype=np.float32)


def fluorescence(rng: Generator) -> Style:
    """Bright, soft objects on a dark ground; grey or a single dye."""
    dye = _grey(1.0) if rng.random() < 0.7 else rng.dirichlet((0.6, 0.6, 0.6)).astype(np.float32) * 2
    return Style(
        background=np.minimum(dye, 1) * np.float32(rng.uniform(0.0, 0.2)),
        background_texture=rng.uniform(0, 0.04),
        contrast=(0.08, rng.uniform(0.25, 0.8)),
        sign=1,
        texture=(0.0, 0.12),
        rim=(-0.1, 0.1),
        soft=rng.uniform(1, 3),
        add=rng.random() < 0.3,
        blur=rng.uniform(0, 1.5),
        noise=rng.uniform(0, 0.03),
        shot=rng.uniform(0, 0.08),
        gain=rng.choice([1.0, 1.0, rng.uniform(0.15, 1.0)]),
    )


def bright_field(rng: Generator) -> Style:
    """Pale objects told by their rims on a light ground."""
    tint = rng.normal(0, 0.04, 3) if rng.random() < 0.5 else np.zeros(3)
    return Style(
        background=(rng.uniform(0.4, 0.9) + tint).astype(np.float32),
        background_texture=rng.uniform(0.005, 0.05),
        contrast=(0.0, 0.2),
        colour=rng.uniform(0, 0.1),
        texture=(0.0, 0.1),
        rim=(-0.4, 0.3),
        soft=rng.uniform(1, 2.5),
        blur=rng.uniform(0, 1.0),
        noise=rng.uniform(0, 0.03),
    )


def stained(rng: Generator) -> Style:
    """Tissue: dark, coloured objects on a mottled, paler, coloured ground."""
    pink = np.array([0.85, 0.65, 0.8]) + rng.normal(0, 0.08, 3)
    return Style(
        background=np.clip(pink, 0.3, 1).astype(np.float32),
        background_texture=rng.uniform(0.03, 0.15),
        contrast=(0.1, 0.45),
        sign=-1,
        colour=rng.uniform(0.05, 0.2),
        texture=(0.02, 0.12),
        rim=(-0.15, 0.05),
        soft=rng.uniform(1, 2),
        blur=rng.uniform(0, 1.0),
        noise=rng.uniform(0, 0.03),
    )


def natural(rng: Generator) -> Style:
    """A colour photograph: any colours, strong textures on both sides."""
    return Style(
        background=rng.uniform(0.1, 0.9, 3).astype(np.float32),
        background_texture=rng.uniform(0.01, 0.16),
        contrast=(0.05, 0.4),
        colour=rng.uniform(0.05, 0.4),
        texture=(0.0, 0.2),
        rim=(-0.1, 0.1),
        soft=rng.uniform(0.8, 1.6),
        blur=rng.uniform(0, 0.8),
        noise=rng.uniform(0, 0.03),
    )


def grey(rng: Generator) -> Style:
    """A grey photograph or micrograph, from strong to hardly any contrast."""
    return Style(
        background=_grey(rng.uniform(0.1, 0.9)),
        background_texture=rng.uniform(0.005, 0.12),
        contrast=(0.03, 0.4),
        texture=(0.0, 0.15),
        rim=(-0.2, 0.2),
        soft=rng.uniform(0.8, 2.5),
        blur=rng.uniform(0, 1.2),
        noise=rng.uniform(0, 0.06),
    )


def ultrasound(rng: Generator) -> Style:
    """Speckle, blurred edges, mostly dark objects in bright tissue or the reverse."""
    return Style(
        background=_grey(rng.uniform(0.15, 0.6)),
        background_texture=rng.uniform(0.03, 0.15),
        contrast=(0.08, 0.35),
        texture=(0.0, 0.08),
        rim=(-0.05, 0.3),
        soft=rng.uniform(1.5, 5),
        blur=rng.uniform(0, 1.0),
        noise=rng.uniform(0, 0.02),
        speckle=rng.uniform(0.1, 0.4),
    )


def texture_only(rng: Generator) -> Style:
    """Objects as bright as their surroundings, told by their texture."""
    base = natural(rng) if rng.random() < 0.5 else grey(rng)
    return replace(base, contrast=(0.0, 0.03), colour=0.02, texture=(0.12, 0.25), blur=rng.uniform(0, 0.5))


_STYLES: tuple[tuple[Callable[[Generator], Style], float], ...] = (
    (fluorescence, 0.2),
    (bright_field, 0.12),
    (stained, 0.12),
    (natural, 0.22),
    (grey, 0.16),
    (ultrasound, 0.1),
    (texture_only, 0.08),
)


def random_style(rng: Generator) -> Style:
    """One of the kinds of image, more often the common ones."""
    weights = np.cumsum([weight for _, weight in _STYLES])
    return _STYLES[int(np.searchsorted(weights, rng.random() * weights[-1]))][0](rng)
