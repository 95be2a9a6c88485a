"""InfoSAM's losses: closed forms, limits, gradients, shared images, bad input."""

import math

import pytest
import torch

from infosam.losses import (
    gram,
    relation_compression_loss,
    relation_distillation_loss,
    relation_joint_entropy,
    renyi_entropy,
)
from infosam.types import BadInputError

pytestmark = pytest.mark.usefixtures("single_thread")


def pair_with_cosine(cosine, dim=4):
    rows = torch.zeros(2, dim, dtype=torch.float64)
    rows[:, 0] = 1
    rows[1, 0], rows[1, 1] = cosine, (1 - cosine**2) ** 0.5
    return rows


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_closed_form_for_two_samples():
    image, token = pair_with_cosine(0.6).unsqueeze(1), pair_with_cosine(0.5).unsqueeze(1)
    teacher, student = pair_with_cosine(0.8), pair_with_cosine(0.4)
    assert relation_compression_loss(image, token, teacher).item() == pytest.approx(-0.632902, abs=1e-6)
    assert relation_distillation_loss(teacher, student).item() == pytest.approx(-0.212827, abs=1e-6)


@pytest.mark.parametrize("alpha", [1.01, 2.0, 3.0])
def test_the_joint_entropy_is_the_distillation_loss_without_its_regularisers(alpha):
    teacher, student = random(4, 9), random(4, 9, seed=1)
    apart = renyi_entropy(gram(teacher), alpha) + renyi_entropy(gram(student), alpha)
    expected = relation_distillation_loss(teacher, student, alpha) + apart
    assert relation_joint_entropy(teacher, student, alpha).item() == pytest.approx(expected.item())


def test_joint_entropy_of_two_samples():
    joint = relation_joint_entropy(pair_with_cosine(0.8), pair_with_cosine(0.4))
    assert joint.item() == pytest.approx(-math.log2((1 + 0.32**2) / 2))
    collapsed = torch.ones(2, 4, dtype=torch.float64)
    assert relation_joint_entropy(collapsed, collapsed).item() == pytest.approx(0, abs=1e-12)


def test_equal_relations_share_nothing():
    equal = torch.ones(4, 9, dtype=torch.float64)
    assert relation_distillation_loss(equal, equal).item() == pytest.approx(0, abs=1e-12)
    assert relation_distillation_loss(equal, random(4, 9)).item() == pytest.approx(0, abs=1e-12)


def test_orthogonal_relations_share_everything():
    orthogonal = torch.eye(4, 9, dtype=torch.float64)
    assert relation_distillation_loss(orthogonal, orthogonal).item() == pytest.approx(-2)
    loss = relation_compression_loss(random(4, 9, 8), random(4, 1, 8, seed=1), orthogonal)
    assert loss.item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("alpha", [1.0, 1.01, 2.0, 3.0])
def test_a_batch_of_one_gives_zero_and_no_gradient(alpha):
    image, token = random(1, 9, 8), random(1, 1, 8)
    teacher, student = random(1, 9).requires_grad_(), random(1, 9, seed=1).requires_grad_()
    losses = (
        relation_compression_loss(image, token, teacher, alpha),
        relation_distillation_loss(teacher, student, alpha),
        relation_joint_entropy(teacher, student, alpha),
    )
    sum(losses).backward()
    assert [loss.item() for loss in losses] == [0, 0, 0]
    assert not teacher.grad.any()
    assert not student.grad.any()


@pytest.mark.parametrize("alpha", [1.01, 2.0, 3.0])
def test_gradients(alpha):
    image, token = random(3, 5, 4), random(3, 1, 4)
    relations = (random(3, 5, seed=2).requires_grad_(), random(3, 5, seed=3).requires_grad_())
    check = torch.autograd.gradcheck
    assert check(lambda r: relation_compression_loss(image, token, r, alpha), relations[:1], atol=1e-6)
    assert check(lambda t, s: relation_distillation_loss(t, s, alpha), relations, atol=1e-6)
    assert check(lambda t, s: relation_joint_entropy(t, s, alpha), relations, atol=1e-6)


def test_samples_that_share_an_image():
    images, token, relation = random(2, 9, 8), random(5, 1, 8), random(5, 9)
    index = torch.tensor([0, 1, 1, 0, 1])
    shared = relation_compression_loss(images, token, relation, image_index=index)
    repeated = relation_compression_loss(images[index], token, relation)
    assert shared.item() == pytest.approx(repeated.item(), abs=1e-14)


def test_gram_holds_cosines():
    rows = random(3, 2, 5)
    flat = rows.flatten(1)
    expected = torch.nn.functional.cosine_similarity(flat[:, None], flat[None], dim=-1)
    torch.testing.assert_close(gram(rows), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert gram(rows.bfloat16()).dtype == torch.float32


def test_batches_that_do_not_fit_are_named():
    with pytest.raises(BadInputError, match="3, 2 and 3 samples"):
        relation_compression_loss(random(3, 9, 8), random(2, 1, 8), random(3, 9))
    with pytest.raises(BadInputError, match="3 and 2 samples"):
        relation_distillation_loss(random(3, 9), random(2, 9))
    with pytest.raises(BadInputError, match="batch dimension"):
        gram(random(3))
