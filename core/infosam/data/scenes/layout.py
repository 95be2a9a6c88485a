"""Where things are: scattered, clumped and packed objects with their parts, lines and nets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from infosam.data.scenes.draw import chance, choice, integers, log_uniform, normal, uniform
from infosam.data.scenes.shapes import (
    ELLIPSE,
    LEAF,
    Outlines,
    Pieces,
    random_kinds,
    random_outlines,
    wandering,
)
from infosam.data.scenes.stamps import Stamps

MAX_OBJECTS = 40  # of one population
_PARTS = 4  # of one object, at most
_LINES, _BRANCHES, _STEPS = 3, 6, 40
_VEINS = 9
_CLUTTER = 160  # shapes
_FINEST = 7.0  # pixels across the smallest of them
MANY_LOOKS = 12
_THINNEST = 1.0  # pixels
_EDGE = 6  # pixels beyond an outline in which its soft edge ends


@dataclass(frozen=True, eq=False)
class Closed:
    """The closed shapes of N objects: kind (N,), centre (N, 2) and diameter (N,) in pixels, outlines."""

    kind: Tensor
    centre: Tensor
    diameter: Tensor
    outlines: Outlines


@dataclass(frozen=True, eq=False)
class Population:
    """N objects of one layer. stamps: what to draw. scene: (N,) scenes. group: (N,) which of the looks of its
    scene an object has. first: number of its first object. parent: (N,) numbers of the objects that these are
    parts of, for parts."""

    stamps: list[Stamps]
    scene: Tensor
    group: Tensor
    first: int
    parent: Tensor | None = None
    closed: Closed | None = None


def typical_size(generator: Generator, count: int, size: int) -> Tensor:
    """(B,) typical diameters of a scene's objects in pixels: often small, sometimes most of the image."""
    small = log_uniform(generator, (count,), 8, max(72 * size / 256, 12))
    large = log_uniform(generator, (count,), min(30, size / 2), 0.9 * size)
    return torch.where(chance(generator, (count,), 0.65), small, large)


def _hexagons() -> Tensor:
    """The MAX_OBJECTS points of a hexagonal grid of pitch 1 that lie nearest to its middle, (K, 2)."""
    rows, columns = torch.meshgrid(torch.arange(-5, 6), torch.arange(-5, 6), indexing="ij")
    grid = torch.stack([rows * 0.87, columns + 0.5 * (rows % 2)], dim=-1).reshape(-1, 2).float()
    return grid[grid.norm(dim=1).argsort(stable=True)[:MAX_OBJECTS]]


