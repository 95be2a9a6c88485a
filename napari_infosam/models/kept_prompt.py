"""Prompts that the history can return to, in little memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from infosam.types import Prompt
from napari_infosam.models.label_diff import bounding_box


def keep(prompt: Prompt) -> Callable[[], Prompt]:
    """What gives the prompt back: of an answer that it corrects only the box around it is kept, since the
    history may hold hundreds of prompts, and an answer is as large as its image."""
    answer = prompt.answer
    box = None if answer is None else bounding_box(answer)
    if answer is None or box is None:
        return lambda: prompt
    r0, c0, r1, c1 = box
    bare, shape, inside = replace(prompt, answer=None), answer.shape, answer[r0:r1, c0:c1].copy()

    def give_back() -> Prompt:
        whole = np.zeros(shape, dtype=np.bool_)
        whole[r0:r1, c0:c1] = inside
        return replace(bare, answer=whole)

    return give_back
