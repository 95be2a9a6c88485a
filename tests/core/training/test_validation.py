"""What decides which weights are kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.models.base import PromptableModel
from infosam.training.samples import SampleSet
from infosam.training.store import TensorStore
from infosam.training.validation import Validator, is_clearly_worse


def test_what_is_clearly_worse() -> None:
    assert is_clearly_worse([0.1, 0.2, 0.3, 0.4], [0.2, 0.29, 0.41, 0.5])
    assert not is_clearly_worse([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.8])  # all by one object
    assert not is_clearly_worse([0.2, 0.29, 0.41, 0.5], [0.1, 0.2, 0.3, 0.4])
    assert not is_clearly_worse([0.1], [0.9])  # one object says nothing


def prepared(model: PromptableModel, images: list[LabelledImage]) -> SampleSet:
    data = SampleSet(images, model, "clean", TensorStore(), embed=False)
    list(data.prepare())
    return data


def upper_half(image: LabelledImage) -> LabelledImage:
    """A view of the image, with its objects."""
    rows = image.image().shape[0] // 2
    objects = [LabelledObject(item.mask[:rows], whole=item) for item in image.objects()]
    return LabelledImage(image.key, image.name, lambda: image.image()[:rows], objects, image.intensity)


def test_an_object_that_two_views_show_counts_once_by_its_mean(
    tiny_model: PromptableModel, labelled_images: Callable[..., list[LabelledImage]]
) -> None:
    seen_twice, seen_once = labelled_images(2)
    half = upper_half(seen_twice)
    validator = Validator(prepared(tiny_model, [seen_twice, half, seen_once]), seed=0)
    alone = [Validator(prepared(tiny_model, [image]), seed=0) for image in (seen_twice, half, seen_once)]
    far, near, other = (single.scores(tiny_model) for single in alone)
    assert validator.n_objects == 4
    expected = [*np.mean([far, near], axis=0), *other]
    assert validator.scores(tiny_model) == pytest.approx(expected, abs=1e-6)
    assert far != near
