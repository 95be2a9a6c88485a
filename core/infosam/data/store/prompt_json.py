"""Prompts as JSON. A mask prompt's pixels are not kept, only that there was one."""

from __future__ import annotations

import json

from infosam.types import Prompt


def prompt_to_json(prompt: Prompt | None, used_mask: bool = False) -> str | None:
    """used_mask: it had a mask, which is not kept, when it was written first."""
    if prompt is None:
        return None
    return json.dumps(
        {
            "points": [[float(row), float(column)] for row, column in prompt.points],
            "labels": [int(label) for label in prompt.labels],
            "box": None if prompt.box is None else [float(edge) for edge in prompt.box],
            "mask": used_mask or prompt.mask is not None,
        }
    )


def prompt_from_json(text: str | None) -> tuple[Prompt | None, bool]:
    """The prompt without its mask, and whether it had one; (None, False) for an empty one, too."""
    if text is None:
        return None, False
    content = json.loads(text)
    points = tuple((row, column) for row, column in content["points"])
    box = None if content["box"] is None else tuple(content["box"])
    prompt, used_mask = Prompt(points=points, labels=tuple(content["labels"]), box=box), content["mask"]
    return None if prompt.is_empty and not used_mask else prompt, used_mask
