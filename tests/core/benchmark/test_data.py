"""How the data of a recipe are sampled and split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from infosam.benchmark.data import draw, generated, read, sampled, split
from infosam.benchmark.recipe import DataSet
from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.types import BadInputError

SET = DataSet("set", "nowhere")


def image(name: str, objects: int = 3) -> LabelledImage:
    pixels = np.full((8, 8), len(name), np.uint8)
    pixels[0, : len(name)] = [ord(letter) for letter in name][:8]
    masks = [np.eye(8, k=k, dtype=bool) for k in range(objects)]
    return LabelledImage.from_array(pixels, [LabelledObject(mask) for mask in masks], name=name)


IMAGES = [image(name) for name in ("a1", "a2", "b1", "b2", "c1", "d1")]


def names(images: list[LabelledImage]) -> list[str]:
    return [image.name for image in images]


def test_a_split_is_always_the_same_and_leaves_nothing_out() -> None:
    train, test = split(SET, IMAGES)
    assert len(test) == 2
    assert sorted(names(train) + names(test)) == names(IMAGES)
    assert names(split(SET, IMAGES[::-1])[1]) == names(test)[::-1]


def test_a_group_is_never_split() -> None:
    train, test = split(DataSet("set", "nowhere", group="^[a-z]", test_share=0.5), IMAGES)
    assert {name[0] for name in names(train)} & {name[0] for name in names(test)} == set()
    assert len({name[0] for name in names(test)}) == 2


def test_a_set_may_name_its_own_test_part() -> None:
    train, test = split(DataSet("set", "nowhere", test="b*"), IMAGES)
    assert names(test) == ["b1", "b2"]
    assert names(train) == ["a1", "a2", "c1", "d1"]


@pytest.mark.parametrize("pattern", ["z*", "*"])
def test_a_split_without_one_part_is_refused(pattern: str) -> None:
    with pytest.raises(BadInputError, match="training and"):
        split(DataSet("set", "nowhere", test=pattern), IMAGES)


def test_images_are_drawn_by_the_seed_and_keep_their_order() -> None:
    assert names(draw(IMAGES, None, 0)) == names(IMAGES)
    drawn = {seed: names(draw(IMAGES, 3, seed)) for seed in range(5)}
    assert all(len(kept) == 3 and kept == sorted(kept) for kept in drawn.values())
    assert len({tuple(kept) for kept in drawn.values()}) > 1
    assert drawn[1] == names(draw(IMAGES, 3, 1))


def test_a_sample_of_objects_is_fixed() -> None:
    one, again = (sampled([image("many", 6)], 2)[0].objects() for _ in range(2))
    assert len(one) == 2
    assert [item.rle for item in one] == [item.rle for item in again]
    assert len(sampled([image("few", 2)], 5)[0].objects()) == 2


def test_data_that_the_environment_does_not_place_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOMEWHERE", raising=False)
    with pytest.raises(BadInputError, match=r"set lies at \$SOMEWHERE/x"):
        read(DataSet("set", "$SOMEWHERE/x"))


def test_data_are_read_from_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from imageio.v3 import imwrite

    for folder in ("images", "masks"):
        (tmp_path / "x" / folder).mkdir(parents=True)
        square = np.zeros((16, 16), np.uint8)
        square[4:9, 4:9] = 255
        imwrite(tmp_path / "x" / folder / "one.png", square)
    monkeypatch.setenv("SOMEWHERE", str(tmp_path))
    assert names(read(DataSet("set", "$SOMEWHERE/x"))) == ["one.png"]


def test_generated_scenes_are_always_the_same() -> None:
    one, again = generated(1, 3), generated(1, 3)
    assert np.array_equal(one[0].image(), again[0].image())
    assert 1 <= len(one[0].objects()) <= 3
