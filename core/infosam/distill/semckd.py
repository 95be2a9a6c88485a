"""SemCKD: every student block against every teacher block, weighed by how alike they see the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infosam.distill.base import TrainingBatch
from infosam.distill.blocks import level_dims, to_common_size
from infosam.distill.registry import register
from infosam.distill.taught import Knowledge, TaughtTask
from infosam.losses import gram
from infosam.models.base import PromptableModel
from infosam.types import AdaptConfig, BadInputError

_WIDEST = 512  # inside a regressor: 16 of them at twice the teacher's width would be four times a ViT-B


def semckd_loss(attention: Tensor, regressed: list[list[Tensor]], teacher: list[list[Tensor]]) -> Tensor:
    """sum over b, s, t of attention[b, s, t] * mean((r_st - f_st)^2) / (B S).

    Chen et al. 2021 (SemCKD), Eq. 4 in the form of its release. 0 where all regressed maps are the teacher's.

    Args:
        attention: (B, S, T), each student layer's over the teacher's layers.
        regressed, teacher: by student layer and teacher layer, maps (B, C, h, w) of one shape.
    """
    distances = torch.stack(
        [
            torch.stack([(r - f).square().flatten(1).mean(1) for r, f in zip(*row, strict=True)], dim=1)
            for row in zip(regressed, teacher, strict=True)
        ],
        dim=1,
    )
    return (attention * distances).sum() / distances[:, :, 0].numel()


class SemanticAttention(nn.Module):
    """How much each student layer should learn from each teacher layer: softmax over t of q_s . k_t.

    A layer is known by the cosines (B, B) between the images of the batch. A perceptron (B to 2 B to B) makes
    unit vectors of their rows, queries of the student's and keys of the teacher's. The authors compare by
    products instead of cosines, which grow with the map, and narrow the perceptrons to B / 4, which for
    batches as small as these is one number or none.

    Args:
        n_student, n_teacher: numbers of layers.
        most_images: the largest batch; smaller ones are filled up with zeros.
    """

    def __init__(self, n_student: int, n_teacher: int, most_images: int) -> None:
        super().__init__()
        self.most_images = most_images
        self.queries = nn.ModuleList(_perceptron(most_images) for _ in range(n_student))
        self.keys = nn.ModuleList(_perceptron(most_images) for _ in range(n_teacher))

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """S and T maps (B, C, h, w) to the attention (B, S, T).

        Raises:
            BadInputError: the batch is larger than said before.
        """
        queries, keys = self._embed(self.queries, student), self._embed(self.keys, teacher)
        return torch.einsum("bsn,btn->bst", queries, keys).softmax(2)

    def _embed(self, perceptrons: nn.ModuleList, layers: list[Tensor]) -> Tensor:
        missing = self.most_images - len(layers[0])
        if missing < 0:
            raise BadInputError(
                f"the batch holds {len(layers[0])} images, but the largest is {self.most_images}"
            )
        rows = [F.pad(gram(layer), (0, missing)) for layer in layers]
        embedded = [perceptron(row) for perceptron, row in zip(perceptrons, rows, strict=True)]
        return F.normalize(torch.stack(embedded, dim=1), dim=2)


class Regressor(nn.Module):
    """A student's map as one of the teacher's: 1 x 1, 3 x 3 and 1 x 1 convolutions without bias.

    Batch normalisation and ReLU follow the first two, which are twice as wide as the teacher's map, as its
    authors have it, or 512 channels wide where that is less.
    """

    def __init__(self, student_dim: int, teacher_dim: int) -> None:
        super().__init__()
        width = min(2 * teacher_dim, _WIDEST)
        self.layers = nn.Sequential(
            nn.Conv2d(student_dim, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, teacher_dim, 1, bias=False),
        )

    def forward(self, student: Tensor) -> Tensor:
        """(B, S, h, w) to (B, T, h, w)."""
        regressed: Tensor = self.layers(student)
        return regressed


class CrossLayer(nn.Module):
    """Attention and regressors of SemCKD: maps of both models to the loss.

    Args:
        student_dims, teacher_dims: channels of the S and T layers.
        most_images: the largest batch.
    """

    def __init__(self, student_dims: list[int], teacher_dims: list[int], most_images: int) -> None:
        super().__init__()
        self.attention = SemanticAttention(len(student_dims), len(teacher_dims), most_images)
        self.regressors = nn.ModuleList(
            Regressor(student, teacher) for student in student_dims for teacher in teacher_dims
        )

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """`semckd_loss`; the larger map of a pair is pooled to the smaller one's size."""
        regressors = iter(self.regressors)
        pairs = [[to_common_size(own, other) for other in teacher] for own in student]
        regressed = [[next(regressors)(own) for own, _ in row] for row in pairs]
        taught = [[other for _, other in row] for row in pairs]
        return semckd_loss(self.attention(student, teacher), regressed, taught)


def _perceptron(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))


@register("semckd")
class SemCKDTask(TaughtTask):
    """The outputs of four levels of blocks, weight 50, as its authors take it for large images."""

    weight = 50.0
    uses_blocks = True

    def __init__(
        self, student: PromptableModel, teacher: PromptableModel | None, config: AdaptConfig
    ) -> None:
        super().__init__(student, teacher, config)
        self.cross_layer = CrossLayer(*level_dims(student, teacher), most_images=config.batch_size)

    def auxiliary(self) -> nn.Module:
        """Attention and regressors."""
        return self.cross_layer

    def distillation(self, student: Knowledge, teacher: Knowledge, batch: TrainingBatch) -> Tensor:
        """`semckd_loss` of the blocks' outputs."""
        loss: Tensor = self.cross_layer(list(student.blocks), list(teacher.blocks))
        return loss
