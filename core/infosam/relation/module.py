"""The attention-like relation module of InfoSAM."""

from __future__ import annotations

from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from infosam.types import BadInputError

Residual = Literal["normalized", "raw"]


class RelationModule(nn.Module):
    """How strongly mask tokens relate to each position of the image embedding: one unit vector per sample.

    InfoSAM (ICML 2025, arXiv 2505.21920), Eqs. 8-9: scores = (W_q LN(z_m)) (W_k LN(z_i))^T / sqrt(D) +
    residual, with one module for teacher and student. Parameters carry the names of the released
    implementation, so that its relation weights load as they are.

    Args:
        dim: channels D of embedding and tokens.
        residual: "normalized" adds LN(z_m) LN(z_i)^T, as the released implementation does; "raw" adds
            z_m z_i^T, as the paper writes it.

    Raises:
        ValueError: if dim is below 1 or residual is unknown.
    """

    def __init__(self, dim: int = 256, residual: Residual = "normalized") -> None:
        super().__init__()
        if dim < 1:
            raise ValueError(f"dim must be at least 1, not {dim}")
        if residual not in get_args(Residual):
            raise ValueError(f'residual must be "normalized" or "raw", not {residual!r}')
        self.dim = dim
        self.residual = residual
        self.query_proj = nn.Linear(dim, dim)
        self.key_proj = nn.Linear(dim, dim)
        self.layer_norm_feat = nn.LayerNorm(dim)
        self.layer_norm_mask = nn.LayerNorm(dim)

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
        image = self.layer_norm_feat(image_embedding)
        tokens = self.layer_norm_mask(mask_tokens)
        query = self.query_proj(tokens) / self.dim**0.5
        # q (W_k v + b_k) = (q W_k) v + q b_k: projects the few queries instead of every position.
        scores = (query @ self.key_proj.weight) @ image.transpose(1, 2)
        scores = scores + (query @ self.key_proj.bias).unsqueeze(-1)
        if self.residual == "raw":
            image, tokens = image_embedding, mask_tokens
        return F.normalize((scores + tokens @ image.transpose(1, 2)).flatten(1), dim=1)

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
