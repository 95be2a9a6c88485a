"""What a PEFT method is: a frozen configuration that knows how to enter a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from torch import nn

from infosam.types import AdaptableModel, BadInputError, RunMode


@dataclass(frozen=True)
class Method(ABC):
    """A PEFT method and its settings; a bad value raises ValueError quoting itself.

    Attributes:
        name: what the method is registered as.
        trains_decoder: whether the mask decoder is trained in full beside what the method adds.
    """

    name: ClassVar[str]
    trains_decoder: ClassVar[bool] = True

    @classmethod
    def for_mode(cls, mode: RunMode) -> Self:
        """The settings of a run mode; the defaults unless the method says otherwise."""
        return cls()

    @abstractmethod
    def apply(self, student: AdaptableModel) -> list[nn.Parameter]:
        """Change the student's modules in place; returns the parameters that it adds or wants unfrozen.

        Existing parameters are not written to: at this point they are frozen and share their storage with the
        pre-trained model's. `inject` gives a storage of their own to those that are returned.

        Raises:
            BadInputError: a setting does not fit this model.
        """


def check_blocks(blocks: Sequence[int] | None) -> None:
    """Raise ValueError unless `blocks` is None or at least one block number, in increasing order."""
    if blocks is None:
        return
    whole = all(isinstance(block, int) and not isinstance(block, bool) for block in blocks)
    if not blocks or not whole or min(blocks) < 0 or list(blocks) != sorted(set(blocks)):
        raise ValueError(f"blocks must be None or increasing block numbers from 0, not {blocks!r}")


def check_low_rank(rank: int, alpha: float) -> None:
    """Raise ValueError unless the rank of a pair of matrices is at least 1 and its scale alpha positive."""
    if rank < 1:
        raise ValueError(f"rank must be at least 1, not {rank}")
    if not alpha > 0:
        raise ValueError(f"alpha must be positive, not {alpha}")


def choose_blocks(student: AdaptableModel, numbers: Sequence[int]) -> list[Any]:
    """The student's blocks with these numbers; `AdaptableModel` says what each of them has.

    Raises:
        BadInputError: the student has fewer blocks.
    """
    blocks = student.blocks()
    if max(numbers) >= len(blocks):
        raise BadInputError(f"the image encoder has blocks 0 to {len(blocks) - 1}, not {max(numbers)}")
    return [blocks[number] for number in numbers]


def enter_blocks(
    student: AdaptableModel, numbers: Sequence[int], enter: Callable[[Any, int], Sequence[nn.Module]]
) -> list[nn.Parameter]:
    """Call `enter` with each of these blocks and its width; returns the parameters of the modules that it
    names.

    Raises:
        BadInputError: the student has fewer blocks.
    """
    dims = student.block_dims()
    entered = [
        enter(block, dims[number])
        for number, block in zip(numbers, choose_blocks(student, numbers), strict=True)
    ]
    return [parameter for modules in entered for module in modules for parameter in module.parameters()]
