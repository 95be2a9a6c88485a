"""No distillation: supervision alone."""

from __future__ import annotations

from torch import Tensor

from infosam.distill.base import Task, TrainingBatch
from infosam.distill.registry import register
from infosam.distill.supervised import supervised_losses


@register("none")
class SupervisedTask(Task):
    """The student against the targets."""

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Returns "loss" and the parts of `supervised_losses`."""
        output = self.student.decode(self.student.encode(batch.images), batch.prompts)
        parts = supervised_losses(output, batch.targets, batch.valid, self.config.mode)
        loss = sum(parts.values(), batch.targets.new_zeros(()))
        return {"loss": loss} | {name: part.detach() for name, part in parts.items()}
