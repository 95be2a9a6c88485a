"""ReviewKD: the student's blocks, deep ones merged into shallower ones, against the teacher's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infosam.distill.base import TrainingBatch
from infosam.distill.blocks import paired_dims
from infosam.distill.registry import register
from infosam.distill.taught import Knowledge, TaughtTask
from infosam.models.base import PromptableModel
from infosam.types import AdaptConfig

_WIDEST = 512  # channels that are handed on
_POOLED = (4, 2, 1)


def reviewkd_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared differences of maps as they are and pooled to 4 x 4, 2 x 2 and 1 x 1, a weighted mean.

    Chen et al. 2021 (ReviewKD), its hierarchical context loss in the form of its release: the weights are 1,
    1/2, 1/4 and 1/8 over their sum; sizes that the map does not exceed are left out. 0 where both are equal.

    Args:
        student, teacher: (B, C, h, w), of one shape.
    """
    distances, weights = [F.mse_loss(student, teacher)], [1.0]
    for power, size in enumerate(_POOLED, start=1):
        if size < student.shape[2]:
            pooled = [F.adaptive_avg_pool2d(features, size) for features in (student, teacher)]
            distances.append(F.mse_loss(pooled[0], pooled[1]))
            weights.append(0.5**power)
    shares = torch.tensor(weights, device=student.device, dtype=student.dtype)
    return (shares * torch.stack(distances)).sum() / shares.sum()


class Fusion(nn.Module):
    """Merges what comes from deeper layers into a student's map, and predicts the teacher's map from it.

    The map is brought to `width` channels; two gates, a sigmoid of both side by side, weigh it and the
    deeper one at each position; a 3 x 3 convolution predicts. Convolutions have batch normalisation and no
    bias, and start Kaiming-uniform with a = 1.

    Args:
        student_dim, width, teacher_dim: channels of the map, of what is handed on, and of the prediction.
        deepest: nothing deeper comes in.
    """

    def __init__(self, student_dim: int, width: int, teacher_dim: int, *, deepest: bool) -> None:
        super().__init__()
        self.narrow = _convolution(student_dim, width, 1)
        self.gates = None if deepest else nn.Conv2d(2 * width, 2, 1)
        self.predict = _convolution(width, teacher_dim, 3)

    def forward(self, student: Tensor, deeper: Tensor | None, size: Sequence[int]) -> tuple[Tensor, Tensor]:
        """(B, S, h, w) and what the deeper level hands on, to prediction (B, T, *size) and merged map."""
        merged: Tensor = self.narrow(student)
        if self.gates is not None and deeper is not None:
            deeper = F.interpolate(deeper, merged.shape[2:], mode="nearest")
            gates = self.gates(torch.cat([merged, deeper], dim=1)).sigmoid()
            merged = merged * gates[:, :1] + deeper * gates[:, 1:]
        return self.predict(F.interpolate(merged, tuple(size), mode="nearest")), merged


class Review(nn.Module):
    """The fusions of all levels, run from the deepest to the shallowest.

    Args:
        dims: channels of student and teacher at each level, first to last.
    """

    def __init__(self, dims: list[tuple[int, int]]) -> None:
        super().__init__()
        width = min(_WIDEST, dims[-1][0])
        last = len(dims) - 1
        self.fusions = nn.ModuleList(
            Fusion(student, width, teacher, deepest=level == last)
            for level, (student, teacher) in enumerate(dims)
        )

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """`reviewkd_loss` of each level, summed."""
        losses, deeper = [], None
        levels = zip(self.fusions, student, teacher, strict=True)
        for fusion, own, taught in reversed(list(levels)):
            predicted, deeper = fusion(own, deeper, taught.shape[2:])
            losses.append(reviewkd_loss(predicted, taught))
        return torch.stack(losses).sum()


def _convolution(inputs: int, outputs: int, side: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False)
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


@register("reviewkd")
class ReviewKDTask(TaughtTask):
    """The outputs of four levels of blocks, weight 1, as its authors take it for large images."""

    uses_blocks = True

    def __init__(
        self, student: PromptableModel, teacher: PromptableModel | None, config: AdaptConfig
    ) -> None:
        super().__init__(student, teacher, config)
        self.review = Review(paired_dims(student, teacher))

    def auxiliary(self) -> nn.Module:
        """The fusions."""
        return self.review

    def distillation(self, student: Knowledge, teacher: Knowledge, batch: TrainingBatch) -> Tensor:
        """`reviewkd_loss` of all levels."""
        loss: Tensor = self.review(student.blocks, teacher.blocks)
        return loss
