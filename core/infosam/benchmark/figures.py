"""Results as figures: methods as bars, as lines over the tolerance of boundary scores, as a grid, or by their
masks."""

from __future__ import annotations

from itertools import cycle, product
from math import isnan, nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infosam.benchmark.canvas import BLUE, COLOURS, ORANGE, Figure, panels, save
from infosam.benchmark.mask_figure import NOTE as MASK_NOTE
from infosam.benchmark.mask_figure import draw_masks
from infosam.benchmark.recipe import Recipe
from infosam.benchmark.scores import (
    Results,
    columns_of,
    heading,
    mean_and_error,
    published,
    values_of,
)
from infosam.metrics import BOUNDARY_KEYS

Means = NDArray[np.float64]
_BOUNDARY = "boundary_f1"
_NOTE = "mean over seeds, with its standard error"
_MARKERS = "os^Dv<>P*Xp"
_CHARACTER = 0.085  # inches of a letter in a label


def draw(recipe: Recipe, results: Results, asked: int) -> dict[str, Figure]:
    """The recipe's figures by their names: one per model, score and prompt; lines take all scores at once,
    and masks have one per model, test part and prompt.

    asked: how many runs the recipe has in all; what is missing is said.
    """
    missing = "" if len(results) == asked else f"\n{len(results)} of {asked} runs; the others are missing"
    figures: dict[str, Figure] = {}
    if recipe.figure == "masks":
        for model in recipe.models:
            figures |= draw_masks(recipe, results, model)
        for figure in figures.values():
            figure.supxlabel(f"{MASK_NOTE}{missing}", fontsize="medium")
        return figures
    form = {"bars": _bars, "lines": _lines, "grid": _grid}[recipe.figure]
    for model in recipe.models:
        own = [(run, result) for run, result in results if run.model == model]
        for score in (_BOUNDARY,) if recipe.figure == "lines" else recipe.scores:
            for prompt in recipe.all_prompts():
                figure, about = form(recipe, own, prompt, score, heading(model, score, prompt))
                figure.supxlabel(f"{about}{missing}", fontsize="medium")
                figures[f"{model}-{score}-{prompt}"] = figure
    return figures


def write(recipe: Recipe, results: Results, asked: int, folder: Path) -> list[Path]:
    """Write what `draw` gives into `folder` as PNG files; the same results give the same bytes.

    Raises InfoSAMError if a file cannot be written; for masks, BadInputError as `draw_masks` does.
    """
    paths = []
    for name, figure in draw(recipe, results, asked).items():
        paths.append(folder / f"{name}.png")
        save(figure, paths[-1])
    return paths


def _bars(recipe: Recipe, results: Results, prompt: str, score: str, title: str) -> tuple[Figure, str]:
    """Methods from top to bottom, and the paper's figures as marks (InfoSAM's figure 4 has bars, too)."""
    parts, methods = columns_of(recipe, prompt), [method.name for method in recipe.methods]
    rows = np.arange(len(methods))
    margin = _CHARACTER * max(map(len, methods))
    figure, places = panels(title, parts, (2.6, 0.27 * len(methods) + 0.5), margin, share_y=True)
    for part, axes in zip(parts, places, strict=True):
        means, errors = _means(recipe, results, prompt, score, part)
        paper = [published(recipe, method, part, prompt, score) for method in recipe.methods]
        axes.barh(rows, means, xerr=errors, color=BLUE, height=0.7, capsize=2)
        axes.plot([nan if mark is None else mark for mark in paper], rows, "D", color=ORANGE, mec="white")
        for row, mean in enumerate(means):
            axes.text(1.03, row, _text(mean), color=BLUE, va="center")
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1])
        axes.set_yticks(rows, methods)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right"]].set_visible(False)
    places[0].set_ylim(len(methods) - 0.5, -0.5)
    return figure, _NOTE + "; ◆ the paper's" * (score in recipe.paper)


def _lines(recipe: Recipe, results: Results, prompt: str, score: str, title: str) -> tuple[Figure, str]:
    """A line for each method over the tolerances (InfoSAM's figure 7)."""
    parts = columns_of(recipe, prompt)
    tolerances = [tolerance for tolerance, key in BOUNDARY_KEYS.items() if key in recipe.scores]
    figure, places = panels(title, parts, (3.4, 3.4), 1.6)
    for part, axes in zip(parts, places, strict=True):
        curves = [_means(recipe, results, prompt, f"{score}_{pixels}", part) for pixels in tolerances]
        means, errors = np.stack(curves, axis=-1)
        looks = zip(cycle(product(("-", "--", ":"), COLOURS)), cycle(_MARKERS), strict=False)
        for method, mean, error, ((dashes, colour), marker) in zip(
            recipe.methods, means, errors, looks, strict=False
        ):
            axes.plot(tolerances, mean, dashes, color=colour, marker=marker, label=method.name)
            axes.errorbar(tolerances, mean, error, fmt="none", ecolor=colour, capsize=2)
        axes.set_xticks(tolerances)
        axes.set_xlabel("tolerance in pixels")
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    places[0].set_ylabel("boundary F1")
    handles, names = places[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", frameon=False)
    return figure, _NOTE


def _grid(recipe: Recipe, results: Results, prompt: str, score: str, title: str) -> tuple[Figure, str]:
    """A heat map over two settings, each test part with colours of its own (InfoSAM's figure 6)."""
    parts = {part: data for data in recipe.data if prompt in recipe.prompts(data) for part in data.columns}
    figure, places = panels(title, list(parts), (3.4, 3.4), 0.4)
    for (part, data), axes in zip(parts.items(), places, strict=True):
        cells = [recipe.place(method, data) for method in recipe.methods]
        rows, columns = (list(dict.fromkeys(values)) for values in zip(*cells, strict=True))
        means = np.full((len(rows), len(columns)), nan)
        for (row, column), mean in zip(cells, _means(recipe, results, prompt, score, part)[0], strict=True):
            means[rows.index(row), columns.index(column)] = mean
        axes.imshow(means, cmap="cividis", origin="lower", aspect="auto")
        middle = (np.fmin.reduce(means, axis=None) + np.fmax.reduce(means, axis=None)) / 2
        for (row, column), mean in np.ndenumerate(means):
            colour = "white" if mean <= middle else "black"  # what can be read on cividis
            axes.text(column, row, _text(mean), ha="center", va="center", color=colour)
        axes.set_yticks(range(len(rows)), [str(value) for value in rows])
        axes.set_xticks(range(len(columns)), [str(value) for value in columns])
        axes.set_ylabel(recipe.axes[0])
        axes.set_xlabel(recipe.axes[1])
    return figure, "mean over seeds; each panel has colours of its own"


def _means(recipe: Recipe, results: Results, prompt: str, score: str, part: str) -> tuple[Means, Means]:
    """The means of all methods on a test part and their standard errors, nan where there are none."""
    found = [values_of(results, method.name, prompt, score).get(part, {}) for method in recipe.methods]
    means, errors = np.array([mean_and_error(values.values()) for values in found]).T
    return means, errors


def _text(mean: float) -> str:
    return "–" if isnan(mean) else f"{mean:.3f}"
