"""Results as Markdown: means over seeds with their standard errors, and what differs from the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np
from scipy import stats

from infosam.benchmark.execute import SCENES
from infosam.benchmark.plan import Run
from infosam.benchmark.recipe import UNTRAINED, Method, Recipe
from infosam.benchmark.store import Result

Results = Sequence[tuple[Run, Result]]
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
                lines += ["", f"## {model}: {score.replace('_', ' ')} by {prompt}", ""]
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
    names = [name for data in recipe.data if prompt in recipe.prompts(data) for name in data.columns]
    extra = _extra_columns(recipe)
    head = ["method", *names, *extra]
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    start = _values(results, UNTRAINED, prompt, score, by_peft=True)
    for method in recipe.methods:
        values = _values(results, method.name, prompt, score)
        cells = [method.name]
        for name in names:
            published = _published(recipe, method, name, prompt, score)
            cells.append(_cell(list(values.get(name, {}).values()), published))
        cells += _extra(recipe, results, method, prompt, score, start)
        rows.append(f"| {' | '.join(cells)} |")
    return rows


Values = dict[str, dict[int, float]]
"""A score by data set and seed."""


def _values(results: Results, name: str, prompt: str, score: str, *, by_peft: bool = False) -> Values:
    """The scores of a method on the data that it was adapted to."""
    values: Values = {}
    for run, result in results:
        if (run.method.peft if by_peft else run.method.name) == name:
            for column in run.data.columns:
                if prompt in result.scores[column]:
                    values.setdefault(column, {})[run.seed] = result.scores[column][prompt][score]
    return values


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
        own, other = (_values(results, name, prompt, score) for name in (method.name, recipe.baseline))
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


def _published(recipe: Recipe, method: Method, column: str, prompt: str, score: str) -> float | None:
    """In percent. The paper measures every set by one prompt, the first one here."""
    first = {name: recipe.prompts(data)[0] for data in recipe.data for name in data.columns}
    if prompt != first[column]:
        return None
    return recipe.paper.get(score, {}).get(method.name, {}).get(column)


def _cell(values: Sequence[float], published: float | None) -> str:
    text = "–"
    if values:
        text = f"{np.mean(values):.3f}"
    if len(values) > 1:
        text += f" ± {np.std(values, ddof=1) / sqrt(len(values)):.3f}"
    return text if published is None else f"{text} (paper {published / 100:.3f})"
