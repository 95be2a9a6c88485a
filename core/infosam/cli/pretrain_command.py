"""`infosam pretrain`."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infosam.cli.console import json_line, print_json, stderr
from infosam.cli.options import AsJson, Device, Seed, Threads
from infosam.cli.stop import StopRequests
from infosam.types import BadInputError, Step

if TYPE_CHECKING:
    from infosam.training.pretrain_config import PretrainConfig

_EVERY, _BATCHES = 50, 10  # steps, and batches, between two lines for people


def pretrain(
    out: Annotated[Path, typer.Option("--out", "-o", help="The run's folder.")],
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after this time, to be continued later.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Continue the run of this folder, if there is one.")] = True,
    known: Annotated[
        Path | None,
        typer.Option("--from", help="Exported weights that a new run begins with, where they fit."),
    ] = None,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Ten times as many scenes, for a GPU and 16 cores.")
    ] = False,
    judge: Annotated[
        bool, typer.Option("--judge", help="Train only what judges the masks; with --from.")
    ] = False,
    lines: Annotated[
        bool, typer.Option("--lines", help="Fit only what decides for lines in a box; with --from.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = None,
    shards: Annotated[int, typer.Option(min=1, help="Threads that each take a share of every batch.")] = 1,
    as_json: AsJson = False,
    events: Annotated[bool, typer.Option("--events", help="Print every report as a line of JSON.")] = False,
) -> None:
    """Train sam_pocket from random weights on generated scenes. Ctrl+C leaves a checkpoint."""
    from infosam.models.device import resolve_device
    from infosam.training.pretrain import WEIGHTS
    from infosam.training.pretrain import pretrain as run_pretraining
    from infosam.training.pretrain_config import GPU, JUDGE, LINES, PretrainConfig

    if judge + lines + gpu > 1:
        raise BadInputError("--gpu trains everything, --judge and --lines one part each: give one of them")
    if (judge or lines) and known is None:
        raise BadInputError("--judge and --lines need the weights they belong to: name them with --from")
    if lines and (minutes is not None or events or shards > 1):
        raise BadInputError(
            "--lines is one pass over the scenes, neither cut nor shared out: leave --minutes, --events and "
            "--shards out"
        )
    if gpu and device == "auto" and resolve_device(device).type == "cpu":
        raise BadInputError(
            "--gpu asks for more than a CPU does in a week, and PyTorch finds no GPU here: leave it out, or "
            "add --device cpu to try it all the same"
        )
    stop = StopRequests()
    stop.listen_to_signals()
    if lines and known is not None:
        _fit_lines(replace(LINES, seed=seed, device=device, threads=threads), out, known, stop, as_json)
        return
    recipe = JUDGE if judge else GPU if gpu else PretrainConfig()
    config = replace(recipe, seed=seed, device=device, threads=threads, shards=shards)
    scores: dict[str, Any] = {}
    with closing(run_pretraining(config, out=out, minutes=minutes, resume=resume, known=known)) as run:
        for report in run:
            if events:
                sys.stdout.write(json_line(asdict(report)) + "\n")
                sys.stdout.flush()
            if isinstance(report, Step):
                _show_step(report)
            else:
                scores = asdict(report)
                stderr.print(f"step {report.step}: IoU {report.box:.3f} by box, {report.point:.3f} by click")
            if stop.cancelled() or stop.leaving():
                break
    if as_json:
        print_json({"weights": str(out / WEIGHTS), **scores})


def _fit_lines(config: PretrainConfig, out: Path, known: Path, stop: StopRequests, as_json: bool) -> None:
    from infosam.training.pretrain import WEIGHTS
    from infosam.training.pretrain_lines import fit_lines

    for done, total in fit_lines(config, out=out, known=known):
        if done % _BATCHES == 0:
            stderr.print(f"batch {done}/{total}")
        if stop.cancelled() or stop.leaving():
            return
    if as_json:
        print_json({"weights": str(out / WEIGHTS)})


def _show_step(report: Step) -> None:
    if report.step % _EVERY == 0:
        minutes = report.eta / 60
        stderr.print(
            f"step {report.step}/{report.steps}: loss {report.losses['loss']:.3f}, {minutes:.0f} min left"
        )
