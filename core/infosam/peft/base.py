"""What a PEFT method is: a frozen configuration that knows how to enter a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import nn

from infosam.types import AdaptableModel, RunMode


@dataclass(frozen=True)
class Method(ABC):
    """A PEFT method and its settings.

    Attributes:
        trains_decoder: whether the mask decoder is trained in full beside what the method adds.
    """

    trains_decoder: ClassVar[bool] = True

    @classmethod
    def for_mode(cls, mode: RunMode) -> Self:
        """The settings of a run mode; the defaults unless the method says otherwise."""
        return cls()

    @abstractmethod
    def apply(self, student: AdaptableModel) -> None:
        """Add to a fully frozen student what the method trains in its image encoder.

        Raises:
            ValueError: a setting does not fit this model.
        """


def own(module: nn.Module) -> None:
    """Give a module its own, trainable copies of parameters that it shared with the pre-trained model."""
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            part.register_parameter(name, nn.Parameter(parameter.detach().clone()))


def chosen(blocks: Sequence[int] | None, count: int, default: Sequence[int]) -> list[int]:
    """The block numbers that a method enters.

    Raises:
        ValueError: a number is not one of the model's blocks.
    """
    numbers = list(default if blocks is None else blocks)
    wrong = [number for number in numbers if not 0 <= number < count]
    if wrong:
        raise ValueError(f"blocks {wrong} do not exist: the image encoder has blocks 0 to {count - 1}")
    return numbers
