"""Means of scores over objects or images."""

from __future__ import annotations

import math
from collections.abc import Mapping


class Accumulator:
    """Collects scores by name and gives their means; undefined scores (nan) are left out.

    Attributes:
        n: how many sets of scores were added.

    >>> means = Accumulator()
    >>> means.add({"iou": 0.5, "ber": float("nan")})
    >>> means.add({"iou": 0.75, "ber": 4.0})
    >>> means.n, means.compute()
    (2, {'iou': 0.625, 'ber': 4.0})
    """

    def __init__(self) -> None:
        self.n = 0
        self._values: dict[str, list[float]] = {}

    def add(self, scores: Mapping[str, float]) -> None:
        """Adds the scores of one object or image."""
        self.n += 1
        for name, score in scores.items():
            values = self._values.setdefault(name, [])
            if not math.isnan(score):
                values.append(score)

    def compute(self) -> dict[str, float]:
        """Name -> mean of what was added; nan where no score was defined. Empty before the first `add`."""
        return {
            name: math.fsum(values) / len(values) if values else math.nan
            for name, values in self._values.items()
        }
