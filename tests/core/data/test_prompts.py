"""Prompts for evaluation and training."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy import ndimage

from infosam.data.prompts import (
    corrected,
    corrective_point,
    evaluation_prompt,
    interior_pixel,
    noisy_box,
    random_corrective_point,
    random_interior_point,
    road_prompt,
    tight_box,
    training_prompts,
    translated_box,
    uniform_point,
    with_point,
)
from infosam.types import PROMPT_PROTOCOLS, BadInputError, Prompt, RunMode


def random_masks() -> Iterator[np.ndarray]:
    """Blobs, specks, lines, single pixels and full images of many shapes."""
    rng = np.random.default_rng(5)
    for shape in ((1, 1), (1, 12), (17, 1), (20, 33), (64, 48)):
        yield np.ones(shape, bool)
        single = np.zeros(shape, bool)
        single[rng.integers(shape[0]), rng.integers(shape[1])] = True
        yield single
        for sigma in (0, 1, 4):
            field = (
                ndimage.gaussian_filter(rng.normal(size=shape), sigma) if sigma else rng.normal(size=shape)
            )
            mask = field > np.quantile(field, 0.7)
            mask[0, 0] |= not mask.any()
            yield mask


MASKS = list(random_masks())
EMPTY = np.zeros((6, 7), bool)


@pytest.mark.parametrize("mask", MASKS)
def test_tight_box_holds_the_mask_and_each_edge_touches_it(mask: np.ndarray) -> None:
    r0, c0, r1, c1 = tight_box(mask)
    inside = mask[r0:r1, c0:c1]
    assert inside.sum() == mask.sum()
    assert inside[0].any()
    assert inside[-1].any()
    assert inside[:, 0].any()
    assert inside[:, -1].any()


@pytest.mark.parametrize("mask", MASKS)
def test_interior_pixel_is_the_deepest_and_first_of_equals(mask: np.ndarray) -> None:
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    assert interior_pixel(mask) == np.unravel_index(np.argmax(depth), mask.shape)


def test_interior_pixel_by_hand() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:13, 3:8] = True  # an 11 x 5 bar, whose axis is column 5
    assert interior_pixel(mask) == (4, 5)
    mask[14:20, 12:20] = True  # cut by the image's corner: what lies beyond counts as outside
    row, column = interior_pixel(mask)
    assert (row, column) == (4, 5)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("mode", ["official", "paper", "clean"])
def test_training_prompts_lie_on_their_objects(mask: np.ndarray, mode: RunMode) -> None:
    rng = np.random.default_rng(1)
    height, width = mask.shape
    r0, c0, r1, c1 = tight_box(mask)
    for step in range(20):
        (prompt,) = training_prompts([mask], rng, mode=mode, step=step)
        assert not prompt.is_empty
        assert all(mask[row, column] for row, column in prompt.points)
        if prompt.box is not None:
            b0, d0, b1, d1 = prompt.box
            assert b0 >= 0
            assert d0 >= 0
            assert min(b1, r1) - max(b0, r0) >= (r1 - r0) / 2  # still on the object
            assert min(d1, c1) - max(d0, c0) >= (c1 - c0) / 2
            if mode == "paper":
                assert prompt.box == (r0, c0, r1, c1)
            if mode == "clean":
                assert b1 <= height
                assert d1 <= width


@pytest.mark.parametrize("mode", ["official", "paper", "clean"])
def test_a_batch_has_one_kind_of_prompt_and_every_kind_occurs(mode: RunMode) -> None:
    rng = np.random.default_rng(2)
    counts: dict[tuple[bool, int], int] = {}
    for step in range(400):
        prompts = training_prompts(MASKS[15:19], rng, mode=mode, step=step)
        kinds = {(p.box is not None, len(p.points)) for p in prompts}
        assert len(kinds) == 1
        kind = kinds.pop()
        counts[kind] = counts.get(kind, 0) + 1
    shares = {kind: count / 400 for kind, count in counts.items()}
    expected = (
        {(True, 0): 3 / 8, (False, 1): 4 / 8, (True, 1): 1 / 8}
        if mode == "clean"
        else {(True, 0): 0.5, (False, 1): 0.5}
    )
    assert shares == pytest.approx(expected, abs=0 if mode == "clean" else 0.08)


def test_same_generator_same_prompts() -> None:
    def draw(seed: int) -> list[tuple[object, object]]:
        rng = np.random.default_rng(seed)
        prompts = [p for n in range(5) for p in training_prompts(MASKS, rng, mode="clean", step=n)]
        return [(p.points, p.box) for p in prompts]

    assert draw(3) == draw(3) != draw(4)


def block(height: int, width: int) -> np.ndarray:
    mask = np.zeros((200, 200), bool)
    mask[50 : 50 + height, 60 : 60 + width] = True
    return mask


@pytest.mark.parametrize(("side", "limit"), [(100, 5), (11, 5), (10, 4), (7, 3), (3, 1)])
def test_released_jitter_moves_both_corners_from_minus_m_to_m_minus_one(side: int, limit: int) -> None:
    rng, mask = np.random.default_rng(0), block(side, 2 * side if side < 60 else side)
    tight = np.array(tight_box(mask))
    shifts = np.array([np.array(translated_box(mask, rng)) - tight for _ in range(600)])
    assert np.array_equal(shifts[:, :2], shifts[:, 2:])  # a pure translation
    for axis in (0, 1):
        assert set(shifts[:, axis]) == set(range(-limit, limit))


@pytest.mark.parametrize("size", [(1, 1), (2, 30), (30, 2), (1, 50)])
def test_objects_too_thin_for_the_released_jitter_keep_their_box(size: tuple[int, int]) -> None:
    mask = block(*size)
    assert translated_box(mask, np.random.default_rng(0)) == tight_box(mask)


def test_released_jitter_is_in_pixels_of_the_input_and_clipped_at_zero() -> None:
    rng, mask = np.random.default_rng(0), block(100, 100)
    shifts = {translated_box(mask, rng, input_scale=4.0)[0] - 50 for _ in range(300)}
    assert shifts == {step / 4 for step in range(-5, 5)}
    corner = np.zeros((50, 50), bool)
    corner[:40, :40] = True
    boxes = np.array([translated_box(corner, rng) for _ in range(100)])
    assert boxes[:, :2].min() == 0
    assert boxes[:, 2:].min() == 35


def test_noisy_box_shifts_and_resizes_modestly() -> None:
    rng, mask = np.random.default_rng(0), block(40, 40)
    boxes = np.array([noisy_box(mask, rng) for _ in range(400)])
    noise = boxes - tight_box(mask)
    limit = 20 / 1024 * 200
    assert np.abs(noise).max() <= limit
    assert np.abs(noise.mean(axis=0)).max() < 0.5
    assert np.ptp(boxes[:, 2] - boxes[:, 0]) > 2  # it resizes
    assert np.abs(np.corrcoef(noise.T) - np.eye(4)).max() < 0.2  # each edge by itself


def test_random_points_are_uniform_or_prefer_the_inside() -> None:
    rng, mask = np.random.default_rng(0), block(21, 21)
    depth = ndimage.distance_transform_edt(mask)
    uniform = np.mean([depth[uniform_point(mask, rng)] for _ in range(2000)])
    interior = np.mean([depth[random_interior_point(mask, rng)] for _ in range(2000)])
    weights = depth[mask]
    assert uniform == pytest.approx(weights.mean(), rel=0.05)
    assert interior == pytest.approx((weights**2).sum() / weights.sum(), rel=0.05)


@pytest.mark.parametrize("protocol", PROMPT_PROTOCOLS)
@pytest.mark.parametrize("mask", MASKS)
def test_evaluation_prompts(mask: np.ndarray, protocol: str) -> None:
    prompt = evaluation_prompt(mask, protocol, np.random.default_rng(0))
    assert all(
        mask[row, column] == label for (row, column), label in zip(prompt.points, prompt.labels, strict=True)
    )
    if protocol == "box":
        assert prompt.box == tight_box(mask)
        assert not prompt.points
    elif protocol == "road5":
        assert prompt.labels == ((1, 1) if mask.all() else (1, 1, 0, 0, 0))
    else:
        assert prompt.points == (interior_pixel(mask),)


def test_road_points_are_distinct_and_drawn_anew() -> None:
    rng, mask = np.random.default_rng(0), MASKS[-1]
    prompts = [road_prompt(mask, rng) for _ in range(20)]
    assert all(len(set(prompt.points)) == 5 for prompt in prompts)
    assert len({prompt.points for prompt in prompts}) > 15


def test_unknown_protocol_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInputError, match="'scribble': use one of box, point"):
        evaluation_prompt(MASKS[0], "scribble", np.random.default_rng(0))


def test_corrective_point_goes_to_the_largest_error_with_its_sign() -> None:
    mask, prediction = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
    mask[10:40, 10:40] = prediction[10:40, 10:40] = True
    prediction[10:20, 10:20] = False  # misses 100 pixels
    prediction[41:50, 41:50] = True  # adds 81
    assert corrective_point(mask, prediction) == (14, 14, 1)
    prediction[41:52, 41:52] = True  # adds 121
    assert corrective_point(mask, prediction) == (46, 46, 0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        row, column, sign = random_corrective_point(mask, prediction, rng)
        assert sign == 0
        assert prediction[row, column]
        assert not mask[row, column]


def test_corrective_point_of_equal_regions_asks_for_the_missed_one() -> None:
    mask, prediction = np.zeros((30, 30), bool), np.zeros((30, 30), bool)
    mask[20:25, 20:25] = prediction[2:7, 2:7] = True
    assert corrective_point(mask, prediction) == (22, 22, 1)


def test_corrective_point_of_a_perfect_prediction_is_harmless() -> None:
    mask = block(9, 9)
    assert corrective_point(mask, mask.copy()) == (*interior_pixel(mask), 1)


def test_corrective_points_end_in_the_mask() -> None:
    """An ideal annotator, who paints the whole error region at each click, reaches every mask."""
    rng = np.random.default_rng(0)
    for mask in MASKS:
        prediction = rng.random(mask.shape) < 0.5
        for _ in range(mask.size):
            if np.array_equal(mask, prediction):
                break
            row, column, sign = corrective_point(mask, prediction)
            assert mask[row, column] == bool(sign) != prediction[row, column]
            error = mask & ~prediction if sign else prediction & ~mask
            regions, _ = ndimage.label(error, structure=np.ones((3, 3)))
            prediction[regions == regions[row, column]] = bool(sign)
        assert np.array_equal(mask, prediction)


def test_with_point_adds_to_what_is_there() -> None:
    prompt = with_point(with_point(Prompt(box=(1, 2, 3, 4)), (5, 6, 1)), (7, 8, 0))
    assert (prompt.points, prompt.labels, prompt.box) == (((5, 6), (7, 8)), (1, 0), (1, 2, 3, 4))


def test_a_correction_goes_with_the_mask_that_it_corrects_where_clicks_are_all_there_is() -> None:
    mask, shown = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    mask[4:12, 4:12], shown[4:12, 4:16] = True, True
    first = Prompt(points=((8, 8),), labels=(1,))
    second = corrected(first, mask, shown)
    assert second.labels == (1, 0)
    assert second.points[1] == corrective_point(mask, shown)[:2]
    assert second.answer is shown
    nothing = corrected(second, mask, np.zeros_like(mask))
    assert nothing.labels == (1, 0, 1)
    assert nothing.answer is shown
    assert corrected(Prompt(box=(4, 4, 12, 12)), mask, shown).answer is None


@pytest.mark.parametrize("make", [tight_box, interior_pixel])
def test_empty_masks_are_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(BadInputError, match="at least one pixel"):
        make(EMPTY)


@pytest.mark.parametrize("mode", ["official", "paper", "clean"])
def test_empty_masks_are_refused_in_training(mode: RunMode) -> None:
    for seed in range(6):
        with pytest.raises(BadInputError, match="at least one pixel"):
            training_prompts([MASKS[0], EMPTY], np.random.default_rng(seed), mode=mode)


def test_other_empty_or_unequal_masks() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(BadInputError, match="at least one pixel"):
        road_prompt(EMPTY, rng)
    with pytest.raises(BadInputError, match=r"\(3, 3\), the mask \(6, 7\)"):
        corrective_point(EMPTY, np.zeros((3, 3), bool))
