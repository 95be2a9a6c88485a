"""Decoder-only fine-tuning: the encoder stays frozen, the mask decoder is trained in full."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from infosam.peft.base import Method
from infosam.peft.registry import register
from infosam.types import AdaptableModel


@register("decoder")
@dataclass(frozen=True)
class DecoderConfig(Method):
    """Adds nothing; `inject` unfreezes the mask decoder."""

    def apply(self, student: AdaptableModel) -> list[nn.Parameter]:
        """Leave the encoder frozen."""
        return []
