"""Recipes: what they say, what they refuse, and the runs that they become."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infosam.benchmark.plan import Run, expand
from infosam.benchmark.recipe import Recipe, read_recipe
from infosam.types import BadInputError

TEXT = """
name = "two methods"
seeds = [0, 1]
training = { steps = 3 }

[[data]]
name = "leaves"
path = "leaves"

[[data]]
name = "cells"
path = "cells"
objects = "labels"

[[methods]]
name = "zero-shot"
peft = "none"

[[methods]]
name = "LoRA"
peft = "lora"
distill = "infosam"
training = { lr = 1e-3 }
"""


def recipe_of(text: str, folder: Path) -> Recipe:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return read_recipe(path)


def runs_of(recipe: Recipe) -> list[Run]:
    return expand(recipe, lambda model: f"weights of {model}")


def test_a_recipe_becomes_every_method_on_every_set_and_what_is_not_trained_runs_once(tmp_path: Path) -> None:
    runs = runs_of(recipe_of(TEXT, tmp_path))
    assert [(run.method.name, run.data.name, run.seed) for run in runs] == [
        ("zero-shot", "leaves", 0),
        ("zero-shot", "cells", 0),
        ("LoRA", "leaves", 0),
        ("LoRA", "cells", 0),
        ("LoRA", "leaves", 1),
        ("LoRA", "cells", 1),
    ]
    assert len({run.id for run in runs}) == 6


def test_the_settings_of_a_method_come_before_those_of_all(tmp_path: Path) -> None:
    recipe = recipe_of(TEXT, tmp_path)
    config = recipe.config(recipe.methods[1], recipe.data[0], seed=7)
    assert (config.peft, config.distill, config.steps, config.lr, config.seed) == (
        "lora",
        "infosam",
        3,
        1e-3,
        7,
    )


def test_a_run_is_known_by_what_decides_its_result_and_not_by_labels(tmp_path: Path) -> None:
    recipe = recipe_of(TEXT, tmp_path)
    before = [run.id for run in runs_of(recipe)]
    renamed = replace(
        recipe, name="other", methods=tuple(replace(m, name=m.name + "!") for m in recipe.methods)
    )
    moved = replace(renamed, data=tuple(replace(data, path="elsewhere") for data in recipe.data))
    assert [run.id for run in runs_of(moved)] == before
    longer = [run.id for run in runs_of(replace(recipe, training={"steps": 4}))]
    assert longer[:2] == before[:2]  # nothing is trained there
    assert not set(longer[2:]) & set(before)
    other_weights = [run.id for run in expand(recipe, lambda model: "others")]
    assert not set(other_weights) & set(before)


def test_how_a_carried_over_relation_was_trained_decides_a_result(tmp_path: Path) -> None:
    recipe = recipe_of(TEXT + 'relation_from = "cells"\n', tmp_path)
    leaves, cells = recipe.data
    before = {(run.method.name, run.data.name, run.seed): run.id for run in runs_of(recipe)}
    longer = replace(recipe, data=(leaves, replace(cells, training={"steps": 9})))
    after = {(run.method.name, run.data.name, run.seed): run.id for run in runs_of(longer)}
    changed = {key for key, number in before.items() if after[key] != number}
    assert changed == {("LoRA", data, seed) for data in ("leaves", "cells") for seed in (0, 1)}
    untrained = TEXT.replace('peft = "none"', 'peft = "none"\nrelation_from = "cells"')
    ids = [run.id for run in runs_of(recipe_of(untrained, tmp_path))]
    assert ids == [run.id for run in runs_of(recipe_of(TEXT, tmp_path))]  # nothing is carried over there


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [0, 1]", "seed = 0", "seed: .*nexpected"),
        ("seeds = [0, 1]", "seeds = []", "seeds must be given"),
        ("seeds = [0, 1]", 'seeds = ["one"]', r"seeds\.0: .*integer"),
        ("steps = 3", "step = 3", r"no setting \['step'\]; it has"),
        ("steps = 3", "steps = 0", "steps must be at least 1"),
        ("steps = 3", "seed = 3", r"no setting \['seed'\]"),
        ('name = "cells"', 'name = "leaves"', "each under a name of its own"),
        ("seeds = [0, 1]", 'baseline = "LORA"', "baseline 'LORA' is not one of the methods"),
        ("seeds = [0, 1]", 'evaluation = { prompts = ["circle"] }', "'circle' is no prompt"),
        ("seeds = [0, 1]", "paper = { dice = {} }", r"paper names the score \['dice'\]"),
        ("seeds = [0, 1]", "paper = { iou = { LORA = {} } }", r"paper names the method \['LORA'\]"),
        (
            "seeds = [0, 1]",
            "paper = { iou = { LoRA = { oaks = 1 } } }",
            r"paper names the test part \['oaks'\]",
        ),
        ("seeds = [0, 1]", "seeds = [0, 1", "is not TOML"),
        ("seeds = [0, 1]", 'figure = "pie"', "figure: .*'bars', 'lines', 'grid' or 'masks'"),
        ("seeds = [0, 1]", 'figure = "lines"', r"recipe\.toml: lines .*boundary_f1_0, .*not through iou"),
        ("seeds = [0, 1]", 'figure = "lines"\nscores = ["boundary_f1_1"]', "not through boundary_f1_1"),
        (
            "seeds = [0, 1]",
            'axes = ["lr", "alpha"]',
            r"axes \['lr', 'alpha'\] are for the figure grid, not bars",
        ),
        (
            "seeds = [0, 1]",
            'figure = "grid"\naxes = ["lr"]',
            r"two settings of training as axes, not \['lr'\]",
        ),
        ("seeds = [0, 1]", 'figure = "grid"\naxes = ["lr", "sun"]', r"as axes, not \['lr', 'sun'\]"),
        (
            "seeds = [0, 1]",
            'figure = "grid"\naxes = ["lr", "distill"]',
            r"grid of lr and distill needs .* 4 pairs .*; on leaves, 2 methods have 2 of them",
        ),
        (
            "seeds = [0, 1]",
            'figure = "grid"\naxes = ["alpha", "steps"]',
            r"the 1 pairs .*; on leaves, 2 methods have 1 of them",
        ),
    ],
)
def test_a_wrong_entry_is_refused_by_its_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(BadInputError, match=message):
        recipe_of(TEXT.replace(old, new), tmp_path)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"nowhere\.toml: No such file"):
        read_recipe(tmp_path / "nowhere.toml")
