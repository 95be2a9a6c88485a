"""PKT: how alike the images of a batch are to the student, against how alike they are to the teacher."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from infosam.distill.base import TrainingBatch
from infosam.distill.registry import register
from infosam.distill.taught import Knowledge, TaughtTask
from infosam.types import BadInputError

_EPSILON = 1e-7


def pkt_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """mean over i, j of P_t ln(P_t / P_s), P the row-normalised (cosine + 1) / 2 of samples i and j.

    Passalis and Tefas 2018 (PKT), in the form of its release: each sample counts as its own neighbour, too.
    0 where both find the same likeness; the widths of student and teacher may differ.

    Args:
        student, teacher: (B, ...), B >= 2; flattened per sample.

    Raises:
        BadInputError: other numbers of samples, or fewer than two: the likeness of one sample to itself
            teaches nothing.
    """
    if len(student) != len(teacher) or len(student) < 2:
        raise BadInputError(
            f"PKT compares the images of a batch with each other and needs at least 2 of them, the same for "
            f"both models, not {len(student)} and {len(teacher)}: label a second image, take batches of at "
            "least 4 prompts, or use another distillation method"
        )
    taught, sought = _neighbours(teacher), _neighbours(student)
    return (taught * ((taught + _EPSILON) / (sought + _EPSILON)).log()).mean()


def _neighbours(features: Tensor) -> Tensor:
    """(B, B): how likely each sample is to choose each other one."""
    unit = F.normalize(features.flatten(1), dim=1, eps=_EPSILON)
    likeness = (unit @ unit.T + 1) / 2
    return likeness / likeness.sum(1, keepdim=True)


@register("pkt")
class PKTTask(TaughtTask):
    """The image embeddings, weight 30000: the raw value is tiny."""

    weight = 30_000.0

    def distillation(self, student: Knowledge, teacher: Knowledge, batch: TrainingBatch) -> Tensor:
        """`pkt_loss` of the image embeddings."""
        return pkt_loss(student.features, teacher.features)
