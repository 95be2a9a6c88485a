"""Closed outlines, given by their radius around a centre, and lines made of short straight pieces."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from infosam.data.scenes.draw import chance, choice, integers, normal, uniform
from infosam.data.scenes.stamps import Depth

_STEPS = 128
KINDS = {"blob": 0.28, "ellipse": 0.32, "polygon": 0.1, "leaf": 0.1, "lobed": 0.08, "rounded": 0.12}
ELLIPSE, LEAF = (list(KINDS).index(name) for name in ("ellipse", "leaf"))


@dataclass(frozen=True, eq=False)
class Outlines:
    """N closed shapes. radius: (N, 128) by angle from -pi to pi, largest 1. axes: (N, 2) semi-axes in pixels.
    angle: (N,). hole: (N,) inner radius of a ring as a share of the outer one, 0 for none."""

    radius: Tensor
    axes: Tensor
    angle: Tensor
    hole: Tensor

    def depth(self) -> Depth:
        def of(which: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
            cosine, sine = (f(self.angle[which])[:, None, None] for f in (torch.cos, torch.sin))
            long, short = self.axes[which, 0][:, None, None], self.axes[which, 1][:, None, None]
            along, across = (columns * cosine + rows * sine) / long, (rows * cosine - columns * sine) / short
            distance = torch.hypot(along, across)
            turn = torch.atan2(across, along) / (2 * torch.pi) + 0.5
            index = (turn * _STEPS).long() % _STEPS
            radius = self.radius[which[:, None, None].expand_as(index), index]
            share = torch.minimum(radius - distance, distance - radius * self.hole[which, None, None])
            share = torch.where(self.hole[which, None, None] > 0, share, radius - distance)
            return share * torch.minimum(long, short)

        return of


def random_outlines(generator: Generator, kind: Tensor, diameter: Tensor) -> Outlines:
    """Outlines of (N,) kinds, numbers in KINDS, and diameters in pixels."""
    shape = tuple(kind.shape)
    slim = torch.exp(-(0.35 * normal(generator, shape)).abs())
    slim = torch.where(kind == LEAF, 0.6 * slim, slim)
    half = (diameter / 2).clamp(min=2)
    axes = torch.stack([half / slim.sqrt(), (half * slim.sqrt()).clamp(min=1.6)], dim=1)
    has_hole = chance(generator, shape, 0.07) & (diameter > 14)
    hole = torch.where(has_hole, uniform(generator, shape, 0.3, 0.7), torch.zeros(shape, device=kind.device))
    return Outlines(_radii(generator, kind), axes, uniform(generator, shape, 0, 2 * torch.pi), hole)


def random_kinds(generator: Generator, shape: tuple[int, ...]) -> Tensor:
    """Numbers in KINDS; round ones are the most common, as in real images."""
    return choice(generator, shape, list(KINDS.values()))


def _waves(generator: Generator, count: int, theta: Tensor, orders: range, roughness: Tensor) -> Tensor:
    order = torch.arange(orders.start, orders.stop, device=theta.device)
    weight = normal(generator, (count, len(order))) * order**-1.2
    phase = uniform(generator, (count, len(order)), 0, 2 * torch.pi)
    waves = weight[..., None] * torch.cos(order[:, None] * theta + phase[..., None])
    return roughness[:, None] * waves.sum(dim=1)


def _radii(generator: Generator, kind: Tensor) -> Tensor:
    n = len(kind)
    theta = torch.linspace(-torch.pi, torch.pi, _STEPS + 1, device=kind.device)[:-1]

    def between(low: float, high: float) -> Tensor:
        return uniform(generator, (n,), low, high)

    def waves(orders: range, roughness: Tensor) -> Tensor:
        return _waves(generator, n, theta, orders, roughness)

    sides = integers(generator, (n, 1), 3, 8)
    sector = (theta + torch.pi) % (2 * torch.pi / sides)
    polygon = torch.cos(torch.pi / sides) / torch.cos(sector - torch.pi / sides)
    cosine, sine = theta.cos().abs(), theta.sin().abs()
    power = between(3, 8)[:, None]
    radii = (
        1 + waves(range(2, 8), between(0.1, 0.5)),
        1 + waves(range(2, 5), between(0.0, 0.06)),
        polygon * (1 + waves(range(1, 3), between(0, 0.15))),
        (1 + waves(range(5, 20), between(0, 0.15))) / (cosine + sine ** between(1.0, 1.6)[:, None]),
        1
        + between(0.15, 0.5)[:, None] * torch.cos(integers(generator, (n, 1), 3, 9) * theta)
        + waves(range(2, 6), between(0.0, 0.15)),
        (cosine**power + sine**power) ** (-1 / power),
    )
    radius = torch.stack(radii)[kind, torch.arange(n, device=kind.device)].clamp(min=0.15)
    return radius / radius.amax(dim=1, keepdim=True)


@dataclass(frozen=True, eq=False)
class Pieces:
    """N straight pieces with round ends, each centred between its ends. half: (N, 2) from the centre to one
    end. width: (N,) in pixels."""

    half: Tensor
    width: Tensor

    def depth(self) -> Depth:
        def of(which: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
            r, c = self.half[which, 0][:, None, None], self.half[which, 1][:, None, None]
            share = ((rows * r + columns * c) / (r * r + c * c).clamp(min=1e-6)).clamp(-1, 1)
            distance = torch.hypot(rows - share * r, columns - share * c)
            return self.width[which, None, None] / 2 - distance

        return of


def wandering(
    generator: Generator, start: Tensor, heading: Tensor, jagged: Tensor, step: Tensor, n: int
) -> Tensor:
    """(..., n + 1, 2) points of lines that wander from `start` (..., 2), `step` pixels at a time."""
    turns = normal(generator, (*heading.shape, n)) * jagged[..., None]
    drift = 0.06 * normal(generator, tuple(heading.shape))
    headings = (
        heading[..., None]
        + turns.cumsum(dim=-1) * 0.6
        + turns * 0.8
        + drift[..., None] * torch.arange(n, device=heading.device)
    )
    moves = torch.stack([headings.sin(), headings.cos()], dim=-1) * step[..., None, None]
    return torch.cat([start[..., None, :], start[..., None, :] + moves.cumsum(dim=-2)], dim=-2)
