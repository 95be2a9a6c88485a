from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.data.prompts import corrective_point, interior_pixel
from infosam.inference.cache import EmbeddingCache
from infosam.inference.evaluate import Settings, evaluate, predict_objects
from infosam.inference.predictor import Predictor
from infosam.metrics import PROTOCOLS, iou, object_scores
from infosam.models.base import PromptableModel
from infosam.types import PROMPT_PROTOCOLS, BadInputError

Make = Callable[..., list[LabelledImage]]
KEYS = {"iou", "dice", "s_measure", "e_measure", "weighted_f"}


@pytest.mark.parametrize("prompt", PROMPT_PROTOCOLS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_prompt_and_protocol(
    tiny_model: PromptableModel, labelled_images: Make, prompt: str, protocol: Any
) -> None:
    result = evaluate(labelled_images(2), tiny_model, Settings(prompt, protocol))
    assert (result["n_images"], result["n_objects"]) == (2, 4)
    said = {"n_images", "n_objects", "boundary_f1", "prompt", "protocol", "zoom", "multimask"}
    assert result.keys() == KEYS | said
    assert list(result["boundary_f1"]) == ["0", "1", "2", "3"]
    scores = [result[name] for name in KEYS] + list(result["boundary_f1"].values())
    assert all(0 <= score <= 1.01 for score in scores)
    again = evaluate(labelled_images(2), tiny_model, Settings(prompt, protocol))
    assert again == result


def test_clean_means_are_over_objects_and_official_ones_over_images(
    tiny_model: PromptableModel, labelled_images: Make
) -> None:
    images = [*labelled_images(1, n_objects=3), labelled_images(2, n_objects=1)[1]]
    for protocol in PROTOCOLS:
        settings = Settings("point", protocol)
        by_image = []
        for number, image in enumerate(images):
            rng = np.random.default_rng([0, number])
            pairs = list(predict_objects(image, tiny_model, settings, rng))
            by_image.append([object_scores(logits, mask, protocol)["s_measure"] for logits, mask in pairs])
        over_objects = np.mean([score for scores in by_image for score in scores])
        over_images = np.mean([np.mean(scores) for scores in by_image])
        assert over_objects != pytest.approx(over_images)
        expected = over_objects if protocol == "clean" else over_images
        assert evaluate(images, tiny_model, settings)["s_measure"] == pytest.approx(expected)


def test_logits_are_those_of_the_predictor(tiny_model: PromptableModel, labelled_images: Make) -> None:
    (image,) = labelled_images(1, n_objects=1)
    (item,) = image.objects()
    predicted = Predictor(tiny_model).set_image(image.image()).predict(box=item.box, multimask=False)
    expected = tiny_model.to_image(torch.from_numpy(predicted.logits)[None], *item.mask.shape)[0, 0]
    ((logits, target),) = predict_objects(image, tiny_model, Settings("box"), np.random.default_rng(0))
    np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-5, atol=1e-5)
    assert np.array_equal(target, item.mask)


@pytest.mark.parametrize("prompt", ["point", "box"])
def test_multimask_scores_a_click_by_the_best_mask_as_the_model_judges(
    tiny_model: PromptableModel, labelled_images: Make, prompt: str
) -> None:
    (image,) = labelled_images(1, n_objects=1)
    (item,) = image.objects()
    asked: dict[str, Any] = {"box": item.box} if prompt == "box" else {"points": [interior_pixel(item.mask)]}
    predicted = Predictor(tiny_model).set_image(image.image()).predict(**asked, multimask=prompt == "point")
    settings = Settings(prompt, multimask=True)
    ((logits, _),) = predict_objects(image, tiny_model, settings, np.random.default_rng(0))
    assert np.array_equal(logits > 0, predicted.masks[0])
    assert evaluate([image], tiny_model, settings)["iou"] == iou(predicted.masks[0], item.mask)


