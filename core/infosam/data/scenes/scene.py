"""Generated scenes, a batch at a time: pictures with the exact mask of every object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from infosam.data.scenes.camera import photograph
from infosam.data.scenes.draw import chance, choice, log_uniform, uniform
from infosam.data.scenes.layout import (
    MANY_LOOKS,
    Population,
    clutter,
    lines,
    objects,
    parts,
    typical_size,
    veins,
)
from infosam.data.scenes.painting import LOOKS, background, paint, random_looks
from infosam.data.scenes.stamps import Layer, compose
from infosam.data.scenes.style import random_styles
from infosam.data.scenes.texture import mosaic, smooth_field
from infosam.types import BoolArray

MIN_AREA = 12
MIN_SIZE = 32
MAX_SHARE = 0.97  # of the image, for one object

_PLOTS = {
    "objects": 0.4,
    "two populations": 0.18,
    "lines": 0.12,
    "objects and lines": 0.14,
    "mosaic": 0.06,
    "clutter": 0.1,
}
_OBJECTS, _TWO, _LINES, _BOTH, _MOSAIC, _CLUTTER = range(len(_PLOTS))


@dataclass(frozen=True, eq=False)
class Scene:
    """image: (size, size, 3) uint8. masks: (K, size, size) bool, K >= 1, overlapping or nested at times."""

    image: NDArray[np.uint8]
    masks: BoolArray


@dataclass(frozen=True, eq=False)
class Scenes:
    """B scenes. images: (B, 3, S, S) uint8. maps: (L, B, S, S) what shows of the objects of each layer, -1
    for none. Objects, N in all and at least one per scene, ordered by scene: number: (N,) in the maps. layer,
    scene: (N,)."""

    images: Tensor
    maps: Tensor
    number: Tensor
    layer: Tensor
    scene: Tensor

    def masks(self, index: Tensor) -> Tensor:
        """The masks of objects `index` (n,), (n, S, S) bool."""
        maps = self.maps[self.layer[index], self.scene[index]]
        return maps == self.number[index, None, None]


def draw_scenes(generator: Generator, count: int, size: int) -> Scenes:
    """`count` scenes of `size` x `size` pixels, on the generator's device; objects of which fewer than 12
    pixels show, or which fill the image, are left out.

    Raises ValueError for a size below 32 pixels.
    """
    if size < MIN_SIZE:
        raise ValueError(f"a scene needs at least {MIN_SIZE} pixels a side, not {size}")
    scenes = _paint(generator, count, size)
    while len(empty := torch.nonzero(scenes.scene.bincount(minlength=count) == 0).flatten()):
        scenes = _with(scenes, empty, _paint(generator, len(empty), size))
    return scenes


def _with(scenes: Scenes, places: Tensor, others: Scenes) -> Scenes:
    """The scenes with `others` at these places, where there was no object."""
    scenes.images[places] = others.images
    scenes.maps[:, places] = others.maps
    scene = torch.cat([scenes.scene, places[others.scene]])
    order = scene.argsort(stable=True)
    return Scenes(
        scenes.images,
        scenes.maps,
        number=torch.cat([scenes.number, others.number])[order],
        layer=torch.cat([scenes.layer, others.layer])[order],
        scene=scene[order],
    )


class _Canvas:
    """The scenes being painted, layer by layer, and what shows of every layer's objects."""

    def __init__(self, generator: Generator, count: int, size: int) -> None:
        self.generator, self.count, self.size = generator, count, size
        self.styles = random_styles(generator, count)
        self.image, self.textures = background(generator, self.styles, size)
        self.maps: list[Tensor] = []
        self.scenes: list[Tensor] = []

    @property
    def painted(self) -> int:
        """How many objects there are so far, and the number of the next."""
        return sum(len(scene) for scene in self.scenes)

    def add(self, population: Population, strength: float = 1.0, looks: int = LOOKS) -> None:
        """Paint a population. Its objects hide others, unless they add light, or let what is below
        through."""
        parent = None
        if population.parent is not None:
            inside = torch.cat([population.parent.new_full((population.first,), -1), population.parent])
            parent = (self._map_of(int(population.parent.min())), inside) if len(population.parent) else None
        layer = compose(population.stamps, (self.count, self.size), self.styles.soft, parent)
        nested = population.parent is not None
        self.paint(layer, population.scene, population.group, nested, strength, looks)

    def paint(
        self,
        layer: Layer,
        scene: Tensor,
        group: Tensor,
        nested: bool = False,
        strength: float = 1.0,
        looks: int = LOOKS,
    ) -> None:
        """Paint the objects of (N,) scenes and groups that `layer` shows."""
        first = self.painted
        drawn = random_looks(self.generator, self.styles, scene, group, strength, looks)
        self.image = paint(
            self.generator, self.image, self.textures, layer, drawn, first, self.styles, nested
        )
        if not nested:
            hides = ~self.styles.add[scene] & (drawn.keep < 1)
            hidden = (layer.ids >= 0) & torch.cat([hides, hides.new_zeros(1)])[
                (layer.ids - first).clamp(min=-1)
            ]
            self.maps = [torch.where(hidden, -1, known) for known in self.maps]
        self.maps.append(layer.ids)
        self.scenes.append(scene)

    def _map_of(self, number: int) -> Tensor:
        """The map of the layer that the object of this number belongs to."""
        for scene, known in zip(self.scenes, self.maps, strict=True):
            number -= len(scene)
            if number < 0:
                return known
        raise ValueError(f"there is no object {number}")

    def finish(self) -> Scenes:
        """The pictures, and the objects of which enough shows."""
        images = photograph(self.generator, self.image, self.styles)
        maps = torch.stack(self.maps)
        shown = self._frame()
        images = torch.where(shown[:, None], images, 0)
        maps = torch.where(shown, maps, -1)
        area = maps[maps >= 0].bincount(minlength=self.painted)
        layers = [torch.full_like(scene, i) for i, scene in enumerate(self.scenes)]
        layer, scene = torch.cat(layers), torch.cat(self.scenes)
        kept = torch.nonzero((area >= MIN_AREA) & (area < MAX_SHARE * self.size**2)).flatten()
        kept = kept[scene[kept].argsort(stable=True)]
        return Scenes(images, maps.int(), kept, layer[kept], scene[kept])

    def _frame(self) -> Tensor:
        """(B, S, S) bool: some images that darken with depth lie in a black frame, as ultrasound does."""
        framed = chance(self.generator, (self.count,), 0.4) & (self.styles.fade > 0)
        edges = uniform(self.generator, (self.count, 4), 0, 0.2) * self.size
        edges = torch.where(framed[:, None], edges, torch.zeros_like(edges))[:, :, None]
        axis = torch.arange(self.size, device=edges.device)
        rows = (axis >= edges[:, 0]) & (axis < self.size - edges[:, 1])
        columns = (axis >= edges[:, 2]) & (axis < self.size - edges[:, 3])
        return rows[:, :, None] & columns[:, None, :]


