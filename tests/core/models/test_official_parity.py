"""Our models against the official predictors: same file, same image, same prompts, same answers."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from sam2.build_sam import build_sam2
from sam2.modeling.sam2_utils import DropPath
from sam2.sam2_image_predictor import SAM2ImagePredictor
from segment_anything import SamPredictor, sam_model_registry
from torch import nn

from infosam.inference.predictor import Predictor
from infosam.inference.prompting import decode_prompts
from infosam.models import registry
from infosam.models.base import PromptableModel
from infosam.types import ImageEmbedding, Prompt

SAM2_CONFIGS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}
NAMES = [name for name in registry.names() if name != "sam_pocket"]
FAST = {"sam_vit_b", "sam2.1_hiera_tiny"}
SHAPE = (300, 400)
OTHER_SHAPE = (500, 200)
# Embeddings and position tables; attention layers named "..._token_to_image" are none.
_TABLE = re.compile(r"pos_embed|rel_pos|pos_enc$|no_|_tokens?\.weight|embeddings|embed\.weight")
LOGITS = np.random.default_rng(5).normal(0, 4, (256, 256)).astype(np.float32)

PROMPTS = {
    "point": Prompt(points=((120.0, 200.5),), labels=(1,)),
    "signed points": Prompt(points=((120.0, 90.0), (33.25, 150.0), (170.0, 7.0)), labels=(1, 0, 1)),
    "box": Prompt(box=(40.0, 30.5, 210.0, 160.0)),
    "box and points": Prompt(
        points=((100.0, 100.0), (60.0, 50.0)), labels=(1, 0), box=(40.0, 30.0, 210.0, 160.0)
    ),
    "mask": Prompt(mask=LOGITS),
    "mask and point": Prompt(points=((150.0, 111.0),), labels=(0,), mask=LOGITS),
    "mask and box": Prompt(box=(10.0, 20.0, 220.0, 130.0), mask=LOGITS),
}


@dataclass
class Pair:
    """A model of ours and the official predictor with the same random weights, on the same image."""

    predictor: Predictor
    official: Any

    @property
    def model(self) -> PromptableModel:
        return self.predictor.model

    @property
    def embedding(self) -> ImageEmbedding:
        assert self.predictor._image is not None
        return self.predictor._image.embedding


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in NAMES],
)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    torch.set_num_threads(os.cpu_count() or 1)  # the only models here that are not tiny
    name = request.param
    path = tmp_path_factory.mktemp("official") / "weights.pth"
    image = np.random.default_rng(1).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    official = _official(name, path)
    official.set_image(image)
    model = registry.load(name, checkpoint=path, device="cpu")
    path.unlink()
    return Pair(Predictor(model).set_image(image), official)


def _official(name: str, path: Any) -> Any:
    """The official predictor of the architecture, every parameter random; its file is left at `path`."""
    if name.startswith("sam_"):
        size = name.removeprefix("sam_")
        torch.save(_random_state(sam_model_registry[size]()), path)
        return SamPredictor(sam_model_registry[size](checkpoint=str(path)))
    config = f"configs/sam2.1/sam2.1_hiera_{SAM2_CONFIGS[name.removeprefix('sam2.1_hiera_')]}.yaml"
    settings = {"device": "cpu", "apply_postprocessing": False}  # no fallback by mask stability
    torch.save({"model": _random_state(build_sam2(config, **settings))}, path)
    with warnings.catch_warnings():  # the official transforms call torch.jit.script
        warnings.filterwarnings("ignore", ".*torch.jit.script", FutureWarning)
        warnings.filterwarnings("ignore", ".*torch.jit.script", DeprecationWarning)
        return SAM2ImagePredictor(build_sam2(config, str(path), **settings))


def _random_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """A state dict of the network's shapes with every tensor random, at scales that keep signals alive."""
    torch.manual_seed(0)
    return {key: _random_like(key, tensor) for key, tensor in network.state_dict().items()}


def _random_like(key: str, tensor: torch.Tensor) -> torch.Tensor:
    noise = torch.randn(tensor.shape)
    if "gaussian_matrix" in key:
        return noise
    if tensor.ndim == 1:
        return 0.1 * noise + (1.0 if key.endswith("weight") else 0.0)
    if _TABLE.search(key):
        return 0.3 * noise
    return noise / tensor[0].numel() ** 0.5


