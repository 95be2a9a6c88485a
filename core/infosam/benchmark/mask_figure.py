"""What methods make of the same objects, side by side (InfoSAM's figures 10 to 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from infosam.benchmark.canvas import BLUE, ORANGE, Axes, Figure, new_figure
from infosam.benchmark.data import parts
from infosam.benchmark.recipe import DataSet, Recipe
from infosam.benchmark.scores import Results
from infosam.benchmark.store import ShownMask
from infosam.data.intensity import to_rgb8
from infosam.data.labelled import LabelledImage
from infosam.data.rle import decode_mask, rle_box
from infosam.metrics import iou
from infosam.types import BadInputError, BoolArray

_SIDE = 1.5  # inches of a picture
_MARGIN = 1.0  # inches for what is written
_AROUND = 0.5  # of the object's longer side, shown on each side of it
_LEAST = 8  # pixels that are shown around an object at least
_LABELLED = "label"
NOTE = "IoU of the whole mask; the label's outline in orange"


def draw_masks(recipe: Recipe, results: Results, model: str) -> dict[str, Figure]:
    """A figure for each prompt and test part of which masks were kept, by its name: a row for each object, a
    column for each method, with the mask's IoU below it; of several seeds, the first.

    Raises BadInputError if the data are not where the recipe says, or not those that were measured.
    """
    figures = {}
    for data in recipe.data:
        kept = _kept(recipe, results, model, data)
        images = _images(recipe, data) if kept else {}
        for (part, prompt), columns in kept.items():
            title = f"{model} on {part}, by {prompt}"
            figures[f"{model}-{part}-{prompt}-masks"] = _draw(title, images[part], columns)
    return figures


def _kept(
    recipe: Recipe, results: Results, model: str, data: DataSet
) -> dict[tuple[str, str], dict[str, Sequence[ShownMask]]]:
    """By test part and prompt, the masks of each method."""
    kept: dict[tuple[str, str], dict[str, Sequence[ShownMask]]] = {}
    for method in recipe.methods:
        own = (r for run, r in results if (run.model, run.method, run.data) == (model, method, data))
        for result in own:
            for part, by_prompt in result.masks.items():
                for prompt, masks in by_prompt.items():
                    kept.setdefault((part, prompt), {}).setdefault(method.name, masks)
    return kept


def _images(recipe: Recipe, data: DataSet) -> dict[str, dict[str, LabelledImage]]:
    """The test images by part and name."""
    _, tests = parts(data, recipe.max_objects)
    return {part: {image.name: image for image in images} for part, images in tests.items()}


def _draw(
    title: str, images: Mapping[str, LabelledImage], columns: Mapping[str, Sequence[ShownMask]]
) -> Figure:
    first = next(iter(columns.values()))
    figure = new_figure(title, _SIDE * (len(columns) + 1) + _MARGIN, _SIDE * len(first) + _MARGIN)
    places = figure.subplots(len(first), len(columns) + 1, squeeze=False)
    for row, labelled in zip(places, first, strict=True):
        truth = decode_mask(labelled.truth)
        window = _window(labelled)
        pixels = _pixels(images, labelled)[window]
        _show(row[0], pixels, truth[window], ORANGE)
        for axes, (method, masks) in zip(row[1:], columns.items(), strict=True):
            mask = _mask_of(masks, labelled, method)
            _show(axes, pixels, mask[window], BLUE)
            axes.contour(truth[window], levels=[0.5], colors=[ORANGE], linewidths=0.8)
            axes.set_xlabel(f"{iou(mask, truth):.3f}")
    for axes, name in zip(places[0], [_LABELLED, *columns], strict=True):
        axes.set_title(name, fontsize="medium")
    return figure


def _mask_of(masks: Sequence[ShownMask], labelled: ShownMask, method: str) -> BoolArray:
    """The mask of the same object."""
    for shown in masks:
        if (shown.image, shown.truth) == (labelled.image, labelled.truth):
            return decode_mask(shown.mask)
    raise BadInputError(f"{method} was measured on other data: {labelled.image} is not the same there")


def _pixels(images: Mapping[str, LabelledImage], shown: ShownMask) -> NDArray[np.uint8]:
    if (image := images.get(shown.image)) is not None:
        pixels = image.image()
        if pixels.shape[:2] == shown.truth.size:
            return to_rgb8(pixels, image.intensity)
    height, width = shown.truth.size
    raise BadInputError(f"the data have no image {shown.image} of {height} x {width} pixels any more")


def _window(shown: ShownMask) -> tuple[slice, slice]:
    """The object and what lies around it."""
    r0, c0, r1, c1 = rle_box(shown.truth)
    margin = max(_LEAST, round(_AROUND * max(r1 - r0, c1 - c0)))
    return slice(max(0, r0 - margin), r1 + margin), slice(max(0, c0 - margin), c1 + margin)


def _show(axes: Axes, pixels: NDArray[np.uint8], mask: BoolArray, colour: str) -> None:
    axes.imshow(pixels)
    axes.contourf(mask, levels=[0.5, 1], colors=[colour], alpha=0.5)
    axes.set(xticks=[], yticks=[])
