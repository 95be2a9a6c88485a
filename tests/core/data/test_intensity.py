"""Raw pixel values as 8-bit RGB."""

import numpy as np
import pytest

from infosam.data.intensity import check_image, intensity_range, to_rgb8
from infosam.types import BadInputError, IntensityRange


@pytest.mark.parametrize("shape", [(4,), (4, 5, 2), (4, 5, 5), (2, 4, 5, 3), ()])
def test_check_image_refuses_shapes_and_names_them(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInputError, match=r"must have the shape \(H, W\)"):
        check_image(np.zeros(shape))


@pytest.mark.parametrize("image", [np.zeros((4, 4), complex), np.full((4, 4), "a"), np.full((4, 4), None)])
def test_check_image_refuses_what_is_not_a_number(image: np.ndarray) -> None:
    with pytest.raises(BadInputError, match="whole or real numbers"):
        check_image(image)


def test_check_image_refuses_empty() -> None:
    with pytest.raises(BadInputError, match="empty"):
        check_image(np.zeros((0, 5)))


def test_uint8_is_taken_as_it_is(rng: np.random.Generator) -> None:
    image = rng.integers(10, 60, (8, 9, 3), dtype=np.uint8)
    assert intensity_range(image) == IntensityRange(0, 255)
    assert np.array_equal(to_rgb8(image, intensity_range(image)), image)


@pytest.mark.parametrize(
    "dtype", ["uint16", ">u2", "int16", "int32", "uint32", "float16", "float32", "float64"]
)
def test_range_is_the_percentiles_and_maps_them_to_0_and_255(dtype: str, rng: np.random.Generator) -> None:
    image = rng.integers(100, 3000, (64, 50)).astype(dtype)
    image[0, 0] = np.iinfo(np.int16).max  # one hot pixel decides nothing
    intensity = intensity_range(image)
    low, high = np.percentile(image.astype(np.float64), (0.1, 99.9))
    assert (intensity.low, intensity.high) == pytest.approx((low, high))
    expected = np.floor(np.clip((image.astype(np.float64) - low) / (high - low) * 255, 0, 255) + 0.5)
    rgb = to_rgb8(image, intensity)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (64, 50, 3)
    assert np.abs(rgb[:, :, 1].astype(int) - expected).max() <= 1
    assert rgb[0, 0].tolist() == [255, 255, 255]


def test_negative_int8_by_table() -> None:
    image = np.array([[-100, 0], [50, 100]], dtype=np.int8)
    assert to_rgb8(image, IntensityRange(-100, 155))[:, :, 0].tolist() == [[0, 100], [150, 200]]


def test_range_ignores_alpha_nan_and_infinities() -> None:
    image = np.linspace(0, 1, 4 * 40 * 40, dtype=np.float32).reshape(40, 40, 4)
    image[..., 3] = 1000
    image[0, 0, 0], image[0, 1, 0], image[0, 2, 0] = np.nan, np.inf, -np.inf
    intensity = intensity_range(image)
    assert 0 <= intensity.low < 0.01
    assert 0.99 < intensity.high <= 1
    rgb = to_rgb8(image, intensity)
    assert rgb.shape == (40, 40, 3)
    assert rgb[0, :3, 0].tolist() == [0, 255, 0]


def test_colours_share_one_range() -> None:
    image = np.zeros((10, 10, 3), np.uint16)
    image[..., 0], image[:5, :, 1] = 1000, 500
    assert to_rgb8(image, intensity_range(image))[0, 0].tolist() == [255, 128, 0]


@pytest.mark.parametrize("value", [0, 7, -3.5, 1e30, np.nan])
def test_constant_images_become_black(value: float) -> None:
    image = np.full((5, 5), value, dtype=np.float32)
    assert not to_rgb8(image, intensity_range(image)).any()


def test_few_bright_pixels_are_not_lost() -> None:
    image = np.zeros((100, 100), np.uint16)
    image[5, 5] = 4000
    assert to_rgb8(image, intensity_range(image))[5, 5, 0] == 255


def test_bool_is_black_and_white() -> None:
    image = np.eye(30, dtype=bool)
    assert np.array_equal(to_rgb8(image, intensity_range(image))[:, :, 2], np.eye(30) * 255)


def test_result_is_contiguous_for_views(rng: np.random.Generator) -> None:
    image = rng.integers(0, 255, (20, 30, 4), dtype=np.uint8)[::2, ::-1]
    rgb = to_rgb8(image, intensity_range(image))
    assert rgb.flags.c_contiguous
    assert np.array_equal(rgb, image[:, :, :3])


def test_blocks_join_seamlessly(rng: np.random.Generator) -> None:
    image = rng.normal(size=(700, 3000))  # two blocks
    intensity = IntensityRange(-1, 1)
    whole = to_rgb8(image, intensity)
    assert np.array_equal(whole[600:], to_rgb8(image[600:], intensity))
