"""Holding images out."""

import numpy as np
import pytest

from infosam.data.labelled import LabelledImage
from infosam.data.split import split_by_image


def images(*keys: str) -> list[LabelledImage]:
    return [LabelledImage(key, f"{key}{i}", lambda: np.zeros((2, 2)), []) for i, key in enumerate(keys)]


@pytest.mark.parametrize("count", range(1, 12))
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.25, 0.5, 0.99])
@pytest.mark.parametrize("seed", [0, 1])
def test_parts_are_disjoint_complete_and_never_starve_training(
    count: int, fraction: float, seed: int
) -> None:
    given = images(*(f"k{i}" for i in range(count)))
    training, validation = split_by_image(given, fraction, seed)
    assert sorted(map(id, training + validation)) == sorted(map(id, given))
    assert len(training) >= 1
    assert (len(validation) >= 1) == (fraction > 0 and count >= 2)
    assert abs(len(validation) - fraction * count) <= 1
    assert [image for image in given if image in training] == training


def test_one_image_is_all_training() -> None:
    only = images("a")
    assert split_by_image(only, 0.5, 0) == (only, [])
    assert split_by_image([], 0.5, 0) == ([], [])


def test_same_seed_same_split_in_any_order_and_other_seeds_differ() -> None:
    given = images(*map(str, range(20)))
    held = [{image.key for image in split_by_image(given, 0.25, seed)[1]} for seed in (3, 3, 4)]
    assert held[0] == held[1] != held[2]
    assert {image.key for image in split_by_image(given[::-1], 0.25, 3)[1]} == held[0]


def test_copies_of_an_image_stay_together() -> None:
    given = images("a", "b", "a", "c", "b", "a")
    for seed in range(10):
        training, validation = split_by_image(given, 0.4, seed)
        assert not {image.key for image in training} & {image.key for image in validation}
        assert training
        assert validation
    assert split_by_image(images("a", "a"), 0.5, 0)[1] == []


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_bad_fraction_is_quoted(fraction: float) -> None:
    with pytest.raises(ValueError, match=str(fraction)):
        split_by_image(images("a", "b"), fraction, 0)
