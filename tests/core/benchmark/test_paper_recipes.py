"""The recipes of the paper's tables and figures: all can be read, and planned without data or weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from infosam.benchmark.plan import expand
from infosam.benchmark.recipe import Recipe, read_recipe
from infosam.cli.app import app

FOLDER = Path(__file__).parents[3] / "benchmarks" / "paper"
RECIPES = sorted(FOLDER.glob("*.toml"))


def recipe(name: str) -> Recipe:
    return read_recipe(FOLDER / f"{name}.toml")


def test_every_table_has_its_recipe_and_so_have_figures_of_runs() -> None:
    tables = {f"table{number}" for number in range(1, 14)}
    figures = {f"figure{number}" for number in (4, 6, 7, 10, 11, 12)}
    assert {path.stem for path in RECIPES} == tables | figures


def test_larger_models_teach_in_figure_4() -> None:
    known = recipe("figure4")
    teachers = [known.config(method, known.data[0], 0).teacher for method in known.methods]
    assert teachers == [None, None, "sam_vit_l", "sam_vit_h"]


def test_figures_are_drawn_as_in_the_paper() -> None:
    forms = {path.stem: read_recipe(path).figure for path in RECIPES}
    assert (forms["figure4"], forms["figure6"], forms["figure7"]) == ("bars", "grid", "lines")
    assert {forms[f"figure{number}"] for number in (10, 11, 12)} == {"masks"}
    assert recipe("figure6").axes == ("lambda_compress", "lambda_distill")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_one_command_plans_a_table(path: Path, tmp_path: Path) -> None:
    runs = expand(read_recipe(path), lambda model: model)
    options = ["--dry-run", "--store", str(tmp_path / "results.sqlite")]
    done = CliRunner().invoke(app, ["benchmark", str(path), *options])
    assert done.exit_code == 0, done.output
    assert f"{len(runs)} of {len(runs)} runs to do" in done.output
    assert len({run.id for run in runs}) == len(runs)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_table_trains_as_the_paper_says(path: Path) -> None:
    known = read_recipe(path)
    for data in known.data:
        for method in known.methods:
            config = known.config(method, data, 0)
            assert (config.mode, config.batch_size, config.val_fraction) == ("official", 4, 0)
            assert config.steps == (5520 if data.name == "road" else None)
        assert known.prompts(data) == (("road5",) if data.name == "road" else ("box",))


def test_published_figures_stand_where_the_paper_has_them() -> None:
    assert recipe("table1").paper["iou"]["LoRA+Ours"] == {"ISIC": 88.1, "Leaf": 72.2, "Road": 59.9}
    assert recipe("table2").paper["s_measure"]["TinySAM"] == {"CAMO": 83.7, "Kvasir": 88.5}
    assert recipe("table3").paper["iou"]["VID"] == {"Leaf": 77.2, "Road": 61.1}
    assert recipe("table8").paper["weighted_f"]["InfoSAM"] == {
        "CHAMELEON": 89.6,
        "CAMO": 87.1,
        "COD10K": 86.2,
    }
    assert recipe("table10").paper["dice"]["TinySAM"] == {"Leaf": 56.1, "Road": 36.5}


@pytest.mark.parametrize(("table", "data"), [("table7", "polyp"), ("table8", "camouflage")])
def test_what_tables_share_is_run_once_in_a_common_store(table: str, data: str) -> None:
    first, second, own = (
        {run.id for run in expand(recipe(name), lambda model: model) if run.data.name == data}
        for name in ("table1", "table2", table)
    )
    assert own <= first | second
