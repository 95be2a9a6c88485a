"""The commands. Each imports what it needs when it runs, so that help and mistakes cost no time."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from infosam.cli import (
    adapt_command,
    benchmark_command,
    data_command,
    evaluate_command,
    export_command,
    import_command,
    models_command,
    predict_command,
    pretrain_command,
    relation_maps_command,
    segment_command,
)
from infosam.politeness import wait_without_spinning
from infosam.types import InfoSAMError

app = typer.Typer(
    name="infosam",
    help="Prompt SAM and SAM 2 for masks, and adapt them to few labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback()
def _common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more, on stderr.")] = False,
) -> None:
    wait_without_spinning()
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s: %(message)s")


app.command("models")(models_command.models)
app.command("segment")(segment_command.segment)
app.command("adapt")(adapt_command.adapt)
app.command("evaluate")(evaluate_command.evaluate)
app.command("predict")(predict_command.predict)
app.command("import")(import_command.import_)
app.command("export")(export_command.export)
app.command("benchmark")(benchmark_command.benchmark)
app.command("relation-maps")(relation_maps_command.relation_maps)
app.add_typer(data_command.data, name="data")
app.command("pretrain")(pretrain_command.pretrain)


def main() -> None:
    """Run the command line: exit 0 when done, 2 for bad use, 1 for a failure, with one line that says why."""
    try:
        app(prog_name="infosam")
    except InfoSAMError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
