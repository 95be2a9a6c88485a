"""Outlines: closed shapes given by their radius around a centre, curved lines, and mosaics of cells.

Every outline is drawn as depth: about the distance to the edge in pixels, positive inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from infosam.types import FloatArray

Window = tuple[slice, slice]

_STEPS = 128
_THETA = np.linspace(-np.pi, np.pi, _STEPS, endpoint=False, dtype=np.float32)
KINDS = {"blob": 0.3, "ellipse": 0.3, "polygon": 0.1, "leaf": 0.1, "lobed": 0.08, "rounded": 0.12}


@dataclass(frozen=True)
class Outline:
    """A closed shape. radius: (128,) over angles -pi..pi, about 1; semi-axes and centre in pixels.

    hole: inner radius of a ring as a share of the outer one, 0 for none. bend: how far, in pixels, the smooth
    field displaces the edge.
    """

    radius: FloatArray
    centre: tuple[float, float]
    axes: tuple[float, float]
    angle: float
    hole: float = 0.0
    bend: float = 0.0


def _waves(rng: Generator, orders: range, roughness: float) -> FloatArray:
    total = np.zeros_like(_THETA)
    for order in orders:
        total += rng.normal() * order**-1.2 * np.cos(order * _THETA + rng.uniform(0, 2 * np.pi))
    return roughness * total


def random_kind(rng: Generator) -> str:
    """The name of a kind of shape; round ones are the most common, as in real images."""
    return str(rng.choice(list(KINDS), p=list(KINDS.values())))


def radius_table(rng: Generator, kind: str) -> FloatArray:
    """The radius of a random shape of this kind by angle, (128,), largest value 1."""
    radius: NDArray[np.floating]
    if kind == "blob":
        radius = 1 + _waves(rng, range(2, 8), rng.uniform(0.1, 0.5))
    elif kind == "ellipse":
        radius = 1 + _waves(rng, range(2, 5), 0.03)
    elif kind == "polygon":
        sides = int(rng.integers(3, 8))
        sector = (_THETA + np.pi) % (2 * np.pi / sides)
        radius = np.cos(np.pi / sides) / np.cos(sector - np.pi / sides)
        radius = radius * (1 + _waves(rng, range(1, 3), rng.uniform(0, 0.15)))
    elif kind == "leaf":  # pointed at both ends
        radius = 1 / (np.abs(np.cos(_THETA)) + np.abs(np.sin(_THETA)) ** rng.uniform(1.0, 1.6))
        radius = radius * (1 + _waves(rng, range(5, 20), rng.uniform(0, 0.15)))
    elif kind == "lobed":
        lobes = int(rng.integers(3, 9))
        radius = 1 + rng.uniform(0.15, 0.5) * np.cos(lobes * _THETA) + _waves(rng, range(2, 6), 0.08)
    elif kind == "rounded":
        power = rng.uniform(3, 8)
        radius = (np.abs(np.cos(_THETA)) ** power + np.abs(np.sin(_THETA)) ** power) ** (-1 / power)
    else:
        raise ValueError(f"unknown kind of shape {kind!r}: one of {', '.join(KINDS)}")
    radius = np.maximum(radius, 0.15)
    table: FloatArray = (radius / radius.max()).astype(np.float32)
    return table


def window_around(top: float, left: float, bottom: float, right: float, size: int) -> Window | None:
    """The whole pixels between these edges that lie in the image, or None."""
    r0, c0 = max(int(top), 0), max(int(left), 0)
    r1, c1 = min(int(bottom) + 2, size), min(int(right) + 2, size)
    return None if r1 <= r0 or c1 <= c0 else (slice(r0, r1), slice(c0, c1))


def _grid(window: Window) -> tuple[FloatArray, FloatArray]:
    rows = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None]
    columns = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :]
    return rows, columns


def outline_depth(outline: Outline, size: int, field: FloatArray) -> tuple[Window, FloatArray] | None:
    """Where the outline lies, and its depth there; `field` (size, size) bends its edge. None if outside."""
    reach = max(outline.axes) + outline.bend * 2 + 3
    row, column = outline.centre
    window = window_around(row - reach, column - reach, row + reach, column + reach, size)
    if window is None:
        return None
    rows, columns = _grid(window)
    cos, sin = np.cos(outline.angle), np.sin(outline.angle)
    along = ((columns - column) * cos + (rows - row) * sin) / outline.axes[0]
    across = ((rows - row) * cos - (columns - column) * sin) / outline.axes[1]
    distance = np.sqrt(along**2 + across**2)
    index = ((np.arctan2(across, along) / (2 * np.pi) + 0.5) * _STEPS).astype(np.int32) % _STEPS
    radius = outline.radius[index]
    share = radius - distance
    if outline.hole:
        share = np.minimum(share, distance - radius * outline.hole)
    depth = share * min(outline.axes)
    if outline.bend:
        depth += outline.bend * field[window]
    return window, depth.astype(np.float32)


def curve_points(
    rng: Generator, size: int, start: tuple[float, float], heading: float, jagged: float
) -> FloatArray:
    """A wandering line as points (N, 2), from `start` until it leaves the image or ends."""
    step = max(3.0, size / 32)
    count = int(rng.integers(6, 40))
    turns = rng.normal(0, jagged, count) + rng.normal(0, 0.08)
    headings = heading + np.cumsum(turns)
    steps = np.stack([np.sin(headings), np.cos(headings)], axis=1) * step
    points = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)]) + np.asarray(start)
    outside = np.any((points < -step) | (points > size + step), axis=1)
    stop = int(np.argmax(outside)) + 1 if outside.any() else len(points)
    kept: FloatArray = points[: max(stop, 2)].astype(np.float32)
    return kept


def curve_depth(lines: list[tuple[FloatArray, float]], size: int) -> tuple[Window, FloatArray]:
    """The union of lines (points (N, 2), width) as depth over the image; a line thins towards its end."""
    depth = np.full((size, size), -9.0, dtype=np.float32)
    for points, width in lines:
        taper = np.linspace(1.0, 0.6, len(points) - 1)
        for (r0, c0), (r1, c1), share in zip(points[:-1], points[1:], taper, strict=True):
            half = max(width * share / 2, 0.5)
            margin = half + 4
            window = window_around(
                min(r0, r1) - margin, min(c0, c1) - margin, max(r0, r1) + margin, max(c0, c1) + margin, size
            )
            if window is None:
                continue
            rows, columns = _grid(window)
            dr, dc = r1 - r0, c1 - c0
            t = np.clip(((rows - r0) * dr + (columns - c0) * dc) / max(dr * dr + dc * dc, 1e-6), 0, 1)
            distance = np.sqrt((rows - r0 - t * dr) ** 2 + (columns - c0 - t * dc) ** 2)
            np.maximum(depth[window], half - distance, out=depth[window])
    return (slice(0, size), slice(0, size)), depth


def branching_lines(rng: Generator, size: int, width: float, branches: int) -> list[tuple[FloatArray, float]]:
    """A trunk and its branches, each thinner than the trunk: a crack, a vessel tree or a road net."""
    jagged = rng.choice([0.05, 0.15, 0.5])
    start = (rng.uniform(0, size), rng.uniform(0, size))
    trunk = curve_points(rng, size, start, rng.uniform(0, 2 * np.pi), jagged)
    lines = [(trunk, width)]
    for _ in range(branches):
        parent, parent_width = lines[int(rng.integers(len(lines)))]
        fork = parent[int(rng.integers(len(parent)))]
        line = curve_points(rng, size, (fork[0], fork[1]), rng.uniform(0, 2 * np.pi), jagged)
        lines.append((line, max(parent_width * rng.uniform(0.6, 1.0), 1.5)))
    return lines


def mosaic_depths(rng: Generator, size: int, cells: int, gap: float, field: FloatArray) -> list[FloatArray]:
    """Voronoi regions that tile the image, `gap` pixels between them, as depths (size, size).

    `field` (size, size), in pixels, bends their edges.
    """
    centres = rng.uniform(-0.1 * size, 1.1 * size, (cells, 2)).astype(np.float32)
    rows = np.arange(size, dtype=np.float32)[:, None] + field
    columns = np.arange(size, dtype=np.float32)[None, :] + np.roll(field, size // 2, axis=0)
    distances = np.sqrt((rows - centres[:, 0, None, None]) ** 2 + (columns - centres[:, 1, None, None]) ** 2)
    nearest = np.partition(distances, 1, axis=0)[:2]
    return [
        (np.where(distance <= nearest[0], nearest[1], nearest[0]) - distance - gap) / 2
        for distance in distances
    ]