def _centres(generator: Generator, size: int, diameter: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K, 2) centres and (B, K) whether they are used: anywhere, in clumps, or packed side by side."""
    count = len(diameter)
    shape = (count, MAX_OBJECTS, 2)
    anywhere = uniform(generator, shape, -0.05 * size, 1.05 * size)
    seeds = uniform(generator, (count, 6, 2), 0, size)
    own = integers(generator, (count, MAX_OBJECTS, 1), 0, 6).expand(shape)
    clumped = seeds.gather(1, own) + normal(generator, shape) * diameter[:, None, None]
    pitch = (diameter * uniform(generator, (count,), 0.85, 1.3))[:, None, None]
    packed = (_hexagons().to(diameter.device) + 0.12 * normal(generator, shape)) * pitch
    packed = packed + uniform(generator, (count, 1, 2), 0, size)
    mode = choice(generator, (count, 1, 1), (0.45, 0.2, 0.35))
    centres = torch.where(mode == 0, anywhere, torch.where(mode == 1, clumped, packed))
    room = (size / diameter) ** 2
    loose = (uniform(generator, (count,), 0.05, 0.5) * room).clamp(1, 24)
    number = torch.where(mode[:, 0, 0] == 2, uniform(generator, (count,), 4, MAX_OBJECTS), loose)
    return centres, torch.arange(MAX_OBJECTS, device=diameter.device) < number[:, None]


def objects(
    generator: Generator, size: int, diameter: Tensor, used: Tensor, is_round: Tensor, first: int
) -> Population:
    """One population of closed shapes in the scenes `used` (B,), of one or two looks; ellipses alone where
    `is_round` (B,)."""
    count = len(diameter)
    centres, shown = _centres(generator, size, diameter)
    scene, slot = torch.nonzero(shown & used[:, None], as_tuple=True)
    group = integers(generator, tuple(scene.shape), 0, 2) * chance(generator, (count,), 0.5)[scene]
    spread = torch.tensor((0.1, 0.25, 0.6), device=diameter.device)[integers(generator, (count,), 0, 3)]
    own = diameter[scene] * torch.exp(normal(generator, tuple(scene.shape)) * spread[scene])
    own = own.clamp(5, 0.95 * size)
    kinds = torch.where(is_round[:, None], ELLIPSE, random_kinds(generator, (count, 2)))
    kind = kinds[scene, group]
    closed = Closed(kind, centres[scene, slot], own, random_outlines(generator, kind, own))
    return Population([_stamps(closed, scene, first)], scene, group, first, closed=closed)


def _stamps(closed: Closed, scene: Tensor, first: int) -> Stamps:
    number = torch.arange(len(scene), device=scene.device) + first
    reach = closed.outlines.axes.amax(dim=1) + _EDGE
    return Stamps(scene, number, closed.centre, reach, closed.outlines.depth())


def parts(generator: Generator, whole: Population, used: Tensor, first: int) -> Population:
    """Nuclei or spots inside the larger objects of a population of closed shapes, in the scenes `used`
    (B,)."""
    closed = _closed(whole)
    n = len(whole.scene)
    inner = 2 * closed.outlines.axes.amin(dim=1)
    nucleus = chance(generator, tuple(used.shape), 0.5)[whole.scene]
    number = torch.where(nucleus, 1, integers(generator, (n,), 1, _PARTS + 1))
    host = used[whole.scene] & (inner > 14) & (closed.outlines.hole == 0)
    parent, _ = torch.nonzero(
        host[:, None] & (torch.arange(_PARTS, device=inner.device) < number[:, None]), as_tuple=True
    )
    shape = tuple(parent.shape)
    single = nucleus[parent]
    share = torch.where(single, uniform(generator, shape, 0.35, 0.65), uniform(generator, shape, 0.12, 0.4))
    distance = uniform(generator, shape) * torch.where(single, 0.12, 0.37) * inner[parent]
    angle = uniform(generator, shape, 0, 2 * torch.pi)
    centre = closed.centre[parent] + distance[:, None] * torch.stack([angle.sin(), angle.cos()], dim=1)
    own = (inner[parent] * share).clamp(min=6)
    scene = whole.scene[parent]
    kind = random_kinds(generator, tuple(used.shape))[scene]
    inside = Closed(kind, centre, own, random_outlines(generator, kind, own))
    group = torch.zeros_like(scene)
    return Population([_stamps(inside, scene, first)], scene, group, first, parent=parent + whole.first)


def _closed(population: Population) -> Closed:
    if population.closed is None:
        raise ValueError("only closed shapes have parts")
    return population.closed


def veins(generator: Generator, whole: Population, first: int) -> Population:
    """A midrib and side veins on the larger leaves of a population of closed shapes: one object per leaf."""
    closed = _closed(whole)
    parent = torch.nonzero((closed.kind == LEAF) & (closed.diameter > 40)).flatten()
    along = torch.linspace(-0.55, 0.35, _VEINS // 2, device=parent.device).repeat_interleave(2)
    side = torch.tensor([-1.0, 1.0], device=parent.device).repeat(_VEINS // 2)
    starts = torch.cat(
        [torch.tensor([[-0.9, 0.0]], device=parent.device), torch.stack([along, 0 * along], 1)]
    )
    ends = torch.cat([torch.tensor([[0.9, 0.0]], device=parent.device), torch.stack([along + 0.3, side], 1)])
    axes, angle = closed.outlines.axes[parent], closed.outlines.angle[parent]
    turn = torch.stack(
        [torch.stack([angle.sin(), angle.cos()], -1), torch.stack([angle.cos(), -angle.sin()], -1)], dim=1
    )
    start, end = ((ends_of * axes[:, None]) @ turn for ends_of in (starts, ends))
    centre = (closed.centre[parent, None] + (start + end) / 2).reshape(-1, 2)
    width = uniform(generator, tuple(parent.shape), 1.5, 3.5)
    pieces = Pieces(((end - start) / 2).reshape(-1, 2), width.repeat_interleave(_VEINS))
    number = torch.arange(len(parent), device=parent.device) + first
    scene = whole.scene[parent]
    drawn = Stamps(
        scene.repeat_interleave(_VEINS),
        number.repeat_interleave(_VEINS),
        centre,
        pieces.half.norm(dim=1) + pieces.width + _EDGE,
        pieces.depth(),
    )
    return Population([drawn], scene, torch.zeros_like(scene), first, parent=parent + whole.first)


def clutter(generator: Generator, size: int, used: Tensor, first: int) -> Population:
    """Shapes of all sizes and many looks over each other in the scenes `used` (B,), few large and many small
    ones, as things hide each other in photographs (Lee, Mumford and Huang 2001, "Occlusion models for natural
    images")."""
    shown = torch.arange(_CLUTTER, device=used.device) < integers(
        generator, (len(used), 1), _CLUTTER // 4, _CLUTTER + 1
    )
    scene, _ = torch.nonzero(shown & used[:, None], as_tuple=True)
    shape = tuple(scene.shape)
    # Twice as large is half as many.
    diameter = _FINEST / uniform(generator, shape, _FINEST / (0.8 * size), 1)
    kind = random_kinds(generator, shape)
    centre = uniform(generator, (len(scene), 2), -0.05 * size, 1.05 * size)
    closed = Closed(kind, centre, diameter, random_outlines(generator, kind, diameter))
    group = integers(generator, shape, 0, MANY_LOOKS)
    return Population([_stamps(closed, scene, first)], scene, group, first, closed=closed)


def lines(generator: Generator, size: int, used: Tensor, first: int) -> Population:
    """Cracks, vessels, roads or filaments; a trunk with its branches is one object."""
    scene, slot = torch.nonzero(
        (torch.arange(_LINES, device=used.device) < integers(generator, (len(used), 1), 1, _LINES + 1))
        & used[:, None],
        as_tuple=True,
    )
    n = len(scene)
    jagged = torch.tensor((0.05, 0.15, 0.4, 0.8), device=used.device)[integers(generator, (n,), 0, 4)]
    width = log_uniform(generator, (n,), _THINNEST, max(size / 20, 4))
    fine = log_uniform(generator, (n,), _THINNEST, 2.5)
    width = torch.where(chance(generator, (n,), 0.4), fine, width)
    step = uniform(generator, (n,), 3, max(size / 28, 4))
    trunk = wandering(
        generator,
        uniform(generator, (n, 2), 0, size),
        uniform(generator, (n,), 0, 2 * torch.pi),
        jagged,
        step,
        _STEPS,
    )
    fork = integers(generator, (n, _BRANCHES), 0, _STEPS)
    start = trunk.gather(1, fork[..., None].expand(-1, -1, 2))
    turn = uniform(generator, (n, _BRANCHES), 0.3, 1.3) * (
        2.0 * integers(generator, (n, _BRANCHES), 0, 2) - 1
    )
    ahead = trunk.gather(1, (fork + 1)[..., None].expand(-1, -1, 2)) - start
    heading = torch.atan2(ahead[..., 0], ahead[..., 1]) + turn
    branches = wandering(
        generator, start, heading, jagged[:, None].expand_as(fork), step[:, None].expand_as(fork), _STEPS // 2
    )
    number = integers(generator, (n, 1), 0, _BRANCHES + 1) * chance(generator, (n, 1), 0.7)
    grown = torch.arange(_BRANCHES, device=used.device) < number
    thin = (width[:, None] * uniform(generator, (n, _BRANCHES), 0.5, 1.0)).clamp(min=_THINNEST)
    length = integers(generator, (n,), 8, _STEPS + 1)
    trunks = _pieces(trunk, width, torch.arange(_STEPS, device=used.device) < length[:, None])
    twigs = _pieces(
        branches[grown],
        thin[grown],
        torch.arange(_STEPS // 2, device=used.device)
        < integers(generator, (int(grown.sum()),), 4, _STEPS // 2 + 1)[:, None],
    )
    of_twig = torch.nonzero(grown)[:, 0]
    stamps = []
    for centre, pieces, line in (trunks, (twigs[0], twigs[1], of_twig[twigs[2]])):
        reach = pieces.half.norm(dim=1) + pieces.width / 2 + _EDGE
        stamps.append(Stamps(scene[line], line + first, centre, reach, pieces.depth()))
    return Population(stamps, scene, slot % 2 * chance(generator, (len(used),), 0.5)[scene], first)


def _pieces(points: Tensor, width: Tensor, kept: Tensor) -> tuple[Tensor, Pieces, Tensor]:
    """The centres, the pieces and the line numbers of the `kept` (M, n) pieces of lines (M, n + 1, 2)."""
    middle, half = (points[:, 1:] + points[:, :-1]) / 2, (points[:, 1:] - points[:, :-1]) / 2
    taper = torch.linspace(1.0, 0.6, kept.shape[1], device=points.device)
    widths = (width[:, None] * taper).clamp(min=_THINNEST)
    line, _ = torch.nonzero(kept, as_tuple=True)
    return middle[kept], Pieces(half[kept], widths[kept]), line
