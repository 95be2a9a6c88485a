"""Which labelled images are trained on, and which are held out to measure."""

from __future__ import annotations

from collections.abc import Sequence

from infosam.data.labelled import LabelledImage
from infosam.data.split import split_by_image

MIN_OBJECTS = 2  # InfoSAM compares the objects of a batch with each other


def hold_out(
    images: Sequence[LabelledImage], fraction: float, seed: int
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """(training, held-out) images; nothing is held out where too few objects would be left to train on."""
    train, validation = split_by_image(images, fraction, seed)
    if sum(len(image.objects()) for image in train) < MIN_OBJECTS:
        return list(images), []
    return train, validation
