"""Figures: what is drawn of results, and the PNG files that they become."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from infosam.benchmark.figures import draw, write
from infosam.benchmark.plan import Run, expand
from infosam.benchmark.recipe import DataSet, Evaluation, Method, Recipe, read_recipe
from infosam.benchmark.store import Result, ResultStore
from infosam.cli.app import app
from infosam.types import InfoSAMError

BARS = Recipe(
    "bars",
    data=(DataSet("leaves", "leaves"), DataSet("cells", "cells")),
    methods=(Method("zero-shot", "none"), Method("LoRA", "lora"), Method("a long name, " * 3, "adapter")),
    seeds=(0, 1),
    evaluation=Evaluation(prompts=("box",)),
    paper={"iou": {"LoRA": {"cells": 71.5}}},
)
LINES = replace(BARS, figure="lines", scores=("boundary_f1_0", "boundary_f1_2", "boundary_f1_3"), paper={})
GRID = replace(
    BARS,
    methods=tuple(
        Method(f"{compress} and {distill}", "lora", training={"lambda_compress": compress, **settings})
        for compress in (0.1, 1.0, 2.0)
        for distill, settings in ((0.5, {}), (1.0, {"lambda_distill": 1.0}))
    ),
    figure="grid",
    axes=("lambda_compress", "lambda_distill"),
    paper={},
)
RECIPES = {"bars": BARS, "lines": LINES, "grid": GRID}


def score(run: Run, number: int) -> float:
    """A made-up score: methods differ by 0.1, seeds by 0.04 and the scores of a run by 0.01."""
    row = [method.name for method in run.recipe.methods].index(run.method.name)
    return 0.2 + 0.1 * row + 0.04 * run.seed + 0.01 * number


def result(run: Run) -> Result:
    scores = {name: score(run, number) for number, name in enumerate(run.recipe.scores)}
    return Result({run.data.name: {"box": scores}}, {"torch": "2", "device": "cpu"}, 1.0, 2.0)


def results(recipe: Recipe) -> list[tuple[Run, Result]]:
    return [(run, result(run)) for run in expand(recipe, lambda model: model)]


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_bar_is_a_mean_with_its_error_and_the_paper_is_a_mark() -> None:
    (figure,) = draw(BARS, results(BARS), asked=10).values()
    assert figure.get_suptitle() == "sam_pocket: iou by box"
    leaves, cells = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["leaves", "cells"]
    assert [tick.get_text() for tick in leaves.get_yticklabels()] == [m.name for m in BARS.methods]
    assert [bar.get_width() for bar in leaves.patches] == pytest.approx([0.2, 0.32, 0.42])
    assert texts(leaves) == ["0.200", "0.320", "0.420"]
    # Two seeds, 0.04 apart: a standard deviation of 0.0283, over the root of two 0.02. One seed has none.
    (whiskers,) = leaves.collections
    none, *spans = whiskers.get_segments()
    assert not len(none)
    np.testing.assert_allclose(spans, [[[0.30, 1], [0.34, 1]], [[0.40, 2], [0.44, 2]]])
    marks = [axes.lines[-1].get_xdata() for axes in (leaves, cells)]
    np.testing.assert_array_equal(marks, [[np.nan] * 3, [np.nan, 0.715, np.nan]])


def test_what_is_missing_is_said() -> None:
    (figure,) = draw(BARS, results(BARS)[:3], asked=10).values()
    assert "3 of 10 runs; the others are missing" in figure.get_supxlabel()
    assert texts(figure.axes[1]) == ["0.200", "–", "–"]
    (figure,) = draw(BARS, results(BARS), asked=10).values()
    assert "missing" not in figure.get_supxlabel()


def test_a_line_goes_over_the_tolerances() -> None:
    drawn = draw(LINES, results(LINES), asked=10)
    assert list(drawn) == ["sam_pocket-boundary_f1-box"]
    (figure,) = drawn.values()
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    line = lines["LoRA"]
    assert list(line.get_xdata()) == [0, 2, 3]
    assert line.get_ydata() == pytest.approx([0.32, 0.33, 0.34])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [method.name for method in LINES.methods]


def test_a_grid_has_a_cell_for_each_pair_of_values() -> None:
    (figure,) = draw(GRID, results(GRID)[:-2], asked=24).values()
    leaves, cells = figure.axes
    (image,) = leaves.images
    np.testing.assert_allclose(image.get_array(), [[0.22, 0.32], [0.42, 0.52], [0.62, 0.70]])
    assert (leaves.get_ylabel(), leaves.get_xlabel()) == GRID.axes
    assert [tick.get_text() for tick in leaves.get_yticklabels()] == ["0.1", "1.0", "2.0"]
    assert [tick.get_text() for tick in leaves.get_xticklabels()] == ["0.5", "1.0"]
    assert texts(cells)[:2] == ["0.220", "0.320"]


@pytest.mark.parametrize("form", RECIPES)
def test_the_same_results_give_the_same_bytes(form: str, tmp_path: Path) -> None:
    recipe = RECIPES[form]
    made = results(recipe)
    (first,) = write(recipe, made, len(made), tmp_path / "first")
    (second,) = write(recipe, made[::-1], len(made), tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as image:
        assert image.format == "PNG"
        assert not image.text
        assert 400 < image.width < 1500
        assert 200 < image.height < 800
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


@pytest.mark.parametrize("form", RECIPES)
def test_nothing_is_cut_off(form: str, check_nothing_is_cut_off: Callable[[Any], None]) -> None:
    recipe = RECIPES[form]
    (figure,) = draw(recipe, results(recipe), asked=99).values()
    check_nothing_is_cut_off(figure)


@pytest.mark.parametrize("form", RECIPES)
def test_without_any_result_a_figure_is_empty_but_there(form: str, tmp_path: Path) -> None:
    (path,) = write(RECIPES[form], [], 4, tmp_path)
    assert path.stat().st_size > 0


def test_a_figure_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InfoSAMError, match=r"cannot write .*taken"):
        write(BARS, results(BARS), 10, tmp_path / "taken")


RECIPE = """
name = "two methods"
seeds = [0]
evaluation = { prompts = ["box"] }
[[data]]
name = "leaves"
path = "leaves"
[[methods]]
name = "zero-shot"
peft = "none"
[[methods]]
name = "LoRA"
peft = "lora"
"""


def stored_recipe(folder: Path) -> Path:
    """A recipe whose runs are all in the store beside it."""
    from infosam.models.registry import weights_hash

    path = folder / "two.toml"
    path.write_text(RECIPE, encoding="utf-8")
    with ResultStore(path.with_suffix(".sqlite")) as store:
        for run in expand(read_recipe(path), weights_hash):
            store.put(run, result(run))
    return path


def test_the_command_draws_what_the_store_holds(tmp_path: Path) -> None:
    path = stored_recipe(tmp_path)
    done = CliRunner().invoke(app, ["benchmark", str(path), "--figures", str(tmp_path / "figures")])
    assert done.exit_code == 0, done.output
    assert "| LoRA | 0.300 |" in done.stdout
    (figure,) = (tmp_path / "figures").iterdir()
    assert figure.name == "sam_pocket-iou-box.png"


def test_without_matplotlib_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored_recipe(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for name in ("canvas", "figures"):
        monkeypatch.delitem(sys.modules, f"infosam.benchmark.{name}", raising=False)
    done = CliRunner().invoke(app, ["benchmark", str(path), "--figures", str(tmp_path / "figures")])
    assert isinstance(done.exception, InfoSAMError)
    assert 'pip install "napari-infosam[figures]"' in str(done.exception)
    assert CliRunner().invoke(app, ["benchmark", str(path)]).exit_code == 0
