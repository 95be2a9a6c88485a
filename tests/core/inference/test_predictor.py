"""Predictor: images of every kind, prompts of every kind, and the cache behind it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from infosam.inference.cache import EmbeddingCache
from infosam.inference.predictor import Predictor
from infosam.inference.prompting import mask_to_logits
from infosam.models.base import MASK_LOGIT, PromptableModel, freeze
from infosam.models.pocket.build import build_pocket
from infosam.types import BadInputError, ImageEmbedding, IntensityRange, Prompt, Zoom

LOW = (32, 32)


@pytest.fixture
def model(tiny_model: PromptableModel) -> PromptableModel:
    return tiny_model


class _Counting:
    """Counts the calls of a model's encoder."""

    def __init__(self, model: PromptableModel) -> None:
        self.calls = 0
        self.encode = model.encode
        model.encode = self  # type: ignore[method-assign]

    def __call__(self, images: torch.Tensor) -> ImageEmbedding:
        self.calls += 1
        return self.encode(images)


def _noise(*shape: int, dtype: Any = np.uint8, high: float = 255) -> Any:
    return (np.random.default_rng(3).random(shape) * high).astype(dtype)


IMAGES = {
    "grey": _noise(50, 70),
    "one channel": _noise(50, 70, 1),
    "RGB": _noise(50, 70, 3),
    "RGBA": _noise(50, 70, 4),
    "16 bit": _noise(50, 70, dtype=np.uint16, high=4000),
    "signed": _noise(50, 70, dtype=np.int32, high=1e6) - 500_000,
    "float": _noise(50, 70, 3, dtype=np.float32, high=1),
    "double": _noise(50, 70, dtype=np.float64, high=1e-6),
    "bool": _noise(50, 70) > 100,
    "constant": np.full((50, 70), 9.5),
    "one pixel": _noise(1, 1),
    "two pixels": _noise(2, 1, 3),
    "line": _noise(1, 900),
    "column": _noise(900, 1, 3),
    "read-only": np.broadcast_to(_noise(50, 1), (50, 70)),
    "strided": _noise(100, 140, 3)[::2, ::-2],
}


@pytest.mark.parametrize("kind", IMAGES)
def test_masks_come_at_the_resolution_of_the_image(model: PromptableModel, kind: str) -> None:
    image = IMAGES[kind]
    predictor = Predictor(model).set_image(image)
    result = predictor.predict(points=[(0, 0)])
    assert predictor.shape == image.shape[:2]
    assert result.masks.shape == (3, *image.shape[:2])
    assert result.masks.dtype == np.bool_
    assert result.scores.shape == (3,)
    assert result.scores.dtype == np.float32
    assert result.logits.shape == (3, *LOW)
    assert result.logits.dtype == np.float32
    assert np.isfinite(result.logits).all()


def test_missing_and_infinite_values_do_not_spread(model: PromptableModel) -> None:
    image = _noise(40, 40, dtype=np.float32, high=1)
    image[3, 4], image[5, 6], image[7, 8] = np.nan, np.inf, -np.inf
    result = Predictor(model).set_image(image).predict(box=(5, 5, 30, 30))
    assert np.isfinite(result.logits).all()
    assert np.isfinite(result.scores).all()


def test_grey_and_rgb_of_the_same_grey_are_the_same(model: PromptableModel) -> None:
    grey = _noise(30, 30)
    alone = Predictor(model).set_image(grey).predict(points=[(5, 5)])
    three = Predictor(model).set_image(np.stack([grey] * 3, axis=2)).predict(points=[(5, 5)])
    np.testing.assert_array_equal(alone.logits, three.logits)


def test_alpha_is_ignored(model: PromptableModel) -> None:
    image = _noise(30, 30, 4)
    with_alpha = Predictor(model).set_image(image).predict(points=[(5, 5)])
    without = Predictor(model).set_image(image[..., :3]).predict(points=[(5, 5)])
    np.testing.assert_array_equal(with_alpha.logits, without.logits)


def test_the_intensity_range_is_kept_and_can_be_given(model: PromptableModel) -> None:
    image = _noise(30, 30, dtype=np.uint16, high=4000)
    own = Predictor(model).set_image(image)
    given = Predictor(model).set_image(image, intensity=IntensityRange(0, 60_000))
    assert 0 <= own.intensity.low < own.intensity.high <= 4000
    assert given.intensity == IntensityRange(0, 60_000)
    assert not np.array_equal(own.predict(points=[(5, 5)]).logits, given.predict(points=[(5, 5)]).logits)


