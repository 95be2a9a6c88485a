"""Objects that nobody prompted: found by the model itself, and chosen among answers that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from infosam import Predictor, load_model
from infosam.data.rle import decode_mask, rle_box
from infosam.inference.cache import EmbeddingCache
from infosam.inference.distances import Answer
from infosam.inference.everything import FoundObject, find_objects, label_image
from infosam.inference.tiles import Tile
from infosam.models.base import PromptableModel
from infosam.types import BadInputError, BoolArray, ImageEmbedding, ObjectSizes, Prompt

SHAPE = (64, 64)
DISCS = ((24, 30, 13), (70, 88, 16), (96, 28, 11))  # row, column, radius


def disc(row: int, column: int, radius: int, shape: tuple[int, int]) -> BoolArray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    inside: BoolArray = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return inside


def overlap(a: BoolArray, b: BoolArray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.usefixtures("single_thread")
def test_the_shipped_model_finds_the_discs_of_a_picture_and_nothing_else() -> None:
    shape = (128, 128)
    image = np.random.default_rng(0).normal(60, 6, (*shape, 3)).clip(0, 255).astype(np.uint8)
    for row, column, radius in DISCS:
        image[disc(row, column, radius, shape)] = (210, 190, 90)
    told: list[tuple[int, int]] = []
    found = (
        Predictor(load_model("sam_pocket"), "auto")
        .set_image(image)
        .find_objects(extent=36, progress=lambda *numbers: told.append(numbers))
    )
    masks = [decode_mask(item.rle) for item in found]
    assert len(found) == len(DISCS)
    for row, column, radius in DISCS:
        assert max(overlap(mask, disc(row, column, radius, shape)) for mask in masks) > 0.8
    assert np.sum(masks, axis=0).max() == 1
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    assert told[-1] == (11 * 11, 11 * 11)


# -------------------------------------------------------------------------------- with answers that are known


@dataclass(frozen=True)
class Known:
    """What a click in the box is answered with. iou: predicted. logit: inside; below 1 it is not stable."""

    box: tuple[int, int, int, int]
    iou: float
    logit: float = 8.0


class Asked:
    """Embeds nothing, and notes which tiles it was asked for."""

    def __init__(self) -> None:
        self.tiles: list[Tile] = []

    def __call__(self, tile: Tile) -> ImageEmbedding:
        self.tiles.append(tile)
        return ImageEmbedding(torch.zeros(1, 1, 1, 1))


def known_answers(monkeypatch: pytest.MonkeyPatch, objects: Sequence[Known]) -> list[Prompt]:
    """Let every click be answered by the first of the objects that it lies in, or by an empty mask."""
    prompts: list[Prompt] = []

    def decode(model: PromptableModel, embed: Asked, asked: list[Prompt], tiles: list[Tile]) -> list[Answer]:
        prompts.extend(asked)
        return [on_tile(prompt, tile) for prompt, tile in zip(asked, tiles, strict=True)]

    def on_tile(prompt: Prompt, tile: Tile) -> Answer:
        ((row, column),) = prompt.points
        image = torch.full((4, *SHAPE), -8.0)
        iou = torch.zeros(4)
        for item in objects:
            r0, c0, r1, c1 = item.box
            if r0 <= row < r1 and c0 <= column < c1:
                image[2, r0:r1, c0:c1] = item.logit
                iou[2] = item.iou
                break
        return Answer(at_low_resolution(image[:, tile.r0 : tile.r1, tile.c0 : tile.c1]), iou, tile)

    monkeypatch.setattr("infosam.inference.everything.answers_on", decode)
    return prompts


def at_low_resolution(logits: Tensor) -> Tensor:
    """The tiny model's low-resolution logits are 32 x 32."""
    return torch.nn.functional.interpolate(logits[None], (32, 32), mode="nearest")[0]


def boxes(found: Sequence[FoundObject]) -> list[tuple[int, int, int, int]]:
    return [rle_box(item.rle) for item in found]


def search(model: PromptableModel, min_score: float | None = 0.5) -> list[FoundObject]:
    return find_objects(model, Asked(), SHAPE, "off", extent=12, min_score=min_score)


def test_every_object_is_found_once(monkeypatch: pytest.MonkeyPatch, tiny_model: PromptableModel) -> None:
    known_answers(monkeypatch, [Known((8, 8, 24, 24), 0.7), Known((32, 36, 48, 60), 0.9)])
    found = search(tiny_model)
    assert boxes(found) == [(32, 36, 48, 60), (8, 8, 24, 24)]  # the surest first
    assert [item.score for item in found] == pytest.approx([0.9, 0.7])


