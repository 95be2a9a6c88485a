"""VID: how well the teacher's block outputs can be told from the student's, by a Gaussian."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infosam.distill.base import TrainingBatch
from infosam.distill.blocks import paired_dims, to_common_size
from infosam.distill.registry import register
from infosam.distill.taught import Knowledge, TaughtTask
from infosam.models.base import PromptableModel
from infosam.types import AdaptConfig

_FIRST_VARIANCE = 5.0
_LEAST_VARIANCE = 1e-5


def vid_loss(mean: Tensor, variance: Tensor, teacher: Tensor) -> Tensor:
    """mean of ((teacher - mean)^2 / variance + ln variance) / 2: a Gaussian's negative log-likelihood.

    Ahn et al. 2019 (VID), Eqs. 4-5, without the constant ln(2 pi) / 2. It may be negative.

    Args:
        mean, teacher: (B, C, h, w).
        variance: (C,), positive.
    """
    spread = variance.view(1, -1, 1, 1)
    return ((teacher - mean).square() / spread + spread.log()).mean() / 2


class Gaussian(nn.Module):
    """Predicts a teacher's map from a student's: its mean at each position, and a variance per channel.

    Three 1 x 1 convolutions without bias give the mean. The variance, softplus(rho) + 1e-5, starts at 5.
    """

    def __init__(self, student_dim: int, teacher_dim: int) -> None:
        super().__init__()
        self.mean = nn.Sequential(
            nn.Conv2d(student_dim, teacher_dim, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(teacher_dim, teacher_dim, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(teacher_dim, teacher_dim, 1, bias=False),
        )
        rho = math.log(math.expm1(_FIRST_VARIANCE - _LEAST_VARIANCE))
        self.rho = nn.Parameter(torch.full((teacher_dim,), rho))

    def forward(self, student: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, h, w) to the mean (B, T, h, w) and the variance (T,)."""
        return self.mean(student), F.softplus(self.rho) + _LEAST_VARIANCE


@register("vid")
class VIDTask(TaughtTask):
    """The outputs of four levels of blocks, summed, weight 1; a Gaussian for each level trains along."""

    uses_blocks = True

    def __init__(
        self, student: PromptableModel, teacher: PromptableModel | None, config: AdaptConfig
    ) -> None:
        super().__init__(student, teacher, config)
        self.gaussians = nn.ModuleList(Gaussian(*dims) for dims in paired_dims(student, teacher))

    def auxiliary(self) -> nn.Module:
        """The Gaussians."""
        return self.gaussians

    def distillation(self, student: Knowledge, teacher: Knowledge, batch: TrainingBatch) -> Tensor:
        """`vid_loss` of each level, summed; the larger map of a pair is pooled to the smaller one's size."""
        losses = []
        for gaussian, own, other in zip(self.gaussians, student.blocks, teacher.blocks, strict=True):
            sought, taught = to_common_size(own, other)
            mean, variance = gaussian(sought)
            losses.append(vid_loss(mean, variance, taught))
        return torch.stack(losses).sum()
