"""The hint tells the next thing to do in every state."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from infosam.types import Prompt, Segmentation
from napari_infosam.models.hints import hint
from napari_infosam.models.session import ObjectItem, Session

SHOWN: Any = object()
CLICK = Prompt(points=((1.0, 1.0),), labels=(1,))


@dataclass
class Case:
    words: str
    fields: dict[str, Any] = field(default_factory=dict)


def candidates(count: int) -> Segmentation:
    return Segmentation(
        np.ones((count, 4, 4), bool), np.ones(count, np.float32), np.zeros((count, 2, 2), np.float32)
    )


def test_each_state_has_its_own_hint() -> None:
    cases = [
        Case("Open an image"),
        Case("takes no prompts", {"image_name": "stack"}),
        Case("Press Prompt", {"shown": SHOWN}),
        Case("Click on an object", {"shown": SHOWN, "prompting": True}),
        Case("M begins a new", {"shown": SHOWN, "prompting": True, "tool": "brush", "suspended": True}),
        Case("What you erase", {"shown": SHOWN, "prompting": True, "tool": "erase", "suspended": True}),
        Case("Prompts wait", {"shown": SHOWN, "prompting": True, "suspended": True}),
        Case("Looking for", {"shown": SHOWN, "prompting": True, "prompts": CLICK}),
        Case("Tab", {"shown": SHOWN, "prompting": True, "prompts": CLICK, "candidates": candidates(3)}),
        Case(
            "click adds", {"shown": SHOWN, "prompting": True, "prompts": CLICK, "candidates": candidates(1)}
        ),
        Case(
            "Refining object 3. Enter commits",
            {
                "shown": SHOWN,
                "prompting": True,
                "prompts": CLICK,
                "candidates": candidates(1),
                "objects": (ObjectItem(11, 2, 50, "prompt"), ObjectItem(12, 3, 50, "prompt")),
                "refining": 12,
            },
        ),
    ]
    told = [hint(Session(**case.fields)) for case in cases]
    for case, text in zip(cases, told, strict=True):
        assert case.words in text
    assert len(set(told)) == len(cases)
