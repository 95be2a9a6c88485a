"""Holding images out to measure on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from infosam.data.labelled import LabelledImage


def split_by_image(
    images: Sequence[LabelledImage], fraction: float, seed: int
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """(training, validation) images, each in the given order; the same for the same images and seed.

    Copies of one image (same key) stay together. With two different images and more and fraction > 0, both
    parts get at least one; a single image is all training. Raises ValueError unless 0 <= fraction < 1.
    """
    held_out = held_out_keys((image.key for image in images), fraction, seed)
    training = [image for image in images if image.key not in held_out]
    return training, [image for image in images if image.key in held_out]


def held_out_keys(keys: Iterable[str], fraction: float, seed: int) -> frozenset[str]:
    """The keys of the validation images; see `split_by_image`."""
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction must lie in [0, 1), not {fraction}")
    different = sorted(set(keys))  # sorted: the order of the images does not matter
    count = 0 if fraction == 0 else min(max(1, round(fraction * len(different))), len(different) - 1)
    if count < 1:
        return frozenset()
    return frozenset(np.random.default_rng(seed).permutation(different)[:count].tolist())
