"""What every distillation method is: a task that turns a batch into a dictionary of losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from infosam.models.base import PromptableModel
from infosam.relation import Relation
from infosam.types import AdaptConfig, BadInputError, DecoderOutput, ImageEmbedding, PromptBatch


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """N prompts over B images, with the mask that each prompt asks for.

    images: (B, 3, S, S), preprocessed.
    teacher: the frozen teacher's embeddings of the same images, in its own dtype; None where
        nobody asks for them.
    prompts: N prompts.
    targets: (N, 1, S, S) float, 1 on the object, in the frame of the model's input.
    valid: (N, 1, S, S) bool, False on padding; None if all of the input shows the image.
    """

    images: Tensor
    teacher: ImageEmbedding | None
    prompts: PromptBatch
    targets: Tensor
    valid: Tensor | None = None

    def __post_init__(self) -> None:
        side = self.images.shape[-1]
        expected = (len(self.prompts), 1, side, side)
        if len(self.prompts) == 0:
            raise BadInputError("the batch holds no prompt: give at least one")
        for name, masks in (("targets", self.targets), ("valid", self.valid)):
            if masks is not None and masks.shape != expected:
                raise BadInputError(
                    f"{name} must be {expected} for these images and prompts, not {tuple(masks.shape)}"
                )
        if self.teacher is not None and len(self.teacher) != len(self.images):
            raise BadInputError(
                f"{len(self.images)} images but {len(self.teacher)} teacher embeddings: give one each"
            )


class Task(nn.Module, ABC):
    """A method of adaptation: it owns the criterion and, where it has them, teacher and auxiliary weights.

    Called with a `TrainingBatch` it returns "loss", a scalar to minimise, and the parts that it consists of,
    detached. Whatever is trained beside the student (and is of no use without the task) lies in
    `auxiliary()`: the student's state dict stays the student's own.

    Args:
        student: the model in training.
        teacher: the frozen pre-trained model, or None for tasks that use none.
        config: weights of the losses and run mode.
    """

    name: ClassVar[str]
    uses_teacher: ClassVar[bool] = False

    def __init__(
        self, student: PromptableModel, teacher: PromptableModel | None, config: AdaptConfig
    ) -> None:
        super().__init__()
        self.student = student
        self.teacher = teacher
        self.config = config

    @abstractmethod
    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Losses of one batch."""

    @torch.no_grad()
    def teach(self, batch: TrainingBatch) -> tuple[ImageEmbedding, DecoderOutput]:
        """What the teacher makes of a batch: its embeddings of the images, and its answers to the prompts.

        Raises:
            BadInputError: there is no teacher, or the batch has no embeddings of it.
        """
        if self.teacher is None or batch.teacher is None:
            raise BadInputError(
                "distillation needs the teacher's embeddings of the images: put them into the batch"
            )
        return batch.teacher, self.teacher.decode(batch.teacher, batch.prompts)

    def auxiliary(self) -> nn.Module | None:
        """The weights that train beside the student, or None."""
        return None

    def trained_relation(self) -> Relation | None:
        """The relation module that the run trains, which may teach on other data afterwards, or None."""
        return None

    def train(self, mode: bool = True) -> Task:
        """Train or evaluate; the teacher stays in evaluation mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self
