"""Stamps: the shapes of a batch of scenes on small square patches, and how patches meet in instance maps.

Every shape is drawn as depth: about the distance to its edge in pixels, positive inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Depth = Callable[[Tensor, Tensor, Tensor], Tensor]
_SIDES = (16, 24, 32, 48, 64, 96, 128, 192, 256)
_AT_ONCE = 500_000  # pixels of patches that are drawn together: more leave the processor's cache


@dataclass(frozen=True, eq=False)
class Stamps:
    """N shapes. scene, object: (N,) numbers of the scene and of the object that a shape is part of. centre:
    (N, 2) row, column. reach: (N,) pixels from the centre beyond which the shape does not go. depth: of
    shapes `which` (n,), at positions (n, p, 1) and (n, 1, p) relative to their centres: (n, p, p).
    """

    scene: Tensor
    object: Tensor
    centre: Tensor
    reach: Tensor
    depth: Depth


@dataclass(frozen=True, eq=False)
class Layer:
    """What one population of objects covers of B scenes. ids: (B, S, S) the object on top, -1 for none, with
    hard edges. halo: the same with soft edges. depth: (B, S, S) of the object in `halo`."""

    ids: Tensor
    halo: Tensor
    depth: Tensor

    @staticmethod
    def empty(count: int, size: int, device: torch.device) -> Layer:
        """A layer without objects."""
        ids = torch.full((count, size, size), -1, device=device)
        return Layer(ids, ids.clone(), torch.full(ids.shape, -torch.inf, device=device))


def _patches(stamps: Stamps, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Per patch size: the shapes' numbers (n,), flat pixel numbers (n, p, p) in (B, S, S), inside or not,
    depth."""
    device = stamps.centre.device
    low = 0
    for side in [side for side in _SIDES if side < size] + [size]:
        largest = side if side < size else torch.inf
        which = torch.nonzero((2 * stamps.reach > low) & (2 * stamps.reach <= largest)).flatten()
        low = side
        for chunk in torch.split(which, max(1, _AT_ONCE // side**2)):
            steps = torch.arange(side, device=device)
            origin = torch.floor(stamps.centre[chunk]).long() - side // 2
            if side == size:  # the whole image, wherever the shape lies
                origin = torch.zeros_like(origin)
            rows, columns = origin[:, :1] + steps, origin[:, 1:] + steps
            r = (rows - stamps.centre[chunk, :1])[:, :, None]
            c = (columns - stamps.centre[chunk, 1:])[:, None, :]
            inside = ((rows >= 0) & (rows < size))[:, :, None] & ((columns >= 0) & (columns < size))[
                :, None, :
            ]
            pixel = rows.clamp(0, size - 1)[:, :, None] * size + columns.clamp(0, size - 1)[:, None, :]
            pixel = pixel + stamps.scene[chunk, None, None] * size * size
            yield chunk, pixel, inside, stamps.depth(chunk, r, c)


def compose(
    groups: Sequence[Stamps],
    shape: tuple[int, int],
    soft: Tensor,
    parent: tuple[Tensor, Tensor] | None = None,
) -> Layer:
    """The shapes over each other, objects of higher number on top; an object's own shapes unite.

    Args:
        groups: the shapes.
        shape: (B, S).
        soft: (B,) width of soft edges in pixels.
        parent: (B, S, S) ids of the layer below and, for every object, the id within which it stays.
    """
    count, size = shape
    layer = Layer.empty(count, size, soft.device)
    hard, halo, depths = layer.ids.flatten(), layer.halo.flatten(), layer.depth.flatten()
    drawn: list[tuple[Tensor, Tensor, Tensor]] = []
    for stamps in groups:
        for which, pixel, inside, depth in _patches(stamps, size):
            own = stamps.object[which][:, None, None].expand_as(pixel)
            if parent is not None:
                inside = inside & (parent[0].flatten()[pixel] == parent[1][own])
            near = inside & (depth > -soft[stamps.scene[which], None, None] / 2)
            drawn.append((pixel[near], own[near], depth[near]))
    for pixel, own, depth in drawn:
        halo.scatter_reduce_(0, pixel, own, "amax")
        hard.scatter_reduce_(0, pixel[depth > 0], own[depth > 0], "amax")
    halo.copy_(torch.where(hard >= 0, hard, halo))
    for pixel, own, depth in drawn:
        seen = halo[pixel] == own
        depths.scatter_reduce_(0, pixel[seen], depth[seen], "amax")
    return layer
