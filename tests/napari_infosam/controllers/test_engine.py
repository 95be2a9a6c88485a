"""The engine with the real pocket model."""

from typing import Any

import numpy as np
import pytest

from infosam.data.scenes import make_scene
from infosam.inference.everything import label_image
from infosam.models.base import PromptableModel
from infosam.types import InfoSAMError, ObjectSizes, Prompt
from napari_infosam.controllers.engine import Engine
from napari_infosam.models.looking import zoom_for

CLICK = Prompt(points=((40.0, 40.0),), labels=(1,))


def test_going_back_to_an_image_embeds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    engine.load("sam_pocket", None)
    encoded: list[Any] = []
    predictor = engine._loaded()
    encode = predictor.model.encode

    def counted(pixels: Any) -> Any:
        encoded.append(pixels)
        return encode(pixels)

    monkeypatch.setattr(predictor.model, "encode", counted)
    one, other = (make_scene(96, seed).image for seed in (0, 1))
    engine.embed("one", one)
    first = engine.answer("one", CLICK)
    engine.embed("other", other)
    engine.embed("one", one)
    assert len(encoded) == 2
    assert np.array_equal(engine.answer("one", CLICK).logits, first.logits)


@pytest.mark.parametrize(
    ("model", "device", "zoom"),
    [
        ("sam_pocket", "cpu", "auto"),
        ("sam_vit_b", "cuda:0", "auto"),
        ("sam_vit_b", "", "auto"),  # not loaded yet
        ("sam_vit_b", "cpu", "off"),
    ],
)
def test_large_models_without_a_gpu_look_at_the_whole_image(model: str, device: str, zoom: str) -> None:
    assert zoom_for(model, device) == zoom


def test_a_model_looks_as_it_was_trained_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_infosam.controllers.engine.zoom_for", lambda *_: "off")
    engine = Engine()
    engine.load("sam_pocket", None)
    assert engine._loaded().zoom == "off"
    monkeypatch.setattr(PromptableModel, "object_sizes", ObjectSizes(20, 1, 10))  # as an adapter leaves it
    engine.load("sam_pocket", None)
    assert engine._loaded().zoom == "auto"


def test_an_image_that_is_not_prepared_is_not_answered() -> None:
    engine = Engine()
    with pytest.raises(InfoSAMError, match="No model is loaded"):
        engine.answer("one", CLICK)
    engine.load("sam_pocket", None)
    with pytest.raises(InfoSAMError, match="not ready for prompts"):
        engine.answer("one", CLICK)


def test_all_objects_are_found_once_it_is_known_how_large_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.full((96, 96), 40, np.uint8)
    image[20:44, 30:54] = image[60:84, 10:34] = 200
    told: list[tuple[int, int]] = []
    engine = Engine()
    engine.load("sam_pocket", None)
    with pytest.raises(InfoSAMError, match="Commit one object first"):
        engine.find("one", image, None, lambda *_: None)
    found = engine.find("one", image, 24.0, lambda *numbers: told.append(numbers))
    labels = label_image(found, (96, 96))
    assert labels.shape == image.shape
    assert {labels[32, 42], labels[72, 22]} == {1, 2}
    assert labels[5, 5] == 0
    assert told[-1] == (144, 144)
    assert engine.answer("one", CLICK).masks.shape[1:] == image.shape  # it is prepared for prompts, too
    monkeypatch.setattr(PromptableModel, "object_sizes", ObjectSizes(48, 1, 10))  # as an adapter leaves it
    engine.find("one", image, 24.0, lambda *numbers: told.append(numbers))
    assert told[-1] == (36, 36)
