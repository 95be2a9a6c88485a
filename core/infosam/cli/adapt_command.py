"""`infosam adapt`: the Adapt button, headless."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from infosam.cli.console import print_json, print_table, score, stderr
from infosam.cli.options import (
    AsJson,
    Checkpoint,
    Data,
    Device,
    Limit,
    Model,
    Objects,
    OtherSettings,
    Peft,
    Seed,
    Steps,
    Threads,
    ZoomOption,
    check_choice,
    check_model,
    check_objects,
    config_of,
)
from infosam.cli.progress import AdaptProgress
from infosam.cli.stop import StopRequests
from infosam.planning import has_checkpoint
from infosam.politeness import lower_priority, polite_threads
from infosam.reporting import to_json
from infosam.types import RUN_MODES, ZOOMS, AdaptConfig, Failed, Finished, InfoSAMError, Report, Scores

_DEFAULT = AdaptConfig()


def adapt(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="The adapter's folder.")],
    model: Model = "sam_pocket",
    peft: Peft = _DEFAULT.peft,
    distill: Annotated[str, typer.Option(help="What the pre-trained model teaches.")] = _DEFAULT.distill,
    teacher: Annotated[
        str | None, typer.Option(help="A larger model of the same family that teaches instead.")
    ] = None,
    mode: Annotated[str, typer.Option(help="clean, official or paper.")] = _DEFAULT.mode,
    zoom: ZoomOption = _DEFAULT.zoom,
    steps: Steps = None,
    batch_size: Annotated[int, typer.Option(help="Prompts per step, at least 2.")] = _DEFAULT.batch_size,
    lr: Annotated[float | None, typer.Option(help="The highest learning rate; chosen by the model.")] = None,
    val_fraction: Annotated[
        float, typer.Option(help="The share of the images held out to measure.")
    ] = _DEFAULT.val_fraction,
    others: OtherSettings = None,
    seed: Seed = _DEFAULT.seed,
    objects: Objects = "auto",
    limit: Limit = None,
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    threads: Threads = None,
    current: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="The adapter in use, to compare with."),
    ] = None,
    revision: Annotated[
        int | None, typer.Option(min=0, help="Take a project's labels as they were at this revision.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Continue the run that was cut off in this folder.")] = False,
    as_json: AsJson = False,
    events: Annotated[bool, typer.Option("--events", help="Print every report as a line of JSON.")] = False,
    watch_stdin: Annotated[
        bool,
        typer.Option(
            "--watch-stdin",
            help="End with the best so far on the line `cancel`, with a checkpoint when stdin ends.",
        ),
    ] = False,
    nice: Annotated[bool, typer.Option("--nice", help="Run at low priority.")] = False,
) -> None:
    """Adapt a model to labelled data and write an adapter folder."""
    check_choice("mode", mode, RUN_MODES)
    check_choice("zoom", zoom, ZOOMS)
    check_objects(objects)
    check_model(model)
    if teacher is not None:
        check_model(teacher, option="teacher")
    stop = StopRequests()
    stop.listen_to_signals()
    if watch_stdin:
        stop.watch_stdin()
    if nice or watch_stdin:
        lower_priority()
    config = config_of(
        peft=peft,
        distill=distill,
        teacher=teacher,
        mode=mode,
        zoom=zoom,
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        val_fraction=val_fraction,
        seed=seed,
        device=device,
        threads=threads or polite_threads(),
        others=others,
    )

    import infosam
    from infosam import distributed

    check_choice("peft", peft, infosam.peft.methods())
    check_choice("distill", distill, infosam.distill.methods())
    run = infosam.adapt(
        data,
        model=model,
        config=config,
        out=out,
        objects=objects,
        limit=limit,
        checkpoint=checkpoint,
        current=current,
        revision=revision,
        resume=resume,
        cancelled=stop.cancelled,
    )
    if not distributed.reports():
        deque(run, maxlen=0)
        return
    finished = _follow(run, stop, events, out)
    if as_json:
        print_json(asdict(finished))
    elif not events:
        _print(finished)


def _follow(run: Generator[Report, None, Any], stop: StopRequests, events: bool, out: Path) -> Finished:
    """Show the reports of a run to its end, or until it has to leave; then it writes a checkpoint."""
    with closing(run), AdaptProgress(stderr) as progress:
        show: Callable[[Report], None] = _print_event if events else progress.show
        try:
            for report in run:
                show(report)
                if isinstance(report, Finished):
                    return report
                if stop.leaving():
                    break
        except InfoSAMError:
            raise  # has been reported by the run
        except Exception as error:
            resumable = has_checkpoint(out)
            advice = "this is a fault of the program: see the log"
            show(Failed(f"{type(error).__name__}: {error}", advice, resumable))
            raise
    advice = "continue it with --resume" if has_checkpoint(out) else "before its first step: start it anew"
    raise InfoSAMError(f"the run was stopped before its end: {advice}")


def _print_event(report: Report) -> None:
    sys.stdout.write(to_json(report) + "\n")
    sys.stdout.flush()


def _print(finished: Finished) -> None:
    card = finished.card
    columns = {"pre-trained": card.pretrained, "current": card.current, "adapted": card.new}
    shown = {name: scores for name, scores in columns.items() if scores is not None}
    rows = [
        (
            f"{measure.replace('_', ' ')}, {prompt}",
            *(_score(scores[prompt], measure) for scores in shown.values()),
        )
        for prompt in card.new
        for measure in ("iou", "dice", "boundary_f1")
    ]
    print_table(("held-out objects", *shown), rows)
    if card.note:
        typer.echo(card.note)
    typer.echo(f"{finished.status}: {finished.steps} steps in {finished.seconds:.0f} s: {finished.adapter}")


def _score(scores: Scores, measure: str) -> str:
    return score(getattr(scores, measure))
