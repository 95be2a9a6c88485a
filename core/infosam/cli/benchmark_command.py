"""`infosam benchmark`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from infosam.cli.console import print_json, print_table, stderr
from infosam.cli.options import AsJson, Device, Threads
from infosam.types import BadInputError, InfoSAMError


def benchmark(
    recipe: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A TOML file.")],
    store: Annotated[
        Path | None, typer.Option(help="Where results are kept; beside the recipe unless given.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the tables into this Markdown file.")] = None,
    figures: Annotated[
        Path | None, typer.Option(file_okay=False, help="Draw the scores as PNG files in this folder.")
    ] = None,
    run: Annotated[list[str] | None, typer.Option(help="Only the run of this id; may be repeated.")] = None,
    stored: Annotated[
        bool, typer.Option("--stored", help="Make no run: only write what the store holds.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    jobs: Annotated[
        bool, typer.Option("--jobs", help="Print one command per missing run, for a scheduler.")
    ] = False,
    device: Device = "auto",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Compare methods on data as a recipe says. What is in the store already is not run again.

    A run whose training fails is left out and named at the end: the others are made all the same.
    """
    from infosam.benchmark.plan import expand
    from infosam.benchmark.recipe import read_recipe
    from infosam.benchmark.store import ResultStore
    from infosam.models.registry import weights_hash

    known = read_recipe(recipe)
    runs = expand(known, weights_hash)
    asked = runs if run is None else [item for item in runs if item.id in run]
    if run is not None and len(asked) < len(set(run)):
        raise BadInputError(f"{recipe} has no run {', '.join(set(run) - {item.id for item in asked})}")
    place = store or recipe.with_suffix(".sqlite")
    with ResultStore(place) as results:
        missing = [] if stored else [item for item in asked if results.get(item) is None]
        if jobs:
            command = ["infosam", "benchmark", str(recipe), "--store", str(place), "--device", device]
            command += [] if threads is None else ["--threads", str(threads)]
            for item in missing:
                typer.echo(shlex.join([*command, "--run", item.id]))
            return
        if dry_run:
            seconds = [results.typical_seconds(item.model) for item in missing]
            print_table(
                ("run", "model", "method", "data", "seed", "done"),
                [
                    (i.id, i.model, i.method.name, i.data.name, str(i.seed), "" if i in missing else "yes")
                    for i in asked
                ],
            )
            known_seconds = [value for value in seconds if value is not None]
            guess = f"about {sum(known_seconds) / 60:.0f} min" if known_seconds else "no run yet to go by"
            typer.echo(f"{len(missing)} of {len(asked)} runs to do: {guess}")
            return

        import torch

        from infosam.benchmark.execute import Executor
        from infosam.benchmark.tables import render

        if figures is not None:
            from infosam.benchmark.figures import write  # what it lacks is said before anything runs

        if threads is not None:
            torch.set_num_threads(threads)
        executor = Executor(known, device)
        failed: dict[str, InfoSAMError] = {}
        for number, item in enumerate(missing, start=1):
            stderr.print(f"{number}/{len(missing)} {item.id}: {item}")
            try:
                made = executor.execute(item)
            except BadInputError:
                raise
            except InfoSAMError as error:
                stderr.print(f"failed: {error}")
                failed[item.id] = error
            else:
                results.put(item, made)
        done = [(item, result) for item in runs if (result := results.get(item)) is not None]
    text = render(known, done, len(runs))
    if report is not None:
        report.write_text(text, encoding="utf-8")
    if figures is not None:
        write(known, done, len(runs), figures)
    if as_json:
        print_json({"recipe": known.name, "runs": len(runs), "done": len(done), "store": str(place)})
    elif report is None:
        typer.echo(text)
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise InfoSAMError(f"{len(failed)} of {len(missing)} runs failed. {reasons}")
