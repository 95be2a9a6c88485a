"""InfoSAM's two losses: compression of the teacher's relation, and its distillation to the student.

InfoSAM (ICML 2025, arXiv 2505.21920), Eqs. 10-13. Gram matrices compare the samples of a batch with each
other, so a batch of one has entropy 0 whatever it holds: losses and gradients are exactly zero. These
functions return that value; `infosam.distill` refuses to train on fewer than two samples.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from infosam.losses.renyi import wide_entropy
from infosam.types import BadInputError


def gram(features: Tensor) -> Tensor:
    """Cosines between the samples of a batch: (B, ...) to (B, B), in at least float32, outside autocast.

    Raises:
        BadInputError: if `features` has no batch dimension or nothing beside it.
    """
    if features.ndim < 2:
        raise BadInputError(
            f"features need a batch dimension and at least one more, not {tuple(features.shape)}"
        )
    with torch.autocast(features.device.type, enabled=False):
        rows = features.flatten(1)
        if rows.dtype in (torch.float16, torch.bfloat16):
            rows = rows.float()
        rows = F.normalize(rows, dim=1)
        return rows @ rows.T


def relation_compression_loss(
    image_embedding: Tensor,
    mask_token: Tensor,
    relation: Tensor,
    alpha: float = 2.0,
    *,
    image_index: Tensor | None = None,
) -> Tensor:
    """L_r = S(G_r) - S(G_imr), Eqs. 10-11: the relation's mutual information with image and mask token.

    G_imr is the Hadamard product of the three Gram matrices, scaled to trace 1. The entropy S(G_im) of the
    teacher's own features is constant and left out. All inputs are the teacher's: the loss trains the
    relation module and gives no gradient to a student.

    Args:
        image_embedding: z_i, (B, HW, D); with `image_index` (M, HW, D), one row per image.
        mask_token: z_m, (B, N, D).
        relation: r, (B, N * HW), from a `RelationModule`.
        alpha: order of the entropy, > 0.
        image_index: (B,), the image of each sample, where several samples share one.

    Returns:
        A scalar in bits, between -log2 B and 0 for alpha = 2.

    Raises:
        BadInputError: if the three hold different numbers of samples.
    """
    images = gram(image_embedding)
    if image_index is not None:
        images = images[image_index][:, image_index]
    tokens, relations = gram(mask_token), gram(relation)
    if not images.shape == tokens.shape == relations.shape:
        raise BadInputError(
            f"image embedding, mask token and relation hold {len(images)}, {len(tokens)} and "
            f"{len(relations)} samples: give as many of each"
        )
    loss = wide_entropy(relations, alpha) - wide_entropy(images * tokens * relations, alpha)
    return loss.to(relations.dtype)


def relation_distillation_loss(
    relation_teacher: Tensor, relation_student: Tensor, alpha: float = 2.0
) -> Tensor:
    """L_d = S(G_ts) - S(G_t) - S(G_s), Eqs. 12-13: the negative mutual information of the two relations.

    Args:
        relation_teacher: (B, N * HW).
        relation_student: (B, N * HW).
        alpha: order of the entropy, > 0.

    Returns:
        A scalar in bits; for alpha = 2 at least -log2 B, its value for samples that are all orthogonal.

    Raises:
        BadInputError: if teacher and student hold different numbers of samples.
    """
    teacher, student = _grams(relation_teacher, relation_student)
    joint = wide_entropy(teacher * student, alpha)
    loss = joint - wide_entropy(teacher, alpha) - wide_entropy(student, alpha)
    return loss.to(teacher.dtype)


def relation_joint_entropy(relation_teacher: Tensor, relation_student: Tensor, alpha: float = 2.0) -> Tensor:
    """S(G_ts): what is left of L_d without the entropies of teacher and student, which regularise it.

    InfoSAM, Table 12 ("w/o RT"). At its least where all samples have one relation.

    Args and errors: see `relation_distillation_loss`.

    Returns:
        A scalar in [0, log2 B] bits.
    """
    teacher, student = _grams(relation_teacher, relation_student)
    return wide_entropy(teacher * student, alpha).to(teacher.dtype)


def _grams(relation_teacher: Tensor, relation_student: Tensor) -> tuple[Tensor, Tensor]:
    teacher, student = gram(relation_teacher), gram(relation_student)
    if teacher.shape != student.shape:
        raise BadInputError(
            f"teacher and student hold {len(teacher)} and {len(student)} samples: give as many of each"
        )
    return teacher, student
