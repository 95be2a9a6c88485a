"""How good a mask is, from the picture: SAM's IoU head, which sees a token alone, cannot tell when little was
learnt."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_MAPS = 32
_SHAPE = 5  # numbers that say what a mask is shaped like
_AROUND = 3  # how far the ring around a mask reaches, in pixels of the maps it is looked at on
_SURE = 1.0  # SAM's offset of the threshold for the stability of a mask


class MaskJudge(nn.Module):
    """What is added to the IoU that the token predicts: a good mask is even inside, differs from what lies
    around it, and ends where the picture has an edge.

    It learns from features and masks and changes neither: it detaches both.

    Args:
        channels: of the maps C. dim: of the mask tokens D. hidden: width of what decides.
    """

    def __init__(self, channels: int, dim: int, hidden: int = 128) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(channels, _MAPS, 3, padding=1), nn.GELU(), nn.Conv2d(_MAPS, _MAPS, 3, padding=1)
        )
        evidence = 4 * _MAPS + _SHAPE + dim
        last = nn.Linear(hidden, 1)
        nn.init.zeros_(last.weight)  # so that it begins with the token's word alone
        nn.init.zeros_(last.bias)
        self.decide = nn.Sequential(
            nn.LayerNorm(evidence),
            nn.Linear(evidence, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            last,
        )

    def forward(self, maps: Tensor, logits: Tensor, tokens: Tensor) -> Tensor:
        """(N, K) from maps (N, C, 4h, 4w), logits of masks (N, K, 4h, 4w) and mask tokens (N, K, D)."""
        with torch.autocast(maps.device.type, enabled=False):  # sums over many pixels
            logits = logits.detach().float()
            maps = self.look(F.avg_pool2d(maps.detach().float(), 2))
            masks = F.avg_pool2d(torch.sigmoid(2 * logits), 2)
            ring = F.max_pool2d(masks, 2 * _AROUND + 1, stride=1, padding=_AROUND) - masks
            edges = [_steps(masks, axis) for axis in (2, 3)]
            inside, around = _mean(maps, masks), _mean(maps, ring)
            uneven = _mean(maps**2, masks) - inside**2
            along = _mean(_steps(maps, 2), edges[0]) + _mean(_steps(maps, 3), edges[1])
            evidence = [inside - around, uneven, around, along, _shape(masks, edges, logits), tokens.float()]
            judged: Tensor = self.decide(torch.cat(evidence, dim=-1)).squeeze(-1)
        return judged


def _steps(maps: Tensor, axis: int) -> Tensor:
    """How much each pixel differs from the one before it, of the same shape; 0 for the first."""
    first = maps.narrow(axis, 0, 1)
    return maps.diff(dim=axis, prepend=first).abs()


def _mean(maps: Tensor, weights: Tensor) -> Tensor:
    """(N, K, C): the mean of maps (N, C, h, w) under each of the weights (N, K, h, w)."""
    weights = weights.flatten(2)
    total = weights @ maps.flatten(2).transpose(1, 2)
    return total / (weights.sum(dim=-1, keepdim=True) + 1e-2)


def _shape(masks: Tensor, edges: list[Tensor], logits: Tensor) -> Tensor:
    """(N, K, 5): size, roundness, what of its edge is cut, how steep and how sure."""
    area = masks.sum(dim=(2, 3))
    length = (edges[0] + edges[1]).sum(dim=(2, 3))
    cut = masks[:, :, [0, -1]].sum(dim=(2, 3)) + masks[:, :, :, [0, -1]].sum(dim=(2, 3))
    above, below = ((logits > bound).sum(dim=(2, 3)) for bound in (_SURE, -_SURE))
    return torch.stack(
        [
            torch.log1p(area),
            length / (area + 1).sqrt(),
            cut / (length + cut + 1),
            above / below.clamp(min=1),
            (masks**2).sum(dim=(2, 3)) / (area + 1),
        ],
        dim=-1,
    )
