"""The pocket model's attention beside segment-anything's own."""

from __future__ import annotations

import pytest
import torch
from segment_anything.modeling.image_encoder import Attention

from infosam.models.pocket.attention import FusedAttention


@pytest.fixture
def own() -> Attention:
    torch.manual_seed(0)
    attention = Attention(24, num_heads=3, use_rel_pos=True, input_size=(6, 9)).double()
    for parameter in attention.parameters():  # position tables are zero at first
        torch.nn.init.normal_(parameter, std=0.5)
    return attention


def test_fused_attention_gives_what_the_official_one_gives(own: Attention) -> None:
    tokens = torch.randn(2, 6, 9, 24, dtype=torch.float64)
    torch.testing.assert_close(FusedAttention(own)(tokens), own(tokens), rtol=0, atol=1e-12)


def test_its_gradients_are_the_official_ones(own: Attention) -> None:
    tokens = torch.randn(2, 6, 9, 24, dtype=torch.float64, requires_grad=True)
    wanted = [tokens, *own.parameters()]
    weight = torch.randn(2, 6, 9, 24, dtype=torch.float64)
    found, expected = (
        torch.autograd.grad((attention(tokens) * weight).sum(), wanted)
        for attention in (FusedAttention(own), own)
    )
    for mine, official in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, official, rtol=0, atol=1e-10)


def test_it_holds_the_official_parameters_under_their_names(own: Attention) -> None:
    assert FusedAttention(own).state_dict().keys() == own.state_dict().keys()
