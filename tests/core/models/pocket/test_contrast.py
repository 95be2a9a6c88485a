"""What the pocket model's mask decoder sees at first hand: finer maps, and contrasts."""

from __future__ import annotations

import torch

from infosam.models.pocket.build import PocketConfig, build_pocket
from infosam.models.pocket.model import _contrasts


def test_a_contrast_is_one_at_what_was_prompted_and_minus_one_at_the_rest() -> None:
    features = torch.zeros(1, 4, 16, 16)
    features[:, 0] = -2.0
    features[:, 0, 4:8, 4:8], features[:, 2, 4:8, 4:8] = 1.0, 3.0
    drawn = torch.full((1, 1, 16, 16), -4.0)
    drawn[..., 4:8, 4:8] = 4.0
    everywhere = _contrasts(features, drawn)[0, 0]
    torch.testing.assert_close(everywhere[5, 5], torch.tensor(1.0), atol=0.02, rtol=0)
    torch.testing.assert_close(everywhere[0, 0], torch.tensor(-1.0), atol=0.02, rtol=0)


def test_flat_features_have_no_contrast() -> None:
    drawn = torch.full((1, 1, 16, 16), -4.0)
    drawn[..., 4:8, 4:8] = 4.0
    assert float(_contrasts(torch.ones(1, 4, 16, 16), drawn).abs().max()) < 1e-3


def test_the_decoder_gets_maps_at_half_and_at_a_quarter_of_the_input() -> None:
    config = PocketConfig(
        image_size=64, width=32, depth=1, heads=2, window=4, global_blocks=(0,), out_chans=32
    )
    embedding = build_pocket(config).encode(torch.randn(2, 3, 64, 64))
    assert embedding.features.shape == (2, 32, 8, 8)
    assert [tuple(level.shape) for level in embedding.high_res] == [
        (2, 4, 32, 32),
        (2, 8, 16, 16),
        (2, 3, 32, 32),  # ridges, grey
    ]
