"""What the batches of a run ask."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.models.base import PromptableModel
from infosam.training.batches import Batches
from infosam.training.samples import SampleSet
from infosam.training.store import TensorStore
from infosam.types import AdaptConfig, Prompt

STEPS = 60


@pytest.mark.parametrize(
    ("labels", "asked"),
    [((0,), False), ((1, 0), True)],  # a click beside the object, one in it as well
)
def test_recorded_clicks_are_asked_where_they_say_where_the_object_is(
    tiny_model: PromptableModel,
    labelled_images: Callable[..., list[LabelledImage]],
    labels: tuple[int, ...],
    asked: bool,
) -> None:
    (image,) = labelled_images(1)
    points = tuple((3.0, 7.0 + number) for number in range(len(labels)))
    prompt = Prompt(points=points, labels=labels, box=(2, 2, 30, 30))
    objects = [LabelledObject(item.mask, prompt) for item in image.objects()]
    recorded = LabelledImage(image.key, image.name, image.image, objects)
    data = SampleSet([recorded], tiny_model, "clean", TensorStore(), embed=True)
    list(data.prepare())
    batches = Batches(data, tiny_model, AdaptConfig(batch_size=2))
    by_clicks = [
        batch.prompts for batch in map(batches.__getitem__, range(STEPS)) if batch.prompts.boxes is None
    ]
    assert len(by_clicks) > STEPS / 4
    clicked = [row.tolist() for prompts in by_clicks for row in prompts.labels]
    assert all(1 in row for row in clicked)
    assert any(row[: len(labels)] == list(labels) for row in clicked) is asked
