"""`infosam export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from infosam.cli.console import print_json, stderr
from infosam.cli.options import AsJson


def export(
    project: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The folder of a project of the plugin.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder.")],
    as_json: AsJson = False,
) -> None:
    """Write a project's labelled images, their label masks, and all objects as COCO into a new folder."""
    from infosam.data.export import export_labels
    from infosam.data.project import Project

    with Project.open(project) as opened, Progress(console=stderr, transient=True) as bar:
        row = bar.add_task("images", total=None)
        written = export_labels(opened, out, lambda done, total: bar.update(row, completed=done, total=total))
    if as_json:
        print_json({**asdict(written), "folder": str(written.folder)})
        return
    typer.echo(f"{written.folder}: objects {written.n_objects}, images {written.n_images}")
    for name in written.missing:
        typer.echo(f"without its pixels, whose file is gone or has changed: {name}")
