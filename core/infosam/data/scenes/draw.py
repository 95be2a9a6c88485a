"""Random draws on the generator's own device: a scene is the same wherever the code that asks for it runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

Shape = tuple[int, ...]


def uniform(
    generator: Generator, shape: Shape, low: Tensor | float = 0.0, high: Tensor | float = 1.0
) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def log_uniform(generator: Generator, shape: Shape, low: float, high: float) -> Tensor:
    return torch.exp(uniform(generator, shape, math.log(low), math.log(high)))


def normal(generator: Generator, shape: Shape) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)


def chance(generator: Generator, shape: Shape, probability: Tensor | float) -> Tensor:
    """bool, True with this probability."""
    return uniform(generator, shape) < probability


def integers(generator: Generator, shape: Shape, low: int, high: int) -> Tensor:
    """int64 in low..high - 1."""
    return torch.randint(low, high, shape, generator=generator, device=generator.device)


def choice(generator: Generator, shape: Shape, shares: Sequence[float]) -> Tensor:
    """int64 numbers of the alternatives, each as often as its share says."""
    edges = torch.tensor(shares, device=generator.device).cumsum(0)
    return torch.bucketize(uniform(generator, shape) * edges[-1], edges[:-1], right=True)
