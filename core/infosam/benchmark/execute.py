"""One run: adapt, measure, and say where that was done."""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import torch

from infosam import api
from infosam.benchmark.data import Parts, draw, generated, parts
from infosam.benchmark.plan import Run
from infosam.benchmark.recipe import UNTRAINED, DataSet, Recipe
from infosam.benchmark.shown import shown_masks
from infosam.benchmark.store import Result, ShownMask
from infosam.data.labelled import LabelledImage
from infosam.inference.cache import EmbeddingCache
from infosam.inference.evaluate import Settings
from infosam.models.base import PromptableModel
from infosam.training.adaptation import RELATION_NAME
from infosam.types import AdaptConfig, BadInputError, Report

SCENES = "generated scenes"
_KEPT = 1 << 31  # bytes of embeddings: each image is measured by several prompts
Scores = dict[str, dict[str, float]]


class Executor:
    """Runs what a recipe asks for; data and pre-trained models are read once.

    device: as in `load_model`. report: called with every report of training.
    """

    def __init__(self, recipe: Recipe, device: str, report: Callable[[Report], None] | None = None) -> None:
        self._recipe, self._device, self._report = recipe, device, report
        self._model = lru_cache(maxsize=1)(lambda name: api.load_model(name, device=device))
        self._data = {data.name: data for data in recipe.data}
        self._parts = lru_cache(maxsize=None)(self._read_parts)
        self._scenes = lru_cache(maxsize=1)(lambda: generated(recipe.evaluation.scenes, recipe.max_objects))

    def execute(self, run: Run) -> Result:
        """The scores of one run. Raises what adapting and evaluating raise."""
        began = time.perf_counter()
        model, seconds, where = self._model(run.model), 0.0, [run.data]
        if model.sha256 != run.weights:
            raise BadInputError(
                f"the recipe asks for {run.model} with the weights {run.weights[:8]}, but this version has "
                f"{str(model.sha256)[:8]}: install the version that had them, or remove them from the recipe"
            )
        evaluation = self._recipe.evaluation
        if run.method.peft != UNTRAINED:
            model, seconds = self._adapted(run, model)
            where += [data for data in self._recipe.data if evaluation.others and data != run.data]
        cache = EmbeddingCache(_KEPT)
        scores = {
            column: self._measure(model, images, self._recipe.prompts(data), cache)
            for data in where
            for column, images in self._parts(data.name)[1].items()
        }
        if evaluation.scenes:
            scores[SCENES] = self._measure(model, self._scenes(), self._recipe.prompts(run.data), cache)
        environment = {
            "infosam": version("napari-infosam"),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": _device_name(model.device),
            "threads": str(torch.get_num_threads()),
        }
        masks = {
            column: self._show(model, images, self._recipe.prompts(run.data), cache)
            for column, images in self._parts(run.data.name)[1].items()
        }
        return Result(scores, environment, round(seconds, 2), round(time.perf_counter() - began, 2), masks)

    def _adapted(self, run: Run, model: PromptableModel) -> tuple[PromptableModel, float]:
        config = self._recipe.config(run.method, run.data, run.seed)
        with tempfile.TemporaryDirectory(prefix="infosam-benchmark-") as folder:
            if (name := run.method.relation_from) is not None:
                source = self._data[name]
                first = Path(folder, "relation")
                own = self._recipe.config(run.method, source, run.seed)
                self._adapt(source, model, own, run.seed, first)
                config = replace(config, relation_weights=str(first / RELATION_NAME))
            began = time.perf_counter()
            self._adapt(run.data, model, config, run.seed, Path(folder, "adapter"))
            seconds = time.perf_counter() - began
            adapted = api.load_model(run.model, adapter=Path(folder, "adapter"), device=self._device)
        return adapted, seconds

    def _adapt(
        self, data: DataSet, model: PromptableModel, config: AdaptConfig, seed: int, out: Path
    ) -> None:
        images = draw(self._parts(data.name)[0], self._recipe.train_images, seed)
        for report in api.adapt(images, model=model, config=config, out=out):
            if self._report is not None:
                self._report(report)

    def _read_parts(self, name: str) -> Parts:
        train, tests = parts(self._data[name], self._recipe.max_objects)
        limit = self._recipe.evaluation.limit
        return train, {name: draw(images, limit, 0) for name, images in tests.items()}

    def _measure(
        self,
        model: PromptableModel,
        images: Sequence[LabelledImage],
        prompts: Sequence[str],
        cache: EmbeddingCache,
    ) -> Scores:
        evaluation = self._recipe.evaluation
        scores: Scores = {}
        for prompt in prompts:
            found = api.evaluate(
                images,
                model=model,
                prompt=prompt,
                protocol=evaluation.protocol,
                zoom=evaluation.zoom,
                cache=cache,
            )
            boundary = {f"boundary_f1_{px}": value for px, value in found["boundary_f1"].items()}
            numbers = {name: value for name, value in found.items() if type(value) in (int, float)}
            scores[prompt] = numbers | boundary
        return scores

    def _show(
        self,
        model: PromptableModel,
        images: Sequence[LabelledImage],
        prompts: Sequence[str],
        cache: EmbeddingCache,
    ) -> dict[str, list[ShownMask]]:
        settings = Settings(protocol=self._recipe.evaluation.protocol, zoom=self._recipe.evaluation.zoom)
        return {
            prompt: shown_masks(model, images, replace(settings, prompt=prompt), cache) for prompt in prompts
        }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()})"
