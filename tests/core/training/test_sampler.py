from __future__ import annotations

from collections import Counter

import pytest

from infosam.training.sampler import choose_samples
from infosam.types import RUN_MODES, RunMode


def choose(by_image: list[list[int]], step: int, batch_size: int, mode: RunMode, seed: int) -> list[int]:
    """The batch where every sample shows an object of its own."""
    return choose_samples(by_image, range(sum(map(len, by_image))), step, batch_size, mode, seed)


def groups(*sizes: int) -> list[list[int]]:
    """Samples numbered through, as many per image as `sizes` says."""
    numbers = iter(range(sum(sizes)))
    return [[next(numbers) for _ in range(size)] for size in sizes]


@pytest.mark.parametrize("mode", RUN_MODES)
@pytest.mark.parametrize("sizes", [(2,), (1, 1), (1, 0, 1), (1, 7), (300, 1), (1,) * 9])
@pytest.mark.parametrize("batch_size", [2, 3, 8])
def test_a_batch_never_holds_one_sample_or_the_same_twice(
    mode: RunMode, sizes: tuple[int, ...], batch_size: int
) -> None:
    for step in range(30):
        batch = choose(groups(*sizes), step, batch_size, mode, seed=1)
        assert 2 <= len(batch) <= batch_size
        assert len(set(batch)) == len(batch)


@pytest.mark.parametrize("batch_size", [2, 3, 8])
@pytest.mark.parametrize("n_objects", [2, 3, 20])
def test_a_batch_never_holds_one_object_twice(n_objects: int, batch_size: int) -> None:
    by_image = [list(range(n_objects)), *([n_objects + k] for k in range(n_objects))]  # all, and each alone
    objects = [*range(n_objects), *range(n_objects)]
    for step in range(60):
        batch = choose_samples(by_image, objects, step, batch_size, "clean", seed=1)
        assert 2 <= len(batch) <= batch_size
        assert len({objects[number] for number in batch}) == len(batch)


def test_a_single_object_is_refused() -> None:
    for by_image in ([[0], []], [[0], [1]]):
        with pytest.raises(ValueError, match="at least 2 are needed, not 1"):
            choose_samples(by_image, [0] * sum(map(len, by_image)), 0, 8, "clean", seed=0)


def test_official_epochs_use_every_sample_once_and_drop_the_rest() -> None:
    by_image = groups(*[1] * 11)
    epoch = [choose(by_image, step, 4, "official", seed=0) for step in range(2)]
    assert [len(batch) for batch in epoch] == [4, 4]
    assert len({number for batch in epoch for number in batch}) == 8
    later = [choose(by_image, step, 4, "official", seed=0) for step in range(2, 4)]
    assert later != epoch


def test_clean_batches_take_several_objects_of_up_to_four_images() -> None:
    by_image = groups(5, 5, 5, 5, 5, 5)
    images = [{number // 5 for number in choose(by_image, s, 8, "clean", 0)} for s in range(6)]
    assert all(len(used) == 4 for used in images)
    assert set.union(*images) == set(range(6))


def test_an_image_with_many_objects_does_not_drown_the_others() -> None:
    by_image = groups(200, 2, 2, 2)
    counts = Counter(
        min(number, 200) // 200 for step in range(50) for number in choose(by_image, step, 8, "clean", 0)
    )
    assert counts[1] > counts[0]


def test_a_step_depends_on_seed_and_number_alone() -> None:
    by_image = groups(3, 4, 5)
    for mode in RUN_MODES:
        first = [choose(by_image, step, 6, mode, seed=5) for step in range(10)]
        again = [choose(by_image, step, 6, mode, seed=5) for step in reversed(range(10))]
        assert first == again[::-1]
        assert first != [choose(by_image, step, 6, mode, seed=6) for step in range(10)]
