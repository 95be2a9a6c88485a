"""BitFit: the encoder's biases are trained, and nothing is added."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from infosam.peft.base import Method
from infosam.peft.registry import register
from infosam.types import AdaptableModel


@register("bitfit")
@dataclass(frozen=True)
class BitFitConfig(Method):
    """Unfreezes every tensor named "bias" in the encoder's blocks: norms, attention, MLP (Ben Zaken et al.
    2022).

    SAM's patch embedding, neck and relative positions stay as they are.
    """

    def apply(self, student: AdaptableModel) -> list[nn.Parameter]:
        """Name the biases."""
        return [
            parameter
            for block in student.blocks()
            for name, parameter in block.named_parameters()
            if name.rpartition(".")[2] == "bias"
        ]
