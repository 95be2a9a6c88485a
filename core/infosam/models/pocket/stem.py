"""The pocket model's patch embedding: three strided convolutions, whose finer maps the mask decoder sees
too."""

from __future__ import annotations

from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

from infosam.models.pocket.attention import FusedAttention

STRIDE = 8
_EPS = 1e-2  # padding is flat: a smaller one would make its gradients explode


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1), LayerNorm2d(outputs, eps=_EPS), nn.GELU()
    )


class ConvStem(nn.Module):
    """(B, 3, S, S) images as maps at half, at a quarter and at an eighth of their size.

    Early convolutions let small transformers learn faster (Xiao et al. 2021, "Early convolutions help
    transformers see better").
    """

    def __init__(self, half: int, quarter: int, width: int) -> None:
        super().__init__()
        self.at_half = nn.Sequential(_convolution(3, half, 2), _convolution(half, half, 1))
        self.at_quarter = nn.Sequential(_convolution(half, quarter, 2), _convolution(quarter, quarter, 1))
        self.at_eighth = nn.Conv2d(quarter, width, 3, 2, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = self.at_half(images)
        quarter = self.at_quarter(half)
        return half, quarter, self.at_eighth(quarter)


class PocketEncoder(ImageEncoderViT):  # type: ignore[misc]  # segment-anything has no types
    """SAM's image encoder on a convolutional stem.

    Beside its features it gives two finer maps, (B, D / 8, S / 2, S / 2) and (B, D / 4, S / 4, S / 4), as
    SAM 2's does (Ravi et al. 2024): an object's edge is found there, not among the tokens.
    """

    def __init__(
        self, *, half: int, quarter: int, embed_dim: int, out_chans: int, **settings: object
    ) -> None:
        super().__init__(patch_size=STRIDE, embed_dim=embed_dim, out_chans=out_chans, **settings)
        self.patch_embed = ConvStem(half, quarter, embed_dim)
        for block in self.blocks:
            block.attn = FusedAttention(block.attn)
        self.to_half = nn.Conv2d(half, out_chans // 8, 1)
        self.to_quarter = nn.Conv2d(quarter, out_chans // 4, 1)

    def stem(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The tokens (B, h, w, C) that enter the first block, and the finer maps, the finest first."""
        half, quarter, tokens = self.patch_embed(images)
        return tokens.permute(0, 2, 3, 1) + self.pos_embed, (self.to_half(half), self.to_quarter(quarter))
