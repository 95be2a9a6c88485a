"""Which labelled images are trained on, and which are held out to measure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from infosam.data.labelled import LabelledImage
from infosam.data.split import held_out_keys

MIN_OBJECTS = 2  # InfoSAM compares the objects of a batch with each other


def hold_out(
    images: Sequence[LabelledImage], fraction: float, seed: int
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """(training, held-out) images; nothing is held out where too few objects would be left to train on."""
    counts = Counter[str]()
    for image in images:
        counts[image.key] += len(image.objects())
    keys = keys_to_hold_out(counts, fraction, seed)
    return [image for image in images if image.key not in keys], [
        image for image in images if image.key in keys
    ]


def keys_to_hold_out(counts: Mapping[str, int], fraction: float, seed: int) -> frozenset[str]:
    """What `hold_out` will hold out of images known by their keys and their numbers of objects."""
    keys = held_out_keys(counts, fraction, seed)
    left = sum(count for key, count in counts.items() if key not in keys)
    return keys if left >= MIN_OBJECTS else frozenset()
