"""InfoSAM's relation module behind further layers of attention, to compare it with (its Table 13)."""

from __future__ import annotations

from torch import Tensor, nn

from infosam.relation.module import RelationModule, Residual


class CrossAttention(nn.Module):
    """z_m becomes LN(z_m + attention of z_m over z_i): one head, four projections with bias.

    Args:
        dim: channels D of embedding and tokens.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, num_heads=1, batch_first=True)
        self.norm = nn.LayerNorm(dim)

    def forward(self, image_embedding: Tensor, mask_tokens: Tensor) -> Tensor:
        """(B, HW, D) and (B, N, D) to (B, N, D)."""
        read, _ = self.attention(mask_tokens, image_embedding, image_embedding, need_weights=False)
        tokens: Tensor = self.norm(mask_tokens + read)
        return tokens


class DeepRelation(RelationModule):
    """A `RelationModule` whose mask tokens have read the image in further layers before.

    The paper says of its variants Attn-3 and Attn-5 no more than their names; this is our reading.

    Args:
        dim, residual: see `RelationModule`; the raw residual takes the tokens as the layers leave them.
        layers: attention layers in all, the scores' own counted: `layers` - 1 come before it.

    Raises:
        ValueError: if layers is below 1, or as `RelationModule`.
    """

    def __init__(self, dim: int = 256, residual: Residual = "normalized", *, layers: int) -> None:
        super().__init__(dim, residual)
        if layers < 1:
            raise ValueError(f"layers must be at least 1, not {layers}")
        self.readers = nn.ModuleList(CrossAttention(dim) for _ in range(layers - 1))

    def scores(self, image_embedding: Tensor, mask_tokens: Tensor) -> Tensor:
        """(B, HW, D) and (B, N, D) to (B, N, HW)."""
        for reader in self.readers:
            mask_tokens = reader(image_embedding, mask_tokens)
        return super().scores(image_embedding, mask_tokens)
