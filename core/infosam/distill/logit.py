"""Logit distillation: the student's masks against the teacher's, softened."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from infosam.distill.base import TrainingBatch
from infosam.distill.registry import register
from infosam.distill.taught import Knowledge, TaughtTask

TEMPERATURE = 3.0


def logit_loss(student: Tensor, teacher: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """T^2 KL(q || p) of the softened probability q of the teacher and p of the student, mean over pixels.

    Zhu and Gong 2018 (ONE) have it over classes; for a mask there are two. Computed from logits, so that it
    stays finite for sure answers. 0 where both say the same.

    Args:
        student, teacher: logits of one shape.
        temperature: T > 0.

    Raises:
        ValueError: the temperature is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    taught, sought = teacher / temperature, student / temperature
    q = taught.sigmoid()
    on = F.logsigmoid(taught) - F.logsigmoid(sought)
    off = F.logsigmoid(-taught) - F.logsigmoid(-sought)
    return temperature**2 * (q * on + (1 - q) * off).mean()


@register("logit")
class LogitTask(TaughtTask):
    """The logits of mask token 0, T = 3, weight 1."""

    def distillation(self, student: Knowledge, teacher: Knowledge, batch: TrainingBatch) -> Tensor:
        """`logit_loss` of the low-resolution logits."""
        return logit_loss(student.logits, teacher.logits)
