"""Results as Markdown: means over seeds with their standard errors, and what differs from the baseline."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import isnan

import numpy as np
from scipy import stats

from infosam.benchmark.execute import SCENES
from infosam.benchmark.recipe import UNTRAINED, Method, Recipe
from infosam.benchmark.scores import (
    Results,
    Values,
    columns_of,
    heading,
    mean_and_error,
    published,
    values_of,
)

_MIN_PAIRS = 3  # of runs, for a paired test


def render(recipe: Recipe, results: Results, asked: int) -> str:
    """The recipe's tables. asked: how many runs it has in all; what is missing is said."""
    lines = [f"# {recipe.name}", "", _origin(recipe, results, asked)]
    if recipe.reading:
        lines += ["", recipe.reading.strip()]
    for model in recipe.models:
        own = [(run, result) for run, result in results if run.model == model]
        for score in recipe.scores:
            for prompt in recipe.all_prompts():
                lines += ["", f"## {heading(model, score, prompt)}", ""]
                lines += _table(recipe, own, prompt, score)
    seconds = [result.seconds for run, result in results if run.method.peft != UNTRAINED]
    if seconds:
        middle, most = np.median(seconds), max(seconds)
        lines += ["", f"{len(seconds)} adaptations: {middle:.0f} s in the median, {most:.0f} s at most."]
    return "\n".join(lines) + "\n"


def _origin(recipe: Recipe, results: Results, asked: int) -> str:
    """Where the figures come from."""
    devices = sorted({result.environment["device"] for _, result in results})
    versions = sorted({result.environment["torch"] for _, result in results})
    weights = sorted({f"{run.model} {run.weights[:8]}" for run, _ in results})
    evaluation = recipe.evaluation
    said = [
        f"{len(results)} of {asked} runs"
        + ("" if len(results) == asked else "; the others are missing below"),
        f"seeds {', '.join(map(str, recipe.seeds))}",
        f"mode {recipe.training.get('mode', 'clean')}",
        f"protocol {evaluation.protocol}, zoom {evaluation.zoom}",
        f"weights {', '.join(weights)}",
        f"torch {', '.join(versions)} on {', '.join(devices)}",
    ]
    if recipe.train_images is not None:
        said.insert(1, f"{recipe.train_images} training images")
    if evaluation.limit is not None:
        said.insert(1, f"at most {evaluation.limit} test images per set")
    return ". ".join(said) + "."


def _table(recipe: Recipe, results: Results, prompt: str, score: str) -> list[str]:
    names = columns_of(recipe, prompt)
    head = ["method", *names, *_extra_columns(recipe)]
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    start = values_of(results, UNTRAINED, prompt, score, by_peft=True)
    for method in recipe.methods:
        values = values_of(results, method.name, prompt, score)
        cells = [method.name]
        for name in names:
            paper = published(recipe, method, name, prompt, score)
            cells.append(_cell(values.get(name, {}).values(), paper))
        cells += _extra(recipe, results, method, prompt, score, start)
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _extra_columns(recipe: Recipe) -> list[str]:
    columns = []
    if any(method.peft == UNTRAINED for method in recipe.methods):
        columns.append("gain")
        columns += ["other sets"] * recipe.evaluation.others + [SCENES] * bool(recipe.evaluation.scenes)
    if recipe.baseline is not None:
        columns.append(f"against {recipe.baseline}")
    return columns


def _extra(
    recipe: Recipe, results: Results, method: Method, prompt: str, score: str, start: Values
) -> list[str]:
    """Mean gain over the pre-trained model where it was adapted and elsewhere, and over the baseline."""
    cells: dict[str, str] = dict.fromkeys(_extra_columns(recipe), "")
    if method.peft != UNTRAINED:
        changes = list(_changes(results, method, prompt, score, start))
        for name in cells:
            kept = [change for where, change in changes if where == name]
            cells[name] = f"{np.mean(kept):+.3f}" if kept else ""
    if recipe.baseline is not None and method.name != recipe.baseline:
        own, other = (values_of(results, name, prompt, score) for name in (method.name, recipe.baseline))
        cells[f"against {recipe.baseline}"] = _paired(own, other)
    return list(cells.values())


def _changes(
    results: Results, method: Method, prompt: str, score: str, start: Values
) -> Iterator[tuple[str, float]]:
    """(column, change against the pre-trained model) of every score of a method's runs."""
    before: dict[str, float] = {name: next(iter(values.values())) for name, values in start.items()}
    for run, result in results:
        if run.method.peft == UNTRAINED and prompt in result.scores.get(SCENES, {}):
            before[SCENES] = result.scores[SCENES][prompt][score]
    for run, result in results:
        if run.method.name == method.name:
            for where, scores in result.scores.items():
                column = "gain" if where in run.data.columns else SCENES if where == SCENES else "other sets"
                if where in before and prompt in scores:
                    yield column, scores[prompt][score] - before[where]


def _paired(own: Values, other: Values) -> str:
    """The mean difference over pairs of the same data and seed, with the p value of a paired t test."""
    pairs = [
        (own[name][seed], other[name][seed])
        for name in own
        for seed in own[name]
        if seed in other.get(name, {})
    ]
    if not pairs:
        return ""
    differences = np.array([one - another for one, another in pairs])
    text = f"{differences.mean():+.3f}"
    if len(pairs) < _MIN_PAIRS or not differences.any():
        return text
    return f"{text} (p = {float(stats.ttest_1samp(differences, 0).pvalue):.2f}, {len(pairs)} pairs)"


def _cell(values: Collection[float], paper: float | None) -> str:
    mean, error = mean_and_error(values)
    text = "–" if isnan(mean) else f"{mean:.3f}"
    if not isnan(error):
        text += f" ± {error:.3f}"
    return text if paper is None else f"{text} (paper {paper:.3f})"
