"""What distillation methods share that compare what student and teacher make of the same prompts."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from infosam.distill.base import Task, TrainingBatch
from infosam.distill.supervised import supervised_losses
from infosam.types import DecoderOutput, ImageEmbedding


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What one model makes of a batch of B images and N prompts, in float32.

    features: (B, D, h, w), the image embedding. logits: (N, 1, 4h, 4w), of mask token 0.
    """

    features: Tensor
    logits: Tensor


class TaughtTask(Task):
    """L = supervised + rkd_weight * weight * L_KD, for any L_KD between the knowledge of both models.

    weight: balances L_KD against the supervision, as the method's authors choose it.
    """

    uses_teacher = True
    weight: ClassVar[float] = 1.0

    @abstractmethod
    def distillation(self, student: Knowledge, teacher: Knowledge) -> Tensor:
        """L_KD, a scalar; the teacher's side carries no gradient."""

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Returns "loss", the parts of `supervised_losses`, and "distillation", L_KD before its weights.

        Raises:
            BadInputError: the batch has no teacher embeddings, or is too small for the method.
        """
        embedding = self.student.encode(batch.images)
        output = self.student.decode(embedding, batch.prompts)
        parts = supervised_losses(output, batch.targets, batch.valid, self.config.mode)
        student, teacher = _knowledge(embedding, output), _knowledge(*self.teach(batch))
        with torch.autocast(batch.images.device.type, enabled=False):
            distilled = self.distillation(student, teacher)
        loss = sum(parts.values(), batch.targets.new_zeros(()))
        loss = loss + self.config.rkd_weight * self.weight * distilled
        shown = parts | {"distillation": distilled}
        return {"loss": loss} | {name: part.detach() for name, part in shown.items()}


def _knowledge(embedding: ImageEmbedding, output: DecoderOutput) -> Knowledge:
    return Knowledge(embedding.features.float(), output.logits[:, :1].float())
