"""The score that decides which weights are kept: mean IoU of token 0 on held-out objects, by box and by
click."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from infosam.data.prompts import evaluation_prompt
from infosam.models.base import PromptableModel
from infosam.training.collate import prompt_batch
from infosam.training.samples import SampleSet
from infosam.types import Prompt

_PROTOCOLS = ("point", "box")
_MAX_OBJECTS = 128
_CHUNK = 32


def is_clearly_worse(scores: Sequence[float], others: Sequence[float]) -> bool:
    """Whether scores lie below others of the same objects, on average by more than two standard errors of
    the difference.

    Of a handful of held-out objects, any one can turn the mean: what is not clear is chance.
    """
    differences = np.subtract(others, scores)
    if len(differences) < 2:
        return False
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return bool(differences.mean() > 2 * error)


class Validator:
    """Measures a model on prepared held-out samples, at the resolution of its input: quick, and the same each
    time.

    Of more than 128 objects, 128 are measured, chosen at random by `seed`; the card at the end measures them
    all. An object that several samples show counts once, by their mean.
    """

    def __init__(self, data: SampleSet, seed: int) -> None:
        self._data = data
        rng = np.random.default_rng(seed)
        objects = sorted(rng.permutation(data.n_objects)[:_MAX_OBJECTS].tolist())
        self._rows = {number: row for row, number in enumerate(objects)}
        self._numbers = [number for number, sample in enumerate(data.samples) if sample.object in self._rows]
        masks = [data.samples[number].mask for number in self._numbers]
        self._prompts: dict[str, list[Prompt]] = {
            protocol: [evaluation_prompt(mask, protocol, rng) for mask in masks] for protocol in _PROTOCOLS
        }

    @property
    def n_objects(self) -> int:
        return len(self._rows)

    @torch.no_grad()
    def scores(self, model: PromptableModel) -> list[float]:
        """The IoU of each object, the mean of both prompts; `model` is put into eval mode."""
        model.eval()
        samples = [self._data.samples[number] for number in self._numbers]
        rows = torch.tensor([self._rows[sample.object] for sample in samples])
        counts = torch.bincount(rows)
        scores = torch.zeros(self.n_objects)
        by_image: dict[int, list[int]] = {}
        for place, sample in enumerate(samples):
            by_image.setdefault(sample.image, []).append(place)
        for image, places in by_image.items():
            pixels, _ = self._data.tensors([image], model.device)
            embedding = model.encode(pixels)
            for start in range(0, len(places), _CHUNK):
                chunk = places[start : start + _CHUNK]
                targets = self._targets(image, chunk)
                for protocol in _PROTOCOLS:
                    prompts = [self._prompts[protocol][place] for place in chunk]
                    batch = prompt_batch(prompts, [0] * len(chunk), model.device)
                    found = self._overlap(model.decode(embedding, batch).logits[:, :1], targets, image)
                    shown = rows[chunk]  # different objects, as all of one image are
                    scores[shown] += found / (len(_PROTOCOLS) * counts[shown])
        scored: list[float] = scores.tolist()
        return scored

    def _targets(self, image: int, places: Sequence[int]) -> Tensor:
        height, width = self._data.valid_sizes[image]
        masks = [self._data.samples[self._numbers[place]].mask for place in places]
        return torch.from_numpy(np.stack(masks))[:, :height, :width]

    def _overlap(self, logits: Tensor, targets: Tensor, image: int) -> Tensor:
        """IoU (N,) of (N, 1, h, w) low-resolution logits on the part of the input that shows the image."""
        height, width = self._data.valid_sizes[image]
        side = self._data.side
        enlarged = F.interpolate(logits.float(), (side, side), mode="bilinear", align_corners=False)
        masks = (enlarged[:, 0, :height, :width] > 0).cpu()
        shared = (masks & targets).sum((1, 2))
        return shared / (masks | targets).sum((1, 2)).clamp_min(1)
