"""Layers of objects, painted over each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from infosam.data.scenes.draw import chance, integers, normal, uniform
from infosam.data.scenes.stamps import Layer
from infosam.data.scenes.style import Styles
from infosam.data.scenes.texture import grain, mosaic, random_textures, smooth_field

TEXTURES = 3  # per scene; the first is that of the background
LOOKS = 2  # per population, but for clutter


@dataclass(frozen=True, eq=False)
class Looks:
    """How N objects are painted: offset (N, 3) from what lies below, and per object (N,) the texture's
    number, its amplitude, shading towards the middle, extra brightness and width of the rim, and how much of
    what lies below shows through."""

    offset: Tensor
    texture: Tensor
    amplitude: Tensor
    shading: Tensor
    rim: Tensor
    rim_width: Tensor
    keep: Tensor


def random_looks(
    generator: Generator,
    styles: Styles,
    scene: Tensor,
    group: Tensor,
    strength: float = 1.0,
    looks: int = LOOKS,
) -> Looks:
    """Looks for objects of (N,) scenes and groups below `looks`: members of a group resemble each other. Of
    many groups, half are brighter than the background and half darker."""
    count = len(styles.background)
    shape = (count, looks)

    def between(limits: Tensor) -> Tensor:
        return uniform(generator, shape, limits[:, :1], limits[:, 1:])

    low, high = styles.contrast.unbind(dim=1)
    step = low[:, None] + (high - low)[:, None] * uniform(generator, shape) ** 1.5
    step = step * strength
    sign = torch.where(styles.bright, 1.0, -1.0)[:, None]
    sign = torch.where(
        chance(generator, shape, 0.12 if looks <= LOOKS else 0.5)
        & ~styles.add[:, None]
        & (low > 0.02)[:, None],
        -sign,
        sign,
    )
    hue = normal(generator, (*shape, 3)) * styles.hue[:, None, None]
    amplitude = between(styles.texture)
    amplitude = torch.where(step < 0.06, amplitude.clamp(min=0.1), amplitude)  # something must tell it apart
    shading = 0.08 * normal(generator, shape) * chance(generator, shape, 0.5)
    rim = between(styles.rim) * chance(generator, shape, 0.6)
    rim_width = uniform(generator, shape, 1, 3)
    keep = torch.tensor((0.0, 0.3, 1.0), device=scene.device)[integers(generator, shape, 0, 3)]
    texture = integers(generator, shape, 0, TEXTURES)
    vary = torch.exp(0.2 * normal(generator, tuple(scene.shape)))
    offset = (sign * step)[..., None] + hue
    return Looks(
        offset=offset[scene, group] * vary[:, None],
        texture=texture[scene, group],
        amplitude=amplitude[scene, group],
        shading=shading[scene, group],
        rim=rim[scene, group],
        rim_width=rim_width[scene, group],
        keep=keep[scene, group],
    )


def background(generator: Generator, styles: Styles, size: int) -> tuple[Tensor, Tensor]:
    """The empty scenes (B, 3, S, S) in 0..1, and their textures (B, TEXTURES, S, S)."""
    count = len(styles.background)
    textures = random_textures(generator, count * TEXTURES, size).view(count, TEXTURES, size, size)
    colour = styles.background[:, None] + styles.tint
    detail = styles.ground[:, None, None] * textures[:, 0]
    slope = plane(generator, count, size) * uniform(generator, (count, 1, 1), 0, 0.15)
    streaked = torch.nonzero(styles.streaks > 0).flatten()
    if len(streaked):
        n = len(streaked)
        period, stretch = uniform(generator, (n,), 4, 14), uniform(generator, (n,), 3, 10)
        layers = grain(generator, size, period * size / 256, stretch, 0.15 * normal(generator, (n,)))
        detail[streaked] += styles.streaks[streaked, None, None] * layers.clamp(min=0) ** 1.5
    netted = torch.nonzero(styles.net > 0).flatten()
    if len(netted):
        n = len(netted)
        pitch = uniform(generator, (n,), 0.04, 0.15) * size
        cells = mosaic(
            generator, size, pitch, smooth_field(generator, size, pitch) * 0.1 * pitch[:, None, None]
        )
        ridge = torch.exp(-((cells.depth / (0.12 * pitch[:, None, None])) ** 2))
        sign = torch.where(chance(generator, (n, 1, 1), 0.7), -1.0, 1.0)
        detail[netted] += sign * styles.net[netted, None, None] * ridge
    return colour[..., None, None] + (detail + slope)[:, None], textures


def plane(generator: Generator, count: int, size: int) -> Tensor:
    """Linear ramps from -1 to 1 in random directions, (count, size, size)."""
    angle = uniform(generator, (count, 1, 1), 0, 2 * torch.pi)
    axis = torch.linspace(-1, 1, size, device=generator.device)
    ramp = axis[:, None] * angle.sin() + axis[None, :] * angle.cos()
    return ramp / ramp.abs().amax(dim=(1, 2), keepdim=True)


def paint(
    generator: Generator,
    image: Tensor,
    textures: Tensor,
    layer: Layer,
    looks: Looks,
    first: int,
    styles: Styles,
    nested: bool,
) -> Tensor:
    """The image (B, 3, S, S) with a layer's objects on it; the number of the first of them is `first`.

    nested: the objects are parts of what lies below.
    """
    scene, row, column = torch.nonzero(layer.halo >= 0, as_tuple=True)
    if len(scene) == 0:
        return image
    number = layer.halo[scene, row, column] - first
    depth = layer.depth[scene, row, column]
    alpha = (depth / styles.soft[scene] + 0.5).clamp(0, 1)
    size = image.shape[-1]
    shift = integers(generator, (len(looks.amplitude), 2), 0, size)[number]
    texture = textures[
        scene, looks.texture[number], (row + shift[:, 0]) % size, (column + shift[:, 1]) % size
    ]
    detail = looks.amplitude[number] * texture
    detail = detail + looks.shading[number] * (depth / 12).clamp(0, 1)
    detail = detail + looks.rim[number] * torch.exp(-((depth / looks.rim_width[number]) ** 2))
    below = image[scene, :, row, column]
    added = looks.offset[number] + detail[:, None]
    ground = (styles.background[:, None] + styles.tint)[scene]
    through = styles.add[scene] | (looks.keep[number] == 1)
    if nested:
        through = torch.ones_like(through)
    colour = ground + added + looks.keep[number, None] * (below - ground)
    colour = torch.where(through[:, None], below + added, colour)
    image = image.clone()
    image[scene, :, row, column] = below + alpha[:, None] * (colour - below)
    return image
