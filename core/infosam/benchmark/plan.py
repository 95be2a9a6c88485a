"""A recipe's runs, each known by everything that decides its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from infosam.benchmark.recipe import UNTRAINED, DataSet, Method, Recipe

_ID_LENGTH = 12


@dataclass(frozen=True)
class Run:
    """One method on one data set with one model and seed. weights: the hash of the model's weights."""

    recipe: Recipe
    model: str
    weights: str
    method: Method
    data: DataSet
    seed: int

    @property
    def key(self) -> dict[str, Any]:
        """What decides the result, as JSON values; names that only label things, and where data lie, do
        not."""
        recipe = self.recipe
        key: dict[str, Any] = {
            "model": self.model,
            "weights": self.weights,
            "data": _data_key(self.data),
            "peft": self.method.peft,
            "seed": self.seed,
            "max_objects": recipe.max_objects,
            "evaluation": asdict(recipe.evaluation),
        }
        if self.method.peft != UNTRAINED:
            if recipe.evaluation.others:
                key["others"] = [_data_key(data) for data in recipe.data if data != self.data]
            key |= {
                "distill": self.method.distill,
                "train_images": recipe.train_images,
                "training": recipe.training_of(self.method, self.data),
            }
            key |= self._relation_key(key["training"])
        return key

    def _relation_key(self, training: dict[str, Any]) -> dict[str, Any]:
        """How a relation module that is carried over was trained; its settings only where they are not
        `training`, the run's own, so that runs which were made before they counted are still known."""
        key: dict[str, Any] = {}
        for source in self.recipe.data:
            if source.name == self.method.relation_from:
                key["relation_from"] = [_data_key(source)]
                if (own := self.recipe.training_of(self.method, source)) != training:
                    key["relation_training"] = own
        return key

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits of the key's hash."""
        return hashlib.sha256(json.dumps(self.key, sort_keys=True).encode()).hexdigest()[:_ID_LENGTH]

    def __str__(self) -> str:
        return f"{self.model} {self.method.name} on {self.data.name}, seed {self.seed}"


def expand(recipe: Recipe, weights: Callable[[str], str]) -> list[Run]:
    """All runs, seed by seed, so that a table without gaps is there early; what is not trained runs once.

    weights: gives the hash of a model's weights by its name; asked where the recipe does not say it.
    """
    hashes = {model: recipe.weights.get(model) or weights(model) for model in recipe.models}
    return [
        Run(recipe, model, hashes[model], method, data, seed)
        for number, seed in enumerate(recipe.seeds)
        for method in recipe.methods
        if number == 0 or method.peft != UNTRAINED
        for model in recipe.models
        for data in recipe.data
    ]


def _data_key(data: DataSet) -> dict[str, Any]:
    """What is trained and measured on; `training` is in the run's own key."""
    key = {name: value for name, value in asdict(data).items() if name not in ("path", "training")}
    return key | {"tests": sorted(data.tests)}
