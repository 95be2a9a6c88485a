"""MobileSAM: the student's image embeddings against the teacher's."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from infosam.distill.base import TrainingBatch
from infosam.distill.registry import register
from infosam.distill.taught import Knowledge, TaughtTask, check_alike


def mobilesam_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean squared difference of image embeddings (Zhang et al. 2023, MobileSAM); 0 where they are equal.

    Args:
        student, teacher: (B, D, h, w).

    Raises:
        BadInputError: the shapes differ.
    """
    check_alike("MobileSAM", student, teacher)
    return F.mse_loss(student, teacher)


@register("mobilesam")
class MobileSAMTask(TaughtTask):
    """The image embeddings, weight 1. Its authors train the encoder alone; here supervision trains the mask
    decoder, too, as with every other method."""

    def distillation(self, student: Knowledge, teacher: Knowledge, batch: TrainingBatch) -> Tensor:
        """`mobilesam_loss` of the image embeddings."""
        return mobilesam_loss(student.features, teacher.features)
