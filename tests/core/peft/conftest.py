"""Small models of both architectures, and a way to run them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from infosam.models.base import PromptableModel
from infosam.types import DecoderOutput, PromptBatch
from tests.core import small_models
from tests.core.small_models import SIDE


@pytest.fixture
def pocket(single_thread: None) -> PromptableModel:
    return small_models.small_pocket()


@pytest.fixture
def small_sam(single_thread: None) -> PromptableModel:
    return small_models.small_sam()


@pytest.fixture
def small_sam2(single_thread: None) -> PromptableModel:
    return small_models.small_sam2()


@pytest.fixture(params=["pocket", "small_sam2"])
def model(request: pytest.FixtureRequest) -> PromptableModel:
    """Both, one after the other."""
    made: PromptableModel = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def run(images: Tensor) -> Callable[[PromptableModel], DecoderOutput]:
    """Encode two images and decode three prompts, each a box and a click."""

    def forward(model: PromptableModel) -> DecoderOutput:
        prompts = PromptBatch(
            image_index=torch.tensor([0, 1, 1]),
            points=torch.tensor([[[20.0, 30.0]], [[60.0, 10.0]], [[5.0, 100.0]]]),
            labels=torch.tensor([[1], [1], [0]]),
            boxes=torch.tensor([[5.0, 10, 60, 70], [40, 0, 90, 30], [0, 80, 50, 120]]),
        )
        return model.decode(model.encode(images), prompts)

    return forward


@pytest.fixture
def state_hash() -> Callable[[nn.Module], str]:
    """SHA-256 of all names and values of a model."""

    def hash_of(model: nn.Module) -> str:
        digest = hashlib.sha256()
        for name, tensor in model.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    return hash_of
