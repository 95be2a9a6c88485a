"""`infosam predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer
from rich.progress import Progress

from infosam.cli.console import print_json, stderr
from infosam.cli.options import (
    AdapterFolder,
    AsJson,
    Checkpoint,
    Device,
    Model,
    Threads,
    ZoomAsAdapted,
    check_choice,
    check_model,
)
from infosam.types import ZOOMS, InfoSAMError, Zoom


def predict(
    data: Annotated[
        Path,
        typer.Argument(exists=True, help="An image, a folder of images, or a CSV with a column image."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder, or one that was left unfinished.")],
    model: Model = "sam_pocket",
    adapter: AdapterFolder = None,
    extent: Annotated[
        float | None,
        typer.Option(
            min=1, help="Longest side of a typical object, in pixels; as an adapter with zoom auto learnt it."
        ),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Less finds more, and more that is wrong; 0.4 with an adapter."),
    ] = None,
    zoom: ZoomAsAdapted = None,
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Find all objects of many or huge images, without prompts."""
    check_choice("zoom", zoom, ZOOMS)
    check_model(model)

    import torch

    import infosam
    from infosam.data.pairs import image_files
    from infosam.inference.predict_files import TABLE_NAME, predict_files

    images = image_files(data)
    if threads is not None:
        torch.set_num_threads(threads)
    # Who says how large objects are wants them looked at from as near.
    chosen = zoom or ("auto" if extent is not None else None)
    predictor = infosam.Predictor(
        infosam.load_model(model, checkpoint=checkpoint, adapter=adapter, device=device),
        cast("Zoom | None", chosen),
    )
    if extent is None and predictor.model.object_sizes is None:
        typer.echo(
            "Nothing says how large the objects are: whole images are clicked on in a grid of 32 x 32. Name "
            "--extent, or an adapter that was trained with --zoom auto.",
            err=True,
        )
    n_objects, failures = 0, 0
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        all_images = bar.add_task("images", total=len(images))
        clicks = bar.add_task("clicks", total=None)
        for found in predict_files(
            predictor,
            images,
            out,
            extent=extent,
            min_score=min_score,
            progress=lambda done, total: bar.update(clicks, completed=done, total=total),
        ):
            n_objects += found.n_objects
            failures += found.failure is not None
            if found.failure is not None:
                bar.console.print(
                    f"passed over: {found.failure}", highlight=False, markup=False, soft_wrap=True
                )
            bar.advance(all_images)
    done = len(images) - failures
    if as_json:
        print_json({"folder": str(out), "n_images": done, "n_objects": n_objects, "n_failed": failures})
    else:
        typer.echo(f"{out / TABLE_NAME}: objects {n_objects}, images {done}")
    if failures:
        raise InfoSAMError(f"{failures} of {len(images)} images cannot be read, as told above")
