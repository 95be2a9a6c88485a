"""How images are looked at: whole, or small objects from nearer."""

from __future__ import annotations

from infosam.types import Zoom

QUICK_MODEL = "sam_pocket"


def zoom_for(model: str, device: str) -> Zoom:
    """What annotating and adapting do with a model on a device: a model answers as it was trained to look.

    Each closer look is one more embedding, which takes a large model many seconds without a GPU.
    """
    return "auto" if model == QUICK_MODEL or device != "cpu" else "off"
