"""`infosam segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from infosam.cli.console import print_json, score
from infosam.cli.options import (
    AdapterFolder,
    AsJson,
    Checkpoint,
    Device,
    Model,
    ZoomAsAdapted,
    check_choice,
    check_model,
)
from infosam.types import ZOOMS, Zoom


def segment(
    image: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The image file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the mask goes: .tif or .png.")],
    point: Annotated[
        list[str] | None,
        typer.Option(help="row,column of a click on the object; row,column,0 for one beside it. Repeatable."),
    ] = None,
    box: Annotated[str | None, typer.Option(help="r0,c0,r1,c1: the pixel edges of a box.")] = None,
    model: Model = "sam_pocket",
    adapter: AdapterFolder = None,
    zoom: ZoomAsAdapted = None,
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Make the mask of one object from clicks and a box."""
    points, labels = _points(point or [])
    edges = None if box is None else _numbers(box, 4, "--box")
    if not points and edges is None:
        raise typer.BadParameter("give at least one --point or a --box")
    check_choice("zoom", zoom, ZOOMS)
    check_model(model)

    import infosam
    from infosam.data.io import read_image, write_mask

    predictor = infosam.Predictor(
        infosam.load_model(model, checkpoint=checkpoint, adapter=adapter, device=device),
        cast("Zoom | None", zoom),
    )
    predictor.set_image(read_image(image))
    # One click is ambiguous, and the best of three candidates answers it; more prompts mean one object.
    ambiguous = len(points) == 1 and edges is None
    result = predictor.predict(points or None, labels or None, edges, multimask=ambiguous)
    written = write_mask(out, result.masks[0])
    area, predicted_iou = int(result.masks[0].sum()), float(result.scores[0])
    if as_json:
        print_json({"mask": str(written), "area": area, "predicted_iou": predicted_iou})
    else:
        typer.echo(f"{written}: {area} pixels, predicted IoU {score(predicted_iou)}")


def _points(texts: list[str]) -> tuple[list[tuple[float, float]], list[int]]:
    points: list[tuple[float, float]] = []
    labels: list[int] = []
    for text in texts:
        numbers = _numbers(text, 3 if text.count(",") == 2 else 2, "--point")
        points.append((numbers[0], numbers[1]))
        labels.append(int(numbers[2]) if len(numbers) == 3 else 1)
        if len(numbers) == 3 and numbers[2] not in (0, 1):
            raise typer.BadParameter(
                f"the third number of {text!r} must be 1 (on the object) or 0", param_hint="--point"
            )
    return points, labels


def _numbers(text: str, count: int, option: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise typer.BadParameter(f"{text!r} is not {count} numbers with commas between", param_hint=option)
    return numbers
