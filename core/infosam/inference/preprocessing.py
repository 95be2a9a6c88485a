"""From an 8-bit RGB image to a model's input, in the two readings: the model's own, and the released
scripts'."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from infosam.models.base import PromptableModel
from infosam.types import RunMode

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def preprocess(model: PromptableModel, rgb: NDArray[np.uint8], mode: RunMode = "clean") -> Tensor:
    """An (H, W, 3) uint8 RGB image as the (3, S, S) float32 input of `model.encode`.

    `clean` and `paper`: as the model's authors do it. `official`: as InfoSAM's released scripts do it,
    channels swapped to BGR under RGB statistics, and padded with black before normalisation (SAM pads after
    it). SAM 2, whose input is squashed and not padded, keeps its own transform on the swapped channels.
    """
    if mode != "official":
        return model.preprocess(rgb)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    if model.family == "sam2":
        return model.preprocess(bgr)
    height, width = model.valid_size(*rgb.shape[:2])
    pixels = torch.from_numpy(bgr).permute(2, 0, 1)[None].to(model.device, torch.float32) / 255
    pixels = F.interpolate(pixels, (height, width), mode="bilinear", align_corners=False, antialias=True)[0]
    pixels = F.pad(pixels, (0, model.image_size - width, 0, model.image_size - height))
    mean, std = (pixels.new_tensor(values).view(3, 1, 1) for values in (_MEAN, _STD))
    return (pixels - mean) / std
