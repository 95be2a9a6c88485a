"""IBD: where the student's blocks are active against where the teacher's are, matched by attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infosam.distill.base import TrainingBatch
from infosam.distill.blocks import level_dims
from infosam.distill.registry import register
from infosam.distill.taught import Knowledge, TaughtTask
from infosam.models.base import PromptableModel
from infosam.types import AdaptConfig, BadInputError

_WIDTH = 128  # of queries and keys


def activity(features: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w) as (B, n): the channels' mean square, pooled to n positions, at unit length."""
    energy = features.square().mean(1, keepdim=True)
    return F.normalize(F.adaptive_avg_pool2d(energy, size).flatten(1), dim=1)


def ibd_loss(attention: Tensor, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    """sum over t of mean over b of sum over s of attention[b, t, s] * mean((v_s - v_t)^2), v the activity.

    Kuang et al. 2023 (IBD), the part that distils features, in the form of its release. 0 where every layer
    of both models is active at the same positions.

    Args:
        attention: (B, T, S), each teacher layer's over the student's layers.
        student, teacher: S and T maps (B, C, h, w); widths and sizes may differ.
    """
    losses = []
    for number, features in enumerate(teacher):
        size = (features.shape[2], features.shape[3])
        taught = activity(features, size)
        distances = torch.stack([(activity(s, size) - taught).square().mean(1) for s in student], dim=1)
        losses.append((attention[:, number] * distances).sum(1).mean())
    return torch.stack(losses).sum()


class LayerAttention(nn.Module):
    """How much each teacher layer looks at each of the student's layers, from what they hold on average.

    softmax over s of (query_t . key_st + p_t . p_s) / sqrt(128). The queries are the teacher's channel means
    through a linear layer and batch normalisation; the keys go through another such pair, shared by the
    student's layers, that gives a key for every teacher layer; p tells the layers apart.

    Args:
        student_dims, teacher_dims: channels of the S and T layers.
    """

    def __init__(self, student_dims: list[int], teacher_dims: list[int]) -> None:
        super().__init__()
        self.keys = nn.ModuleList(nn.Sequential(_normed(dim, _WIDTH), nn.ReLU()) for dim in student_dims)
        self.for_teacher = _normed(_WIDTH, _WIDTH * len(teacher_dims))
        self.queries = nn.ModuleList(_normed(dim, _WIDTH) for dim in teacher_dims)
        self.student_place = nn.Parameter(torch.empty(len(student_dims), _WIDTH))
        self.teacher_place = nn.Parameter(torch.empty(len(teacher_dims), _WIDTH))
        for place in (self.student_place, self.teacher_place):
            nn.init.xavier_normal_(place)

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """S and T maps (B, C, h, w) to the attention (B, T, S).

        Raises:
            BadInputError: a single image in training: batch normalisation has nothing to compare it with.
        """
        if self.training and len(student[0]) < 2:
            raise BadInputError(
                "IBD normalises over the images of a batch and needs at least 2 of them: label a second "
                "image, take batches of at least 4 prompts, or use another distillation method"
            )
        keys = torch.stack([key(_means(s)) for key, s in zip(self.keys, student, strict=True)], dim=1)
        keys = self.for_teacher(keys.flatten(0, 1)).view(*keys.shape[:2], len(teacher), _WIDTH)
        queries = torch.stack([query(_means(t)) for query, t in zip(self.queries, teacher, strict=True)], 1)
        scores = torch.einsum("bstw,btw->bts", keys, queries) + self.teacher_place @ self.student_place.T
        attention: Tensor = (scores / _WIDTH**0.5).softmax(2)
        return attention


def _normed(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs))


def _means(features: Tensor) -> Tensor:
    return features.mean((2, 3))


@register("ibd")
class IBDTask(TaughtTask):
    """The outputs of four levels of blocks, weight 0.8; the attention trains along."""

    weight = 0.8
    uses_blocks = True

    def __init__(
        self, student: PromptableModel, teacher: PromptableModel | None, config: AdaptConfig
    ) -> None:
        super().__init__(student, teacher, config)
        self.attention = LayerAttention(*level_dims(student, teacher))

    def auxiliary(self) -> nn.Module:
        """The attention between the layers."""
        return self.attention

    def distillation(self, student: Knowledge, teacher: Knowledge, batch: TrainingBatch) -> Tensor:
        """`ibd_loss` of the blocks' outputs."""
        sought, taught = list(student.blocks), list(teacher.blocks)
        return ibd_loss(self.attention(sought, taught), sought, taught)
