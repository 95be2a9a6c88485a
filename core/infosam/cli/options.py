"""Options that several commands share, and the checks that end in exit code 2."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from infosam.types import AdaptConfig

Data = Annotated[
    Path,
    typer.Argument(
        exists=True,
        help="A folder with images/ and masks/, a CSV with columns image,label, a COCO JSON, or a project.",
    ),
]
Model = Annotated[str, typer.Option(help="A name from `infosam models`.")]
Checkpoint = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Weights of your own in the model's official form."),
]
AdapterFolder = Annotated[
    Path | None, typer.Option("--adapter", exists=True, file_okay=False, help="An adapter folder to use.")
]
Peft = Annotated[str, typer.Option(help="How few parameters are trained.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Optimiser steps; chosen by the labels.")]
OtherSettings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Another setting of AdaptConfig: alpha=3, relation=dot, ...; repeatable."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Objects = Annotated[str, typer.Option(help="What one object is: auto, image, components, labels, separate.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Use only this many images, chosen by the seed.")]
Seed = Annotated[int, typer.Option(min=0, help="Decides every random choice.")]
ZoomOption = Annotated[
    str,
    typer.Option("--zoom", help="auto: look at small objects from nearer. off: the whole image at once."),
]
ZoomAsAdapted = Annotated[
    str | None,
    typer.Option("--zoom", help="auto or off; by default as the adapter was trained, and off without one."),
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def check_choice(option: str, value: str | None, choices: Sequence[str]) -> None:
    """Raise typer.BadParameter (exit 2) unless `value` is one of `choices`, or None: not given."""
    if value is not None and value not in choices:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(choices)}", param_hint=f"--{option}")


def check_model(name: str, option: str = "model") -> None:
    from infosam.models import registry

    check_choice(option, name, registry.names())


def check_objects(rule: str) -> None:
    from infosam.data.objects import OBJECT_RULES

    check_choice("objects", rule, OBJECT_RULES)


def config_of(*, others: Sequence[str] | None, **settings: Any) -> AdaptConfig:
    """The configuration of these settings and of `others`, KEY=VALUE each. Raises typer.BadParameter."""
    known = {field.name for field in fields(AdaptConfig)} - settings.keys()
    for text in others or ():
        name, _, value = text.partition("=")
        if name not in known:
            raise typer.BadParameter(
                f"{name!r} is not one of {', '.join(sorted(known))}", param_hint="--set KEY=VALUE"
            )
        settings[name] = _value(value)
    try:
        return AdaptConfig(**settings)
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(str(error)) from error


def _value(text: str) -> Any:
    """A number or a truth value as TOML writes it, or the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
