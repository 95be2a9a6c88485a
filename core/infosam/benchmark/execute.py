"""One run: adapt, measure, and say where that was done."""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.metadata import version

import torch

from infosam import api
from infosam.benchmark.data import draw, generated, read, split
from infosam.benchmark.plan import Run
from infosam.benchmark.recipe import UNTRAINED, DataSet, Recipe
from infosam.benchmark.store import Result
from infosam.data.labelled import LabelledImage
from infosam.models.base import PromptableModel
from infosam.types import Report

SCENES = "generated scenes"
Scores = dict[str, dict[str, float]]


class Executor:
    """Runs what a recipe asks for; data and pre-trained models are read once.

    device: as in `load_model`. report: called with every report of training.
    """

    def __init__(self, recipe: Recipe, device: str, report: Callable[[Report], None] | None = None) -> None:
        self._recipe, self._device, self._report = recipe, device, report
        self._model = lru_cache(maxsize=1)(lambda name: api.load_model(name, device=device))
        self._parts = lru_cache(maxsize=None)(self._read_parts)
        self._scenes = lru_cache(maxsize=1)(lambda: generated(recipe.evaluation.scenes, recipe.max_objects))

    def execute(self, run: Run) -> Result:
        """The scores of one run. Raises what adapting and evaluating raise."""
        began = time.perf_counter()
        model, seconds, where = self._model(run.model), 0.0, [run.data]
        evaluation = self._recipe.evaluation
        if run.method.peft != UNTRAINED:
            model, seconds = self._adapted(run, model)
            where += [data for data in self._recipe.data if evaluation.others and data != run.data]
        scores = {data.name: self._measure(model, self._parts(data)[1]) for data in where}
        if evaluation.scenes:
            scores[SCENES] = self._measure(model, self._scenes())
        environment = {
            "infosam": version("napari-infosam"),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": _device_name(model.device),
            "threads": str(torch.get_num_threads()),
        }
        return Result(scores, environment, round(seconds, 2), round(time.perf_counter() - began, 2))

    def _adapted(self, run: Run, model: PromptableModel) -> tuple[PromptableModel, float]:
        images = draw(self._parts(run.data)[0], self._recipe.train_images, run.seed)
        config = self._recipe.config(run.method, run.seed)
        with tempfile.TemporaryDirectory(prefix="infosam-benchmark-") as folder:
            began = time.perf_counter()
            for report in api.adapt(images, model=model, config=config, out=folder):
                if self._report is not None:
                    self._report(report)
            seconds = time.perf_counter() - began
            return api.load_model(run.model, adapter=folder, device=self._device), seconds

    def _read_parts(self, data: DataSet) -> tuple[list[LabelledImage], list[LabelledImage]]:
        train, test = split(data, read(data, self._recipe.max_objects))
        return train, draw(test, self._recipe.evaluation.limit, 0)

    def _measure(self, model: PromptableModel, images: Sequence[LabelledImage]) -> Scores:
        evaluation = self._recipe.evaluation
        scores: Scores = {}
        for prompt in evaluation.prompts:
            found = api.evaluate(
                images, model=model, prompt=prompt, protocol=evaluation.protocol, zoom=evaluation.zoom
            )
            boundary = {f"boundary_f1_{px}": value for px, value in found["boundary_f1"].items()}
            numbers = {name: value for name, value in found.items() if isinstance(value, int | float)}
            scores[prompt] = numbers | boundary
        return scores


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()})"
