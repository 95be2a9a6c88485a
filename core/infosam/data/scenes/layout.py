"""Where things are: scattered, packed and nested objects, lines and mosaics, painted onto a canvas."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from infosam.data.scenes.canvas import Canvas, Look, random_look
from infosam.data.scenes.shapes import (
    Outline,
    branching_lines,
    curve_depth,
    mosaic_depths,
    outline_depth,
    radius_table,
    random_kind,
)
from infosam.data.scenes.texture import smooth_field
from infosam.types import FloatArray

MAX_OBJECTS = 48


def log_uniform(rng: Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def object_size(rng: Generator, size: int) -> float:
    """A typical diameter of a scene's objects in pixels: often small, sometimes most of the image."""
    if rng.random() < 0.7:
        return log_uniform(rng, 8, 48)
    return log_uniform(rng, min(30, size / 2), 0.9 * size)


def _outline(rng: Generator, kind: str, centre: FloatArray, diameter: float) -> Outline:
    elongation = np.exp(-abs(rng.normal(0, 0.35)))
    if kind == "leaf":
        elongation *= 0.6
    half = max(diameter / 2, 2.0)
    return Outline(
        radius=radius_table(rng, kind),
        centre=(float(centre[0]), float(centre[1])),
        axes=(half / np.sqrt(elongation), max(half * np.sqrt(elongation), 1.6)),
        angle=rng.uniform(0, 2 * np.pi),
        hole=rng.uniform(0.3, 0.7) if diameter > 14 and rng.random() < 0.07 else 0.0,
        bend=rng.uniform(0, 0.06) * diameter if diameter > 12 else 0.0,
    )


def _centres(rng: Generator, size: int, diameter: float) -> FloatArray:
    """Centres (N, 2) of objects of this diameter: anywhere, in clumps, or packed side by side."""
    room = (size / diameter) ** 2
    mode = rng.random()
    if mode < 0.35:  # packed on a shaken hexagonal grid
        pitch = diameter * rng.uniform(0.85, 1.3)
        rows = np.arange(-0.5 * pitch, size + pitch, pitch * 0.87)
        columns = np.arange(-0.5 * pitch, size + pitch, pitch)
        grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
        grid[1::2, :, 1] += pitch / 2
        points = grid.reshape(-1, 2) + rng.normal(0, 0.12 * pitch, (grid.size // 2, 2))
        patch = np.linalg.norm(points - rng.uniform(0, size, 2), axis=1)
        return points[np.argsort(patch)][: int(rng.integers(4, MAX_OBJECTS))].astype(np.float32)
    count = int(np.clip(rng.uniform(0.05, 0.5) * room, 1, 24))
    if mode < 0.55 and count > 4:  # clumps
        seeds = rng.uniform(0, size, (max(count // 6, 1), 2))
        points = seeds[rng.integers(len(seeds), size=count)] + rng.normal(0, diameter, (count, 2))
    else:
        points = rng.uniform(-0.05 * size, 1.05 * size, (count, 2))
    return points.astype(np.float32)


def paint_objects(rng: Generator, canvas: Canvas, diameter: float) -> None:
    """One or two classes of closed shapes, some with parts inside them."""
    size = canvas.size
    field = smooth_field(rng, size, max(diameter / 2, 4))
    looks = [random_look(rng, canvas.style, canvas.textures) for _ in range(int(rng.integers(1, 3)))]
    kinds = [random_kind(rng) for _ in looks]
    inner = random_look(rng, canvas.style, canvas.textures)
    spread = rng.choice([0.1, 0.25, 0.6])
    parts = rng.choice(["none", "nucleus", "spots"], p=[0.5, 0.25, 0.25])
    for centre in _centres(rng, size, diameter):
        choice = int(rng.integers(len(looks)))
        own = float(np.clip(diameter * np.exp(rng.normal(0, spread)), 5, 0.95 * size))
        outline = _outline(rng, kinds[choice], centre, own)
        placed = outline_depth(outline, size, field)
        if placed is None:
            continue
        index = canvas.paint(*placed, _varied(rng, looks[choice]))
        if index is not None and own > 16 and not outline.hole:
            paint_parts(rng, canvas, outline, index, inner, str(parts))


def _varied(rng: Generator, look: Look) -> Look:
    """The same class on another individual: a little brighter or darker."""
    factor = np.float32(np.exp(rng.normal(0, 0.2)))
    return Look(
        look.offset * factor, look.texture, look.amplitude, look.shading, look.rim, look.rim_width, look.keep
    )


def paint_parts(rng: Generator, canvas: Canvas, parent: Outline, index: int, look: Look, parts: str) -> None:
    """A nucleus or several spots inside the object `index`."""
    own = 2 * min(parent.axes)
    if parts == "none" or own < 14:
        return
    count = 1 if parts == "nucleus" else int(rng.integers(1, 1 + min(8, int(own / 6))))
    field = np.zeros((canvas.size, canvas.size), dtype=np.float32)
    for _ in range(count):
        share = rng.uniform(0.35, 0.65) if parts == "nucleus" else rng.uniform(0.12, 0.4)
        reach = rng.uniform(0, 0.25 if parts == "nucleus" else 0.75) * own / 2
        angle = rng.uniform(0, 2 * np.pi)
        centre = np.array(parent.centre) + reach * np.array([np.sin(angle), np.cos(angle)])
        kind = str(rng.choice(["ellipse", "blob"]))
        outline = _outline(rng, kind, centre.astype(np.float32), max(own * share, 6))
        placed = outline_depth(outline, canvas.size, field)
        if placed is not None:
            canvas.paint(*placed, look, parent=index)


def paint_lines(rng: Generator, canvas: Canvas) -> None:
    """Cracks, vessels, roads or loose filaments; a net of branches is one object."""
    size = canvas.size
    for _ in range(int(rng.integers(1, 4))):
        width = log_uniform(rng, 2, max(size / 20, 4))
        lines = branching_lines(rng, size, width, int(rng.integers(0, 6)))
        canvas.paint(*curve_depth(lines, size), random_look(rng, canvas.style, canvas.textures, strength=1.3))


def paint_mosaic(rng: Generator, canvas: Canvas) -> None:
    """Cells that tile the picture, some with a nucleus."""
    size = canvas.size
    pitch = log_uniform(rng, max(12, size / 7), max(60, size / 4))
    cells = int(np.clip((size / pitch) ** 2, 4, MAX_OBJECTS))
    look = random_look(rng, canvas.style, canvas.textures)
    inner = random_look(rng, canvas.style, canvas.textures)
    field = smooth_field(rng, size, pitch)
    with_nuclei = rng.random() < 0.4
    for depth in mosaic_depths(rng, size, cells, rng.uniform(0.5, 4), rng.uniform(0, 0.12) * pitch * field):
        rows, columns = np.nonzero(depth > 0)
        if len(rows) < 20:
            continue
        window = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        index = canvas.paint(window, depth[window], _varied(rng, look))
        if index is None or not with_nuclei:
            continue
        centre = np.array([rows.mean(), columns.mean()], dtype=np.float32)
        nucleus = outline_depth(_outline(rng, "ellipse", centre, 0.5 * len(rows) ** 0.5), size, field)
        if nucleus is not None:
            canvas.paint(*nucleus, inner, parent=index)
