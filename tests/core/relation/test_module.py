"""The relation module: definition, parameters, and bad input."""

import pytest
import torch
import torch.nn.functional as F

from infosam.relation import RelationModule
from infosam.types import BadInputError


def definition(module, image, tokens, residual):
    """Eqs. 8-9, sample by sample, token by token and position by position."""
    rows = []
    for z_i, z_m in zip(image, tokens, strict=True):
        scores = []
        for token in z_m:
            u = F.layer_norm(token, (module.dim,), module.layer_norm_mask.weight, module.layer_norm_mask.bias)
            query = module.query_proj.weight @ u + module.query_proj.bias
            for position in z_i:
                v = F.layer_norm(
                    position, (module.dim,), module.layer_norm_feat.weight, module.layer_norm_feat.bias
                )
                key = module.key_proj.weight @ v + module.key_proj.bias
                added = torch.dot(u, v) if residual == "normalized" else torch.dot(token, position)
                scores.append(torch.dot(query, key) / module.dim**0.5 + added)
        row = torch.stack(scores)
        rows.append(row / row.norm())
    return torch.stack(rows)


@pytest.mark.parametrize("residual", ["normalized", "raw"])
@pytest.mark.parametrize("n_tokens", [1, 3])
def test_follows_the_definition(residual, n_tokens):
    torch.manual_seed(0)
    module = RelationModule(8, residual).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    image, tokens = torch.randn(3, 5, 8).double(), torch.randn(3, n_tokens, 8).double()
    relation = module(image, tokens)
    assert relation.shape == (3, n_tokens * 5)
    torch.testing.assert_close(relation, definition(module, image, tokens, residual), rtol=0, atol=1e-12)


def test_the_residual_forms_differ():
    torch.manual_seed(0)
    normalized, raw = RelationModule(8), RelationModule(8, "raw")
    raw.load_state_dict(normalized.state_dict())
    image, tokens = 2 + torch.randn(2, 5, 8), torch.randn(2, 1, 8)
    assert (normalized(image, tokens) - raw(image, tokens)).abs().max() > 1e-2


def test_parameter_count():
    assert sum(p.numel() for p in RelationModule(256).parameters()) == 132_608


def test_rows_have_unit_length():
    torch.manual_seed(0)
    relation = RelationModule(16)(100 * torch.randn(4, 9, 16), torch.randn(4, 1, 16))
    torch.testing.assert_close(relation.norm(dim=1), torch.ones(4))


def test_a_zero_relation_stays_finite():
    module = RelationModule(8, "raw")
    for parameter in module.parameters():
        torch.nn.init.zeros_(parameter)
    tokens = torch.zeros(2, 1, 8, requires_grad=True)
    relation = module(torch.zeros(2, 5, 8), tokens)
    relation.sum().backward()
    assert not relation.any()
    assert tokens.grad is not None
    assert tokens.grad.isfinite().all()


@pytest.mark.parametrize(
    ("image", "tokens"),
    [((2, 5, 8), (3, 1, 8)), ((2, 5, 4), (2, 1, 8)), ((2, 5, 8), (2, 8)), ((2, 8, 4, 4), (2, 1, 8))],
)
def test_shapes_that_do_not_fit_are_named(image, tokens):
    with pytest.raises(BadInputError, match=r"needs an embedding \(B, HW, 8\)"):
        RelationModule(8)(torch.zeros(image), torch.zeros(tokens))


def test_settings_are_checked():
    with pytest.raises(ValueError, match="not 0"):
        RelationModule(0)
    with pytest.raises(ValueError, match="'lnd'"):
        RelationModule(8, "lnd")  # type: ignore[arg-type]
