"""All objects of an image, without a prompt: a grid of clicks, and the best of what answers them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from infosam.data.objects import MIN_COMPONENT_AREA
from infosam.data.prompts import tight_box
from infosam.data.rle import RLE, decode_window, encode_window
from infosam.inference.distances import Answer
from infosam.inference.prompting import low_resolution
from infosam.inference.tiles import Shape, Tile, box_around, tile_at, tile_for
from infosam.inference.zoom import answers_on, to_tile
from infosam.models.base import PromptableModel
from infosam.types import BadInputError, BoolArray, ImageEmbedding, Prompt, Zoom

# Clicks along the extent of a typical object: with half as many, many small nuclei are missed.
_CLICKS_ALONG = 3
_OCTAVES = 2  # how many times objects may be twice as large as a typical one
# Where nothing says how large objects are: as dense a grid as that of SAM's own generator of masks.
_CLICKS_ACROSS = 32
# What a mask must score. With sam_pocket and its adapters less finds more that is wrong than that is right
# (`benchmarks/predict_real.py`). SAM's own generator asks for a predicted IoU of 0.88 and a stability of
# 0.95: what the large models say before they are adapted has another scale.
_SCORE, _LARGE_MODELS_SCORE = 0.4, 0.8
_OFFSET = 1.0  # stability: the mask above this logit as a part of that above its negative, as SAM's generator
_AT_ONCE = 64  # clicks whose logits are held together

Click = tuple[float, float]


@dataclass(frozen=True)
class FoundObject:
    """An object that nobody prompted. rle: its mask. score: from 0 to 1, see `find_objects`."""

    rle: RLE
    score: float


@dataclass(frozen=True, eq=False)
class _Mask:
    """A mask in its tight window, (h, w) bool, of which the first pixel lies at `corner`."""

    inside: BoolArray
    corner: tuple[int, int]
    score: float

    @classmethod
    def of(cls, mask: BoolArray, score: float, origin: tuple[int, int] = (0, 0)) -> _Mask:
        """A mask that is not empty, of a frame whose first pixel lies at `origin`."""
        r0, c0, r1, c1 = tight_box(mask)
        return cls(mask[r0:r1, c0:c1].copy(), (origin[0] + r0, origin[1] + c0), score)

    @property
    def window(self) -> tuple[slice, slice]:
        (row, column), (height, width) = self.corner, self.inside.shape
        return slice(row, row + height), slice(column, column + width)


def find_objects(
    model: PromptableModel,
    embed: Callable[[Tile], ImageEmbedding],
    shape: Shape,
    zoom: Zoom,
    *,
    extent: float | None = None,
    min_score: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[FoundObject]:
    """Objects that share no pixel, the surest first.

    Each click of a grid is answered by the best of the masks for an ambiguous prompt. A mask scores its
    predicted IoU times its stability, how little of it depends on where exactly its logits are cut, times the
    share of its outline that does not lie on the edge of the image, where no object need end. Of masks that
    overlap, the one that scores most has the pixels that they share, and those of which it leaves less
    than half are dropped; so are masks cut by the edge of the tile that they are seen on. Larger objects are
    looked for from farther, by fewer clicks. What is thin and long is not found so.

    Args:
        model: decodes.
        embed: gives the embedding of one tile of the image; asked once for each, tile by tile.
        shape: (H, W) of the image.
        zoom: "auto": on tiles with room for a typical object, and for those two and four times as large;
            "off": on the whole image.
        extent: the longest side of a typical object, in pixels of the image: three clicks fit along it. None:
            as the model was adapted to, or 3/32 of the image's longest side, which makes a grid of 32 x 32.
        min_score: masks that score less are left out; None: 0.8 for SAM and SAM 2 as they were
            published, 0.4 once they are adapted, and for sam_pocket.
        progress: called with (clicks answered, clicks in all); what it raises ends the search.

    Raises:
        BadInputError: `extent` or `min_score` is no such number.
    """
    if extent is None:
        known = model.object_sizes
        extent = max(shape) * _CLICKS_ALONG / _CLICKS_ACROSS if known is None else known.extent
    if min_score is None:
        as_published = model.adapter_id is None and model.family != "pocket"
        min_score = _LARGE_MODELS_SCORE if as_published else _SCORE
    if not extent >= 1:
        raise BadInputError(f"the extent of a typical object must be a pixel or more, not {extent!r}")
    if not 0 <= min_score <= 1:
        raise BadInputError(f"the least score must lie in [0, 1], not {min_score!r}")
    by_tile = _clicks_by_tile(model, shape, extent, zoom)
    total, done = sum(map(len, by_tile.values())), 0

    def answered(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    masks = [
        mask
        for tile, clicks in by_tile.items()
        for mask in _found_on(model, embed(tile), shape, tile, clicks, min_score, answered)
    ]
    return [
        FoundObject(encode_window(free, masks[number].corner, shape), masks[number].score)
        for number, free in _unhidden(masks, shape)
        if free.sum() >= MIN_COMPONENT_AREA
    ]


def label_image(found: Sequence[FoundObject], shape: Shape) -> NDArray[np.int32]:
    """(H, W): object i of the list has the value i + 1, background 0."""
    labels = np.zeros(shape, np.int32)
    for number, item in enumerate(found, start=1):
        window, inside = decode_window(item.rle)
        labels[window][inside] = number
    return labels


def _clicks_by_tile(
    model: PromptableModel, shape: Shape, extent: float, zoom: Zoom
) -> dict[Tile, list[Click]]:
    """The clicks by the tile that answers them, the nearest tiles first."""
    tiles: dict[Tile, list[Click]] = {}
    nearest = 0 if zoom == "off" else tile_for(box_around([(0, 0)], extent), shape, model.image_size).level
    for level in range(nearest, max(-1, nearest - _OCTAVES - 1), -1):
        sought = extent * 2 ** (nearest - level)
        pixel = max(shape) / 2**level / max(low_resolution(model))  # masks are told apart no finer than that
        rows, columns = (_positions(length, max(sought / _CLICKS_ALONG, 2 * pixel)) for length in shape)
        # Huge images have many clicks, and where their tiles lie along one axis does not depend on the other.
        across = [tile_at(level, box_around([(rows[0], column)], sought), shape) for column in columns]
        for row in rows:
            along = tile_at(level, box_around([(row, columns[0])], sought), shape)
            for column, other in zip(columns, across, strict=True):
                tile = Tile(level, along.r0, other.c0, along.r1, other.c1)
                tiles.setdefault(tile, []).append((row, column))
    return tiles


def _positions(length: int, spacing: float) -> list[float]:
    """Positions along an axis about a `spacing` apart, of two pixels at least, and half of that from the
    edges."""
    count = max(1, round(length / max(2.0, spacing)))
    positions: list[float] = ((np.arange(count) + 0.5) * (length / count) - 0.5).tolist()
    return positions


def _found_on(
    model: PromptableModel,
    embedding: ImageEmbedding,
    shape: Shape,
    tile: Tile,
    clicks: Sequence[Click],
    min_score: float,
    answered: Callable[[int], None],
) -> Iterator[_Mask]:
    """What the clicks of one tile find, in pixels of the image. answered: told how many clicks were, again
    and again."""

    def best_of(some: Sequence[Click]) -> Iterator[tuple[Click, _Mask, Answer]]:
        prompts = [Prompt(points=(click,), labels=(1,)) for click in some]
        answers = answers_on(model, lambda _: embedding, prompts, [tile] * len(prompts))
        for click, answer in zip(some, answers, strict=True):
            best = _best(model, answer, shape, min_score)
            if best is not None:
                yield click, *best

    seen: list[tuple[Click, _Mask]] = []
    for some in _chunks(clicks):
        seen += [(click, mask) for click, mask, _ in best_of(some)]
        answered(len(some))
    # Only what no better mask of the tile hides is enlarged to the image's pixels. Those few are decoded
    # again: the logits of all, of a whole image and a large model, would take gigabytes.
    shown = [number for number, _ in _unhidden([mask for _, mask in seen], low_resolution(model))]
    for some in _chunks([seen[number][0] for number in shown]):
        for _, mask, answer in best_of(some):
            answered(0)
            enlarged = (to_tile(model, answer)[0] > 0).cpu().numpy()
            if enlarged.any():
                yield _Mask.of(enlarged, mask.score, (tile.r0, tile.c0))


def _chunks(clicks: Sequence[Click]) -> Iterator[Sequence[Click]]:
    for start in range(0, len(clicks), _AT_ONCE):
        yield clicks[start : start + _AT_ONCE]


def _best(
    model: PromptableModel, answer: Answer, shape: Shape, min_score: float
) -> tuple[_Mask, Answer] | None:
    """The best mask that answers a click, at low resolution, and its logits; None where all score too little,
    are empty or are cut."""
    several = answer.several()
    shown = several.shown(model).float()
    sure, wide = ((shown > limit).sum(dim=(1, 2)) for limit in (_OFFSET, -_OFFSET))
    scores = several.iou.float().clamp(0, 1) * sure / wide.clamp(min=1)
    best, least = None, min_score
    for number, score in enumerate(scores.tolist()):
        if score < least:
            continue
        mask = (shown[number] > 0).cpu().numpy()
        if not mask.any() or answer.tile.cuts(mask, shape):
            continue
        score *= _share_within(mask, answer.tile, shape)
        if score >= least:
            best, least = number, score
    if best is None:
        return None
    chosen = replace(several, logits=several.logits[best, None], iou=several.iou[best, None])
    return _Mask.of((shown[best] > 0).cpu().numpy(), least), chosen


def _share_within(mask: BoolArray, tile: Tile, shape: Shape) -> float:
    """Which share of the outline of a mask of the tile does not lie on the edge of the image."""
    padded = np.pad(mask, 1)
    outline = sum(int((padded[1:] != padded[:-1]).sum()) for padded in (padded, padded.T))
    on_edge = sum(
        int(side.sum())
        for at_edge, side in (
            (tile.r0 == 0, mask[0]),
            (tile.c0 == 0, mask[:, 0]),
            (tile.r1 == shape[0], mask[-1]),
            (tile.c1 == shape[1], mask[:, -1]),
        )
        if at_edge
    )
    return 1 - on_edge / outline


def _unhidden(masks: Sequence[_Mask], shape: Shape) -> Iterator[tuple[int, BoolArray]]:
    """The numbers of the masks of which better ones leave half at least, the best first, each with the part
    of its window that they leave. shape: of the frame that the masks lie in."""
    taken = np.zeros(shape, bool)
    for number in sorted(range(len(masks)), key=lambda number: -masks[number].score):
        mask = masks[number]
        free = mask.inside & ~taken[mask.window]
        if 2 * free.sum() >= mask.inside.sum():
            taken[mask.window] |= mask.inside
            yield number, free
