"""MobileSAM and TinySAM with InfoSAM's relation module (its Table 5)."""

from __future__ import annotations

from torch import Tensor

from infosam.distill.base import TrainingBatch
from infosam.distill.infosam import InfoSAMTask
from infosam.distill.mobilesam import MobileSAMTask
from infosam.distill.registry import register
from infosam.distill.taught import Knowledge, TaughtTask
from infosam.distill.tinysam import TinySAMTask


class WithRelation(InfoSAMTask):
    """A method's own loss plus InfoSAM's: weight * L_KD + lambda_compress * L_r + lambda_distill * L_d.

    The paper does not say how its two rows "with RM" combine them; this is our reading.
    """

    def lesson(self, student: Knowledge, teacher: Knowledge, batch: TrainingBatch) -> dict[str, Tensor]:
        """Returns "loss" and "distillation" of the method, and the parts of `information_losses`, of which
        L_r and L_d are named "relation_compression" and "relation_distillation"."""
        own = TaughtTask.lesson(self, student, teacher, batch)
        information = super().lesson(student, teacher, batch)
        return {
            "loss": own["loss"] + information["loss"],
            "distillation": own["distillation"],
            "relation_compression": information["compression"],
            "relation_distillation": information["distillation"],
            "relation_entropy": information["relation_entropy"],
        }


@register("mobilesam+relation")
class MobileSAMRelationTask(WithRelation, MobileSAMTask):
    """MobileSAM with the relation module."""


@register("tinysam+relation")
class TinySAMRelationTask(WithRelation, TinySAMTask):
    """TinySAM with the relation module."""
