"""HQ-SAM's mask, against its formula written out on what passes through the official modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infosam import peft
from infosam.models.base import PromptableModel
from infosam.types import DecoderOutput, PromptBatch

Run = Callable[[PromptableModel], DecoderOutput]


@pytest.fixture(params=["small_sam", "small_sam2"])
def plain(request: pytest.FixtureRequest) -> PromptableModel:
    """SAM and SAM 2, whose logits hold nothing but the decoder's."""
    model: PromptableModel = request.getfixturevalue(request.param)
    return model


def passing(module: nn.Module) -> list[tuple[Any, Any]]:
    """What goes in and comes out of a module from now on."""
    seen: list[tuple[Any, Any]] = []
    module.register_forward_hook(lambda _module, inputs, output: seen.append((inputs, output)))
    return seen


def normed(x: Tensor, norm: Any) -> Tensor:
    mean, variance = x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-6) * norm.weight[:, None, None] + norm.bias[:, None, None]


def enlarged(x: Tensor, layers: Any) -> Tensor:
    first, norm, _gelu, second = layers
    hidden = F.gelu(normed(F.conv_transpose2d(x, first.weight, first.bias, stride=2), norm))
    return F.conv_transpose2d(hidden, second.weight, second.bias, stride=2)


@torch.no_grad()
def test_the_mask_is_the_formulas(plain: PromptableModel, images: Tensor, run: Run) -> None:
    student = peft.inject(plain, "hqsam")
    head: Any = student.refiner
    decoder: Any = student.mask_decoder()
    transformer, upscaling = passing(decoder.transformer), passing(decoder.output_upscaling[-1])
    blocks = [passing(block) for block in student.blocks()]
    output = run(student)

    ((_image, _position, tokens), (hidden, _source)) = transformer[0]
    special = 6 if plain.family == "sam2" else 5
    assert torch.equal(tokens[:, special], head.token.expand(3, -1))
    ((_, upscaled),) = upscaling
    first, norm, _gelu, second = head.mask_features
    features = F.gelu(normed(F.conv2d(upscaled, first.weight, first.bias, padding=1), norm))
    features = F.conv2d(features, second.weight, second.bias, padding=1)
    if plain.family != "sam2":
        index = torch.tensor([0, 1, 1])
        ((_, early),) = blocks[2]  # the only one with global attention
        embedding = plain.encode(images)
        image = enlarged(embedding.features, head.embedding_features)
        image = image + enlarged(early.permute(0, 3, 1, 2), head.early_features)
        features = features + image[index]
    kernel = hidden[:, special]
    for layer in (head.mlp[0], head.mlp[2]):
        kernel = F.relu(kernel @ layer.weight.T + layer.bias)
    kernel = kernel @ head.mlp[4].weight.T + head.mlp[4].bias
    mask = (kernel[:, :, None, None] * features).sum(1, keepdim=True)
    kernels = torch.stack(
        [mlp(hidden[:, special - 4 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)], dim=1
    )
    decoded = torch.einsum("nkc,nchw->nkhw", kernels, upscaled)
    torch.testing.assert_close(output.logits, decoded + mask, rtol=1e-4, atol=1e-4)
    trained = run(student.train())
    torch.testing.assert_close(trained.logits, mask.expand(-1, 4, -1, -1), rtol=1e-4, atol=1e-4)
    assert torch.equal(trained.tokens, output.tokens)
    assert torch.equal(trained.iou, output.iou)


@torch.no_grad()
def test_a_mask_alone_is_a_prompt(model: PromptableModel, images: Tensor) -> None:
    student = peft.inject(model, "hqsam")
    height, width = student.embedding_size
    prompts = PromptBatch(torch.tensor([1]), masks=torch.randn(1, 1, 4 * height, 4 * width))
    assert student.decode(student.encode(images), prompts).logits.shape == (1, 4, 4 * height, 4 * width)


@torch.no_grad()
def test_a_head_of_zeros_leaves_the_decoders_masks(plain: PromptableModel, images: Tensor, run: Run) -> None:
    """With its token hidden from the others, what is left is the pre-trained model."""
    student: Any = peft.inject(plain, "hqsam")
    for parameter in student.refiner.mlp[4].parameters():
        parameter.zero_()
    with_token = run(student)
    position = {"sam": 5, "sam2": 6}[plain.family]
    transformer = student.mask_decoder().transformer

    class WithoutToken(nn.Module):
        def forward(self, image: Tensor, place: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
            kept = torch.cat([tokens[:, :position], tokens[:, position + 1 :]], dim=1)
            hidden, source = transformer(image, place, kept)
            return torch.cat([hidden[:, :position], hidden[:, :1], hidden[:, position:]], dim=1), source

    student.mask_decoder().transformer = WithoutToken()
    assert torch.equal(student.encode(images).features, plain.encode(images).features)
    output, expected = run(student), run(plain)
    assert torch.equal(output.logits, expected.logits)
    assert torch.equal(output.iou, expected.iou)
    assert not torch.equal(with_token.logits, expected.logits)  # it takes part in the attention
