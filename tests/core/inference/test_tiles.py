import numpy as np
import pytest

from infosam.inference.tiles import MAGNIFICATION, ROOM, Tile, deepest_level, prompt_in, tile_for, whole
from infosam.types import Prompt

SHAPE, SIZE = (600, 900), 256


def random_boxes(count):
    rng = np.random.default_rng(0)
    for _ in range(count):
        height, width = np.exp(rng.uniform(np.log(1), np.log(590), 2)).astype(int)
        r0, c0 = rng.integers(0, SHAPE[0] - height), rng.integers(0, SHAPE[1] - width)
        yield int(r0), int(c0), int(r0 + height), int(c0 + width)


def test_a_tile_shows_its_object_whole_with_room_around_it():
    levels = set()
    for box in random_boxes(2000):
        tile = tile_for(box, SHAPE, SIZE)
        levels.add(tile.level)
        r0, c0, r1, c1 = box
        assert 0 <= tile.r0 < tile.r1 <= SHAPE[0]
        assert 0 <= tile.c0 < tile.c1 <= SHAPE[1]
        assert max(tile.shape) >= min(ROOM * max(r1 - r0, c1 - c0), max(SHAPE))
        # Whole numbers of pixels: half a pixel on either side is within what is allowed.
        assert tile.r0 - 1 <= r0
        assert r1 <= tile.r1 + 1
        assert tile.c0 - 1 <= c0
        assert c1 <= tile.c1 + 1
    assert levels == set(range(deepest_level(SHAPE, SIZE) + 1))


def test_the_deepest_level_magnifies_no_more_than_allowed():
    deepest = tile_for((300, 400, 302, 402), SHAPE, SIZE)
    assert deepest.level == deepest_level(SHAPE, SIZE) == 3
    assert SIZE / max(deepest.shape) <= MAGNIFICATION < 2 * SIZE / max(deepest.shape)
    assert deepest_level((20, 30), SIZE) == 0
    assert tile_for((3, 3, 5, 5), (20, 30), SIZE) == whole((20, 30))


def test_neighbours_share_tiles():
    tiles = {tile_for((r, c, r + 5, c + 5), SHAPE, SIZE) for r in range(0, 590, 7) for c in range(0, 890, 7)}
    sides = {tile.shape for tile in tiles}
    assert len(sides) == 1
    assert len(tiles) <= 10 * 15  # tiles of 113 pixels that overlap by half


def test_an_object_that_goes_on_is_cut_but_not_by_the_image():
    mask = np.zeros((50, 50), bool)
    mask[:10, 20:30] = True
    assert Tile(1, 10, 0, 60, 50).cuts(mask, (100, 100))
    assert not Tile(1, 0, 0, 50, 50).cuts(mask, (100, 100))
    assert not Tile(1, 10, 0, 60, 50).cuts(mask[::-1][:40], (60, 100))


def test_a_prompt_moves_into_the_tile():
    mask = np.zeros(SHAPE, bool)
    mask[100:120, 200:230] = True
    tile = Tile(2, 90, 180, 290, 380)
    prompt = Prompt(
        points=((100, 200), (95, 190), (10, 10)), labels=(1, 0, 0), box=(80.5, 190.0, 150.0, 400.0), mask=mask
    )
    moved = prompt_in(tile, prompt)
    assert moved.points == ((10, 20), (5, 10))
    assert moved.labels == (1, 0)
    assert moved.box == pytest.approx((0, 10, 60, 200))
    assert moved.mask is not None
    assert moved.mask.shape == tile.shape
    assert moved.mask.sum() == mask.sum()