def test_what_the_model_is_unsure_of_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tiny_model: PromptableModel
) -> None:
    poor, faint, good = (8, 8, 24, 24), (32, 36, 48, 60), (40, 8, 56, 24)
    known_answers(monkeypatch, [Known(poor, 0.5), Known(faint, 0.9, logit=0.5), Known(good, 0.7)])
    assert boxes(search(tiny_model, 0.65)) == [good]
    assert boxes(search(tiny_model, 0.3)) == [good, poor]  # no threshold finds what no logit above 1 shows
    published = find_objects(tiny_model, Asked(), SHAPE, "off", extent=12)
    assert boxes(published) == [good, poor]  # as sam_pocket is: 0.4
    monkeypatch.setattr(tiny_model, "family", "sam")
    assert search(tiny_model, None) == []  # as published: 0.8
    monkeypatch.setattr(tiny_model, "adapter_id", "mine")
    assert boxes(search(tiny_model, None)) == [good, poor]


def test_of_masks_that_overlap_the_surer_has_the_pixels(
    monkeypatch: pytest.MonkeyPatch, tiny_model: PromptableModel
) -> None:
    sure, beside, below = (8, 8, 32, 32), (8, 24, 32, 56), (20, 4, 36, 28)
    # A click is answered by the first object that it lies in: the order here decides only who is asked.
    known_answers(monkeypatch, [Known(below, 0.6), Known(beside, 0.7), Known(sure, 0.9)])
    assert boxes(search(tiny_model)) == [sure, (8, 32, 32, 56)]


def test_objects_that_go_on_beyond_their_tile_are_seen_whole_from_farther(
    monkeypatch: pytest.MonkeyPatch, tiny_model: PromptableModel
) -> None:
    large, corner = (20, 8, 60, 58), (0, 0, 10, 10)
    known_answers(monkeypatch, [Known(corner, 0.8), Known(large, 0.9)])
    asked = Asked()
    near = find_objects(tiny_model, asked, (64, 64), "auto", extent=4, min_score=0.3)
    assert boxes(near) == [large, corner]  # whole, from farther; an edge of the image cuts nothing
    assert len(asked.tiles) == len(set(asked.tiles))
    assert [tile.level for tile in asked.tiles] == sorted((tile.level for tile in asked.tiles), reverse=True)
    assert {tile.level for tile in asked.tiles} == {0, 1, 2}


def test_the_edge_of_the_image_is_no_outline(
    monkeypatch: pytest.MonkeyPatch, tiny_model: PromptableModel
) -> None:
    known_answers(monkeypatch, [Known((20, 0, 36, 16), 0.8), Known((48, 32, 64, 64), 0.8)])
    side, corner = search(tiny_model, 0.1)
    assert boxes([side, corner]) == [(20, 0, 36, 16), (48, 32, 64, 64)]
    assert (side.score, corner.score) == pytest.approx((0.8 * 3 / 4, 0.8 / 2))


def test_the_grid_is_as_dense_as_objects_are_small(
    monkeypatch: pytest.MonkeyPatch, tiny_model: PromptableModel
) -> None:
    clicks = known_answers(monkeypatch, [])
    assert find_objects(tiny_model, Asked(), SHAPE, "off") == []
    assert len(clicks) == 16 * 16  # not 32 * 32: masks of 32 x 32 pixels tell no more apart
    clicks.clear()
    monkeypatch.setattr(tiny_model, "object_sizes", ObjectSizes(24.0, 0.3, 8.0))
    search_known = find_objects(tiny_model, Asked(), SHAPE, "auto")
    assert search_known == []
    assert len(clicks) == 8 * 8
    assert all(-0.5 < position < 63.5 for click in clicks for position in click.points[0])
    clicks.clear()
    find_objects(tiny_model, Asked(), (1, 200), "off", extent=1)
    assert len(clicks) == 16  # nor along the image


@pytest.mark.parametrize("settings", [{"extent": 0.5}, {"extent": float("nan")}, {"min_score": 1.5}])
def test_senseless_settings_are_refused(tiny_model: PromptableModel, settings: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match=str(next(iter(settings.values())))):
        find_objects(tiny_model, Asked(), SHAPE, "off", **settings)


def test_labels_are_numbered_as_the_objects_are(
    monkeypatch: pytest.MonkeyPatch, tiny_model: PromptableModel
) -> None:
    known_answers(monkeypatch, [Known((8, 8, 24, 24), 0.7), Known((32, 36, 48, 60), 0.9)])
    labels = label_image(search(tiny_model), SHAPE)
    assert (labels[10, 10], labels[40, 40], labels[0, 0]) == (2, 1, 0)
    assert labels.dtype == np.int32
    assert label_image([], SHAPE).max() == 0


@pytest.mark.usefixtures("single_thread")
def test_a_search_can_be_ended_and_leaves_the_predictor_as_it_was(tiny_model: PromptableModel) -> None:
    class Enough(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Enough

    predictor = Predictor(tiny_model, "auto", EmbeddingCache(1 << 20)).set_image(np.zeros(SHAPE, np.uint8))
    before = predictor.predict(points=[(5, 5)])
    with pytest.raises(Enough):
        predictor.find_objects(extent=8, progress=stop)
    assert np.array_equal(predictor.predict(points=[(5, 5)]).masks, before.masks)
