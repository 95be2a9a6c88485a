"""World to pixels and back, against napari's own transforms."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from infosam.types import BadInputError
from napari_infosam.geometry import (
    geometry_of,
    shown_image,
    slice_geometry_of,
    source_number,
    to_box,
    to_layer,
    to_pixel,
)


def test_a_plain_image_is_shown_whole(viewer: ViewerModel) -> None:
    layer = viewer.layers[0]
    shown = shown_image(layer, viewer.dims)
    assert shown.name == "cells"
    assert shown.shape == (40, 60)
    assert shown.plane is None
    assert (shown.read() == layer.data).all()
    assert to_pixel(layer, shown, layer.data_to_world((7, 9))) == pytest.approx((7, 9))


def test_colour_is_taken_whole() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(
        np.random.default_rng(0).integers(0, 255, (30, 20, 4)).astype(np.uint8), rgb=True
    )
    shown = shown_image(layer, viewer.dims)
    assert shown.rgb
    assert shown.shape == (30, 20)
    assert shown.read().shape == (30, 20, 4)


def test_the_slice_under_the_slider_is_the_image() -> None:
    viewer = ViewerModel()
    stack = np.random.default_rng(0).random((3, 4, 12, 14))
    layer = viewer.add_image(stack, name="stack", scale=(5, 1, 2, 2))
    viewer.dims.set_current_step((0, 1), (2, 3))
    shown = shown_image(layer, viewer.dims)
    assert shown.name == "stack [2, 3]"
    assert shown.plane == (2, 3)
    assert (shown.read() == stack[2, 3]).all()
    other = shown_image(layer, viewer.dims)
    assert other.key == shown.key
    viewer.dims.set_current_step(0, 1)
    assert shown_image(layer, viewer.dims).key != shown.key


def test_rolled_axes_show_another_plane() -> None:
    viewer = ViewerModel()
    stack = np.random.default_rng(0).random((9, 12, 14))
    layer = viewer.add_image(stack)
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, 5)
    shown = shown_image(layer, viewer.dims)
    assert shown.axes == (0, 2)
    assert (shown.read() == stack[:, 5]).all()
    assert to_layer(shown, [(3.0, 4.0)]).tolist() == [[3.0, 5.0, 4.0]]
    assert to_pixel(layer, shown, layer.data_to_world((3, 5, 4))) == pytest.approx((3, 4))


def test_a_layer_with_fewer_axes_than_the_viewer() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((5, 30, 40)))
    flat = viewer.add_image(np.random.default_rng(0).random((30, 40)))
    shown = shown_image(flat, viewer.dims)
    assert shown.shape == (30, 40)
    assert shown.plane is None


def test_the_finest_level_of_a_pyramid_is_used() -> None:
    viewer = ViewerModel()
    full = np.random.default_rng(0).random((64, 64))
    layer = viewer.add_image([full, full[::2, ::2]], multiscale=True)
    shown = shown_image(layer, viewer.dims)
    assert shown.shape == (64, 64)
    assert (shown.read() == full).all()


def test_lazy_arrays_are_read_slice_by_slice() -> None:
    dask = pytest.importorskip("dask.array")
    viewer = ViewerModel()
    stack = np.random.default_rng(0).random((4, 16, 16))
    layer = viewer.add_image(dask.from_array(stack, chunks=(1, 16, 16)))
    viewer.dims.set_current_step(0, 2)
    assert (shown_image(layer, viewer.dims).read() == stack[2]).all()


@pytest.mark.parametrize(
    ("data", "ndisplay", "words"),
    [
        (np.zeros((5, 30, 30)), 3, "2-D view"),
        (np.zeros((64, 64, 5)), 2, "channels"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(data: np.ndarray, ndisplay: int, words: str) -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(data, rgb=False)
    viewer.dims.ndisplay = ndisplay
    with pytest.raises(BadInputError, match=words):
        shown_image(layer, viewer.dims)


def test_complex_pixels_are_refused() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((8, 8)))
    layer._data = np.zeros((8, 8), complex)  # napari itself shows no complex image
    with pytest.raises(BadInputError, match="complex128"):
        shown_image(layer, viewer.dims)


def test_a_slider_beyond_the_layer_is_refused() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((9, 20, 20)))
    short = viewer.add_image(np.zeros((3, 20, 20)))
    viewer.dims.set_current_step(0, 7)
    with pytest.raises(BadInputError, match="no slice"):
        shown_image(short, viewer.dims)


def test_a_box_is_made_of_pixel_edges_inside_the_image() -> None:
    assert to_box((2, 3), (7, 9), (40, 60)) == (2.5, 3.5, 7.5, 9.5)
    assert to_box((7, 9), (2, 3), (40, 60)) == (2.5, 3.5, 7.5, 9.5)
    assert to_box((-9, -9), (100, 100), (40, 60)) == (0, 0, 40, 60)
    assert to_box((-9, -9), (-1, -1), (40, 60)) is None
    assert to_box((5, 5), (5, 9), (40, 60)) is None


def test_a_layer_over_one_slice_lies_where_the_slice_lies() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(
        np.zeros((6, 20, 30)),
        scale=(3, 2, 2),
        translate=(1, 5, 7),
        rotate=15,
        affine=np.array([[1, 0, 0, 2], [0, 1, 0.2, 3], [0, 0, 1.5, 4], [0, 0, 0, 1]]),
    )
    viewer.dims.set_point(0, layer.data_to_world((4, 10, 10))[0])
    shown = shown_image(layer, viewer.dims)
    (depth,) = shown.plane or ()
    slab = viewer.add_labels(np.zeros((1, 20, 30), np.uint8), **slice_geometry_of(layer, shown))
    assert slab.data_to_world((0, 3, 4)) == pytest.approx(layer.data_to_world((depth, 3, 4)))
    copy = viewer.add_labels(np.zeros((6, 20, 30), np.uint8), **geometry_of(layer))
    assert copy.data_to_world((2, 3, 4)) == pytest.approx(layer.data_to_world((2, 3, 4)))


def test_an_array_is_never_taken_for_one_that_is_gone() -> None:
    layer = Image(np.zeros((8, 9)))
    seen = {source_number(layer)}
    for value in range(1, 20):
        assert source_number(layer) in seen
        layer.data = np.full((8, 9), float(value))
        assert source_number(layer) not in seen
        seen.add(source_number(layer))
