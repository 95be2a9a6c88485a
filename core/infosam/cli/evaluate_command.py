"""`infosam evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.progress import Progress

from infosam.cli.console import print_json, print_table, score, stderr
from infosam.cli.options import (
    AdapterFolder,
    AsJson,
    Checkpoint,
    Data,
    Device,
    Limit,
    Model,
    Objects,
    Seed,
    Threads,
    ZoomAsAdapted,
    check_choice,
    check_model,
    check_objects,
)
from infosam.types import PROMPT_PROTOCOLS, ZOOMS, Zoom

if TYPE_CHECKING:
    from infosam.metrics import ScoringProtocol

_SCORES = ("iou", "dice", "s_measure", "e_measure", "weighted_f")


def evaluate(
    data: Data,
    model: Model = "sam_pocket",
    adapter: AdapterFolder = None,
    exclude: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Leave out the images that this adapter has seen."),
    ] = None,
    prompt: Annotated[str, typer.Option(help=f"One of {', '.join(PROMPT_PROTOCOLS)}.")] = "box",
    protocol: Annotated[
        str, typer.Option(help="clean: means over objects. official: as InfoSAM's released scripts.")
    ] = "clean",
    zoom: ZoomAsAdapted = None,
    multimask: Annotated[
        bool,
        typer.Option(
            "--multimask", help="Score one click by the best of three masks, as the plugin shows it."
        ),
    ] = False,
    objects: Objects = "auto",
    limit: Limit = None,
    seed: Seed = 0,
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Score a model, with or without an adapter, on labelled data."""
    check_choice("prompt", prompt, PROMPT_PROTOCOLS)
    check_choice("protocol", protocol, ("clean", "official"))
    check_choice("zoom", zoom, ZOOMS)
    check_objects(objects)
    check_model(model)

    import torch

    import infosam

    if threads is not None:
        torch.set_num_threads(threads)
    loaded = infosam.load_model(model, checkpoint=checkpoint, adapter=adapter, device=device)
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        row = bar.add_task("evaluating", total=None)
        result = infosam.evaluate(
            data,
            model=loaded,
            prompt=prompt,
            protocol=cast("ScoringProtocol", protocol),
            zoom=cast("Zoom | None", zoom),
            multimask=multimask,
            objects=objects,
            limit=limit,
            seed=seed,
            exclude=exclude,
            progress=lambda done, total: bar.update(row, completed=done, total=total),
        )
    if as_json:
        print_json(result)
    else:
        _print(result)


def _print(result: dict[str, Any]) -> None:
    rows = [(name.replace("_", " "), score(result[name])) for name in _SCORES]
    rows += [
        (f"boundary F1, {tolerance} px", score(value)) for tolerance, value in result["boundary_f1"].items()
    ]
    typer.echo(
        f"{result['n_objects']} objects in {result['n_images']} images, "
        f"prompt {result['prompt']}, protocol {result['protocol']}, zoom {result['zoom']}"
        + (", the best of three masks for one click" if result["multimask"] else "")
    )
    print_table(("score", "mean"), rows)
