"""`infosam data`: the paper's data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import DownloadColumn, Progress

from infosam.cli.console import print_json, print_table, stderr
from infosam.cli.options import AsJson

data = typer.Typer(help="The paper's data sets.", no_args_is_help=True)


@data.command("list")
def list_sets(as_json: AsJson = False) -> None:
    """List the paper's data sets and where they come from."""
    from infosam.benchmark.published import SETS

    if as_json:
        print_json({"sets": [vars(known) for known in SETS]})
        return
    print_table(("name", "holds", "address"), [(known.name, known.holds, known.address) for known in SETS])


@data.command()
def download(
    name: Annotated[str, typer.Argument(help="A name from `infosam data list`.")],
    to: Annotated[Path, typer.Option(file_okay=False, help="The set becomes a folder in this one.")],
) -> None:
    """Download a data set, as benchmarks/paper/ wants it."""
    from infosam.benchmark import published

    wanted = published.published(name)
    with Progress(*Progress.get_default_columns(), DownloadColumn(), console=stderr) as bar:
        row = bar.add_task(name, total=None)
        place = published.download(
            wanted, to, lambda done, total: bar.update(row, completed=done, total=total)
        )
    typer.echo(place)
