"""`napari-infosam [IMAGES...]`: napari with the panel docked; `napari-infosam demo`: the recorded loop."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

PLUGIN, WIDGET = "napari-infosam", "Annotate & adapt"


class _OpenByDefault(TyperGroup):
    """Anything that names no command is a list of images to open."""

    def parse_args(self, context: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if not args or (args[0] not in self.commands and args[0] not in self.get_help_option_names(context)):
            args = ["open", *args]
        return super().parse_args(context, args)


app = typer.Typer(
    cls=_OpenByDefault,
    add_completion=False,
    help="napari with the panel “Annotate & adapt”. Without a command: open the images that are named.",
)


@app.command("open")
def open_images(
    images: Annotated[
        list[Path] | None, typer.Argument(help="Images to open, each as a layer", exists=True)
    ] = None,
) -> None:
    """Open napari with the panel docked (the command may be left out)."""
    _need_qt()
    import napari
    from napari.layers import Image

    viewer = napari.Viewer(title="napari-infosam")
    # Before the panel: the first layer loads what its warming up, in a thread, would load at the same time.
    opened = [viewer.open(image, stack=False) for image in images or ()]
    # One above the other nobody could see them: N shows the next.
    pictures = [[layer for layer in layers if isinstance(layer, Image)] for layers in opened]
    for layer in chain.from_iterable(pictures[1:]):
        layer.visible = False
    if opened and pictures[0]:
        viewer.layers.selection.active = pictures[0][-1]
    viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    napari.run()


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where pictures, plots and report.json go")] = Path("demo_output"),
    interactive: Annotated[bool, typer.Option(help="Leave the window open at the end")] = False,
) -> None:
    """Play the whole loop on sample data in a real window, and write what came of it."""
    _need_qt()
    from infosam.types import InfoSAMError
    from napari_infosam.demo.loop import play
    from napari_infosam.demo.report import write_report

    try:
        result, seconds = play(out, interactive=interactive)
        write_report(out, result, seconds)
    except InfoSAMError as error:
        typer.echo(f"The demo failed: {error}", err=True)
        raise typer.Exit(1) from error


def _need_qt() -> None:
    """No Qt backend is forced on anyone who installs the package, so there may be none."""
    try:
        import_module("qtpy")
    except ImportError as error:
        typer.echo('napari has no Qt backend here. Install one: pip install "napari-infosam[all]"', err=True)
        raise typer.Exit(1) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script."""
    app(sys.argv[1:] if arguments is None else list(arguments), prog_name="napari-infosam")


if __name__ == "__main__":
    main()
