"""Results on disk, and the tables that are made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infosam.benchmark.plan import Run, expand
from infosam.benchmark.recipe import DataSet, Evaluation, Method, Recipe
from infosam.benchmark.store import Result, ResultStore
from infosam.benchmark.tables import render
from infosam.types import BadInputError, InfoSAMError

RECIPE = Recipe(
    "comparison",
    data=(DataSet("leaves", "leaves"), DataSet("cells", "cells")),
    methods=(Method("zero-shot", "none"), Method("LoRA", "lora"), Method("both", "lora", "infosam")),
    seeds=(0, 1),
    evaluation=Evaluation(prompts=("box",), others=True, scenes=2),
    baseline="LoRA",
    paper={"iou": {"LoRA": {"cells": 71.5}}},
)
ENVIRONMENT = {"torch": "2.0", "device": "cpu (x)"}


def runs() -> list[Run]:
    return expand(RECIPE, lambda model: "abcdef0123")


def result(scores: dict[str, float], seconds: float = 0.0) -> Result:
    return Result(
        {name: {"box": {"iou": value}} for name, value in scores.items()}, ENVIRONMENT, seconds, 60.0
    )


def everything() -> list[tuple[Run, Result]]:
    found = []
    for run in runs():
        other = "cells" if run.data.name == "leaves" else "leaves"
        gain = {"zero-shot": 0.0, "LoRA": 0.1, "both": 0.1 + 0.02 * (run.seed + 1)}[run.method.name]
        scores = {run.data.name: 0.5 + gain, other: 0.5 - gain / 2, "generated scenes": 0.7 - gain}
        found.append((run, result(scores, seconds=30.0 + run.seed)))
    return found


def test_what_was_put_is_there_in_another_process_or_later(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    run, other = runs()[:2]
    with ResultStore(path) as one, ResultStore(path) as another:
        one.put(run, result({"leaves": 0.5}))
        assert another.get(run) == result({"leaves": 0.5})
        another.put(run, result({"leaves": 0.9}))  # the second of two that ran the same
        assert one.get(other) is None
    with ResultStore(path) as later:
        assert later.get(run) == result({"leaves": 0.5})


def test_how_long_a_run_takes_is_told_from_those_of_the_same_model(tmp_path: Path) -> None:
    with ResultStore(tmp_path / "results.sqlite") as store:
        assert store.typical_seconds("sam_pocket") is None
        store.put(runs()[0], result({"leaves": 0.5}))
        assert store.typical_seconds("sam_pocket") == 60.0
        assert store.typical_seconds("sam_vit_b") is None


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at " * 10)
    with pytest.raises(BadInputError, match="is not a results store"):
        ResultStore(path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InfoSAMError, match="cannot open the results store"):
        ResultStore(tmp_path / "missing" / "results.sqlite")


def row(text: str, method: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {method} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_table_gives_means_errors_gains_and_the_difference_from_the_baseline() -> None:
    text = render(RECIPE, everything(), asked=10)
    assert row(text, "method") == [
        "method", "leaves", "cells", "gain", "other sets", "generated scenes", "against LoRA",
    ]  # fmt: skip
    assert row(text, "zero-shot") == ["zero-shot", "0.500", "0.500", "", "", "", "-0.100"]
    assert row(text, "LoRA") == [
        "LoRA", "0.600 ± 0.000", "0.600 ± 0.000 (paper 0.715)", "+0.100", "-0.050", "-0.100", "",
    ]  # fmt: skip
    # Seeds 0 and 1 give 0.62 and 0.64: mean 0.63, standard deviation 0.01414, over the root of two 0.01.
    both = row(text, "both")
    assert both[1:4] == ["0.630 ± 0.010", "0.630 ± 0.010", "+0.130"]
    # Four differences, twice 0.02 and twice 0.04: t = 0.03 / (0.011547 / 2) = 5.196, 3 degrees of freedom.
    assert both[-1] == "+0.030 (p = 0.01, 4 pairs)"


def test_a_reading_stands_above_the_tables() -> None:
    plain, read = (
        render(replace(RECIPE, reading=text), everything(), asked=10) for text in ("", "In words.\n")
    )
    assert read.replace("\nIn words.\n", "", 1) == plain
    assert read.index("In words.") < read.index("## ")


def test_a_table_says_what_is_missing_and_where_figures_come_from() -> None:
    text = render(RECIPE, everything()[:3], asked=10)
    assert "3 of 10 runs; the others are missing below" in text
    assert "weights sam_pocket abcdef01" in text
    assert "torch 2.0 on cpu (x)" in text
    assert row(text, "both")[1:] == ["–", "–", "", "", "", ""]
    assert row(text, "LoRA")[1:3] == ["0.600", "– (paper 0.715)"]


def test_the_same_results_give_the_same_text() -> None:
    assert render(RECIPE, everything(), asked=10) == render(RECIPE, everything()[::-1], asked=10)