def test_with_multimask_the_second_click_corrects_the_mask_that_was_shown(
    tiny_model: PromptableModel, labelled_images: Make
) -> None:
    (image,) = labelled_images(1, n_objects=1)
    (item,) = image.objects()
    predictor = Predictor(tiny_model).set_image(image.image())
    shown = predictor.predict([interior_pixel(item.mask)]).masks[0]
    points, labels = [interior_pixel(item.mask)], [1]
    row, column, sign = corrective_point(item.mask, shown)
    points, labels = [*points, (row, column)], [*labels, sign]
    twice = predictor.predict(points, labels, multimask=False, answer=shown).masks[0]
    third = corrective_point(item.mask, twice)
    points, labels = [*points, third[:2]], [*labels, third[2]]
    expected = predictor.predict(points, labels, multimask=False, answer=twice).masks[0]
    settings = Settings("points3", multimask=True)
    ((logits, _),) = predict_objects(image, tiny_model, settings, np.random.default_rng(0))
    assert np.array_equal(logits > 0, expected)


def test_corrective_clicks_are_more_prompts(tiny_model: PromptableModel, labelled_images: Make) -> None:
    seen: list[int] = []
    decode = tiny_model.decode

    def count_points(embedding: Any, prompts: Any) -> Any:
        seen.append(prompts.points.shape[1])
        return decode(embedding, prompts)

    tiny_model.decode = count_points  # type: ignore[method-assign]
    evaluate(labelled_images(1), tiny_model, Settings("points3"))
    assert sorted(set(seen)) == [1, 2, 3]


def test_official_shows_the_model_other_pixels(tiny_model: PromptableModel, labelled_images: Make) -> None:
    (image,) = labelled_images(1)
    logits = [
        next(predict_objects(image, tiny_model, Settings("point", p), np.random.default_rng(0)))[0]
        for p in PROTOCOLS
    ]
    assert not np.allclose(*logits)


def test_images_without_objects_are_left_out_and_progress_is_told(
    tiny_model: PromptableModel, labelled_images: Make
) -> None:
    empty = LabelledImage.from_array(np.zeros((20, 20), np.uint8), [])
    told: list[tuple[int, int]] = []
    result = evaluate(
        [empty, *labelled_images(2)], tiny_model, progress=lambda done, total: told.append((done, total))
    )
    assert result["n_images"] == 2
    assert told == [(1, 2), (2, 2)]
    with pytest.raises(BadInputError, match="nothing to evaluate"):
        evaluate([empty], tiny_model)


def test_a_cache_saves_embedding_the_images_for_every_prompt(
    tiny_model: PromptableModel, labelled_images: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = labelled_images(2)
    encoded: list[int] = []
    encode = type(tiny_model).encode
    monkeypatch.setattr(
        type(tiny_model), "encode", lambda self, pixels: encoded.append(1) or encode(self, pixels)
    )
    settings = [Settings("box"), Settings("point"), Settings("box", "official")]
    alone = [evaluate(images, tiny_model, item) for item in settings]
    assert len(encoded) == 6
    cache = EmbeddingCache(1 << 30)
    together = [evaluate(images, tiny_model, item, cache=cache) for item in settings]
    assert len(encoded) == 6 + 4  # the official protocol shows the model other pixels
    assert together == alone


def test_a_mask_that_fills_the_image(tiny_model: PromptableModel) -> None:
    full = LabelledObject(np.ones((30, 40), bool))
    image = LabelledImage.from_array(np.full((30, 40), 7, np.uint8), [full])
    assert 0 <= evaluate([image], tiny_model)["iou"] <= 1


def test_unknown_settings_are_named() -> None:
    with pytest.raises(BadInputError, match="not 'circle'"):
        Settings("circle")
    with pytest.raises(BadInputError, match="not 'strict'"):
        Settings("box", "strict")  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="single-mask"):
        Settings("point", "official", multimask=True)


def test_no_gradient_is_asked_for(tiny_model: PromptableModel, labelled_images: Make) -> None:
    tiny_model.requires_grad_(True)
    evaluate(labelled_images(1), tiny_model)
    assert all(parameter.grad is None for parameter in tiny_model.parameters())
    assert torch.is_grad_enabled()
