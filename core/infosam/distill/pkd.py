"""PKD: the student's features against the teacher's, each channel standardised."""

from __future__ import annotations

from torch import Tensor

from infosam.distill.base import TrainingBatch
from infosam.distill.registry import register
from infosam.distill.taught import Knowledge, TaughtTask
from infosam.types import BadInputError

_EPSILON = 1e-6


def pkd_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Half the mean squared difference of features whose channels have mean 0 and deviation 1.

    Cao et al. 2022 (PKD), in the form of its release: statistics over batch and positions, the unbiased
    deviation. It equals (1 - 1/n) (1 - r), r the Pearson correlation over the n values of a channel, mean
    over channels: 0 where student and teacher differ by a positive affine map per channel.

    Args:
        student, teacher: (B, C, H, W).

    Raises:
        BadInputError: the shapes differ, or a channel has a single value.
    """
    if student.shape != teacher.shape or student.ndim != 4:
        raise BadInputError(
            f"PKD compares (B, C, H, W) features of one shape, not {tuple(student.shape)} and "
            f"{tuple(teacher.shape)}"
        )
    if student[:, 0].numel() < 2:
        raise BadInputError("PKD needs at least two values in a channel")
    return (_standardised(student) - _standardised(teacher)).square().mean() / 2


def _standardised(features: Tensor) -> Tensor:
    values = features.transpose(0, 1).flatten(1)
    centred = values - values.mean(1, keepdim=True)
    return centred / (values.std(1, keepdim=True) + _EPSILON)


@register("pkd")
class PKDTask(TaughtTask):
    """The image embeddings, weight 6, as its authors take it for unlike pairs."""

    weight = 6.0

    def distillation(self, student: Knowledge, teacher: Knowledge, batch: TrainingBatch) -> Tensor:
        """`pkd_loss` of the image embeddings."""
        return pkd_loss(student.features, teacher.features)
