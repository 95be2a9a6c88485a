"""What leaves the blocks of an image encoder: which ones, and as what."""

from types import SimpleNamespace

import pytest
import torch

from infosam.distill.blocks import encode_with_blocks, level_blocks, level_dims, paired_dims, to_common_size
from infosam.types import BadInputError

HIERA_BASE_PLUS = [112] * 2 + [224] * 3 + [448] * 16 + [896] * 3


def encoder(dims):
    return SimpleNamespace(block_dims=lambda: dims)


@pytest.mark.parametrize(
    ("dims", "numbers"),
    [
        ([768] * 12, [2, 5, 8, 11]),  # SAM ViT-B, L and H
        ([1024] * 24, [5, 11, 17, 23]),
        ([1280] * 32, [7, 15, 23, 31]),
        (HIERA_BASE_PLUS, [1, 4, 20, 23]),
        ([192] * 6, [1, 2, 4, 5]),
        ([32] * 2, [0, 1]),
        ([32], [0]),
    ],
)
def test_levels(dims, numbers):
    assert level_blocks(encoder(dims)) == numbers


def test_levels_of_student_and_teacher():
    plain, hierarchical, shallow = encoder([768] * 12), encoder(HIERA_BASE_PLUS), encoder([32] * 2)
    assert paired_dims(plain, hierarchical) == [(768, 112), (768, 224), (768, 448), (768, 896)]
    assert level_dims(shallow, plain) == ([32, 32], [768] * 4)
    with pytest.raises(BadInputError, match="needs a teacher"):
        level_dims(plain, None)


def test_maps_are_those_of_the_blocks(tiny_model):
    images = torch.randn(2, 3, 64, 64)
    embedding, maps = encode_with_blocks(tiny_model, images, [1, 0])
    encoder = tiny_model.network.image_encoder
    x, _ = encoder.stem(images)
    for number, block in enumerate(tiny_model.blocks()):
        x = block(x)
        torch.testing.assert_close(maps[1 - number], x.permute(0, 3, 1, 2))
    assert torch.equal(embedding.features, tiny_model.encode(images).features)
    assert encode_with_blocks(tiny_model, images, [])[1] == ()


def test_hooks_are_gone_after_a_failure(tiny_model):
    with pytest.raises(RuntimeError):
        encode_with_blocks(tiny_model, torch.zeros(1, 5, 64, 64), [0])
    assert not any(block._forward_hooks for block in tiny_model.blocks())


def test_the_larger_map_is_pooled():
    large, small = torch.arange(16.0).reshape(1, 1, 4, 4), torch.ones(1, 3, 2, 2)
    pooled, same = to_common_size(large, small)
    assert pooled.flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert torch.equal(same, small)
