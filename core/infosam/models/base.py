"""The one interface behind which SAM, SAM 2 and the pocket model stand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from infosam.types import DecoderOutput, ImageEmbedding, MaskRefiner, ObjectSizes, PromptBatch

MASK_LOGIT = 10.0  # a probability of 0.99995: what SAM 2 itself makes of a mask that is given as such


class PromptableModel(nn.Module, ABC):
    """A model that turns images into embeddings, and embeddings with prompts into masks.

    Attributes:
        name: the registry's name, e.g. "sam_vit_b".
        family: "sam", "sam2" or "pocket".
        image_size: side S of the square input, in pixels.
        embed_dim: channels D of the image embedding and of the mask tokens.
        sha256: hash of the weights that were loaded, or None for weights made in memory.
        adapter_id: names the adapter that the weights carry, None for the pre-trained model. Whoever changes
            weights (injection, training, loading an adapter) sets it, so that embeddings are never mixed up.
        logit_limit: low-resolution logits are clamped to [-limit, limit] before they are offered as a mask
            prompt, as the family's authors do it; None where they do not.
        answer_logit: the logit, up or down, that an earlier answer has as a mask prompt when it is corrected:
            below MASK_LOGIT where a model would rather repeat itself.
        object_sizes: how large the objects are that the model was adapted to: where to begin looking for what
            a click means, and whether to look for lines. None for the pre-trained model.
        refiner: a module behind the mask decoder that has the last word on the masks, or None.
    """

    name: str
    family: Literal["sam", "sam2", "pocket"]
    image_size: int
    embed_dim: int
    sha256: str | None = None
    adapter_id: str | None = None
    logit_limit: float | None = None
    answer_logit: float = MASK_LOGIT
    object_sizes: ObjectSizes | None = None
    refiner: MaskRefiner | None

    def __init__(self) -> None:
        super().__init__()
        self.refiner = None
        self._memory_id = f"memory-{uuid4().hex}"

    @property
    def fingerprint(self) -> str:
        """Tells apart models whose embeddings differ: name, hash of the weights, adapter."""
        return "|".join((self.name, self.sha256 or self._memory_id, self.adapter_id or ""))

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """The authors' own module, whose state dict is what checkpoint files hold."""

    @property
    @abstractmethod
    def embedding_size(self) -> tuple[int, int]:
        """(h, w) of the image embedding; low-resolution logits are four times as large."""

    @abstractmethod
    def preprocess(self, image: NDArray[np.uint8]) -> Tensor:
        """An (H, W, 3) uint8 RGB image as the (3, S, S) float32 input of `encode`, as the authors do it."""

    @abstractmethod
    def valid_size(self, height: int, width: int) -> tuple[int, int]:
        """(h, w) of the part of the S x S input that shows the image (all of it if squashed, else padded)."""

    @abstractmethod
    def to_input(self, coordinates: NDArray[np.float64], height: int, width: int) -> Tensor:
        """(..., 2) row, column coordinates of the image as float32 coordinates of the model's input."""

    @abstractmethod
    def to_image(self, logits: Tensor, height: int, width: int) -> Tensor:
        """(N, K, h, w) low-resolution logits as (N, K, H, W) logits at image resolution."""

    @abstractmethod
    def encode(self, images: Tensor) -> ImageEmbedding:
        """(B, 3, S, S) preprocessed images as embeddings."""

    @abstractmethod
    def decode(self, embedding: ImageEmbedding, prompts: PromptBatch) -> DecoderOutput:
        """Masks for N prompts over the B embedded images."""

    @abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """The transformer blocks of the image encoder, first to last."""

    @abstractmethod
    def block_dims(self) -> Sequence[int]:
        """The number of channels that leave each block."""

    @abstractmethod
    def mask_decoder(self) -> nn.Module:
        """The mask decoder, which most methods train in full."""


def freeze(model: PromptableModel) -> PromptableModel:
    """The same model in eval mode, with no parameter that asks for a gradient."""
    model.requires_grad_(False)
    model.eval()
    return model
