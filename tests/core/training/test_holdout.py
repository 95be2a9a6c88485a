"""What is held out to measure on, and that it can be foretold from counts alone."""

from collections.abc import Callable

import pytest

from infosam.data.labelled import LabelledImage
from infosam.training.holdout import hold_out, keys_to_hold_out

Make = Callable[..., list[LabelledImage]]


@pytest.mark.parametrize("n_images", [1, 2, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_counts_foretell_the_split(labelled_images: Make, n_images: int, seed: int) -> None:
    images = labelled_images(n_images, n_objects=2)
    train, validation = hold_out(images, 0.25, seed)
    assert bool(validation) == (n_images > 1)
    keys = keys_to_hold_out({image.key: len(image.objects()) for image in images}, 0.25, seed)
    assert keys == {image.key for image in validation}
    assert [image.key for image in images if image.key not in keys] == [image.key for image in train]


def test_nothing_is_held_out_where_too_little_would_be_left_to_train_on() -> None:
    splits = {seed: keys_to_hold_out({"many": 5, "one": 1}, 0.5, seed) for seed in range(10)}
    assert set(splits.values()) == {frozenset(), frozenset({"one"})}
    assert keys_to_hold_out({"a": 1, "b": 1}, 0.5, 0) == frozenset()
    assert keys_to_hold_out({}, 0.5, 0) == frozenset()
