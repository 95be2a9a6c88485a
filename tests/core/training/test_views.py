"""Views: what a model that looks closer sees of a labelled image."""

from __future__ import annotations

import numpy as np
import pytest

from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.inference.tiles import box_around, tile_for
from infosam.training.views import sizes_of, views
from infosam.types import AdaptConfig, Prompt

SHAPE, SIZE = (400, 600), 128
BOXES = [(10, 10, 30, 40), (20, 50, 40, 70), (300, 500, 308, 508), (50, 100, 390, 590)]


@pytest.fixture
def image() -> LabelledImage:
    objects = []
    for number, (r0, c0, r1, c1) in enumerate(BOXES):
        mask = np.zeros(SHAPE, bool)
        mask[r0:r1, c0:c1] = True
        prompt = Prompt(points=((r0 + 2, c0 + 2), (399, 0)), labels=(1, 0))
        objects.append(LabelledObject(mask, prompt, key=str(number)))
    pixels = np.random.default_rng(0).integers(0, 255, (*SHAPE, 3)).astype(np.uint8)
    return LabelledImage.from_array(pixels, objects, name="field")


def test_every_small_object_is_seen_whole_on_the_tile_that_answers_its_box(image: LabelledImage) -> None:
    found = views(image, SIZE, extent=1000)  # clicks are looked for on the whole image
    (whole,) = [view for view in found if view.image().shape == image.image().shape]
    assert [item.key for item in whole.objects()] == ["0", "1", "2", "3"]
    seen = {item.key: (view, item) for view in found if view is not whole for item in view.objects()}
    assert set(seen) == {"0", "1", "2"}  # the last is large
    for number, box in enumerate(BOXES[:3]):
        view, item = seen[str(number)]
        tile = tile_for(box, SHAPE, SIZE)
        assert np.array_equal(view.image(), image.image()[tile.window])
        assert item.area == image.objects()[number].area
        assert item.box == (box[0] - tile.r0, box[1] - tile.c0, box[2] - tile.r0, box[3] - tile.c0)
        assert item.prompt is not None
        assert item.prompt.points[0] == (box[0] + 2 - tile.r0, box[1] + 2 - tile.c0)
        assert item.mask[int(item.prompt.points[0][0]), int(item.prompt.points[0][1])]


def test_every_object_is_seen_where_a_click_will_look_for_it(image: LabelledImage) -> None:
    found = views(image, SIZE, extent=20)
    for number, (r0, c0, r1, c1) in enumerate(BOXES):
        middle = (r0 + r1 - 1) // 2, (c0 + c1 - 1) // 2
        tile = tile_for(box_around([middle], 20), SHAPE, SIZE)
        seen = [(view, item) for view in found for item in view.objects() if item.key == str(number)]
        assert all(item.area == image.objects()[number].area for _, item in seen)  # none is cut
        on_tile = [view for view, _ in seen if np.array_equal(view.image(), image.image()[tile.window])]
        assert len(on_tile) == (number < 3)  # where the last does not fit
    assert len(found) == len({view.name for view in found})


def test_the_typical_extent_is_the_median_of_all_objects(image: LabelledImage) -> None:
    assert sizes_of([image]).extent == (20 + 30) / 2  # of 30, 20, 8 and 490
    assert sizes_of([image, LabelledImage("", "", image.image, image.objects()[:1])]).extent == 30


def test_the_spread_of_extents_is_in_octaves_and_few_objects_say_little(image: LabelledImage) -> None:
    def of(*sides: int) -> float:
        masks = [np.zeros((64, 64), bool) for _ in sides]
        for mask, side in zip(masks, sides, strict=True):
            mask[:side, : side // 2] = True
        objects = [LabelledObject(mask) for mask in masks]
        return sizes_of([LabelledImage("", "", image.image, objects)]).spread

    assert of(8) == pytest.approx((4 / 5) ** 0.5)  # four more that differ by an octave are assumed
    assert of(8, 8, 8, 8) == pytest.approx(0.5**0.5)
    assert of(4, 16) == pytest.approx(1)
    assert of(*[8] * 60) < 0.3
    assert of(2, 32, 2, 32) > 1.5


def test_views_stay_the_image_they_are_of(image: LabelledImage) -> None:
    found = views(image, SIZE, extent=30)
    assert len(found) > 1
    assert {view.key for view in found} == {image.key}
    assert {view.intensity for view in found} == {image.intensity}
    assert all(view.name.startswith("field") for view in found)


def test_where_to_look_is_found_without_the_pixels_and_without_whole_masks(
    image: LabelledImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("not to be asked for")

    unread = LabelledImage(image.key, image.name, fail, image.objects(), image.intensity)  # type: ignore[arg-type]
    monkeypatch.setattr(LabelledObject, "mask", property(fail))
    assert views(unread, SIZE, sizes_of([unread]).extent)


def test_a_view_shows_what_its_tile_cuts_out_of_an_uneven_object(image: LabelledImage) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[100:160, 200:230] = np.random.default_rng(0).random((60, 30)) < 0.9
    mask[190:200, 200:210] = True  # apart from the rest
    item = LabelledObject(mask)
    found = views(LabelledImage("", "", image.image, [item], image.intensity), SIZE, extent=10)
    assert len(found) == 2  # a box around both parts is looked at from far, a click from near
    for view in found:
        (shown,) = view.objects()
        assert (shown.whole or shown) is item
        place = [p for p in np.ndindex(SHAPE) if np.array_equal(view.image()[0, 0], image.image()[p])]
        height, width = view.image().shape[:2]
        assert any(np.array_equal(shown.mask, mask[r : r + height, c : c + width]) for r, c in place)


def test_published_runs_see_whole_images() -> None:
    assert AdaptConfig(zoom="auto").zoom == "auto"
    with pytest.raises(ValueError, match="needs the mode clean"):
        AdaptConfig(zoom="auto", mode="official")
    with pytest.raises(ValueError, match="zoom must be one of"):
        AdaptConfig(zoom="on")  # type: ignore[arg-type]
