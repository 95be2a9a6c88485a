"""Random textures, a batch at a time: clouds, grain, stripes and blotches, and mosaics of cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Generator, Tensor

from infosam.data.scenes.draw import chance, log_uniform, normal, uniform


@lru_cache(maxsize=8)
def _frequencies(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cycles per image along rows and columns, (size, size // 2 + 1) each."""
    rows = torch.fft.fftfreq(size, 1 / size, device=device)
    columns = torch.fft.rfftfreq(size, 1 / size, device=device)
    grid = torch.meshgrid(rows, columns, indexing="ij")
    return grid[0], grid[1]


def filtered_noise(generator: Generator, size: int, amplitude: Tensor) -> Tensor:
    """White noise shaped by (N, size, size // 2 + 1) amplitudes: (N, size, size), periodic, mean 0, variance
    1."""
    white = normal(generator, (*amplitude.shape, 2))
    spectrum = torch.view_as_complex(white * amplitude[..., None])
    spectrum[:, 0, 0] = 0
    if len(spectrum) == 0:  # which not every FFT library takes
        return torch.zeros(0, size, size, device=amplitude.device)
    field: Tensor = torch.fft.irfft2(spectrum, s=(size, size))
    return field / field.square().mean(dim=(1, 2), keepdim=True).sqrt().clamp(min=1e-6)


def smooth_field(generator: Generator, size: int, period: Tensor) -> Tensor:
    """Smooth noise with features no smaller than (N,) `period` pixels: (N, size, size)."""
    rows, columns = _frequencies(size, generator.device)
    reach = (period / size)[:, None, None]
    return filtered_noise(generator, size, torch.exp(-(rows**2 + columns**2) * reach**2))


def grain(generator: Generator, size: int, period: Tensor, stretch: Tensor, angle: Tensor) -> Tensor:
    """Noise around one scale: (N,) `period` pixels, `stretch` times longer along `angle`."""
    return filtered_noise(generator, size, _grain_spectrum(size, period, stretch, angle))


def _grain_spectrum(size: int, period: Tensor, stretch: Tensor, angle: Tensor) -> Tensor:
    rows, columns = _frequencies(size, period.device)
    sine, cosine = (f[:, None, None] for f in (torch.sin(angle), torch.cos(angle)))
    along, across = rows * sine + columns * cosine, rows * cosine - columns * sine
    radius = torch.sqrt((along * stretch[:, None, None]) ** 2 + across**2)
    octaves = torch.log2(radius.clamp(min=1e-3) * (period / size)[:, None, None])
    return torch.exp(-2 * octaves**2)


def random_textures(generator: Generator, count: int, size: int) -> Tensor:
    """(count, size, size) textures of random kinds and scales, periodic, about unit variance."""
    rows, columns = _frequencies(size, generator.device)
    radius = torch.sqrt(rows**2 + columns**2).clamp(min=1)
    shape = (count,)
    slope = uniform(generator, shape, 0.4, 2.0)
    clouds = radius ** -slope[:, None, None]
    stretch = torch.where(chance(generator, shape, 0.6), 1.0, uniform(generator, shape, 2, 6))
    period = log_uniform(generator, shape, 2.5, 24)
    grains = _grain_spectrum(size, period, stretch, uniform(generator, shape, 0, torch.pi))
    is_cloud = chance(generator, shape, 0.4)[:, None, None]
    field = filtered_noise(generator, size, torch.where(is_cloud, clouds, grains))
    blotches = torch.tanh(3 * (field - uniform(generator, shape, -0.5, 1.0)[:, None, None]))
    blotches = blotches - blotches.mean(dim=(1, 2), keepdim=True)
    return torch.where(chance(generator, shape, 0.3)[:, None, None], blotches, field)


@dataclass(frozen=True, eq=False)
class Mosaic:
    """Cells that tile B images. cell: (B, S, S) number of the cell within its image, below `cells`. depth:
    (B, S, S) about the distance to the nearest other cell in pixels."""

    cell: Tensor
    depth: Tensor
    cells: int


def mosaic(generator: Generator, size: int, pitch: Tensor, bend: Tensor) -> Mosaic:
    """Voronoi cells around the shaken points of a grid of (B,) `pitch` pixels; (B, S, S) `bend` bends
    edges."""
    count = len(pitch)
    if count == 0:
        empty = torch.zeros(0, size, size, device=generator.device)
        return Mosaic(empty.long(), empty, 0)
    side = int(size / float(pitch.min())) + 4
    shake = uniform(generator, (count, side, side, 2), -0.45, 0.45)
    axis = torch.arange(size, device=generator.device, dtype=torch.float32)
    rows = axis[None, :, None] / pitch[:, None, None] + 1 + bend / pitch[:, None, None]
    columns = axis[None, None, :] / pitch[:, None, None] + 1 + bend.transpose(1, 2) / pitch[:, None, None]
    at_row, at_column = rows.long().clamp(1, side - 2), columns.long().clamp(1, side - 2)
    image = torch.arange(count, device=generator.device)[:, None, None]
    nearest = torch.full((count, size, size), torch.inf, device=generator.device)
    second, owner = nearest.clone(), torch.zeros_like(nearest, dtype=torch.long)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            r, c = at_row + down, at_column + right
            offset = shake[image, r, c]
            distance = torch.hypot(r + 0.5 + offset[..., 0] - rows, c + 0.5 + offset[..., 1] - columns)
            closer = distance < nearest
            second = torch.where(closer, nearest, torch.minimum(second, distance))
            owner = torch.where(closer, r * side + c, owner)
            nearest = torch.minimum(nearest, distance)
    depth = (second - nearest) / 2 * pitch[:, None, None]
    return Mosaic(owner, depth, side * side)
