"""Thin things, such as cracks, roots and vessels, which ask to be looked at from as near as their width does.

A tile is chosen for the length of its object, on which a line may be narrower than a pixel of the mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, find_objects, label
from torch import Tensor

from infosam.inference.distances import Answer
from infosam.inference.tiles import Box, Shape, Tile, box_around, cover, deepest_level, within
from infosam.models.base import PromptableModel
from infosam.types import BoolArray, Prompt

_NARROW = 2.0  # pixels of the mask, in low resolution
_LONG = 8.0  # times as long as wide
# The predicted IoU from which an answer stands, whatever the model was adapted to. Of the blobs that
# sam_pocket draws where there are cracks it predicts less, of nearly all that are objects, more.
_BELIEVED = 0.6
# Of the length of the longest piece. On two times 12 images with cracks, boundary F1 rises from 0.57 and 0.53
# to 0.69 and 0.64; to 0.65 and 0.61 with 0.05, to 0.68 and 0.62 with 0.2.
_SPECK = 0.1
# Of the length of a box: what one piece must have of a line that was not seen before it was looked for. An
# adapter to cracks gains 0.03 IoU by box on cracks by looking for lines, and loses 0.04, 0.04 and 0.03 in
# ultrasound, on soybean and on nuclei; without this it gained as much, and lost 0.19, 0.11 and 0.08.
_SPAN = 0.5
# Pixels of the image by which a click may miss a line that it is meant for.
_AIM = 4


def tiles_along(model: PromptableModel, prompt: Prompt, seen: Answer, shape: Shape) -> list[Tile]:
    """Tiles of the next level that together show what an answer has drawn in its box, if that is a thin line,
    or if the model believes little in it and was adapted to lines that would be thin there.

    None for anything else, for prompts without a box, of which nothing says where a part of a line ends, and
    where there is no next level.
    """
    level = seen.tile.level + 1
    if prompt.box is None or level > deepest_level(shape, model.image_size):
        return []
    pixel = seen.pixel(model)
    expected = seen.iou[0] < _BELIEVED and _is_expected(model, prompt.box, max(pixel))
    if not (expected or _is_drawn(model, seen)):
        return []
    points = (np.argwhere(_mask_of(seen.shown(model))) + 0.5) * pixel + (seen.tile.r0, seen.tile.c0) - 0.5
    return cover(points[within(points, prompt.box)], level, shape)


def line_of(
    model: PromptableModel, prompt: Prompt, seen: Answer, logits: Tensor, parts: Sequence[tuple[Tile, Tensor]]
) -> Tensor | None:
    """The line that an answer is when its parts are seen from nearer, (1, H, W) logits at image resolution;
    None if they make no line, or one that was only expected and does not lead through half of the box.

    logits: (1, H, W) of the answer itself. parts: see `joined`.
    """
    line = joined(logits, parts)
    if not is_line(_mask_of(line), max(seen.pixel(model))):
        return None
    line = without_specks(line, prompt)
    return line if _is_drawn(model, seen) or _spans(line, prompt) else None


def box_for_line(model: PromptableModel, prompt: Prompt, seen: Answer, shape: Shape) -> Prompt | None:
    """Clicks with the box in which the lines through them are looked for, as large as the model was adapted
    to; None for other prompts, where the answer so far is believed, and for a model that was not adapted to
    lines.

    What was answered before is not given on: lines are found anew, through all clicks.
    """
    clicks = prompt.positive
    if model.object_sizes is None or not clicks or prompt.box is not None or prompt.mask is not None:
        return None
    r0, c0, r1, c1 = box_around(clicks, model.object_sizes.extent)
    box = (max(r0, 0.0), max(c0, 0.0), min(r1, shape[0]), min(c1, shape[1]))
    if box[0] >= box[2] or box[1] >= box[3] or not _is_expected(model, box, math.inf):
        return None
    return None if seen.best().iou[0] >= _BELIEVED else replace(prompt, box=box, answer=None)


def line_through(prompt: Prompt, seen: Answer) -> Answer | None:
    """The answer to `box_for_line` with those pieces of its line that were clicked; None if it is no line, or
    none was."""
    if seen.line is None:
        return None
    pieces, _ = _pieces(seen.line)
    clicked = _clicked(pieces, prompt)
    return replace(seen.single(), line=_only(seen.line, pieces, clicked)) if clicked.any() else None


def as_wide(model: PromptableModel, seen: Answer) -> Answer:
    """The answer with its line as wide as the lines that the model was adapted to: without what lies farther
    from the middle than half their width, and than a pixel. Decoders draw lines wider than they are."""
    if seen.line is None or model.object_sizes is None:
        return seen
    mask = _mask_of(seen.line)
    far = mask & ~_along_middle(mask, max(1.0, model.object_sizes.width / 2))
    return replace(seen, line=_without(seen.line, far))


def _along_middle(mask: BoolArray, reach: float) -> BoolArray:
    """What lies at most `reach` pixels from the middle of the lines of a mask, (H, W)."""
    from skimage.morphology import skeletonize  # takes a while to import, and most never need it

    near = np.zeros_like(mask)
    for place in find_objects(mask.astype(np.uint8)):
        middle = skeletonize(mask[place])  # type: ignore[no-untyped-call]  # scikit-image has no types
        near[place] = distance_transform_edt(~middle) <= reach
    return near


def joined(logits: Tensor, parts: Sequence[tuple[Tile, Tensor]]) -> Tensor:
    """Logits (1, H, W) where no part was seen from nearer, and else those of the parts, (1, h, w) each, which
    count the less, the closer to the edge of their tile: they do not know how the line goes on there."""
    total, weights = torch.zeros_like(logits), torch.zeros_like(logits)
    for tile, part in parts:
        rows, columns = tile.window
        weight = torch.minimum(*torch.meshgrid(*map(_from_ends, tile.shape), indexing="ij")).to(total)
        total[:, rows, columns] += weight * part
        weights[:, rows, columns] += weight
    return torch.where(weights > 0, total / weights.clamp(min=1), logits)


def _from_ends(length: int) -> Tensor:
    """How far each of `length` pixels lies from the nearer end, 1 for the last."""
    places = torch.arange(length)
    return torch.minimum(places + 1, length - places)


def without_specks(logits: Tensor, prompt: Prompt) -> Tensor:
    """Logits (1, H, W) of a line without pieces that are short beside the longest, but for those that were
    clicked."""
    pieces, lengths = _pieces(logits)
    long = [False, *(length >= _SPECK * max(lengths) for length in lengths)]
    return _only(logits, pieces, long | _clicked(pieces, prompt))


def _clicked(pieces: NDArray[np.int32], prompt: Prompt) -> BoolArray:
    """Which pieces, by their numbers, lie under the clicks that say yes, or as near as one can aim."""
    clicked = np.zeros(pieces.max(initial=0) + 1, bool)
    for row, column in prompt.positive:
        rows, columns = (
            slice(max(0, round(place) - _AIM), max(0, round(place) + _AIM + 1)) for place in (row, column)
        )
        clicked[pieces[rows, columns]] = True
    clicked[0] = False
    return clicked


def _only(logits: Tensor, pieces: NDArray[np.int32], kept: BoolArray) -> Tensor:
    """Logits (1, H, W) without the pieces that are not kept."""
    return _without(logits, (pieces > 0) & ~kept[pieces])


def _without(logits: Tensor, dropped: BoolArray) -> Tensor:
    """Logits (1, H, W) without pixels (H, W) of their mask: as sure of the opposite."""
    return torch.where(torch.from_numpy(dropped).to(logits.device), -logits, logits)


def _spans(logits: Tensor, prompt: Prompt) -> bool:
    """Whether a piece of a line (1, H, W) leads through half of the prompt's box."""
    if prompt.box is None:
        return False
    r0, c0, r1, c1 = prompt.box
    return max(_pieces(logits)[1], default=0) >= _SPAN * max(r1 - r0, c1 - c0)


