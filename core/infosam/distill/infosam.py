"""InfoSAM: supervision, plus what the relation module distils from the pre-trained model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from infosam.distill.base import Task, TrainingBatch
from infosam.distill.registry import register
from infosam.distill.supervised import supervised_losses
from infosam.losses import gram, relation_compression_loss, relation_distillation_loss, renyi_entropy
from infosam.models.base import PromptableModel
from infosam.relation import RelationModule, Residual
from infosam.types import AdaptConfig, BadInputError, DecoderOutput, ImageEmbedding


@register("infosam")
class InfoSAMTask(Task):
    """L = supervised + rkd_weight * (lambda_compress * L_r + lambda_distill * L_d).

    InfoSAM (ICML 2025, arXiv 2505.21920), Eqs. 14-15. The teacher decodes the same prompts on its cached
    embeddings; its relations and the student's come from one relation module, which trains beside the
    student. "paper" mode adds the raw features in it (Eq. 9), the others the normalised ones, as the released
    implementation does.
    """

    uses_teacher = True

    def __init__(
        self, student: PromptableModel, teacher: PromptableModel | None, config: AdaptConfig
    ) -> None:
        super().__init__(student, teacher, config)
        residual: Residual = "raw" if config.mode == "paper" else "normalized"
        self.relation = RelationModule(student.embed_dim, residual=residual)

    def auxiliary(self) -> nn.Module:
        """The relation module."""
        return self.relation

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Losses of one batch.

        Returns:
            "loss"; the parts of `supervised_losses`; "compression" (L_r) and "distillation" (L_d) in bits;
            and "relation_entropy", S_2 of the teacher's relations in bits: near 0 the relation module has
            collapsed to one answer for all samples, and distils nothing.

        Raises:
            BadInputError: for fewer than two prompts, or a batch without teacher embeddings.
        """
        if len(batch.prompts) < 2:
            raise BadInputError(
                f"InfoSAM needs at least 2 prompts in a batch, not {len(batch.prompts)}: it compares them "
                "with each other, and for one its losses and gradients are exactly zero. Label a second "
                "object, or use another distillation method"
            )
        embedding = self.student.encode(batch.images)
        output = self.student.decode(embedding, batch.prompts)
        supervised = supervised_losses(output, batch.targets, batch.valid, self.config.mode)
        information = self._information_losses(batch, embedding, output)
        config = self.config
        loss = sum(supervised.values(), batch.targets.new_zeros(()))
        loss = loss + config.rkd_weight * (
            config.lambda_compress * information["compression"]
            + config.lambda_distill * information["distillation"]
        )
        return {"loss": loss} | {name: part.detach() for name, part in (supervised | information).items()}

    def _information_losses(
        self, batch: TrainingBatch, embedding: ImageEmbedding, output: DecoderOutput
    ) -> dict[str, Tensor]:
        taught, answers = self.teach(batch)
        teacher_image, teacher_token = _positions(taught), answers.tokens[:, :1].float()
        index, alpha = batch.prompts.image_index, self.config.alpha
        # Half precision loses the small differences between samples that the entropies are made of.
        with torch.autocast(batch.images.device.type, enabled=False):
            teacher = self.relation(teacher_image[index], teacher_token)
            student = self.relation(_positions(embedding)[index], output.tokens[:, :1].float())
            return {
                "compression": relation_compression_loss(
                    teacher_image, teacher_token, teacher, alpha, image_index=index
                ),
                "distillation": relation_distillation_loss(teacher, student, alpha),
                "relation_entropy": renyi_entropy(gram(teacher.detach())),
            }


def _positions(embedding: ImageEmbedding) -> Tensor:
    """(B, D, h, w) features as (B, h * w, D) in float32."""
    return embedding.features.flatten(2).transpose(1, 2).float()
