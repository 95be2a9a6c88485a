"""What tables and figures read from results: a score by test part and seed, its mean, and the paper's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import nan, sqrt

import numpy as np

from infosam.benchmark.plan import Run
from infosam.benchmark.recipe import Method, Recipe
from infosam.benchmark.store import Result

Results = Sequence[tuple[Run, Result]]

Values = dict[str, dict[int, float]]
"""A score by test part and seed."""


def columns_of(recipe: Recipe, prompt: str) -> list[str]:
    """The test parts that are measured by a prompt."""
    return [name for data in recipe.data if prompt in recipe.prompts(data) for name in data.columns]


def heading(model: str, score: str, prompt: str) -> str:
    """What stands above the figures of a score, for people."""
    return f"{model}: {score.replace('_', ' ')} by {prompt}"


def values_of(results: Results, name: str, prompt: str, score: str, *, by_peft: bool = False) -> Values:
    """The scores of a method on the data that it was adapted to."""
    values: Values = {}
    for run, result in results:
        if (run.method.peft if by_peft else run.method.name) == name:
            for column in run.data.columns:
                if prompt in result.scores[column]:
                    values.setdefault(column, {})[run.seed] = result.scores[column][prompt][score]
    return values


def mean_and_error(values: Collection[float]) -> tuple[float, float]:
    """The mean over seeds and its standard error: nan without a value, the error also with a single one."""
    if not values:
        return nan, nan
    several = list(values)
    error = np.std(several, ddof=1) / sqrt(len(several)) if len(several) > 1 else nan
    return float(np.mean(several)), float(error)


def published(recipe: Recipe, method: Method, column: str, prompt: str, score: str) -> float | None:
    """The paper's figure as a share of one. It measures every set by one prompt, the first one here."""
    first = {name: recipe.prompts(data)[0] for data in recipe.data for name in data.columns}
    if prompt != first[column]:
        return None
    percent = recipe.paper.get(score, {}).get(method.name, {}).get(column)
    return None if percent is None else percent / 100
