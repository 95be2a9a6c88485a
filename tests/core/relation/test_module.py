"""The relation module and its variants: definitions, parameters, weights on disk, and bad input."""

import pytest
import torch
import torch.nn.functional as F

from infosam.relation import RelationModule, build_relation, load_relation, save_relation
from infosam.relation.deep import DeepRelation
from infosam.types import RELATIONS, BadInputError


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


LAYER = 4 * (256 * 256 + 256) + 2 * 256  # projections of query, key, value and output; LayerNorm


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("dot", 0),
        ("linear", 256 * 256),
        ("attn-1", 132_608),
        ("attn-3", 132_608 + 2 * LAYER),
        ("attn-5", 132_608 + 4 * LAYER),
    ],
)
def test_parameter_count(name, count):
    assert sum(p.numel() for p in build_relation(name).parameters()) == count


def test_products_follow_their_definitions():
    torch.manual_seed(0)
    image, tokens = torch.randn(3, 5, 8).double(), torch.randn(3, 2, 8).double()
    linear = build_relation("linear", 8).double()
    matrix = linear.weight.weight.T  # a linear layer holds its matrix transposed
    for relation, expected in (
        (build_relation("dot", 8), torch.einsum("bnd,bpd->bnp", tokens, image)),
        (linear, torch.einsum("bnd,de,bpe->bnp", tokens, matrix, image)),
    ):
        expected = expected.flatten(1) / expected.flatten(1).norm(dim=1, keepdim=True)
        torch.testing.assert_close(relation(image, tokens), expected)


def test_deep_relations_read_the_image_first():
    torch.manual_seed(0)
    deep = build_relation("attn-3", 8).double()
    image, tokens = torch.randn(2, 5, 8).double(), torch.randn(2, 2, 8).double()
    read = tokens
    for reader in deep.readers:
        weights, biases = reader.attention.in_proj_weight.chunk(3), reader.attention.in_proj_bias.chunk(3)
        query, key, value = (
            features @ weight.T + bias
            for features, weight, bias in zip((read, image, image), weights, biases, strict=True)
        )
        attended = (query @ key.transpose(1, 2) / 8**0.5).softmax(-1) @ value
        read = reader.norm(read + reader.attention.out_proj(attended))
    torch.testing.assert_close(deep(image, tokens), definition(deep, image, read, "normalized"))


@pytest.mark.parametrize("name", RELATIONS)
def test_gradients(name):
    torch.manual_seed(0)
    relation = build_relation(name, 4).double()
    image, tokens = torch.randn(2, 3, 4).double(), torch.randn(2, 1, 4).double()
    assert torch.autograd.gradcheck(relation, (image.requires_grad_(), tokens.requires_grad_()))


@pytest.mark.parametrize("name", RELATIONS)
def test_rows_have_unit_length(name):
    torch.manual_seed(0)
    relation = build_relation(name, 16)(100 * torch.randn(4, 9, 16), torch.randn(4, 1, 16))
    assert relation.shape == (4, 9)
    torch.testing.assert_close(relation.norm(dim=1), torch.ones(4))


def test_weights_survive_the_disk(tmp_path):
    path = tmp_path / "relation.safetensors"
    first, second = build_relation("attn-3", 8), build_relation("attn-3", 8)
    save_relation(first, path)
    load_relation(second, path)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    for other in (build_relation("attn-1", 8), build_relation("attn-3", 16)):
        with pytest.raises(BadInputError, match="cannot be used as weights of this relation"):
            load_relation(other, path)
    path.write_bytes(b"nothing")
    for wrong in (path, tmp_path / "missing"):
        with pytest.raises(BadInputError, match="cannot be used as weights"):
            load_relation(second, wrong)


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
    for name in RELATIONS:
        with pytest.raises(BadInputError, match=r"needs an embedding \(B, HW, 8\)"):
            build_relation(name, 8)(torch.zeros(image), torch.zeros(tokens))


def test_settings_are_checked():
    with pytest.raises(ValueError, match="not 0"):
        RelationModule(0)
    with pytest.raises(ValueError, match="layers must be at least 1, not 0"):
        DeepRelation(8, layers=0)
    with pytest.raises(ValueError, match="not 'attn-2'"):
        build_relation("attn-2")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'lnd'"):
        RelationModule(8, "lnd")  # type: ignore[arg-type]
