"""The picture being painted, and the exact mask of everything painted on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from infosam.data.scenes.shapes import Window
from infosam.data.scenes.style import Style
from infosam.data.scenes.texture import random_texture, window_of, wrapped
from infosam.types import BoolArray, FloatArray


@dataclass(frozen=True)
class Look:
    """How a class of objects is painted: offset (3,) from what lies below, texture, shading, rim in 0..1."""

    offset: FloatArray
    texture: int
    amplitude: float
    shading: float
    rim: float
    rim_width: float
    keep: float  # share of what lies below that shows through


def random_look(rng: Generator, style: Style, textures: int, strength: float = 1.0) -> Look:
    """A class's look in this style; `strength` scales its contrast."""
    low, high = style.contrast
    size = (low + (high - low) * rng.random() ** 1.5) * strength
    sign = style.sign or rng.choice([-1, 1])
    hue = rng.normal(0, style.colour, 3)
    amplitude = rng.uniform(*style.texture)
    if size < 0.06:  # something must tell the object from its surroundings
        amplitude = max(amplitude, 0.1)
    return Look(
        offset=(sign * size + hue).astype(np.float32),
        texture=int(rng.integers(textures)),
        amplitude=amplitude,
        shading=rng.normal(0, 0.08) * (rng.random() < 0.5),
        rim=rng.uniform(*style.rim) * (rng.random() < 0.6),
        rim_width=rng.uniform(1.0, 3.0),
        keep=rng.choice([0.0, 0.3, 1.0]),
    )


class Canvas:
    """A (size, size, 3) picture in 0..1 with its objects' masks.

    An object hides what it covers, and takes those pixels from the other objects' masks; only its parents
    (the objects that it is a part of) keep them. Additive light and see-through objects hide nothing: there,
    masks overlap.
    """

    def __init__(self, rng: Generator, size: int, style: Style) -> None:
        self.size = size
        self.style = style
        self._rng = rng
        self._textures = [wrapped(random_texture(rng, size)) for _ in range(3)]
        ground = self._textures[0][:size, :size, None] * style.background_texture
        slope = random_plane(rng, size) * rng.uniform(0, 0.15)
        self.ground = style.background + slope[..., None]
        self.image: FloatArray = (self.ground + ground).astype(np.float32)
        self.masks: list[BoolArray] = []
        self._parents: list[int | None] = []

    @property
    def textures(self) -> int:
        return len(self._textures)

    def paint(self, window: Window, depth: FloatArray, look: Look, parent: int | None = None) -> int | None:
        """Paint positive depth, inside `parent` alone if given; its index, or None if nothing shows."""
        inside = depth > 0
        alpha = np.clip(depth / self.style.soft + 0.5, 0, 1)
        if parent is not None:
            inside &= self.masks[parent][window]
            alpha = alpha * self.masks[parent][window]
        if not inside.any():
            return None
        self._blend(window, depth, alpha[..., None], look, parent is not None)
        if not self.style.add and look.keep < 1:
            self._hide(window, inside, self._ancestors(parent))
        mask = np.zeros((self.size, self.size), dtype=bool)
        mask[window] = inside
        self.masks.append(mask)
        self._parents.append(parent)
        return len(self.masks) - 1

    def _ancestors(self, index: int | None) -> set[int]:
        chain: set[int] = set()
        while index is not None:
            chain.add(index)
            index = self._parents[index]
        return chain

    def _hide(self, window: Window, inside: BoolArray, spared: set[int]) -> None:
        for index, mask in enumerate(self.masks):
            if index not in spared:
                mask[window] &= ~inside

    def _blend(self, window: Window, depth: FloatArray, alpha: FloatArray, look: Look, nested: bool) -> None:
        below = self.image[window]
        texture = window_of(self._textures[look.texture], window, self._rng.integers(0, self.size, 2))
        detail = look.amplitude * texture
        if look.shading:
            detail = detail + look.shading * np.minimum(depth / max(float(depth.max()), 1.0), 1)
        if look.rim:
            detail = detail + look.rim * np.exp(-((depth / look.rim_width) ** 2))
        if self.style.add or nested or look.keep == 1.0:
            below += alpha * (look.offset + detail[..., None])
            return
        ground = self.ground[window]
        colour = ground + look.offset + detail[..., None] + look.keep * (below - ground)
        below += alpha * (colour - below)


def random_plane(rng: Generator, size: int) -> FloatArray:
    """A linear ramp from -1 to 1 in a random direction, (size, size)."""
    angle = rng.uniform(0, 2 * np.pi)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    plane = axis[:, None] * np.sin(angle) + axis[None, :] * np.cos(angle)
    ramp: FloatArray = (plane / np.abs(plane).max()).astype(np.float32)
    return ramp
