"""The attention-like relation module of InfoSAM."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from infosam.relation.base import Relation

Residual = Literal["normalized", "raw"]


class RelationModule(Relation):
    """InfoSAM's own relation, one module for teacher and student.

    InfoSAM (ICML 2025, arXiv 2505.21920), Eqs. 8-9: scores = (W_q LN(z_m)) (W_k LN(z_i))^T / sqrt(D) +
    residual. Parameters carry the names of the released implementation, so that its relation weights load as
    they are.

    Args:
        dim: channels D of embedding and tokens.
        residual: "normalized" adds LN(z_m) LN(z_i)^T, as the released implementation does; "raw" adds
            z_m z_i^T, as the paper writes it.

    Raises:
        ValueError: if dim is below 1 or residual is unknown.
    """

    def __init__(self, dim: int = 256, residual: Residual = "normalized") -> None:
        super().__init__(dim)
        if residual not in get_args(Residual):
            raise ValueError(f'residual must be "normalized" or "raw", not {residual!r}')
        self.residual = residual
        self.query_proj = nn.Linear(dim, dim)
        self.key_proj = nn.Linear(dim, dim)
        self.layer_norm_feat = nn.LayerNorm(dim)
        self.layer_norm_mask = nn.LayerNorm(dim)

    def scores(self, image_embedding: Tensor, mask_tokens: Tensor) -> Tensor:
        """(B, HW, D) and (B, N, D) to (B, N, HW)."""
        image = self.layer_norm_feat(image_embedding)
        tokens = self.layer_norm_mask(mask_tokens)
        query = self.query_proj(tokens) / self.dim**0.5
        # q (W_k v + b_k) = (q W_k) v + q b_k: projects the few queries instead of every position.
        scores = (query @ self.key_proj.weight) @ image.transpose(1, 2)
        scores = scores + (query @ self.key_proj.bias).unsqueeze(-1)
        if self.residual == "raw":
            image, tokens = image_embedding, mask_tokens
        out: Tensor = scores + tokens @ image.transpose(1, 2)
        return out