def _pieces(logits: Tensor) -> tuple[NDArray[np.int32], list[int]]:
    """(H, W): the number of the piece that each pixel belongs to, 0 for none, and the pieces' lengths."""
    pieces, _ = label(_mask_of(logits), structure=np.ones((3, 3)))
    return pieces, [max(side.stop - side.start for side in place) for place in find_objects(pieces)]


def _mask_of(logits: Tensor) -> BoolArray:
    """(H, W) of logits (1, H, W)."""
    mask: BoolArray = (logits[0] > 0).cpu().numpy()
    return mask


def _is_expected(model: PromptableModel, box: Box, pixel: float) -> bool:
    """Whether the objects that the model was adapted to are lines, and would be thin in a box on a raster of
    so wide pixels."""
    if model.object_sizes is None:
        return False
    length = min(model.object_sizes.extent, max(box[2] - box[0], box[3] - box[1]))
    return model.object_sizes.width < min(_NARROW * pixel, length / _LONG)


def _is_drawn(model: PromptableModel, seen: Answer) -> bool:
    """Whether an answer is a line that is thin on its raster."""
    return is_line(_mask_of(seen.shown(model)), 1.0)


def is_line(mask: BoolArray, pixel: float) -> bool:
    """Whether a mask is long, and thin on a raster of so wide pixels."""
    if not mask.any():
        return False
    rows, columns = np.nonzero(mask)
    length = max(int(along.max() - along.min()) + 1 for along in (rows, columns))
    return width_of(mask) < min(_NARROW * pixel, length / _LONG)


def width_of(mask: BoolArray) -> float:
    """How wide a line is, in pixels: twice its area over its perimeter. Half the side of a square, half the
    diameter of a disk, 0 of nothing."""
    framed = np.pad(mask, 1)
    perimeter = sum(int(np.diff(framed, axis=axis).sum()) for axis in (0, 1))
    return 2 * int(mask.sum()) / max(perimeter, 1)
