"""Which samples make up the batch of a step: a function of seed and step alone, so that a run resumes
exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from infosam.types import RunMode

_ORDER, _CHOICE = 0, 1  # streams of random numbers that never meet
_MAX_IMAGES = 4  # the encoder's share of a step grows with them, the decoder's hardly with the prompts


def choose_samples(
    by_image: Sequence[Sequence[int]],
    objects: Sequence[int],
    step: int,
    batch_size: int,
    mode: RunMode,
    seed: int,
) -> list[int]:
    """The sample numbers of batch `step` (0, 1, ...): at least two, and never two of the same object.

    official, paper: the samples in random order, an image each, batches of `batch_size`, the last incomplete
    one of every epoch dropped (the released scripts). clean: up to four images in random order with several
    objects each, so that one pass of the encoder serves several prompts; an image with many objects does not
    drown the others.

    Args:
        by_image: the sample numbers of each image.
        objects: the object that each sample shows; two objects in all, or more. Only in clean mode several
            samples may show one.
    """
    different = len(set(objects))
    if different < 2:
        raise ValueError(
            f"a batch compares its objects with each other: at least 2 are needed, not {different}"
        )
    if mode != "clean":
        total = len(objects)
        size = min(batch_size, total)
        epoch, batch = divmod(step, total // size)
        order = np.random.default_rng([seed, _ORDER, epoch]).permutation(
            [number for group in by_image for number in group]
        )
        return [int(number) for number in order[batch * size : (batch + 1) * size]]
    rng = np.random.default_rng([seed, _CHOICE, step])
    images = _images_of_step(by_image, objects, step, batch_size, seed)
    queues = [rng.permutation(by_image[image]).tolist() for image in images]
    chosen: dict[int, int] = {}  # the sample of each object
    while len(chosen) < batch_size and any(queues):
        for queue in queues:
            if queue and len(chosen) < batch_size:
                number = queue.pop()
                chosen.setdefault(objects[number], number)
    return list(chosen.values())


def _images_of_step(
    by_image: Sequence[Sequence[int]], objects: Sequence[int], step: int, batch_size: int, seed: int
) -> list[int]:
    """Images in random order, epoch after epoch: those of this step, and more until they show two objects."""
    used = [image for image, group in enumerate(by_image) if group]
    wanted = min(_MAX_IMAGES, max(1, batch_size // 2), len(used))
    images: list[int] = []
    shown: set[int] = set()
    position = step * wanted
    while len(images) < wanted or len(shown) < 2:
        epoch, place = divmod(position, len(used))
        image = used[np.random.default_rng([seed, _ORDER, epoch]).permutation(len(used))[place]]
        if image not in images:
            images.append(image)
            shown.update(objects[number] for number in by_image[image])
        position += 1
    return images
