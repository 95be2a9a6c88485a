"""Losses, functions first."""

from infosam.losses.infosam import (
    gram,
    relation_compression_loss,
    relation_distillation_loss,
    relation_joint_entropy,
)
from infosam.losses.renyi import renyi_entropy
from infosam.losses.structure import boundary_weight, structure_loss

__all__ = [
    "boundary_weight",
    "gram",
    "relation_compression_loss",
    "relation_distillation_loss",
    "relation_joint_entropy",
    "renyi_entropy",
    "structure_loss",
]
