"""Relation maps over training as a figure (InfoSAM's figures 8 and 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from infosam.benchmark.canvas import BLUE, ORANGE, Axes, Figure, new_figure
from infosam.benchmark.relation_maps import RelationMaps, Subject
from infosam.types import FloatArray

_SIDE = 1.7  # inches of a map
_MARGIN = 1.2  # inches for labels
_BINS = 40
_SHOWN = (1, 99)  # percentiles at the ends of the colours: a few positions stand far out
_COLOURS = {"teacher": BLUE, "student": ORANGE}


def draw_relations(maps: RelationMaps, title: str) -> Figure:
    """A column for each step. An object has a row of the teacher's maps and one of the student's, beside its
    image and its mask; at the foot is how the relations of all objects are distributed."""
    rows, columns = 2 * len(maps.subjects) + 1, len(maps.steps) + 1
    figure = new_figure(title, _SIDE * columns + _MARGIN, _SIDE * rows + _MARGIN)
    places = figure.subplots(rows, columns, squeeze=False)
    models = {"teacher": maps.teacher, "student": maps.student}
    for number, subject in enumerate(maps.subjects):
        pair = places[2 * number : 2 * number + 2]
        _show_object(pair[0, 0], pair[1, 0], subject)
        limits = np.percentile([_on_image(values[:, number], subject) for values in models.values()], _SHOWN)
        for row, (model, values) in zip(pair, models.items(), strict=True):
            for axes, values_then in zip(row[1:], values[:, number], strict=True):
                _show_map(axes, subject, values_then, limits)
            row[1].set_ylabel(model)
        figure.colorbar(pair[0, 1].images[0], ax=pair.flatten().tolist(), label="relation")
    for axes, step in zip(places[0, 1:], maps.steps, strict=True):
        axes.set_title(f"step {step}")
    pooled = {model: _pooled(values, maps.subjects) for model, values in models.items()}
    _show_distributions(places[-1], pooled)
    return figure


def _on_image(values: FloatArray, subject: Subject) -> FloatArray:
    """The part of maps (..., h, w) that shows the image and no padding."""
    rows, columns = np.ceil(np.multiply(subject.shown, values.shape[-2:])).astype(int)
    return values[..., :rows, :columns]


def _pooled(values: FloatArray, subjects: Sequence[Subject]) -> FloatArray:
    """Maps (T, K, h, w) as (T, the positions on the images of all objects)."""
    parts = [_on_image(values[:, number], subject) for number, subject in enumerate(subjects)]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def _show_object(prompted: Axes, labelled: Axes, subject: Subject) -> None:
    """The image with the prompt, and with the true mask."""
    for axes, title in ((prompted, "image and box"), (labelled, "true mask")):
        axes.imshow(subject.image)
        axes.set_axis_off()
        axes.set_title(title, fontsize="medium")
    r0, c0, r1, c1 = (edge - 0.5 for edge in subject.box)  # pixel centres lie at whole numbers
    prompted.plot([c0, c1, c1, c0, c0], [r0, r0, r1, r1, r0], color=ORANGE)
    labelled.contourf(subject.mask, levels=[0.5, 1], colors=[ORANGE], alpha=0.6)


def _show_map(axes: Axes, subject: Subject, values: FloatArray, limits: FloatArray) -> None:
    """A map where it lies on the image."""
    low, high = limits
    height, width = subject.mask.shape
    rows, columns = subject.shown
    axes.imshow(values, vmin=low, vmax=high, extent=(0, width / columns, height / rows, 0))
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])


def _show_distributions(places: Sequence[Axes], models: Mapping[str, FloatArray]) -> None:
    """How large a share of the positions has a relation, on the same axes for all steps.

    places: the legend's, and one for each step. models: (T, positions) of each.
    """
    legend, first, *others = places
    edges = np.histogram_bin_edges(list(models.values()), _BINS)
    for model, values in models.items():
        for axes, values_then in zip(places[1:], values, strict=True):
            shares = np.histogram(values_then, edges)[0] / values_then.size
            axes.stairs(shares, edges, color=_COLOURS[model], label=model)
            axes.set_xlabel("relation")
            axes.locator_params(axis="x", nbins=3)
    for axes in others:
        axes.sharey(first)
        axes.tick_params(labelleft=False)
    first.set_ylabel("share of positions")
    legend.set_axis_off()
    legend.legend(*first.get_legend_handles_labels(), loc="center", frameon=False)
