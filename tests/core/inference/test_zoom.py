"""Looking closer, with a model whose answers are known: it sees bright things."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from infosam import Predictor, load_model
from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.data.prompts import corrective_point
from infosam.inference.cache import EmbeddingCache
from infosam.inference.distances import Answer
from infosam.inference.evaluate import Settings, evaluate
from infosam.inference.tiles import Tile
from infosam.inference.zoom import answer, to_image, to_whole
from infosam.models.base import PromptableModel
from infosam.types import BadInputError, ImageEmbedding, ObjectSizes, Prompt

SIDE = 1024
SMALL, LARGE = (300, 620, 312, 634), (500, 100, 900, 480)


@pytest.fixture(scope="module")
def model() -> PromptableModel:
    return load_model("sam_pocket")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    rng = np.random.default_rng(0)
    made = rng.normal(60, 8, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
    for r0, c0, r1, c1 in (SMALL, LARGE):
        rows, columns = np.ogrid[:SIDE, :SIDE]
        middle, radii = ((r0 + r1 - 1) / 2, (c0 + c1 - 1) / 2), ((r1 - r0) / 2, (c1 - c0) / 2)
        inside = ((rows - middle[0]) / radii[0]) ** 2 + ((columns - middle[1]) / radii[1]) ** 2 <= 1
        made[inside] = (210, 190, 90)
    return made


def truth(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros(image.shape[:2], bool)
    r0, c0, r1, c1 = box
    mask[r0:r1, c0:c1] = image[r0:r1, c0:c1, 0] > 150
    return mask


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def middle(box: tuple[int, int, int, int]) -> tuple[float, float]:
    return (box[0] + box[2] - 1) / 2, (box[1] + box[3] - 1) / 2


def test_a_small_object_is_seen_better_from_nearer(model: PromptableModel, image: np.ndarray) -> None:
    found = {}
    for zoom in ("off", "auto"):
        predictor = Predictor(model, zoom).set_image(image)
        found[zoom] = overlap(predictor.predict(box=SMALL, multimask=False).masks[0], truth(image, SMALL))
    assert found["auto"] > 0.8
    assert found["auto"] > found["off"]


def test_answers_have_the_images_shape_and_the_whole_images_frame(
    model: PromptableModel, image: np.ndarray
) -> None:
    off, auto = (Predictor(model, zoom).set_image(image) for zoom in ("off", "auto"))
    near, far = auto.predict(box=SMALL), off.predict(box=SMALL)
    assert near.masks.shape == far.masks.shape == (3, SIDE, SIDE)
    assert near.logits.shape == far.logits.shape
    scale = SIDE / near.logits.shape[-1]
    row, column = np.unravel_index(near.logits[0].argmax(), near.logits[0].shape)
    assert np.hypot(row * scale - middle(SMALL)[0], column * scale - middle(SMALL)[1]) < 1.5 * scale
    again = auto.predict(
        box=SMALL, mask=near.masks[0], multimask=False
    )  # the mask is a prompt of full detail
    assert overlap(again.masks[0], truth(image, SMALL)) > 0.8


def test_a_click_that_corrects_is_answered_where_the_corrected_mask_asks_for(
    model: PromptableModel, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(model, "auto", EmbeddingCache(1 << 30)).set_image(image)
    true = truth(image, SMALL)
    shifted = np.roll(true, 4, axis=1)
    tiles: list[Tile] = []
    embed = Predictor._embed
    monkeypatch.setattr(Predictor, "_embed", lambda self, *args: tiles.append(args[-1]) or embed(self, *args))
    row, column, sign = corrective_point(true, shifted)
    clicks = {"points": [middle(SMALL), (row, column)], "labels": [1, sign]}
    found = predictor.predict(**clicks, answer=shifted, multimask=False)
    (tile,) = tiles
    assert max(tile.shape) < SIDE / 8
    assert overlap(found.masks[0], true) > overlap(shifted, true)


def test_a_large_object_is_answered_on_the_whole_image(model: PromptableModel, image: np.ndarray) -> None:
    off, auto = (Predictor(model, zoom).set_image(image) for zoom in ("off", "auto"))
    near, far = auto.predict(box=LARGE), off.predict(box=LARGE)
    assert np.array_equal(near.logits, far.logits)
    assert np.array_equal(near.masks, far.masks)


def test_tiles_are_embedded_once_and_cached(
    model: PromptableModel, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    encode = type(model).encode
    monkeypatch.setattr(
        type(model), "encode", lambda self, pixels: encoded.append(len(pixels)) or encode(self, pixels)
    )
    cache = EmbeddingCache(1 << 30)
    predictor = Predictor(model, "auto", cache).set_image(image)
    first = predictor.predict(box=SMALL)
    assert len(encoded) == 2  # the image and one tile
    assert np.array_equal(predictor.predict(box=SMALL).logits, first.logits)
    predictor.predict(box=(301, 621, 313, 635))  # a neighbour
    assert len(encoded) == 2
    assert len(cache) == 2


class Calls:
    """Embeds nothing, and notes for which tiles it was asked to."""

    def __init__(self) -> None:
        self.tiles: Counter[Tile] = Counter()

    def __call__(self, tile: Tile) -> ImageEmbedding:
        self.tiles[tile] += 1
        return ImageEmbedding(torch.zeros(1, 1, 1, 1), ())


def scripted(
    monkeypatch: pytest.MonkeyPatch, mask_on: dict[int, np.ndarray], iou_on: dict[int, float] | None = None
) -> None:
    """Let the model answer with a mask, and rate it, by the level of the tile, whatever the prompt."""

    def decode(
        model: PromptableModel, embed: Calls, prompts: list[Prompt], tiles: list[Tile]
    ) -> list[Answer]:
        for tile in tiles:
            embed(tile)
        return [
            Answer(shown(tile), torch.full((4,), (iou_on or {}).get(tile.level, 0.0)), tile) for tile in tiles
        ]

    def shown(tile: Tile) -> torch.Tensor:
        mask = mask_on.get(tile.level, np.zeros((SIDE, SIDE), bool))[tile.window]
        small = F.interpolate(torch.from_numpy(mask)[None, None].float(), (128, 128), mode="area")
        return (16 * small[0] - 8).expand(4, -1, -1)

    monkeypatch.setattr("infosam.inference.zoom.answers_on", decode)


def square(extent: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[500 : 500 + extent, 500 : 500 + extent] = True
    return mask


@pytest.mark.parametrize(
    ("mask_on", "iou_on", "level"),
    [
        ({0: square(100), 1: square(100)}, {0: 0.7, 1: 0.5}, 0),
        ({0: square(100), 1: square(100)}, {0: 0.5, 1: 0.7}, 1),
        ({0: square(300), 1: square(300)}, {0: 0.5, 1: 0.52}, 0),  # hardly better: a part may be, too
        ({0: square(100), 1: square(100)}, {0: 0.5, 1: 0.47}, 1),  # such an object is seen better from nearer
        ({0: square(300), 1: square(120), 2: square(120)}, {0: 0.6, 1: 0.55, 2: 0.4}, 1),  # 2 finds it, too
        ({0: square(300), 1: square(120), 2: square(30)}, {0: 0.6, 1: 0.55, 2: 0.4}, 0),
        ({1: square(100), 3: square(20)}, {0: 0.9, 1: 0.4, 2: 0.9, 3: 0.6}, 3),  # nothing is seen on 0 and 2
        ({0: square(100), 1: np.ones((SIDE, SIDE), bool)}, {0: 0.5, 1: 0.9}, 0),  # from nearer it has no end
        ({}, {1: 0.9}, 0),
    ],
)
def test_clicks_are_answered_from_where_the_best_mask_is_seen(
    model: PromptableModel,
    monkeypatch: pytest.MonkeyPatch,
    mask_on: dict[int, np.ndarray],
    iou_on: dict[int, float],
    level: int,
) -> None:
    scripted(monkeypatch, mask_on, iou_on)
    calls = Calls()
    (seen,) = answer(model, calls, (SIDE, SIDE), [Prompt(points=((510, 510),), labels=(1,))], "auto")
    assert seen.tile.level == level
    assert [tile.level for tile in calls.tiles] == [0, 1, 2, 3, 4]
    assert all(tile.contains((510, 510)) for tile in calls.tiles)


def test_the_best_of_the_candidates_decides(model: PromptableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    one_whole = torch.full((4, 128, 128), 8.0)
    one_whole[2] = -8.0
    one_whole[2, 50:70, 50:70] = 8.0
    near = torch.tensor([0.9, 0.9, 0.6, 0.9])  # the other masks are cut by the tile

    def decode(model: object, embed: object, prompts: object, tiles: list[Tile]) -> list[Answer]:
        return [Answer(one_whole, near if tile.level == 1 else torch.zeros(4), tile) for tile in tiles]

    monkeypatch.setattr("infosam.inference.zoom.answers_on", decode)
    (seen,) = answer(model, Calls(), (SIDE, SIDE), [Prompt(points=((510, 510),), labels=(1,))], "auto")
    assert seen.tile.level == 1


@pytest.mark.parametrize(
    ("mask_on", "iou_on", "level"),
    [
        ({level: square(30) for level in range(5)}, {}, 3),
        ({level: square(30) for level in range(5)}, {2: 0.02, 4: 0.02}, 3),  # hardly better
        ({level: square(30) for level in range(5)}, {1: 0.5}, 1),
        ({}, {}, 3),  # nothing is seen anywhere
        ({level: square(100) for level in range(5)}, {}, 2),  # the nearest that shows its end
        ({0: square(50), 1: square(600), 2: square(600), 3: square(600)}, {1: 0.9}, 0),
    ],
)
def test_a_model_that_knows_its_objects_rather_answers_at_their_size(
    model: PromptableModel,
    monkeypatch: pytest.MonkeyPatch,
    mask_on: dict[int, np.ndarray],
    iou_on: dict[int, float],
    level: int,
) -> None:
    scripted(monkeypatch, mask_on, iou_on)
    monkeypatch.setattr(model, "object_sizes", ObjectSizes(30.0, 1.0, 10.0))
    (seen,) = answer(model, Calls(), (SIDE, SIDE), [Prompt(points=((510, 510),), labels=(1,))], "auto")
    assert seen.tile.level == level
    assert seen.tile.contains((510, 510))


@pytest.mark.parametrize(("spread", "level"), [(0.5, 3), (1.5, 1)])
def test_the_less_its_objects_differ_the_rather_it_answers_at_their_size(
    model: PromptableModel, monkeypatch: pytest.MonkeyPatch, spread: float, level: int
) -> None:
    scripted(monkeypatch, {level: square(30) for level in range(5)}, {1: 0.4})
    monkeypatch.setattr(model, "object_sizes", ObjectSizes(30.0, spread, 10.0))
    (seen,) = answer(model, Calls(), (SIDE, SIDE), [Prompt(points=((510, 510),), labels=(1,))], "auto")
    assert seen.tile.level == level


def test_clicks_far_apart_are_answered_on_one_tile(
    model: PromptableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, {})
    monkeypatch.setattr(model, "object_sizes", ObjectSizes(30.0, 1.0, 10.0))
    points, calls = ((400, 400), (450, 450), (3, 3)), Calls()
    (seen,) = answer(model, calls, (SIDE, SIDE), [Prompt(points=points, labels=(1, 1, 0))], "auto")
    assert seen.tile.level == 1
    assert max(tile.level for tile in calls.tiles) == 2  # a nearer one has no room for both
    assert all(seen.tile.contains(point) for point in points[:2])


def test_clicks_that_say_no_alone_stay_on_the_whole_image(
    model: PromptableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, {0: square(20)})
    (seen,) = answer(model, Calls(), (SIDE, SIDE), [Prompt(points=((3, 3),), labels=(0,))], "auto")
    assert seen.tile.level == 0


def test_logits_go_to_the_image_and_back(model: PromptableModel) -> None:
    tile = Tile(2, 256, 512, 512, 768)
    logits = torch.full((1, 128, 128), 8.0)
    canvas = to_image(model, Answer(logits, torch.zeros(1), tile), (SIDE, SIDE))
    assert (canvas[0] > 0).sum() == 256 * 256
    assert (canvas[0, 256:512, 512:768] > 0).all()
    low = to_whole(model, canvas)
    side = low.shape[-1]
    assert (low[0] > 0).sum() == pytest.approx((side / 4) ** 2, rel=0.1)


def test_evaluation_looks_closer_too(model: PromptableModel, image: np.ndarray) -> None:
    labelled = [LabelledImage.from_array(image, [LabelledObject(truth(image, SMALL))])]
    scores = {zoom: evaluate(labelled, model, Settings("box", zoom=zoom)) for zoom in ("off", "auto")}
    assert scores["auto"]["iou"] > scores["off"]["iou"]
    assert scores["auto"]["zoom"] == "auto"


def test_what_does_not_fit_is_refused(model: PromptableModel, image: np.ndarray) -> None:
    with pytest.raises(BadInputError, match="official protocol"):
        Settings("box", "official", zoom="auto")
    with pytest.raises(BadInputError, match="zoom must be one of"):
        Settings("box", zoom="on")  # type: ignore[arg-type]
    predictor = Predictor(model, "auto").set_image(image)
    with pytest.raises(BadInputError, match="a mask prompt must be bool"):
        predictor.predict(mask=np.zeros((5, 5), bool))
