"""Means over a part of a map."""

from __future__ import annotations

from torch import Tensor


def region_mean(maps: Tensor, weight: Tensor) -> Tensor:
    """(N, C, 1, 1) means of (N, C, h, w) maps under (N, 1, h, w) weights."""
    weight = weight.to(maps.dtype)
    total = (maps * weight).sum(dim=(-2, -1), keepdim=True)
    return total / weight.sum(dim=(-2, -1), keepdim=True).clamp(min=1e-3)
