"""What a comparison consists of, as a TOML file says it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from infosam.metrics import BOUNDARY_KEYS, ScoringProtocol
from infosam.types import PROMPT_PROTOCOLS, AdaptConfig, BadInputError, Zoom

UNTRAINED = "none"
"""The PEFT of a method that only measures the pre-trained model."""

FigureForm = Literal["bars", "lines", "grid", "masks"]

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class DataSet:
    """Labelled data with a training and a test part.

    path: as `read_data` takes it; environment variables are expanded. objects: what one object is. test: a
    pattern (`*`, `?`) of the names of the test images; without one, a fixed `test_share` of the images is
    drawn. group: a regular expression; images in whose names it finds the same text are never split.
    tests: paths of test parts by name, where they are published apart; all images at `path` then train.
    prompts: measured by these instead of the evaluation's. training: fields of AdaptConfig for this set.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    path: str
    objects: str = "auto"
    test: str | None = None
    test_share: float = 1 / 3
    group: str | None = None
    tests: dict[str, str] = field(default_factory=dict)
    prompts: tuple[str, ...] | None = None
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its test parts."""
        return tuple(self.tests) or (self.name,)


@dataclass(frozen=True)
class Method:
    """One way to adapt. peft: "none" measures the pre-trained model. training: fields of AdaptConfig.

    relation_from: InfoSAM's relation module is trained on that data set first, by the same method and seed,
    and used frozen.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    peft: str
    distill: str = "none"
    training: dict[str, Any] = field(default_factory=dict)
    relation_from: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """How to measure, as `infosam.evaluate` takes it. limit: of the test images, chosen by a fixed seed.
    others: also on the test parts of the other data. scenes: also on that many generated scenes."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    prompts: tuple[str, ...] = ("box", "point")
    protocol: ScoringProtocol = "clean"
    zoom: Zoom = "off"
    limit: int | None = None
    others: bool = False
    scenes: int = 0


@dataclass(frozen=True)
class Recipe:
    """A comparison: every method on every data set with every model, once per seed.

    training: fields of AdaptConfig for all methods. train_images: so many are drawn from the training part by
    the seed; None takes all. max_objects: so many of an image's objects are used, a fixed sample; None takes
    all. weights: SHA-256 by model, where results of these very weights are meant. baseline: the method that
    the others are compared with, pair by pair. paper: published figures in percent, by score, method and test
    part. reading: what the figures say, in Markdown, to stand above them.
    figure: how scores are drawn: as bars of methods, as lines over the tolerance of boundary scores, or as a
    grid over the two settings of AdaptConfig that `axes` names, rows first; or the masks of some objects.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    data: tuple[DataSet, ...]
    methods: tuple[Method, ...]
    models: tuple[str, ...] = ("sam_pocket",)
    weights: dict[str, str] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)
    train_images: int | None = None
    max_objects: int | None = None
    training: dict[str, Any] = field(default_factory=dict)
    evaluation: Evaluation = field(default_factory=Evaluation)
    scores: tuple[str, ...] = ("iou",)
    baseline: str | None = None
    paper: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    reading: str = ""
    figure: FigureForm = "bars"
    axes: tuple[str, ...] = ()

    def training_of(self, method: Method, data: DataSet) -> dict[str, Any]:
        """The fields of AdaptConfig that are said for this method on these data."""
        return {**self.training, **data.training, **method.training}

    def config(self, method: Method, data: DataSet, seed: int) -> AdaptConfig:
        """How a run of this method trains."""
        settings = {**self.training_of(method, data), "peft": method.peft, "distill": method.distill}
        return AdaptConfig(**settings, seed=seed)

    def place(self, method: Method, data: DataSet) -> tuple[Any, ...]:
        """Where a method stands in a grid: its values of `axes`."""
        config = self.config(method, data, 0)
        return tuple(getattr(config, name) for name in self.axes)

    def prompts(self, data: DataSet) -> tuple[str, ...]:
        """What the data are measured by."""
        return self.evaluation.prompts if data.prompts is None else data.prompts

    def all_prompts(self) -> list[str]:
        """What any of the data are measured by, in the order in which it is said."""
        return list(dict.fromkeys(prompt for data in self.data for prompt in self.prompts(data)))


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file. Raises BadInputError naming the file and every entry that is wrong."""
    try:
        text = tomllib.loads(path.read_text(encoding="utf-8"))
        recipe = TypeAdapter(Recipe).validate_python(text)
    except OSError as error:
        raise BadInputError(f"cannot read the recipe {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise BadInputError(f"{path}: {wrong}") from error
    _check(recipe, path)
    return recipe


def _check(recipe: Recipe, path: Path) -> None:
    for what, names in (
        ("data", [data.name for data in recipe.data]),
        ("test parts", [column for data in recipe.data for column in data.columns]),
        ("methods", [method.name for method in recipe.methods]),
        ("models", list(recipe.models)),
        ("seeds", list(recipe.seeds)),
    ):
        if not names or len(set(names)) < len(names):
            raise BadInputError(f"{path}: {what} must be given, each under a name of its own: {names}")
    if recipe.baseline is not None and recipe.baseline not in {method.name for method in recipe.methods}:
        raise BadInputError(f"{path}: the baseline {recipe.baseline!r} is not one of the methods")
    known = {item.name for item in fields(AdaptConfig)} - {"peft", "distill", "seed"}
    sets = {data.name for data in recipe.data}
    for method, data in product(recipe.methods, recipe.data):
        unknown = recipe.training_of(method, data).keys() - known
        if unknown:
            raise BadInputError(
                f"{path}: training has no setting {sorted(unknown)}; it has {', '.join(sorted(known))}"
            )
        try:
            recipe.config(method, data, 0)
        except (ValueError, TypeError) as error:
            raise BadInputError(f"{path}, method {method.name}: {error}") from error
        if method.relation_from is not None and method.relation_from not in sets:
            raise BadInputError(
                f"{path}, method {method.name}: relation_from {method.relation_from!r} is not one of the data"
            )
        if data.tests and data.test is not None:
            raise BadInputError(f"{path}, {data.name}: say either test, a pattern, or tests, by name")
    for prompt in recipe.all_prompts():
        if prompt not in PROMPT_PROTOCOLS:
            raise BadInputError(f"{path}: {prompt!r} is no prompt; use one of {', '.join(PROMPT_PROTOCOLS)}")
    _check_paper(recipe, path)
    _check_figure(recipe, path)


def _check_paper(recipe: Recipe, path: Path) -> None:
    """A misspelt name would leave a published figure out of the tables without a word."""
    columns = {column for data in recipe.data for column in data.columns}
    methods = {method.name for method in recipe.methods}
    for score, by_method in recipe.paper.items():
        parts = {column for figures in by_method.values() for column in figures}
        for what, named, known in (
            ("score", {score}, set(recipe.scores)),
            ("method", by_method.keys(), methods),
            ("test part", parts, columns),
        ):
            if named - known:
                raise BadInputError(f"{path}: paper names the {what} {sorted(named - known)}, the recipe not")


def _check_figure(recipe: Recipe, path: Path) -> None:
    boundaries = set(BOUNDARY_KEYS.values())
    if recipe.figure == "lines" and (len(recipe.scores) < 2 or set(recipe.scores) - boundaries):
        raise BadInputError(
            f"{path}: lines are drawn through two or more of the scores {', '.join(sorted(boundaries))}, not "
            f"through {', '.join(recipe.scores)}"
        )
    if recipe.figure != "grid":
        if recipe.axes:
            raise BadInputError(
                f"{path}: axes {list(recipe.axes)} are for the figure grid, not {recipe.figure}"
            )
        return
    known = {item.name for item in fields(AdaptConfig)}
    if len(recipe.axes) != 2 or set(recipe.axes) - known:
        raise BadInputError(f"{path}: a grid needs two settings of training as axes, not {list(recipe.axes)}")
    for data in recipe.data:
        places = [recipe.place(method, data) for method in recipe.methods]
        asked = set(product(*zip(*places, strict=True)))
        if set(places) != asked or len(places) > len(asked):
            raise BadInputError(
                f"{path}: the grid of {' and '.join(recipe.axes)} needs one method for each of the "
                f"{len(asked)} pairs of their values; on {data.name}, {len(places)} methods have "
                f"{len(set(places))} of them"
            )
