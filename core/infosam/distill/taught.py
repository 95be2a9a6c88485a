"""What distillation methods share that compare what student and teacher make of the same prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from infosam.distill.base import Task, TrainingBatch
from infosam.distill.blocks import encode_with_blocks, level_blocks
from infosam.distill.share import Share
from infosam.distill.supervised import supervised_losses
from infosam.models.base import PromptableModel
from infosam.types import AdaptConfig, BadInputError, DecoderOutput, ImageEmbedding


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What one model makes of a batch of B images and N prompts, in float32.

    features: (B, D, h, w), the image embedding. tokens: (N, 4, D), the mask tokens. logits: (N, 1, 4h, 4w),
    of mask token 0. blocks: a map (B, C, h', w') for each of `level_blocks`, for methods that use them.
    """

    features: Tensor
    tokens: Tensor
    logits: Tensor
    blocks: tuple[Tensor, ...] = ()


class TaughtTask(Task):
    """L = supervised + rkd_weight * (what the teacher's knowledge adds), by default weight * L_KD.

    weight: balances L_KD against the supervision, as the method's authors choose it. uses_blocks: whether
    the method compares what leaves the image encoders' blocks, too; of the teacher only the embeddings are
    computed once and kept, so that it encodes the images in every step for it.
    """

    uses_teacher = True
    weight: ClassVar[float] = 1.0
    uses_blocks: ClassVar[bool] = False

    def __init__(
        self, student: PromptableModel, teacher: PromptableModel | None, config: AdaptConfig
    ) -> None:
        super().__init__(student, teacher, config)
        self._student_blocks = level_blocks(student) if self.uses_blocks else []
        self._teacher_blocks = level_blocks(teacher) if self.uses_blocks else []

    def distillation(self, student: Knowledge, teacher: Knowledge, batch: TrainingBatch) -> Tensor:
        """L_KD, a scalar; the teacher's side carries no gradient."""
        raise NotImplementedError

    def lesson(self, student: Knowledge, teacher: Knowledge, batch: TrainingBatch) -> dict[str, Tensor]:
        """What is added to the supervision as "loss", before rkd_weight, and the parts to show."""
        distilled = self.distillation(student, teacher, batch)
        return {"loss": self.weight * distilled, "distillation": distilled}

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Returns "loss", the parts of `supervised_losses`, and those of `lesson` ("distillation": L_KD).

        Raises:
            BadInputError: the batch has no teacher embeddings, or is too small for the method.
        """
        share = Share.of(batch)
        embedding, blocks = encode_with_blocks(self.student, share.own.images, self._student_blocks)
        output = share.whole_output(self.student.decode(embedding, share.own.prompts))
        parts = supervised_losses(output, batch.targets, batch.valid, self.config.mode)
        student, teacher = _knowledge(share, embedding, output, blocks), self._teacher_knowledge(share)
        # Half precision loses the small differences that the losses are made of.
        with torch.autocast(batch.images.device.type, enabled=False):
            taught = self.lesson(student, teacher, batch)
        loss = sum(parts.values(), batch.targets.new_zeros(())) + self.config.rkd_weight * taught.pop("loss")
        return {"loss": loss} | {name: part.detach() for name, part in (parts | taught).items()}

    @torch.no_grad()
    def _teacher_knowledge(self, share: Share) -> Knowledge:
        embedding, output = self.teach(share.own)
        blocks: tuple[Tensor, ...] = ()
        if self.teacher is not None and self._teacher_blocks:
            _, blocks = encode_with_blocks(self.teacher, share.own.images, self._teacher_blocks)
        return _knowledge(share, embedding, share.whole_output(output), blocks)


def check_alike(method: str, student: Tensor, teacher: Tensor) -> None:
    """Raise BadInputError unless student and teacher give features of one shape."""
    if student.shape != teacher.shape:
        raise BadInputError(
            f"{method} compares features of one shape, not {tuple(student.shape)} of the student and "
            f"{tuple(teacher.shape)} of the teacher: take a teacher of the student's family"
        )


def _knowledge(
    share: Share, embedding: ImageEmbedding, output: DecoderOutput, blocks: tuple[Tensor, ...]
) -> Knowledge:
    """What all processes know; embedding and blocks are still this one's share, the output is whole."""
    return Knowledge(
        share.whole_images(embedding.features).float(),
        output.tokens.float(),
        output.logits[:, :1].float(),
        tuple(share.whole_images(block) for block in blocks),
    )