def _ask_official(
    official: Any, prompt: Prompt, multimask: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mask logits at image resolution, predicted IoU and low-resolution logits."""
    box = None
    if prompt.box is not None:
        r0, c0, r1, c1 = prompt.box
        box = np.array([c0, r0, c1, r1])
    masks, iou, logits = official.predict(
        point_coords=np.array(prompt.points)[:, ::-1].copy() if prompt.points else None,
        point_labels=np.array(prompt.labels) if prompt.points else None,
        box=box,
        mask_input=None if prompt.mask is None else prompt.mask[None],
        multimask_output=multimask,
        return_logits=True,
    )
    return masks, iou, logits


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("kind", PROMPTS)
def test_one_prompt_gives_the_same_bits(pair: Pair, kind: str, multimask: bool) -> None:
    masks, iou, logits = _ask_official(pair.official, PROMPTS[kind], multimask)
    best_first = np.argsort(-iou, kind="stable")

    found = pair.predictor.predict_prompt(PROMPTS[kind], multimask)

    assert logits.std() > 0.05  # random weights that say nothing would prove nothing
    assert (logits > 0).any()
    assert (logits < 0).any()
    np.testing.assert_array_equal(found.logits, logits[best_first])
    np.testing.assert_array_equal(found.scores, iou[best_first])
    np.testing.assert_array_equal(found.masks, masks[best_first] > 0)


def test_a_batch_over_several_images_answers_as_one_by_one(pair: Pair) -> None:
    prompts = [prompt for prompt in PROMPTS.values() for _ in range(2)]
    images = [0, 1] * len(PROMPTS)
    shapes = (SHAPE, OTHER_SHAPE)
    both = ImageEmbedding.concatenate([pair.embedding, _mirrored(pair.embedding)])
    with torch.no_grad():
        output = decode_prompts(pair.model, both, prompts, images, shapes)

    for index, (prompt, image) in enumerate(zip(prompts, images, strict=True)):
        multimask = image == 0
        tokens = slice(1, None) if multimask else slice(0, 1)
        with _showing(pair.official, mirrored=image == 1, shape=shapes[image]) as official:
            masks, iou, logits = _ask_official(official, prompt, multimask)
        limit = pair.model.logit_limit or np.inf
        found = output.logits[index, tokens].clamp(-limit, limit).numpy()
        assert _relative(found, logits) <= 1e-5
        assert _relative(output.iou[index, tokens].numpy(), iou) <= 1e-5
        at_image = pair.model.to_image(output.logits[index, tokens][None], *shapes[image])[0].numpy()
        decided = np.abs(masks) > 1e-5
        np.testing.assert_array_equal((at_image > 0)[decided], (masks > 0)[decided])


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _mirrored(embedding: ImageEmbedding) -> ImageEmbedding:
    """Stands for the embedding of a second image, which would take the encoder many seconds."""
    return ImageEmbedding(embedding.features.flip(-1), tuple(level.flip(-1) for level in embedding.high_res))


class _showing:
    """The official predictor with its embedding mirrored or not, and another image size."""

    def __init__(self, official: Any, *, mirrored: bool, shape: tuple[int, int]) -> None:
        self.official, self.mirrored, self.shape = official, mirrored, shape
        self.before = dict(vars(official))

    def __enter__(self) -> Any:
        turn: Callable[[torch.Tensor], torch.Tensor] = lambda x: x.flip(-1) if self.mirrored else x  # noqa: E731
        if isinstance(self.official, SamPredictor):
            self.official.features = turn(self.official.features)
            self.official.original_size = self.shape
            self.official.input_size = self.official.transform.get_preprocess_shape(*self.shape, 1024)
        else:
            features = self.official._features
            self.official._features = {
                "image_embed": turn(features["image_embed"]),
                "high_res_feats": [turn(level) for level in features["high_res_feats"]],
            }
            self.official._orig_hw = [self.shape]
        return self.official

    def __exit__(self, *_: object) -> None:
        vars(self.official).update(self.before)


def test_training_mode_changes_no_numbers(pair: Pair) -> None:
    encoder = pair.model.network.get_submodule("image_encoder")
    assert not [m for m in encoder.modules() if isinstance(m, nn.Dropout | DropPath)]
    prompts, shapes = [PROMPTS["box and points"]], [SHAPE]
    with torch.no_grad():
        before = decode_prompts(pair.model, pair.embedding, prompts, [0], shapes)
        pair.model.train()
        after = decode_prompts(pair.model, pair.embedding, prompts, [0], shapes)
        pair.model.eval()
    assert torch.equal(before.logits, after.logits)


def test_the_loaded_model_is_frozen_and_knows_itself(pair: Pair) -> None:
    model = pair.model
    info = next(info for info in registry.infos() if info.name == model.name)
    assert sum(p.numel() for p in model.parameters()) == info.parameters
    assert model.family == info.family
    assert not any(p.requires_grad for p in model.parameters())
    assert not any(module.training for module in model.modules())
    assert model.sha256 is not None
    assert len(model.blocks()) == len(model.block_dims())
    assert [
        block.mlp.get_submodule("lin2" if model.family == "sam" else "layers.1").out_features
        for block in model.blocks()
    ] == list(model.block_dims())
