"""Figures as PNG by matplotlib, without a display and without its global state."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path

from infosam.types import InfoSAMError

try:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
except ImportError as error:
    raise InfoSAMError(
        'figures need matplotlib, which is not installed: pip install "napari-infosam[figures]"'
    ) from error

__all__ = ["BLUE", "COLOURS", "ORANGE", "Axes", "Figure", "new_figure", "panels", "save"]

# Okabe and Ito's colours, which most colour-blind people tell apart; their yellow is too pale for lines.
BLUE, ORANGE = "#0072B2", "#D55E00"
COLOURS = (BLUE, "#E69F00", "#009E73", ORANGE, "#56B4E9", "#CC79A7", "#000000")
_IN_A_ROW = 4
_PAD = 0.08  # inches around every part
_TITLE = 0.9  # inches for the title above the panels and the note below them
_NARROWEST = 4.5  # inches, which a title needs


def new_figure(title: str, width: float, height: float) -> Figure:
    """An empty figure of so many inches, whose parts make room for their labels."""
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=_PAD, h_pad=_PAD))
    figure.suptitle(title, fontweight="bold")
    return figure


def panels(
    title: str, names: Sequence[str], size: tuple[float, float], margin: float = 0.0, *, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each name, at most four in a row.

    size: of a panel, in inches. margin: inches beside the panels. share_y: neighbours have one y axis.
    """
    across = min(len(names), _IN_A_ROW)
    down = ceil(len(names) / across)
    figure = new_figure(title, max(_NARROWEST, across * size[0] + margin), down * size[1] + _TITLE)
    places = figure.subplots(down, across, sharey=share_y, squeeze=False).flatten()
    for axes, name in zip(places, names, strict=False):
        axes.set_title(name)
    for axes in places[len(names) :]:
        axes.remove()
    return figure, list(places[: len(names)])


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; the same figure gives the same bytes.

    Raises InfoSAMError if the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        FigureCanvasAgg(figure).print_figure(path, metadata={"Software": None})
    except OSError as error:
        raise InfoSAMError(f"cannot write {path}: {error.strerror}") from error
