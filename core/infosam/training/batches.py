"""The batch of a step: samples, the prompts they are given, and their targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from infosam.data.prompts import random_corrective_point, training_prompts, with_point
from infosam.distill import TrainingBatch
from infosam.models.base import PromptableModel
from infosam.training.collate import prompt_batch
from infosam.training.sampler import choose_samples
from infosam.training.samples import Sample, SampleSet
from infosam.types import AdaptConfig, BoolArray, ImageEmbedding, Prompt

_PROMPTS = 2  # this file's stream of random numbers
_RECORDED_SHARE = 0.5
_CORRECTED_SHARE = 0.2


class Batches:
    """Makes the batch of any step from the seed and the step alone.

    In `clean` mode half of the objects that carry a recorded prompt of the batch's kind get that one, and
    every fifth batch adds the click that corrects the pre-trained model's answer.

    Args:
        data: prepared samples.
        model: the pre-trained model, whose answers are corrected.
        config: batch_size, mode and seed are used.
    """

    def __init__(self, data: SampleSet, model: PromptableModel, config: AdaptConfig) -> None:
        self._data = data
        self._by_image = data.by_image
        self._objects = [sample.object for sample in data.samples]
        self._model = model
        self._config = config

    def __getitem__(self, step: int) -> TrainingBatch:
        config = self._config
        numbers = choose_samples(
            self._by_image, self._objects, step, config.batch_size, config.mode, config.seed
        )
        samples = [self._data.samples[number] for number in numbers]
        images = sorted({sample.image for sample in samples})
        index = [images.index(sample.image) for sample in samples]
        device = self._model.device
        pixels, embedding = self._data.tensors(images, device)
        masks = [sample.mask for sample in samples]
        prompts = self._prompts(step, samples, masks, index, embedding)
        valid = None
        if config.mode == "clean":  # the other modes count padding, as the released scripts do
            valid = torch.from_numpy(np.stack([self._data.valid(sample.image) for sample in samples]))
            valid = valid[:, None].to(device)
        targets = torch.from_numpy(np.stack(masks))[:, None].to(device, torch.float32)
        return TrainingBatch(pixels, embedding, prompt_batch(prompts, index, device), targets, valid)

    def _prompts(
        self,
        step: int,
        samples: Sequence[Sample],
        masks: Sequence[BoolArray],
        index: Sequence[int],
        embedding: ImageEmbedding | None,
    ) -> list[Prompt]:
        rng = np.random.default_rng([self._config.seed, _PROMPTS, step])
        prompts = training_prompts(masks, rng, mode=self._config.mode, step=step)
        if self._config.mode != "clean":
            return prompts
        prompts = [
            _recorded_or(prompt, sample.recorded, rng)
            for prompt, sample in zip(prompts, samples, strict=True)
        ]
        if embedding is not None and rng.random() < _CORRECTED_SHARE:
            answers = self._answers(prompts, index, embedding)
            prompts = [
                with_point(prompt, random_corrective_point(mask, answer, rng))
                for prompt, mask, answer in zip(prompts, masks, answers, strict=True)
            ]
        return prompts

    @torch.no_grad()
    def _answers(
        self, prompts: Sequence[Prompt], index: Sequence[int], embedding: ImageEmbedding
    ) -> list[BoolArray]:
        """The pre-trained model's (S, S) masks for the prompts."""
        output = self._model.decode(embedding, prompt_batch(prompts, index, self._model.device))
        size = (self._model.image_size, self._model.image_size)
        logits = F.interpolate(output.logits[:, :1].float(), size, mode="bilinear", align_corners=False)
        return list((logits[:, 0] > 0).cpu().numpy())


def _recorded_or(prompt: Prompt, recorded: Prompt | None, rng: np.random.Generator) -> Prompt:
    """Sometimes the recorded prompt, cut down to the kinds of `prompt`, where what is left says where the
    object is: clicks beside it that corrected a box do not."""
    if recorded is None or rng.random() >= _RECORDED_SHARE:
        return prompt
    if (prompt.points and not recorded.points) or (prompt.box is not None and recorded.box is None):
        return prompt
    if prompt.box is None and 1 not in recorded.labels:
        return prompt
    return Prompt(
        points=recorded.points if prompt.points else (),
        labels=recorded.labels if prompt.points else (),
        box=recorded.box if prompt.box is not None else None,
    )