@pytest.mark.parametrize("shape", [(4,), (3, 20, 20), (20, 20, 2), (0, 5), (2, 20, 20, 3)])
def test_other_shapes_are_refused(model: PromptableModel, shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInputError):
        Predictor(model).set_image(np.zeros(shape))


def test_candidates_are_sorted_and_the_single_mask_is_the_first_token(model: PromptableModel) -> None:
    predictor = Predictor(model).set_image(_noise(48, 64, 3))
    many = predictor.predict(points=[(20, 30)], labels=[1])
    one = predictor.predict(points=[(20, 30)], labels=[1], multimask=False)
    assert (np.diff(many.scores) <= 0).all()
    assert one.logits.shape == (1, *LOW)
    assert not any(np.array_equal(one.logits[0], logits) for logits in many.logits)


def test_labels_default_to_the_object_and_signs_matter(model: PromptableModel) -> None:
    predictor = Predictor(model).set_image(_noise(48, 64, 3))
    default = predictor.predict(points=[(20, 30), (5, 6)])
    positive = predictor.predict(points=np.array([[20, 30], [5, 6]]), labels=np.array([True, True]))
    signed = predictor.predict(points=[(20, 30), (5, 6)], labels=[1, 0])
    np.testing.assert_array_equal(default.logits, positive.logits)
    assert not np.array_equal(default.logits, signed.logits)


def test_rows_come_first(model: PromptableModel) -> None:
    """A picture and its transpose, with the prompts exchanged, must agree if no axis was mixed up."""
    image = np.zeros((40, 64), np.uint8)
    image[5:12, 40:60] = 255
    predictor = Predictor(model).set_image(image)
    with torch.no_grad():
        encoder = model.network.get_submodule("prompt_encoder")
        official, _ = encoder(
            points=(torch.tensor([[[50.0, 8.0]]]), torch.tensor([[1]])), boxes=None, masks=None
        )
    seen = []
    handle = encoder.register_forward_hook(lambda _module, _inputs, output: seen.append(output[0]))
    predictor.predict(points=[(8, 50)])
    handle.remove()
    assert torch.equal(seen[0], official)  # x = column 50, y = row 8


PROMPTS = [
    Prompt(points=((10.0, 20.0),), labels=(1,)),
    Prompt(box=(5.0, 6.0, 30.0, 40.0)),
    Prompt(points=((12.0, 9.0), (3.0, 50.0)), labels=(1, 0)),
    Prompt(points=((20.0, 30.0),), labels=(1,), box=(10.0, 12.0, 40.0, 60.0)),
    Prompt(mask=_noise(48, 64) > 100),
    Prompt(points=((40.0, 60.0),), labels=(0,)),
    Prompt(box=(0.0, 0.0, 48.0, 64.0), mask=_noise(*LOW, dtype=np.float32, high=4)),
]


@pytest.mark.parametrize("multimask", [True, False])
def test_a_batch_of_any_mix_answers_as_one_by_one(model: PromptableModel, multimask: bool) -> None:
    predictor = Predictor(model).set_image(_noise(48, 64, 3))
    prompts = PROMPTS * 4
    batch = predictor.predict_batch(prompts, multimask)
    assert len(batch) == len(prompts)
    for prompt, found in zip(prompts, batch, strict=True):
        alone = predictor.predict_prompt(prompt, multimask)
        scale = np.abs(alone.logits).max()
        np.testing.assert_allclose(found.logits, alone.logits, rtol=0, atol=1e-5 * scale)
        np.testing.assert_allclose(found.scores, alone.scores, rtol=0, atol=1e-5)
        assert found.masks.shape == alone.masks.shape


