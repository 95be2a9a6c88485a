"""Which part of a global batch this process encodes and decodes, and how the parts come together again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from infosam import distributed
from infosam.distill.base import TrainingBatch
from infosam.types import BadInputError, DecoderOutput, PromptBatch


@dataclass(frozen=True, eq=False)
class Share:
    """This process's images, neighbours in the batch, and the prompts on them; of one process, all.

    batch: the global one, of B images and N prompts. own: its share, with b images and n prompts.
    images: (b,) and prompts: (n,), where the share lies in the global batch.
    """

    batch: TrainingBatch
    own: TrainingBatch
    images: Tensor
    prompts: Tensor

    @classmethod
    def of(cls, batch: TrainingBatch) -> Share:
        """Raises BadInputError where there are fewer images than processes."""
        count, rank, size = len(batch.images), distributed.rank(), distributed.size()
        index = batch.prompts.image_index
        if count < size:
            raise BadInputError(
                f"a batch of {count} images cannot be shared by {size} processes: start at most {count}, or "
                "take larger batches"
            )
        start, stop = count * rank // size, count * (rank + 1) // size
        images = torch.arange(start, stop, device=index.device)
        prompts = ((index >= start) & (index < stop)).nonzero()[:, 0]
        own = batch if size == 1 else _part(batch, images, prompts)
        return cls(batch, own, images, prompts)

    def whole_images(self, part: Tensor) -> Tensor:
        """(b, ...) of every process to (B, ...)."""
        return distributed.gather(part, self.images, len(self.batch.images))

    def whole_prompts(self, part: Tensor) -> Tensor:
        """(n, ...) of every process to (N, ...)."""
        return distributed.gather(part, self.prompts, len(self.batch.prompts))

    def whole_output(self, output: DecoderOutput) -> DecoderOutput:
        """The decoder's answers to all prompts."""
        logits, iou, tokens = map(self.whole_prompts, (output.logits, output.iou, output.tokens))
        return replace(output, logits=logits, iou=iou, tokens=tokens)


def _part(batch: TrainingBatch, images: Tensor, prompts: Tensor) -> TrainingBatch:
    def rows(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[prompts]

    given, teacher = batch.prompts, batch.teacher
    if teacher is not None:
        teacher = teacher.select(images)
    own_prompts = PromptBatch(
        given.image_index[prompts] - images[0],
        rows(given.points),
        rows(given.labels),
        rows(given.boxes),
        rows(given.masks),
    )
    return TrainingBatch(
        batch.images[images], teacher, own_prompts, batch.targets[prompts], rows(batch.valid)
    )
