"""No fine-tuning: the zero-shot row of the tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from infosam.peft.base import Method
from infosam.peft.registry import register
from infosam.types import AdaptableModel


@register("none")
@dataclass(frozen=True)
class NoneConfig(Method):
    """Nothing is trained, the mask decoder neither."""

    trains_decoder: ClassVar[bool] = False

    def apply(self, student: AdaptableModel) -> list[nn.Parameter]:
        """Leave the student frozen."""
        return []
