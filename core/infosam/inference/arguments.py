"""What a user passes for a prompt, checked, as a Prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infosam.types import BadInputError, Prompt


def make_prompt(
    points: ArrayLike | None = None,
    labels: Sequence[int] | NDArray[Any] | None = None,
    box: ArrayLike | None = None,
    mask: NDArray[Any] | None = None,
    answer: NDArray[np.bool_] | None = None,
) -> Prompt:
    """The arguments of `Predictor.predict` as a Prompt; without labels, every point belongs to the object.

    Raises:
        BadInputError: wrong shapes or labels, numbers that are not finite, or nothing at all.
    """
    pairs = _finite(() if points is None else points, "points")
    if pairs.size == 0:
        pairs = pairs.reshape(0, 2)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise BadInputError(f"points must have the shape (P, 2): row, column; not {pairs.shape}")
    signs = np.ones(len(pairs), np.int64) if labels is None else np.asarray(labels).reshape(-1)
    if signs.dtype == np.bool_:
        signs = signs.astype(np.int64)
    prompt = Prompt(
        points=tuple((row, column) for row, column in pairs.tolist()),
        labels=tuple(signs.tolist()),
        box=None if box is None else _edges(box),
        mask=mask,
        answer=answer,
    )
    if prompt.is_empty:
        raise BadInputError("the prompt is empty: give points, a box or a mask")
    return prompt


def check_inside(prompt: Prompt, shape: tuple[int, int]) -> None:
    """Raise BadInputError for a point outside an image of `shape`, or a box that does not overlap it."""
    height, width = shape
    image = f"the image of {height} x {width} pixels"
    for row, column in prompt.points:
        if not (-0.5 <= row <= height - 0.5 and -0.5 <= column <= width - 0.5):
            raise BadInputError(f"the point ({row}, {column}) lies outside {image}")
    if prompt.box is not None:
        r0, c0, r1, c1 = prompt.box
        if not (r0 < height and r1 > 0 and c0 < width and c1 > 0):
            raise BadInputError(f"the box {prompt.box} lies outside {image}")


def _edges(box: ArrayLike) -> tuple[float, float, float, float]:
    edges = _finite(box, "box")
    if edges.shape != (4,):
        raise BadInputError(f"a box is four numbers (r0, c0, r1, c1), not {edges.shape}")
    r0, c0, r1, c1 = edges.tolist()
    return r0, c0, r1, c1


def _finite(values: ArrayLike, what: str) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"the {what} {values!r} are not numbers in rows of equal length") from error
    if not np.isfinite(numbers).all():
        raise BadInputError(f"the {what} {values!r} must be finite")
    return numbers
