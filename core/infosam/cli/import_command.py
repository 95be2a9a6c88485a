"""`infosam import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from infosam.cli.console import print_json, stderr
from infosam.cli.options import AsJson, Data, Objects, check_objects


def import_(
    data: Data,
    project: Annotated[
        Path, typer.Option("--project", "-p", file_okay=False, help="A project's folder; made if need be.")
    ],
    objects: Objects = "separate",
    as_json: AsJson = False,
) -> None:
    """Add labelled images to a project, to correct their labels in the plugin and to adapt to them."""
    check_objects(objects)
    from infosam.data.importing import import_labels
    from infosam.data.project import Project
    from infosam.data.readers import data_entries

    entries = data_entries(data, objects)
    opened = Project.open(project) if Project.exists(project) else Project.create(project)
    with opened, Progress(console=stderr, transient=True) as bar:
        row = bar.add_task("images", total=len(entries))
        images = (read() for read in entries)
        done = import_labels(opened, images, lambda count: bar.update(row, completed=count))
    if as_json:
        print_json(
            {
                "project": str(opened.folder),
                "n_images": done.n_images,
                "n_objects": len(done.object_ids),
                "n_known": done.n_known,
            }
        )
        return
    typer.echo(f"{opened.folder}: new objects {len(done.object_ids)}, on images {done.n_images}")
    if done.n_known:
        typer.echo(f"passed over, which the project had already: {done.n_known}")
