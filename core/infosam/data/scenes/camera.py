"""What a camera adds to painted pictures: blur, uneven light, noise, speckle, compression, quantisation."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from infosam.data.scenes.draw import chance, normal, uniform
from infosam.data.scenes.painting import plane
from infosam.data.scenes.style import Styles
from infosam.data.scenes.texture import grain

_REACH = 4  # pixels to each side of the blur's kernel
_BLOCK = 8  # pixels a side of what JPEG compresses at once
# How often pictures are shown as a tile of a larger one is (see `inference.tiles`): factor, share.
_LOOKED_CLOSER = ((2, 0.18), (4, 0.08))


def photograph(generator: Generator, image: Tensor, styles: Styles) -> Tensor:
    """(B, 3, S, S) pictures in 0..1 as uint8, degraded as their styles say."""
    count, _, size, _ = image.shape
    image = torch.where(styles.grey[:, None, None, None], image.mean(dim=1, keepdim=True), image)
    image = _blurred(image, styles.blur)
    image = _enlarged(image, chance(generator, (count,), 0.12), 2)
    image = image * _light(generator, styles, size)
    grainy = torch.nonzero(styles.speckle > 0).flatten()
    if len(grainy):
        n = len(grainy)
        period, stretch = uniform(generator, (n,), 2.5, 5), uniform(generator, (n,), 1, 2.5)
        speckle = grain(generator, size, period, stretch, torch.zeros_like(period))
        image[grainy] *= 1 + (styles.speckle[grainy, None, None] * speckle)[:, None]
    noise = torch.hypot(styles.noise[:, None, None, None], _per(styles.shot) * image.clamp(min=0).sqrt())
    white = normal(generator, tuple(image.shape))
    white = torch.where(styles.grey[:, None, None, None], white[:, :1], white)
    image = (image + noise * white).clamp(min=0) ** _per(uniform(generator, (count,), 0.8, 1.25))
    image = image * _per(styles.gain)
    image = torch.where(_per(chance(generator, (count,), 0.05)), 1 - image, image)
    image = _compressed(
        image.clamp(0, 1), chance(generator, (count,), 0.3), uniform(generator, (count,), 0.02, 0.12)
    )
    for factor, share in _LOOKED_CLOSER:
        image = _enlarged(image, chance(generator, (count,), share), factor)
    return (image * 255 + 0.5).clamp(0, 255).to(torch.uint8)


def _per(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _blurred(image: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur by (B,) sigmas in pixels, along rows and then along columns."""
    steps = torch.arange(-_REACH, _REACH + 1, device=image.device)
    kernel = torch.exp(-0.5 * (steps / sigma[:, None].clamp(min=0.1)) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(image.shape[1], dim=0)
    flat = image.flatten(0, 1)[None]
    padded = F.pad(flat, (_REACH, _REACH, _REACH, _REACH), mode="reflect")
    across = F.conv2d(padded, kernel[:, None, None, :], groups=len(kernel))
    return F.conv2d(across, kernel[:, None, :, None], groups=len(kernel)).view_as(image)


def _enlarged(image: Tensor, chosen: Tensor, factor: int) -> Tensor:
    """The chosen pictures as if they had been smaller by this factor."""
    size = tuple(image.shape[-2:])
    small = F.interpolate(image, scale_factor=1 / factor, mode="area")
    return torch.where(_per(chosen), F.interpolate(small, size, mode="bilinear", align_corners=False), image)


def _light(generator: Generator, styles: Styles, size: int) -> Tensor:
    """(B, 1, S, S) uneven light: a slope, a vignette, and darkening with depth."""
    count = len(styles.fade)
    slope = uniform(generator, (count, 1, 1), 0, 0.4) * chance(generator, (count, 1, 1), 0.4)
    light = 1 + slope * plane(generator, count, size)
    axis = torch.linspace(-1, 1, size, device=light.device)
    vignette = uniform(generator, (count, 1, 1), 0, 0.35) * chance(generator, (count, 1, 1), 0.25)
    light = light * (1 - vignette * (axis[:, None] ** 2 + axis**2))
    return (light * torch.exp(-styles.fade[:, None, None] * (axis[:, None] + 1) / 2))[:, None]


def _compressed(image: Tensor, chosen: Tensor, step: Tensor) -> Tensor:
    """The chosen pictures with cosine coefficients of blocks rounded to multiples of (B,) `step`, as JPEG
    does; high frequencies are rounded more coarsely."""
    index = torch.nonzero(chosen).flatten()
    if len(index) == 0:
        return image
    size = image.shape[-1]
    missing = -size % _BLOCK
    padded = F.pad(image[index], (0, missing, 0, missing), mode="replicate")
    blocks = padded.unfold(2, _BLOCK, _BLOCK).unfold(3, _BLOCK, _BLOCK)
    k = torch.arange(_BLOCK, device=image.device)
    cosine = torch.cos((2 * k + 1) * k[:, None] * math.pi / (2 * _BLOCK)) * math.sqrt(2 / _BLOCK)
    cosine[0] /= math.sqrt(2)
    table = step[index, None, None, None, None, None] * (1 + (k[:, None] + k) / 3)
    coefficients = cosine @ blocks @ cosine.T
    restored = cosine.T @ (torch.round(coefficients / table) * table) @ cosine
    restored = restored.transpose(3, 4).reshape_as(padded)[..., :size, :size]
    image = image.clone()
    image[index] = restored.clamp(0, 1)
    return image
