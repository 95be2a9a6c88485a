"""What the demo leaves behind: report.json and a table that people read."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from infosam.types import InfoSAMError
from napari_infosam.demo.loop import LABELLED, MODEL, PACK, PROMPT, Result

_ROWS = (("iou", "IoU"), ("dice", "Dice"), ("s_measure", "S-measure"), ("weighted_f", "weighted F"))
_PACKAGES = ("napari-infosam", "napari", "torch", "numpy")


def write_report(out: Path, result: Result, seconds: float) -> dict[str, Any]:
    """Write report.json and report.md into `out`; returns the report.

    Raises:
        InfoSAMError: the files could not be written.
    """
    report = {
        "base_iou": result.base["iou"],
        "adapted_iou": result.adapted["iou"],
        "gain": result.adapted["iou"] - result.base["iou"],
        "prompt": PROMPT,
        "held_out": {"images": result.base["n_images"], "objects": result.base["n_objects"]},
        "labelled": {"images": LABELLED, **asdict(result.effort), "iou": result.label_iou},
        "model": MODEL,
        "data": PACK,
        "seconds": round(seconds, 1),
        "base": result.base,
        "adapted": result.adapted,
        "losses": result.losses,
        "validations": result.validations,
        "adapter": str(result.adapter),
        "screenshots": [path.name for path in result.screenshots],
        "machine": {"cpu_cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {package: version(package) for package in _PACKAGES},
    }
    try:
        (out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        (out / "report.md").write_text(_table(result), encoding="utf-8")
    except OSError as error:
        raise InfoSAMError(f"the report could not be written to {out}: {error.strerror}") from error
    return report


def _table(result: Result) -> str:
    """The before/after table in Markdown."""
    base, adapted = result.base, result.adapted
    lines = [
        f"{base['n_objects']} objects on {base['n_images']} images of `{PACK}` that were not trained on, "
        "one click each",
        "",
        f"| | {MODEL}, pre-trained | adapted | change |",
        "|---|---|---|---|",
    ]
    for key, name in _ROWS:
        change = adapted[key] - base[key]
        lines.append(f"| {name} | {base[key]:.3f} | {adapted[key]:.3f} | {change:+.3f} |")
    return "\n".join(lines) + "\n"
