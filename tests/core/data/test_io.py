"""Image and mask files, whole and damaged."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from infosam.data.io import content_hash, read_image, read_mask, write_mask
from infosam.types import BadInputError, InfoSAMError

LABELS = np.array([[0, 1, 2], [3, 0, 255]], dtype=np.uint8)


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("bool", (7, 5))]
    + [
        (dtype, shape)
        for dtype in ("uint8", "uint16", "int16", "float32")
        for shape in ((7, 5), (7, 5, 3), (7, 5, 4))
    ],
)
def test_tiff_keeps_every_value(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    image = (np.arange(np.prod(shape)).reshape(shape) * 300 / 17).astype(dtype)
    tifffile.imwrite(tmp_path / "a.TIF", image, photometric="rgb" if len(shape) == 3 else "minisblack")
    read = read_image(tmp_path / "a.TIF")
    assert read.dtype == image.dtype
    assert np.array_equal(read, image)


def test_planar_tiff_comes_with_channels_last(tmp_path: Path, rng: np.random.Generator) -> None:
    image = rng.integers(0, 255, (3, 30, 20), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_image(tmp_path / "a.tif"), np.moveaxis(image, 0, -1))


def test_compressed_tiff(tmp_path: Path, rng: np.random.Generator) -> None:
    image = rng.integers(0, 255, (30, 20, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.tif", compression="tiff_lzw")
    assert np.array_equal(read_image(tmp_path / "a.tif"), image)


def test_stack_needs_a_plane(tmp_path: Path, rng: np.random.Generator) -> None:
    stack = rng.integers(0, 60000, (2, 3, 8, 9), dtype=np.uint16)
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "ZCYX"})
    with pytest.raises(BadInputError, match=r"stack\.tif holds 6 planes"):
        read_image(path)
    assert np.array_equal(read_image(path, plane=4), stack[1, 1])
    with pytest.raises(BadInputError, match="has no plane 6: it holds 6"):
        read_image(path, plane=6)
    with pytest.raises(BadInputError, match="holds 6 planes"):
        read_mask(path)


def test_animation_needs_a_plane(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (0, 100, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(BadInputError, match="holds 3 planes"):
        read_image(tmp_path / "a.gif")
    assert read_image(tmp_path / "a.gif", plane=1).max() == 100


def test_the_picture_of_a_phone_is_read_without_what_lies_behind_it(tmp_path: Path) -> None:
    picture, preview = (Image.fromarray(np.full((8, 9, 3), value, np.uint8)) for value in (200, 10))
    picture.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[preview])
    assert read_image(tmp_path / "phone.jpg").min() > 190


def test_grey_png_of_16_bits(tmp_path: Path) -> None:
    image = np.array([[0, 300], [65535, 7]], np.uint16)
    Image.fromarray(image).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.dtype == np.uint16
    assert np.array_equal(read, image)


def test_colour_png_of_16_bits_is_read_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0" + struct.pack(">HHH", 0x1234, 0x5678, 0x9ABC))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(png)
    assert read_image(tmp_path / "a.png").tolist() == [[[0x12, 0x56, 0x9A]]]
    assert "save it as TIFF" in caplog.text


def test_png_kinds(tmp_path: Path, rng: np.random.Generator) -> None:
    rgba = rng.integers(0, 255, (6, 5, 4), dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    assert np.array_equal(read_image(tmp_path / "rgba.png"), rgba)
    grey = rgba[..., 0]
    Image.merge("LA", [Image.fromarray(grey), Image.fromarray(rgba[..., 3])]).save(tmp_path / "la.png")
    assert np.array_equal(read_image(tmp_path / "la.png"), grey)
    Image.fromarray(grey > 100).save(tmp_path / "bilevel.png")
    assert np.array_equal(read_image(tmp_path / "bilevel.png"), grey > 100)


def _palette_image(path: Path) -> None:
    image = Image.fromarray(LABELS)
    image.putpalette([value for index in range(256) for value in (255 - index, index, 7)])
    image.save(path)


def test_palette_image_is_its_colours_and_palette_mask_its_indices(tmp_path: Path) -> None:
    _palette_image(tmp_path / "p.png")
    assert read_image(tmp_path / "p.png")[0, 2].tolist() == [253, 2, 7]
    mask = read_mask(tmp_path / "p.png")
    assert mask.dtype == np.int32
    assert np.array_equal(mask, LABELS)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("top", [1, 255, 256, 65535])
def test_mask_round_trip(tmp_path: Path, suffix: str, top: int) -> None:
    mask = np.array([[0, 1], [top, 0]])
    path = write_mask(tmp_path / f"m{suffix}", mask)
    assert np.array_equal(read_mask(path), mask)
    assert read_image(path).dtype == (np.uint8 if top < 256 else np.uint16)


def test_bool_mask_and_large_labels(tmp_path: Path) -> None:
    assert read_mask(write_mask(tmp_path / "b.png", np.eye(3, dtype=bool))).tolist() == np.eye(3).tolist()
    assert read_mask(write_mask(tmp_path / "l.tif", np.full((2, 2), 70000))).max() == 70000
    with pytest.raises(BadInputError, match=r"written as \.tif"):
        write_mask(tmp_path / "l.png", np.full((2, 2), 70000))


@pytest.mark.parametrize(
    "mask", [np.zeros((2, 2, 2), int), np.full((2, 2), -1), np.zeros((2, 2)), np.zeros((0, 2), int)]
)
def test_write_mask_refuses_what_is_no_mask(tmp_path: Path, mask: np.ndarray) -> None:
    with pytest.raises(BadInputError, match="a mask must be"):
        write_mask(tmp_path / "m.png", mask)


def test_write_mask_says_where_it_cannot(tmp_path: Path) -> None:
    with pytest.raises(InfoSAMError, match=r"cannot write .*nowhere"):
        write_mask(tmp_path / "nowhere" / "m.png", np.eye(3, dtype=bool))


def test_colour_masks(tmp_path: Path) -> None:
    equal = np.repeat(LABELS[:, :, np.newaxis], 3, axis=2)
    Image.fromarray(equal).save(tmp_path / "equal.png")
    assert np.array_equal(read_mask(tmp_path / "equal.png"), LABELS)
    equal[0, 0, 1] = 9
    Image.fromarray(equal).save(tmp_path / "colour.png")
    with pytest.raises(BadInputError, match=r"colour\.png holds colours"):
        read_mask(tmp_path / "colour.png")


def test_float_masks(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "whole.tif", LABELS.astype(np.float32))
    assert np.array_equal(read_mask(tmp_path / "whole.tif"), LABELS)
    for value in (0.5, np.nan):
        tifffile.imwrite(tmp_path / "fraction.tif", np.full((4, 4), value, np.float32))
        with pytest.raises(BadInputError, match=r"fraction\.tif holds fractions"):
            read_mask(tmp_path / "fraction.tif")
    tifffile.imwrite(tmp_path / "huge.tif", np.full((4, 4), 2**40))
    with pytest.raises(BadInputError, match="renumber"):
        read_mask(tmp_path / "huge.tif")


def test_jpeg_mask_is_binary(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[10:43, 20:45] = 255
    Image.fromarray(mask).save(tmp_path / "m.jpg", quality=60)
    assert len(np.unique(read_image(tmp_path / "m.jpg"))) > 2  # what the compression makes of it
    assert np.array_equal(read_mask(tmp_path / "m.jpg"), mask)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("kept", [0, 20, 700])
def test_truncated_files_are_one_clear_error(
    tmp_path: Path, suffix: str, kept: int, rng: np.random.Generator
) -> None:
    path = tmp_path / f"broken{suffix}"
    Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:kept])
    for read in (read_image, read_mask):
        with pytest.raises(BadInputError, match=r"cannot read .*broken"):
            read(path)


def test_other_bad_files(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(BadInputError, match=r"cannot read .*text\.png"):
        read_image(tmp_path / "text.png")
    with pytest.raises(BadInputError, match=r"gone\.tif is missing"):
        read_image(tmp_path / "gone.tif")
    with pytest.raises(BadInputError, match="is a folder"):
        read_image(tmp_path)
    tifffile.imwrite(tmp_path / "complex.tif", np.ones((4, 4), np.complex64))
    with pytest.raises(BadInputError, match=r"complex\.tif: .*complex64"):
        read_image(tmp_path / "complex.tif")


def test_content_hash_tells_values_shape_and_type_apart(rng: np.random.Generator) -> None:
    image = rng.integers(0, 255, (6, 8), dtype=np.uint8)
    changed = image.copy()
    changed[5, 7] ^= 1
    others = [
        changed,
        image.reshape(8, 6),
        image.view(np.int8),
        image.astype(np.uint16),
        image[:, :, np.newaxis],
    ]
    assert len({content_hash(array) for array in [image, *others]}) == 6
    assert content_hash(image) == content_hash(np.asfortranarray(image)) == content_hash(image[:])


def test_content_hash_is_that_of_the_values_in_either_byte_order() -> None:
    assert content_hash(np.arange(6, dtype=">u2")) == content_hash(np.arange(6, dtype="<u2"))