@pytest.mark.parametrize("zoom", ["off", "auto"])
@pytest.mark.parametrize("prompt", PROMPTS, ids=str)
def test_both_answers_come_of_one_decoding(
    model: PromptableModel, prompt: Prompt, zoom: Zoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(model, zoom).set_image(_noise(48, 64, 3))
    decode, decoded = model.decode, []
    monkeypatch.setattr(model, "decode", lambda *asked: decoded.append(asked) or decode(*asked))
    apart = [predictor.predict_prompt(prompt, multimask) for multimask in (True, False)]
    twice = len(decoded)
    decoded.clear()
    for found, alone in zip(predictor.predict_both(prompt), apart, strict=True):
        np.testing.assert_array_equal(found.logits, alone.logits)
        np.testing.assert_array_equal(found.scores, alone.scores)
        np.testing.assert_array_equal(found.masks, alone.masks)
    assert 2 * len(decoded) == twice


def test_no_prompts_no_masks(model: PromptableModel) -> None:
    assert Predictor(model).set_image(_noise(20, 20)).predict_batch([]) == []


def test_masks_are_the_logits_above_zero(model: PromptableModel) -> None:
    result = Predictor(model).set_image(_noise(64, 64, 3)).predict(box=(10, 10, 50, 50))
    at_image = model.to_image(torch.from_numpy(result.logits)[None], 64, 64)[0].numpy()
    np.testing.assert_array_equal(result.masks, at_image > 0)


def test_logits_of_an_answer_can_be_given_back(model: PromptableModel) -> None:
    predictor = Predictor(model).set_image(_noise(48, 64, 3))
    first = predictor.predict(points=[(20, 30)])
    refined = predictor.predict(points=[(20, 30)], mask=first.logits[0])
    assert not np.array_equal(first.logits, refined.logits)


def test_an_answer_to_correct_is_a_mask_that_is_believed_as_the_model_wants(model: PromptableModel) -> None:
    predictor = Predictor(model).set_image(_noise(48, 64))
    shown = np.zeros((48, 64), bool)
    shown[10:30, 20:40] = True
    clicks = {"points": [(20, 30), (12, 22)], "labels": [1, 0]}
    assert model.answer_logit < PromptableModel.answer_logit == MASK_LOGIT
    softly = mask_to_logits(model, shown).numpy() * (model.answer_logit / MASK_LOGIT)
    expected = predictor.predict(**clicks, mask=softly)
    np.testing.assert_allclose(predictor.predict(**clicks, answer=shown).logits, expected.logits, atol=1e-5)
    model.answer_logit = MASK_LOGIT
    firm = predictor.predict(**clicks, answer=shown)
    np.testing.assert_array_equal(firm.logits, predictor.predict(**clicks, mask=shown).logits)
    assert not np.array_equal(firm.logits, expected.logits)


def test_zoom_is_off_unless_told(model: PromptableModel) -> None:
    assert Predictor(model).zoom == "off"
    with pytest.raises(ValueError, match="zoom must be one of auto, off, not 'on'"):
        Predictor(model, zoom="on")  # type: ignore[arg-type]


BAD = {
    "nothing": {},
    "no points": {"points": []},
    "outside": {"points": [(48.0, 3.0)]},
    "far outside": {"points": [(1e9, -3.0)]},
    "not a number": {"points": [(float("nan"), 3.0)]},
    "three numbers": {"points": [(1, 2, 3)]},
    "one point as a pair": {"points": (1, 2)},
    "ragged": {"points": [(1, 2), (3,)]},
    "text": {"points": "here"},
    "a label too few": {"points": [(1, 2), (3, 4)], "labels": [1]},
    "another label": {"points": [(1, 2)], "labels": [2]},
    "labels that are words": {"points": [(1, 2)], "labels": ["yes"]},
    "labels alone": {"labels": [1], "box": (1, 2, 3, 4)},
    "empty box": {"box": (5, 5, 5, 9)},
    "box reversed": {"box": (9, 9, 5, 5)},
    "box elsewhere": {"box": (100, 100, 120, 120)},
    "box without end": {"box": (1, 1, float("inf"), 5)},
    "two corners": {"box": ((1, 2), (3, 4))},
    "mask of another size": {"mask": np.ones((20, 20), bool)},
    "mask of numbers": {"mask": np.ones((48, 64), np.uint8)},
    "logits of another size": {"mask": np.ones((48, 64), np.float32)},
    "an answer alone": {"answer": np.ones((48, 64), bool)},
    "an answer of another size": {"points": [(1, 2)], "answer": np.ones((20, 20), bool)},
    "an answer of numbers": {"points": [(1, 2)], "answer": np.ones((48, 64), np.float32)},
    "an answer beside a mask": {
        "points": [(1, 2)],
        "answer": np.ones((48, 64), bool),
        "mask": np.ones((48, 64), bool),
    },
    "logits not finite": {"mask": np.full(LOW, np.nan, np.float32)},
}


@pytest.mark.parametrize("zoom", ["off", "auto"])
@pytest.mark.parametrize("what", BAD)
def test_a_bad_prompt_is_refused(model: PromptableModel, what: str, zoom: Zoom) -> None:
    predictor = Predictor(model, zoom).set_image(_noise(48, 64))
    with pytest.raises(BadInputError):
        predictor.predict(**BAD[what])


def test_a_box_may_reach_over_the_border(model: PromptableModel) -> None:
    result = Predictor(model).set_image(_noise(48, 64)).predict(box=(-3, -2, 60, 80), points=[(-0.5, 63.5)])
    assert result.masks.shape == (3, 48, 64)


def test_without_an_image_there_is_nothing_to_predict(model: PromptableModel) -> None:
    with pytest.raises(BadInputError, match="call set_image first"):
        Predictor(model).predict(points=[(1, 1)])


def test_coming_back_to_an_image_does_not_encode_again(model: PromptableModel) -> None:
    encoder = _Counting(model)
    cache = EmbeddingCache(1 << 20)
    predictor = Predictor(model, cache=cache)
    first, second = _noise(40, 50), _noise(50, 40)
    fresh = predictor.set_image(first).predict(points=[(5, 5)])
    predictor.set_image(second)
    again = predictor.set_image(first.copy()).predict(points=[(5, 5)])
    assert encoder.calls == 2
    np.testing.assert_array_equal(fresh.logits, again.logits)
    Predictor(model, cache=cache).set_image(second)
    assert encoder.calls == 2
    predictor.set_image(first, intensity=IntensityRange(0, 100))
    assert encoder.calls == 3


def test_another_adapter_or_model_embeds_again(model: PromptableModel) -> None:
    cache, image = EmbeddingCache(1 << 23), _noise(40, 50)
    predictor = Predictor(model, cache=cache)
    before = predictor.set_image(image).predict(points=[(5, 5)])
    with torch.no_grad():
        model.blocks()[0].mlp.get_submodule("lin1").weight.add_(0.1)
    model.adapter_id = "new"
    after = predictor.set_image(image).predict(points=[(5, 5)])
    assert not np.array_equal(before.logits, after.logits)
    other = freeze(build_pocket())
    assert len(cache) == 2
    Predictor(other, cache=cache).set_image(image)
    assert len(cache) == 3


@pytest.mark.parametrize("shared", [True, False])
def test_tiles_show_the_image_that_was_set_though_the_array_has_changed(
    model: PromptableModel, shared: bool
) -> None:
    image = _noise(300, 400, 3)
    expected = Predictor(model, zoom="auto").set_image(image).predict(box=(20, 30, 40, 50)).logits
    cache = EmbeddingCache(1 << 23) if shared else None
    changing = image.copy()
    predictor = Predictor(model, zoom="auto", cache=cache).set_image(changing)
    changing[:] = 255 - changing
    assert np.array_equal(predictor.predict(box=(20, 30, 40, 50)).logits, expected)
    later = Predictor(model, zoom="auto", cache=cache).set_image(image)
    assert np.array_equal(later.predict(box=(20, 30, 40, 50)).logits, expected)


def test_a_model_in_training_is_never_cached(model: PromptableModel) -> None:
    cache = EmbeddingCache(1 << 20)
    model.mask_decoder().requires_grad_(True)
    result = Predictor(model, cache=cache).set_image(_noise(20, 20)).predict(points=[(5, 5)])
    assert len(cache) == 0
    assert len(result) == 3


def test_many_threads_share_a_predictor(model: PromptableModel) -> None:
    predictor = Predictor(model, cache=EmbeddingCache(1 << 20))
    encoder = _Counting(model)
    images = [_noise(40, 50), _noise(50, 40), _noise(30, 30)]
    expected = {im.shape: Predictor(model).set_image(im).predict(points=[(5, 5)]).logits for im in images}
    encoder.calls = 0

    def work(index: int) -> None:
        own = Predictor(model, cache=predictor.cache).set_image(images[index % 3])
        found = own.predict(points=[(5, 5)])
        np.testing.assert_array_equal(found.logits, expected[images[index % 3].shape])
        predictor.set_image(images[index % 3])
        shared = predictor.predict(points=[(5, 5)])  # of whichever image it was at that moment
        np.testing.assert_array_equal(shared.logits, expected[shared.masks.shape[1:]])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(30)))
    assert encoder.calls == 3  # threads that want the same embedding wait for one of them


def test_too_little_memory_on_the_device_is_explained(
    model: PromptableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_images: torch.Tensor) -> ImageEmbedding:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model, "encode", fail)
    with pytest.raises(RuntimeError, match="too little free memory for sam_pocket"):
        Predictor(model).set_image(_noise(20, 20))
