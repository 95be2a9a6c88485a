"""What InfoSAM adds to the supervision, for every method that adds it."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from infosam.distill.taught import Knowledge
from infosam.losses import (
    gram,
    relation_compression_loss,
    relation_distillation_loss,
    relation_joint_entropy,
    renyi_entropy,
)
from infosam.models.base import PromptableModel
from infosam.relation import Relation, Residual, build_relation, load_relation
from infosam.types import AdaptConfig, BadInputError


def relation_for(student: PromptableModel, config: AdaptConfig) -> Relation:
    """The relation that a run trains, or the frozen one that it is given.

    "paper" mode adds the raw features in it (Eq. 9), the others the normalised ones, as the released
    implementation does.

    Raises:
        BadInputError: the given weights cannot be used.
    """
    residual: Residual = "raw" if config.mode == "paper" else "normalized"
    relation = build_relation(config.relation, student.embed_dim, residual)
    if config.relation_weights is not None:
        load_relation(relation, Path(config.relation_weights))
        relation.requires_grad_(False)
    return relation


def relations(relation: Relation, knowledge: Knowledge, image_index: Tensor) -> Tensor:
    """(N, h * w), unit rows: mask token 0 of N prompts over the positions of their images `image_index`."""
    related: Tensor = relation(_positions(knowledge)[image_index], knowledge.tokens[:, :1])
    return related


def information_losses(
    relation: Relation, student: Knowledge, teacher: Knowledge, image_index: Tensor, config: AdaptConfig
) -> dict[str, Tensor]:
    """lambda_compress * L_r + lambda_distill * L_d of N prompts, InfoSAM (arXiv 2505.21920), Eqs. 10-15.

    Args:
        relation: computes the relations of both models.
        student, teacher: N prompts over B images each.
        image_index: (N,), the image of each prompt.
        config: lambda_compress, lambda_distill, alpha and relation_terms are used.

    Returns:
        "loss"; "compression" (L_r) and "distillation" (L_d) in bits, or what `relation_terms` leaves of them;
        and "relation_entropy", S_2 of the teacher's relations in bits: near 0 the relation has collapsed to
        one answer for all samples, and distils nothing.

    Raises:
        BadInputError: for fewer than two prompts.
    """
    if len(image_index) < 2:
        raise BadInputError(
            f"InfoSAM needs at least 2 prompts in a batch, not {len(image_index)}: it compares them "
            "with each other, and for one its losses and gradients are exactly zero. Label a second "
            "object, or use another distillation method"
        )
    image, token, alpha = _positions(teacher), teacher.tokens[:, :1], config.alpha
    taught = relations(relation, teacher, image_index)
    sought = relations(relation, student, image_index)
    if config.relation_terms == "all":
        compression = relation_compression_loss(image, token, taught, alpha, image_index=image_index)
        distillation = relation_distillation_loss(taught, sought, alpha)
    else:
        compression = taught.new_zeros(())
        if config.relation_terms == "joint+teacher":
            compression = renyi_entropy(gram(taught), alpha)
        distillation = relation_joint_entropy(taught, sought, alpha)
    return {
        "loss": config.lambda_compress * compression + config.lambda_distill * distillation,
        "compression": compression,
        "distillation": distillation,
        "relation_entropy": renyi_entropy(gram(taught.detach())),
    }


def _positions(knowledge: Knowledge) -> Tensor:
    """(B, D, h, w) features as (B, h * w, D)."""
    return knowledge.features.flatten(2).transpose(1, 2)