def _paint(generator: Generator, count: int, size: int) -> Scenes:
    canvas = _Canvas(generator, count, size)
    plot = choice(generator, (count,), list(_PLOTS.values()))
    _paint_mosaic(canvas, plot == _MOSAIC)
    canvas.add(clutter(generator, size, plot == _CLUTTER, canvas.painted), looks=MANY_LOOKS)
    under = chance(generator, (count,), 0.5)
    canvas.add(lines(generator, size, (plot == _BOTH) & under, canvas.painted), strength=1.2)
    for used in (plot == _OBJECTS) | (plot == _TWO) | (plot == _BOTH), plot == _TWO:
        diameter = typical_size(generator, count, size)
        population = objects(generator, size, diameter, used, canvas.styles.round, canvas.painted)
        canvas.add(population)
        inner = chance(generator, (count,), 0.3)
        canvas.add(parts(generator, population, inner, canvas.painted))
        canvas.add(veins(generator, population, canvas.painted))
    canvas.add(
        lines(generator, size, (plot == _LINES) | ((plot == _BOTH) & ~under), canvas.painted), strength=1.2
    )
    return canvas.finish()


def _paint_mosaic(canvas: _Canvas, used: Tensor) -> None:
    """Cells that tile the scenes `used`, with gaps between them."""
    generator, count, size = canvas.generator, canvas.count, canvas.size
    tiled = torch.nonzero(used).flatten()
    n = len(tiled)
    pitch = log_uniform(generator, (n,), max(12, size / 14), max(60, size / 4))
    bend = smooth_field(generator, size, pitch) * (uniform(generator, (n,), 0, 0.12) * pitch)[:, None, None]
    cells = mosaic(generator, size, pitch, bend)
    depth = cells.depth - uniform(generator, (n, 1, 1), 0.5, 2)
    present, number = torch.unique(cells.cell + tiled[:, None, None] * cells.cells, return_inverse=True)
    layer = Layer.empty(count, size, pitch.device)
    layer.ids[tiled] = torch.where(depth > 0, number, -1)
    layer.halo[tiled] = torch.where(depth > -canvas.styles.soft[tiled, None, None] / 2, number, -1)
    layer.depth[tiled] = depth
    scene = present // max(cells.cells, 1)
    canvas.paint(layer, scene, torch.zeros_like(scene))


def make_scene(size: int, seed: int) -> Scene:
    """The scene of this number. Raises ValueError for a size below 32 pixels."""
    drawn = draw_scenes(Generator().manual_seed(seed), 1, size)
    masks = drawn.masks(torch.arange(len(drawn.number)))
    return Scene(drawn.images[0].permute(1, 2, 0).contiguous().numpy(), masks.numpy())


def scenes(n: int, size: int, generator: Generator) -> tuple[Tensor, list[Tensor]]:
    """n scenes: images (n, 3, size, size) uint8 and, for each, its masks (K, size, size) bool.

    The same state of `generator` gives the same scenes; they are made on its device.
    """
    drawn = draw_scenes(generator, n, size)
    return drawn.images, [drawn.masks(torch.nonzero(drawn.scene == i).flatten()) for i in range(n)]
