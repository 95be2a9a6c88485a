"""Relations without attention, to compare InfoSAM's with (its Table 13)."""

from __future__ import annotations

from torch import Tensor, nn

from infosam.relation.base import Relation


class DotRelation(Relation):
    """z_m z_i^T of the raw features: nothing is learnt, so that InfoSAM's L_r acts on nothing, either."""

    def scores(self, image_embedding: Tensor, mask_tokens: Tensor) -> Tensor:
        """(B, HW, D) and (B, N, D) to (B, N, HW)."""
        return mask_tokens @ image_embedding.transpose(1, 2)


class LinearRelation(Relation):
    """z_m W z_i^T of the raw features, with one matrix W (D, D), which starts as PyTorch's linear layers do.

    Args:
        dim: channels D of embedding and tokens.
    """

    def __init__(self, dim: int = 256) -> None:
        super().__init__(dim)
        self.weight = nn.Linear(dim, dim, bias=False)

    def scores(self, image_embedding: Tensor, mask_tokens: Tensor) -> Tensor:
        """(B, HW, D) and (B, N, D) to (B, N, HW)."""
        out: Tensor = self.weight(mask_tokens) @ image_embedding.transpose(1, 2)
        return out
