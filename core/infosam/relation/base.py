"""What every relation between mask tokens and image embeddings shares."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn

from infosam.types import BadInputError


class Relation(nn.Module, ABC):
    """How strongly mask tokens relate to each position of the image embedding: one unit vector per sample.

    Args:
        dim: channels D of embedding and tokens.

    Raises:
        ValueError: if dim is below 1.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        if dim < 1:
            raise ValueError(f"dim must be at least 1, not {dim}")
        self.dim = dim

    @abstractmethod
    def scores(self, image_embedding: Tensor, mask_tokens: Tensor) -> Tensor:
        """(B, HW, D) and (B, N, D) to (B, N, HW), of any length."""

    def forward(self, image_embedding: Tensor, mask_tokens: Tensor) -> Tensor:
        """Relations of B samples.

        Args:
            image_embedding: z_i, (B, HW, D).
            mask_tokens: z_m, (B, N, D).

        Returns:
            (B, N * HW), each row of unit length.

        Raises:
            BadInputError: if the shapes do not fit each other or the module.
        """
        self._check(image_embedding, mask_tokens)
        return F.normalize(self.scores(image_embedding, mask_tokens).flatten(1), dim=1)

    def _check(self, image_embedding: Tensor, mask_tokens: Tensor) -> None:
        image, tokens = tuple(image_embedding.shape), tuple(mask_tokens.shape)
        if (
            len(image) != 3
            or len(tokens) != 3
            or image[0] != tokens[0]
            or {image[2], tokens[2]} != {self.dim}
        ):
            raise BadInputError(
                f"the relation module needs an embedding (B, HW, {self.dim}) and tokens (B, N, {self.dim}) "
                f"of the same batch, not {image} and {tokens}"
            )
