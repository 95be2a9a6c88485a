"""Batches for pre-training: generated scenes, chosen objects and their first prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from infosam.data.scenes import MIN_AREA, draw_scenes
from infosam.training.pretrain_dense import dense_targets
from infosam.types import BoolArray


@dataclass(frozen=True, eq=False)
class SceneBatch:
    """B scenes of S x S pixels with P prompted objects each, N = B * P.

    images: (B, 3, S, S) uint8. valid: (B, 2) rows and columns that show the image, the rest is padding.
    masks: (N, S, S) bool. image_index: (N,). points: (N, 1, 2) row, column. boxes: (N, 4) r0, c0, r1, c1.
    dense: (B, 6, S/2, S/2), see `dense_targets`.
    """

    images: Tensor
    valid: Tensor
    masks: Tensor
    image_index: Tensor
    points: Tensor
    boxes: Tensor
    dense: Tensor

    def to(self, device: torch.device) -> SceneBatch:
        """The batch on a device, but for `valid`, which says how much of it to clear."""
        moved = {
            name: getattr(self, name).to(device, non_blocking=True)
            for name in ("images", "masks", "image_index", "points", "boxes", "dense")
        }
        return replace(self, **moved)

    def split(self, shares: int) -> list[SceneBatch]:
        """The batch in `shares` parts of nearly equal numbers of images."""
        prompts = len(self.masks) // len(self.images)
        parts = []
        for numbers in torch.arange(len(self.images)).chunk(shares):
            first, end = int(numbers[0]), int(numbers[-1]) + 1
            images, objects = slice(first, end), slice(first * prompts, end * prompts)  # views, no copies
            parts.append(
                SceneBatch(
                    images=self.images[images],
                    valid=self.valid[images],
                    masks=self.masks[objects],
                    image_index=self.image_index[objects] - first,
                    points=self.points[objects],
                    boxes=self.boxes[objects],
                    dense=self.dense[images],
                )
            )
        return parts


def point_inside(rng: Generator, mask: BoolArray) -> tuple[int, int]:
    """A pixel of the mask: any, or (as often) one well inside, where people click."""
    rows, columns = np.nonzero(mask)
    r0, c0 = rows.min(), columns.min()
    if rng.random() < 0.5:
        crop = np.pad(mask[r0 : rows.max() + 1, c0 : columns.max() + 1], 1)
        distance = ndimage.distance_transform_edt(crop)[1:-1, 1:-1]
        rows, columns = np.nonzero(distance >= 0.7 * distance.max())
        rows, columns = rows + r0, columns + c0
    chosen = int(rng.integers(len(rows)))
    return int(rows[chosen]), int(columns[chosen])


def noisy_box(rng: Generator, mask: BoolArray) -> NDArray[np.float64]:
    """The mask's box, each edge off by about 7 % of the side (SAM: 10 %) and at most 20 pixels."""
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    box = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], dtype=np.float64)
    sides = np.tile(box[2:] - box[:2], 2)
    noise = np.clip(rng.normal(0, 0.07, 4) * sides * (rng.random() < 0.8), -20, 20)
    box = np.clip(box + noise, 0, mask.shape[0])
    box[2:] = np.maximum(box[2:], box[:2] + 2)
    return box


def _padded(rng: Generator, masks: BoolArray) -> tuple[BoolArray, tuple[int, int]]:
    """Masks (K, S, S) cut at the right or the bottom, as an image that is not square lies in the model's
    input, and the rows and columns that are left."""
    size = masks.shape[1]
    if rng.random() < 0.7:
        return masks, (size, size)
    short = int(rng.uniform(0.5, 1.0) * size)
    valid = (short, size) if rng.random() < 0.5 else (size, short)
    cut = masks.copy()
    cut[:, valid[0] :] = False
    cut[:, :, valid[1] :] = False
    cut = cut[cut.sum(axis=(1, 2)) >= MIN_AREA]
    return (cut, valid) if len(cut) else (masks, (size, size))


def make_batch(seed: int, step: int, size: int, batch_size: int, prompts: int) -> SceneBatch:
    """The batch of this step: the same for the same seed, whatever came before."""
    rng = np.random.default_rng((seed, step))
    scenes = draw_scenes(torch.Generator().manual_seed(int(rng.integers(2**62))), batch_size, size)
    valids, masks, points, boxes, dense = [], [], [], [], []
    for number in range(batch_size):
        every = scenes.masks(torch.nonzero(scenes.scene == number).flatten()).numpy()
        every, valid = _padded(rng, every)
        valids.append(valid)
        dense.append(dense_targets(every))
        for index in rng.choice(len(every), prompts, replace=len(every) < prompts):
            mask = every[index]
            masks.append(mask)
            points.append([point_inside(rng, mask)])
            boxes.append(noisy_box(rng, mask))
    return SceneBatch(
        images=scenes.images,
        valid=torch.tensor(valids),
        masks=torch.from_numpy(np.stack(masks)),
        image_index=torch.arange(batch_size).repeat_interleave(prompts),
        points=torch.tensor(points, dtype=torch.float32),
        boxes=torch.from_numpy(np.stack(boxes)).float(),
        dense=torch.from_numpy(np.stack(dense)),
    )


class _Steps(Dataset[SceneBatch]):
    def __init__(self, seed: int, size: int, batch_size: int, prompts: int) -> None:
        self._settings = (size, batch_size, prompts)
        self._seed = seed

    def __getitem__(self, step: int) -> SceneBatch:
        return make_batch(self._seed, step, *self._settings)


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)


def batches(
    seed: int, steps: range, size: int, batch_size: int, prompts: int, workers: int
) -> Iterator[SceneBatch]:
    """The batches of these steps in order, made ahead by `workers` processes (0: made when asked for)."""
    dataset = _Steps(seed, size, batch_size, prompts)
    loader = DataLoader(
        dataset, batch_size=None, sampler=list(steps), num_workers=workers, worker_init_fn=_one_thread
    )
    return cast(Iterator[SceneBatch], iter(loader))
