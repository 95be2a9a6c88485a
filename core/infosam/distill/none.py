"""No distillation: supervision alone."""

from __future__ import annotations

from torch import Tensor

from infosam.distill.base import Task, TrainingBatch
from infosam.distill.registry import register
from infosam.distill.share import Share
from infosam.distill.supervised import supervised_losses


@register("none")
class SupervisedTask(Task):
    """The student against the targets."""

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Returns "loss" and the parts of `supervised_losses`."""
        share = Share.of(batch)
        embedding = self.student.encode(share.own.images)
        output = share.whole_output(self.student.decode(embedding, share.own.prompts))
        parts = supervised_losses(output, batch.targets, batch.valid, self.config.mode)
        loss = sum(parts.values(), batch.targets.new_zeros(()))
        return {"loss": loss} | {name: part.detach() for name, part in parts.items()}
