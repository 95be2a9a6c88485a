"""TinySAM: embeddings, mask tokens and masks against the teacher's, hard masks first."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from infosam.distill.base import TrainingBatch
from infosam.distill.registry import register
from infosam.distill.supervised import mask_iou, to_size
from infosam.distill.taught import Knowledge, TaughtTask, check_alike

_EPSILON = 1e-6


def mask_hardness(student_iou: Tensor, teacher_iou: Tensor) -> Tensor:
    """H = sigmoid(IoU_t / (IoU_s + eps) - 1): how much better than the student's the teacher's masks are.

    Shu et al. 2025 (TinySAM); the IoU is that with the target. Between 1/(1 + e) for a useless teacher and 1,
    and 1/2 where both are as good.

    Args:
        student_iou, teacher_iou: of one shape, in [0, 1].
    """
    return (teacher_iou / (student_iou + _EPSILON) - 1).sigmoid()


def tinysam_loss(student: Knowledge, teacher: Knowledge, hardness: Tensor) -> Tensor:
    """L1 of image embeddings + L1 of mask tokens + L1 of the masks' logits, each prompt's times its hardness.

    Shu et al. 2025 (TinySAM), which leaves the weights of the three open: here they are 1, and each distance
    is a mean. 0 where both models give the same.

    Args:
        student, teacher: N prompts each.
        hardness: (N,), from `mask_hardness`.

    Raises:
        BadInputError: the models give features of different shapes.
    """
    check_alike("TinySAM", student.features, teacher.features)
    check_alike("TinySAM", student.logits, teacher.logits)
    masks = (student.logits - teacher.logits).abs().flatten(1).mean(1)
    return (
        F.l1_loss(student.features, teacher.features)
        + F.l1_loss(student.tokens, teacher.tokens)
        + (hardness * masks).mean()
    )


@register("tinysam")
class TinySAMTask(TaughtTask):
    """All three stages, weight 1, with the run's own prompts: its authors also search for hard ones."""

    def distillation(self, student: Knowledge, teacher: Knowledge, batch: TrainingBatch) -> Tensor:
        """`tinysam_loss`; the IoU is measured at the targets' resolution, on valid pixels."""
        ious = [
            mask_iou(to_size(model.logits, batch.targets), batch.targets, batch.valid)[:, 0]
            for model in (student, teacher)
        ]
        return tinysam_loss(student, teacher, mask_hardness(*ious))
