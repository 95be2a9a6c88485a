"""Thin lines, looked at along their length from nearer."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from infosam import Predictor, load_model
from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.data.prompts import tight_box
from infosam.inference.cache import EmbeddingCache
from infosam.inference.distances import Answer
from infosam.inference.evaluate import SeenImage, Settings
from infosam.inference.thin import as_wide, is_line, joined, width_of, without_specks
from infosam.inference.tiles import Tile, cover, prompt_in, within
from infosam.inference.zoom import answer, to_image
from infosam.metrics import iou
from infosam.models.base import PromptableModel
from infosam.types import ImageEmbedding, ObjectSizes, Prompt

SIDE = 1024
BOX = (200.0, 60.0, 420.0, 940.0)


@pytest.fixture(scope="module")
def model() -> PromptableModel:
    return load_model("sam_pocket")


def curve(width: float, side: int = SIDE) -> np.ndarray:
    """A line from side to side that swings once up and down."""
    rows, columns = np.mgrid[:side, :side]
    middle = side * (0.3 + 0.08 * np.sin(columns / side * 7))
    inside = (columns > 0.07 * side) & (columns < 0.9 * side)
    mask: np.ndarray = (np.abs(rows - middle) <= width / 2) & inside
    return mask


@pytest.fixture(scope="module")
def cracked() -> LabelledImage:
    mask = curve(4)
    rng = np.random.default_rng(0)
    grey = (rng.normal(150, 6, mask.shape) - 70 * mask).clip(0, 255).astype(np.uint8)
    return LabelledImage.from_array(np.repeat(grey[..., None], 3, axis=2), [LabelledObject(mask)])


def test_the_width_of_lines_and_of_other_things() -> None:
    line, square = np.zeros((2, 80, 80), bool)
    line[10:70, 30:33] = True
    square[10:70, 10:70] = True
    assert width_of(line) == pytest.approx(3, rel=0.06)
    assert width_of(square) == 30
    assert width_of(np.zeros((5, 5), bool)) == 0


@pytest.mark.parametrize(
    ("mask", "pixel", "expected"),
    [
        (curve(1), 1, True),
        (curve(5), 1, False),  # wide enough to be seen
        (curve(5), 4, True),
        (curve(1)[:, 200:206], 1, False),  # too short
        (np.zeros((9, 9), bool), 1, False),
        (np.ones((9, 9), bool), 9, False),
    ],
)
def test_what_is_a_line_on_which_raster(mask: np.ndarray, pixel: float, expected: bool) -> None:
    assert is_line(mask, pixel) is expected


def test_few_tiles_cover_a_line() -> None:
    points = np.argwhere(curve(1)).astype(float)
    tiles = cover(points, 2, (SIDE, SIDE))
    assert {tile.shape for tile in tiles} == {(256, 256)}
    assert all(any(tile.contains((row, column)) for tile in tiles) for row, column in points)
    assert 4 <= len(tiles) <= 6  # 850 pixels long
    assert cover(points[:0], 2, (SIDE, SIDE)) == []
    assert cover(points[:1], 0, (SIDE, SIDE)) == [Tile(0, 0, 0, SIDE, SIDE)]


def test_a_tile_that_only_touches_a_box_is_not_looked_at() -> None:
    shape, box = (1000, 1000), (250.0, 100.0, 700.0, 900.0)
    edge = np.array([(249.5, column) for column in np.arange(101.5, 900, 4.0)])  # seen on 2 x 4 pixels
    points = edge[within(edge, box)]
    assert len(points)
    for level in (1, 2, 3):
        for tile in cover(points, level, shape):
            assert prompt_in(tile, Prompt(box=box)).box is not None


def test_a_thin_line_is_seen_better_part_by_part(model: PromptableModel, cracked: LabelledImage) -> None:
    (crack,) = cracked.objects()
    box = tuple(map(float, tight_box(crack.mask)))
    predictor = Predictor(model, "auto", EmbeddingCache(1 << 30)).set_image(cracked.image())
    near = predictor.predict(box=box, multimask=False)
    far = Predictor(model, "off").set_image(cracked.image()).predict(box=box, multimask=False)
    assert predictor.cache is not None
    assert len(predictor.cache) > 1
    assert near.masks.shape == far.masks.shape == (1, SIDE, SIDE)
    assert near.logits.shape == far.logits.shape
    assert iou(far.masks[0], crack.mask) < 0.5
    assert iou(near.masks[0], crack.mask) > iou(far.masks[0], crack.mask) + 0.15
    evaluated = SeenImage(cracked, model, Settings("box", zoom="auto"))
    logits = evaluated.logits([Prompt(box=box)], multimask=True)
    assert np.array_equal(logits[0] > 0, near.masks[0])


def test_the_candidates_of_a_line_are_those_of_the_first_look(
    model: PromptableModel, cracked: LabelledImage
) -> None:
    box = tuple(map(float, tight_box(cracked.objects()[0].mask)))
    auto, off = (Predictor(model, zoom).set_image(cracked.image()) for zoom in ("auto", "off"))
    near, far = auto.predict(box=box), off.predict(box=box)
    assert np.array_equal(near.masks, far.masks)
    assert np.array_equal(near.scores, far.scores)


def test_specks_are_left_out_but_for_those_that_were_clicked() -> None:
    logits = torch.full((1, 100, 200), -3.0)
    logits[0, 50, 10:150] = logits[0, 70, 10:40] = 2.0  # a line and a piece of it
    logits[0, 20, 20:28] = logits[0, 30, 60:68] = 2.0  # specks
    clicks = ((30.0, 63.0), (20.0, 23.0), (-9.0, 500.0))  # the last is outside
    cleaned = without_specks(logits, Prompt(points=clicks, labels=(1, 0, 1), box=(10, 10, 90, 160)))
    expected = logits.clone()
    expected[0, 20, 20:28] = -2.0
    assert torch.equal(cleaned, expected)


@pytest.mark.parametrize(
    ("width", "drawn", "shown"), [(4.0, 9, 5), (0.9, 9, 3), (0.9, 1, 1), (20.0, 9, 9), (None, 9, 9)]
)
def test_lines_are_drawn_as_wide_as_those_that_were_learnt(
    model: PromptableModel,
    monkeypatch: pytest.MonkeyPatch,
    width: float | None,
    drawn: int,
    shown: int,
) -> None:
    line = torch.full((1, 60, 200), -3.0)
    line[0, 30 - drawn // 2 : 31 + drawn // 2, 10:190] = 2.0
    if width is not None:
        monkeypatch.setattr(model, "object_sizes", ObjectSizes(180.0, 1.0, width))
    seen = Answer(torch.zeros(4, 15, 50), torch.ones(4), Tile(0, 0, 0, 60, 200), line)
    wide = as_wide(model, seen).line
    assert wide is not None
    assert wide.abs().equal(line.abs())
    rows = np.flatnonzero((wide[0, :, 100] > 0).numpy())
    assert rows.tolist() == list(range(30 - shown // 2, 31 + shown // 2))
    assert as_wide(model, replace(seen, line=None)).line is None


def test_parts_are_joined_by_those_who_see_most_of_them() -> None:
    far = torch.full((1, 40, 60), -5.0)
    left, right = Tile(1, 0, 0, 20, 20), Tile(1, 0, 10, 20, 30)
    line = joined(far, [(left, torch.full((1, 20, 20), 1.0)), (right, torch.full((1, 20, 20), 3.0))])
    assert (line[0, :20, :10] == 1).all()
    assert (line[0, :20, 20:30] == 3).all()
    between = line[0, 10, 10:20]
    assert (between[1:] > between[:-1]).all()
    assert (line[0, 20:] == -5).all()
    assert (line[0, :, 30:] == -5).all()
    assert joined(far, []).equal(far)


class Scripted:
    """Answers with a mask for each level, and a predicted IoU, and notes where it has looked."""

    def __init__(self, masks: dict[int, np.ndarray], believed: float) -> None:
        self.masks, self.believed, self.tiles = masks, believed, list[Tile]()

    def __call__(
        self, model: PromptableModel, embed: object, prompts: list[Prompt], tiles: list[Tile]
    ) -> list[Answer]:
        self.tiles += tiles
        return [Answer(self.shown(tile), torch.full((4,), self.believed), tile) for tile in tiles]

    def shown(self, tile: Tile) -> torch.Tensor:
        mask = torch.from_numpy(self.masks[tile.level][tile.window])[None, None].float()
        small = F.interpolate(mask, (128, 128), mode="area")
        return (16 * small[0] - 0.5).expand(4, -1, -1)


def no_embedding(tile: Tile) -> ImageEmbedding:
    return ImageEmbedding(torch.zeros(1, 1, 1, 1), ())


BLOB = np.zeros((SIDE, SIDE), bool)
BLOB[220:400, 80:900] = True
DASHES = curve(4)
DASHES[:, np.arange(SIDE) % 200 < 50] = False


@pytest.mark.parametrize(
    ("far", "near", "believed", "width", "parts"),
    [
        (curve(4), curve(4), 0.9, None, True),
        (curve(4), BLOB, 0.9, None, False),  # from nearer it is no line
        (BLOB, curve(4), 0.3, None, False),  # who would look for a line there?
        (BLOB, curve(4), 0.3, 4.0, True),  # who knows that cracks are meant
        (BLOB, curve(4), 0.9, 4.0, False),  # but not if the blob is surely an object
        (BLOB, DASHES, 0.3, 4.0, False),  # or nothing leads through the box
        (DASHES, DASHES, 0.9, None, True),  # which is no matter where lines were seen at once
        (BLOB, BLOB, 0.3, 4.0, False),
        (BLOB, curve(4), 0.3, 200.0, False),  # adapted to blobs
    ],
)
def test_when_lines_are_looked_for_and_believed(
    model: PromptableModel,
    monkeypatch: pytest.MonkeyPatch,
    far: np.ndarray,
    near: np.ndarray,
    believed: float,
    width: float | None,
    parts: bool,
) -> None:
    scripted = Scripted({0: far, 1: near}, believed)
    monkeypatch.setattr("infosam.inference.zoom.answers_on", scripted)
    if width is not None:
        monkeypatch.setattr(model, "object_sizes", ObjectSizes(400.0, 1.0, width))
    (seen,) = answer(model, no_embedding, (SIDE, SIDE), [Prompt(box=BOX)], "auto")
    assert seen.tile.level == 0
    assert (seen.line is not None) is parts
    shown = (to_image(model, seen.single(), (SIDE, SIDE))[0] > 0).numpy()
    assert is_line(shown, 8) is ((near if parts else far) is not BLOB)


def test_a_line_that_was_clicked_is_not_followed(
    model: PromptableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = Scripted({level: curve(4) for level in range(5)}, 0.9)
    monkeypatch.setattr("infosam.inference.zoom.answers_on", scripted)
    clicked = Prompt(points=((307, 512),), labels=(1,))
    (seen,) = answer(model, no_embedding, (SIDE, SIDE), [clicked], "auto")
    assert seen.line is None
    assert len(scripted.tiles) == 5  # one of each level


BLOBS, LINES = BLOB.copy(), curve(4)
BLOBS[650:750, 80:900] = LINES[700:704, 80:900] = True
BESIDE, ON_THE_SECOND, NOWHERE = (335.0, 400.0), (702.0, 500.0), (500.0, 500.0)


@pytest.mark.parametrize(
    ("clicks", "near", "believed", "width", "shown"),
    [
        ([BESIDE], LINES, 0.3, 4.0, curve(4)),
        ([BESIDE, ON_THE_SECOND], LINES, 0.3, 4.0, LINES),
        ([NOWHERE], LINES, 0.3, 4.0, None),  # no line is clicked
        ([BESIDE], LINES, 0.9, 4.0, None),  # the answer is believed
        ([BESIDE], BLOB, 0.3, 4.0, None),  # there is no line
        ([BESIDE], LINES, 0.3, 200.0, None),  # adapted to blobs
        ([BESIDE], LINES, 0.3, None, None),  # adapted to nothing
    ],
)
def test_a_model_that_knows_lines_answers_clicks_with_those_through_them(
    model: PromptableModel,
    monkeypatch: pytest.MonkeyPatch,
    clicks: list[tuple[float, float]],
    near: np.ndarray,
    believed: float,
    width: float | None,
    shown: np.ndarray | None,
) -> None:
    scripted = Scripted({0: BLOBS} | dict.fromkeys(range(1, 5), near), believed)
    monkeypatch.setattr("infosam.inference.zoom.answers_on", scripted)
    if width is not None:
        monkeypatch.setattr(model, "object_sizes", ObjectSizes(900.0, 1.0, width))
    prompt = Prompt(points=tuple(clicks), labels=(1,) * len(clicks))
    (seen,) = answer(model, no_embedding, (SIDE, SIDE), [prompt], "auto")
    assert (seen.line is not None) is (shown is not None)
    assert len(seen.several().iou) == (3 if shown is None else 1)
    if shown is not None:
        mask = (to_image(model, seen.several(), (SIDE, SIDE))[0] > 0).numpy()
        assert mask[shown].mean() > 0.9
        assert mask[600:].any() == shown[600:].any()
        assert mask.sum() < 4 * shown.sum()  # as coarse as the raster


def test_a_click_on_a_line_has_one_mask(
    model: PromptableModel, cracked: LabelledImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = Scripted({0: BLOBS} | dict.fromkeys(range(1, 5), LINES), 0.3)
    monkeypatch.setattr("infosam.inference.zoom.answers_on", scripted)
    monkeypatch.setattr(model, "object_sizes", ObjectSizes(900.0, 1.0, 4.0))
    predictor = Predictor(model, "auto").set_image(cracked.image())
    several, single = predictor.predict_both(Prompt(points=(BESIDE,), labels=(1,)))
    assert several.masks.shape == (1, SIDE, SIDE)
    assert several.logits.shape == (1, 128, 128)
    for one, other in zip(astuple(several), astuple(single), strict=True):
        assert np.array_equal(one, other)
