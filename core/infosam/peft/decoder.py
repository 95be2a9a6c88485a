"""Decoder-only fine-tuning: the encoder stays frozen, the mask decoder is trained in full."""

from __future__ import annotations

from dataclasses import dataclass

from infosam.peft.base import Method
from infosam.peft.registry import register
from infosam.types import AdaptableModel


@register("decoder")
@dataclass(frozen=True)
class DecoderConfig(Method):
    """Adds nothing to the encoder; `inject` frees the decoder."""

    def apply(self, student: AdaptableModel) -> None:
        """Leave the encoder frozen."""
