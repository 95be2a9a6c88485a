"""InfoSAM: supervision, plus what the relation module distils from the pre-trained model."""

from __future__ import annotations

from torch import Tensor

from infosam.distill.base import TrainingBatch
from infosam.distill.information import information_losses, relation_for
from infosam.distill.registry import register
from infosam.distill.taught import Knowledge, TaughtTask
from infosam.models.base import PromptableModel
from infosam.relation import Relation
from infosam.types import AdaptConfig


@register("infosam")
class InfoSAMTask(TaughtTask):
    """L = supervised + rkd_weight * (lambda_compress * L_r + lambda_distill * L_d).

    InfoSAM (ICML 2025, arXiv 2505.21920), Eqs. 14-15. The teacher decodes the same prompts on its cached
    embeddings; its relations and the student's come from one relation module, which trains beside the
    student. The paper's ablations are settings: `relation`, `relation_terms`, `relation_weights` and `alpha`
    of `AdaptConfig`; its "w/o L_r" is the relation "dot".
    """

    def __init__(
        self, student: PromptableModel, teacher: PromptableModel | None, config: AdaptConfig
    ) -> None:
        super().__init__(student, teacher, config)
        self.relation = relation_for(student, config)

    def auxiliary(self) -> Relation:
        """The relation module."""
        return self.relation

    def trained_relation(self) -> Relation | None:
        """The relation module, unless it is frozen or has no weights."""
        learns = any(parameter.requires_grad for parameter in self.relation.parameters())
        return self.relation if learns else None

    def lesson(self, student: Knowledge, teacher: Knowledge, batch: TrainingBatch) -> dict[str, Tensor]:
        """See `information_losses`."""
        return information_losses(self.relation, student, teacher, batch.prompts.image_index, self.config)
