"""Generated scenes: the same from the same seed, with masks that are exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from infosam.data.scenes import Scene, make_scene, scenes
from infosam.data.scenes.layout import MANY_LOOKS, clutter, objects
from infosam.data.scenes.shapes import ELLIPSE
from infosam.data.scenes.texture import smooth_field


@pytest.fixture(scope="module")
def many() -> list[Scene]:
    return [make_scene(96, seed) for seed in range(60)]


def test_the_same_seed_gives_the_same_scenes() -> None:
    first = scenes(3, 64, torch.Generator().manual_seed(5))
    again = scenes(3, 64, torch.Generator().manual_seed(5))
    other = scenes(3, 64, torch.Generator().manual_seed(6))
    assert torch.equal(first[0], again[0])
    assert all(torch.equal(a, b) for a, b in zip(first[1], again[1], strict=True))
    assert not torch.equal(first[0], other[0])


def test_the_generator_goes_on_from_batch_to_batch() -> None:
    generator = torch.Generator().manual_seed(5)
    assert not torch.equal(scenes(1, 64, generator)[0], scenes(1, 64, generator)[0])


@pytest.mark.parametrize("size", [32, 45, 64, 100])
def test_shapes_and_types(size: int) -> None:
    images, masks = scenes(2, size, torch.Generator().manual_seed(size))
    assert images.shape == (2, 3, size, size)
    assert images.dtype == torch.uint8
    assert len(masks) == 2
    for own in masks:
        assert own.dtype == torch.bool
        assert own.ndim == 3
        assert own.shape[1:] == (size, size)
        assert len(own) >= 1


def test_a_size_below_32_is_refused() -> None:
    with pytest.raises(ValueError, match="not 31"):
        make_scene(31, 0)


def test_every_object_shows_at_least_twelve_pixels_and_leaves_some_background(many: list[Scene]) -> None:
    for scene in many:
        areas = scene.masks.sum(axis=(1, 2))
        assert areas.min() >= 12
        assert areas.max() < 0.97 * 96 * 96


def test_objects_range_from_a_few_pixels_to_most_of_the_image(many: list[Scene]) -> None:
    diameters = np.concatenate([2 * np.sqrt(scene.masks.sum(axis=(1, 2)) / np.pi) for scene in many])
    assert np.percentile(diameters, 10) < 9
    assert np.percentile(diameters, 99) > 45
    assert 0.2 < np.mean((diameters > 8) & (diameters < 40)) < 0.9


def _pairs(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    flat = scene.masks.reshape(len(scene.masks), -1).astype(np.float32)
    overlap = flat @ flat.T
    np.fill_diagonal(overlap, 0)
    return overlap, flat.sum(axis=1)


def test_some_objects_lie_in_others_some_overlap_and_some_touch(many: list[Scene]) -> None:
    nested = overlapping = touching = 0
    for scene in many:
        overlap, area = _pairs(scene)
        nested += int((overlap >= 0.95 * area[:, None]).any())
        overlapping += int(((overlap > 0) & (overlap < 0.9 * np.minimum(area[:, None], area))).any())
        wider = scene.masks.copy()
        wider[:, 1:] |= scene.masks[:, :-1]
        meets = np.einsum("irc,jrc->ij", wider.astype(np.float32), scene.masks.astype(np.float32))
        touching += int(((meets > 2) & (overlap == 0)).any())
    assert nested >= 5
    assert overlapping >= 3
    assert touching >= 10


def test_some_objects_are_cut_by_the_border_and_some_have_holes(many: list[Scene]) -> None:
    cut = sum(int(scene.masks[:, 0].any() or scene.masks[:, :, -1].any()) for scene in many)
    assert cut >= 15
    ndimage = pytest.importorskip("scipy.ndimage")
    holes = sum(
        int((ndimage.binary_fill_holes(mask) & ~mask).sum() >= 9) for scene in many for mask in scene.masks
    )
    assert holes >= 5


def test_grey_and_colour_dark_and_light_scenes_occur(many: list[Scene]) -> None:
    grey = [bool((scene.image == scene.image[..., :1]).all()) for scene in many]
    brightness = [float(scene.image.mean()) for scene in many]
    assert 10 <= sum(grey) <= 50
    assert min(brightness) < 40
    assert max(brightness) > 150


def test_most_objects_can_be_told_from_the_pixels_around_them(many: list[Scene]) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    told = []
    for scene in many:
        image = scene.image.astype(np.float32)
        for mask in scene.masks[:4]:
            ring = ndimage.binary_dilation(mask, iterations=3) & ~mask
            if ring.sum() < 10:
                continue
            inside, around = image[mask], image[ring]
            mean = np.abs(inside.mean(axis=0) - around.mean(axis=0)).max()
            spread = np.abs(inside.std(axis=0) - around.std(axis=0)).max()
            told.append(max(mean, spread) > 3)
    assert np.mean(told) > 0.75


def test_all_objects_of_a_round_scene_are_ellipses() -> None:
    generator, used = torch.Generator().manual_seed(0), torch.ones(8, dtype=torch.bool)
    is_round = torch.arange(8) < 4
    population = objects(generator, 96, torch.full((8,), 12.0), used, is_round, first=0)
    assert population.closed is not None
    kinds = [set(population.closed.kind[population.scene == scene].tolist()) for scene in range(8)]
    assert all(own == {ELLIPSE} for own in kinds[:4])
    assert set.union(*kinds[4:]) - {ELLIPSE}


def test_clutter_is_many_small_shapes_and_few_large_ones_of_many_looks() -> None:
    used = torch.tensor([True, False, True, True])
    shapes = clutter(torch.Generator().manual_seed(0), 256, used, first=0)
    assert shapes.closed is not None
    assert set(shapes.scene.tolist()) == {0, 2, 3}
    assert set(shapes.group.tolist()) == set(range(MANY_LOOKS))
    diameter = shapes.closed.diameter
    assert 6 < float(diameter.min()) < 8
    assert 100 < float(diameter.max()) <= 0.8 * 256
    counts = [int(((diameter >= low) & (diameter < 2 * low)).sum()) for low in (7, 14, 28, 56)]
    assert counts == sorted(counts, reverse=True)


def test_no_texture_at_all_is_no_error() -> None:
    assert smooth_field(torch.Generator(), 32, torch.zeros(0)).shape == (0, 32, 32)
