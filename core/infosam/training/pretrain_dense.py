"""A training aid that never ships: what each pixel says about the objects, without any prompt."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infosam.types import BoolArray, FloatArray

_CHANNELS = 6
_STRIDE = 4  # low-resolution pixels per token, as in the mask decoder


def dense_targets(masks: BoolArray) -> FloatArray:
    """(K, S, S) masks as (6, S/2, S/2): object or not, edge or not, and how far the object's box reaches.

    The four distances are from the pixel up, left, down and right to the edges of the box of the smallest
    object there, as log(1 + pixels); zero outside objects.
    """
    size = masks.shape[1]
    edge = np.zeros((size, size), dtype=bool)
    edge[:-1] |= (masks[:, :-1] != masks[:, 1:]).any(axis=0)
    edge[:, :-1] |= (masks[:, :, :-1] != masks[:, :, 1:]).any(axis=0)
    rows, columns = np.mgrid[:size:2, :size:2]
    reach = np.zeros((4, size // 2, size // 2), dtype=np.float32)
    for mask in masks[np.argsort(-masks.sum(axis=(1, 2)))]:
        r, c = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
        inside = mask[::2, ::2]
        sides = np.stack([rows - r[0], columns - c[0], r[-1] + 1 - rows, c[-1] + 1 - columns])
        reach[:, inside] = np.log1p(sides[:, inside])
    flags = np.stack([masks.any(axis=0), edge]).reshape(2, size // 2, 2, size // 2, 2).mean(axis=(2, 4))
    targets: FloatArray = np.concatenate([flags, reach], dtype=np.float32)
    return targets


class DenseHead(nn.Module):
    """Predicts the dense targets from the image embedding: (B, D, h, w) to (B, 6, 4h, 4w)."""

    def __init__(self, dim: int, hidden: int = 256) -> None:
        super().__init__()
        self.expand = nn.Conv2d(dim, hidden, 1)
        self.predict = nn.Conv2d(hidden, _CHANNELS * _STRIDE**2, 1)

    def forward(self, features: Tensor) -> Tensor:
        return F.pixel_shuffle(self.predict(F.gelu(self.expand(features))), _STRIDE)


def dense_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of object and edge, and the mean absolute error of the distances inside objects."""
    prediction = F.interpolate(prediction.float(), target.shape[-2:])
    entropy = F.binary_cross_entropy_with_logits(
        prediction[:, :2],
        target[:, :2],
        pos_weight=torch.tensor([1.0, 4.0], device=target.device)[:, None, None],
    )
    inside = (target[:, 2:].amax(dim=1, keepdim=True) > 0).float()
    error = ((prediction[:, 2:] - target[:, 2:]).abs() * inside).sum() / (4 * inside.sum()).clamp(min=1)
    return entropy + error
