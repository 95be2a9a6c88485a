"""Distillation losses by their closed forms, and their tasks on a tiny model."""

import math

import pytest
import torch

from infosam.distill import methods, uses_teacher
from infosam.distill.logit import logit_loss
from infosam.distill.pkd import pkd_loss
from infosam.distill.pkt import pkt_loss
from infosam.types import BadInputError
from tests.core.distill.test_tasks import batch, gradients, task_and_batch

pytestmark = pytest.mark.usefixtures("single_thread")

TAUGHT = ("logit", "pkd", "pkt")
LOSSES = {"logit": logit_loss, "pkd": pkd_loss, "pkt": pkt_loss}


def random_pair(seed=0, shape=(3, 4, 5, 6)):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2)]


def test_pkd_of_one_channel():
    student = torch.tensor([0.0, 1, 3, 2, 4, 6, 5, 7]).reshape(2, 1, 2, 2)
    teacher = torch.arange(8.0).reshape(2, 1, 2, 2)
    assert pkd_loss(student, teacher).item() == pytest.approx(0.0416666, abs=1e-6)


def test_pkd_is_a_correlation_and_sees_no_scale():
    student, teacher = random_pair()
    n = student[:, 0].numel()
    pairs = zip(student.transpose(0, 1).flatten(1), teacher.transpose(0, 1).flatten(1), strict=True)
    correlations = [torch.corrcoef(torch.stack(pair))[0, 1].item() for pair in pairs]
    expected = (1 - 1 / n) * (1 - sum(correlations) / len(correlations))
    assert pkd_loss(student, teacher).item() == pytest.approx(expected, rel=1e-5)
    assert pkd_loss(3 * teacher + 2, teacher).item() == pytest.approx(0, abs=1e-10)


def test_pkt_of_two_samples():
    student = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    assert pkt_loss(student, torch.eye(2)).item() == pytest.approx(0.0128268, abs=1e-6)


def test_pkt_compares_samples_and_not_features():
    student, teacher = random_pair(shape=(3, 4))
    wider = torch.cat([teacher, torch.zeros(3, 5, dtype=torch.float64)], dim=1)
    assert pkt_loss(student, wider).item() == pytest.approx(pkt_loss(student, teacher).item())
    for size in (0, 1):
        with pytest.raises(BadInputError, match="at least 2 of them"):
            pkt_loss(student[:size], teacher[:size])


def test_logit_of_one_pixel():
    student, teacher = torch.tensor([1.0]), torch.tensor([-2.0])
    q, p = 1 / (1 + math.exp(2 / 3)), 1 / (1 + math.exp(-1 / 3))
    expected = 9 * (q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p)))
    assert logit_loss(student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_sure_logits_stay_finite():
    student = torch.tensor([-300.0, 300, 0], requires_grad=True)
    loss = logit_loss(student, torch.tensor([300.0, 300, -300]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()
    with pytest.raises(ValueError, match="temperature must be positive"):
        logit_loss(student, student, 0)


@pytest.mark.parametrize("name", TAUGHT)
def test_nothing_is_lost_where_both_agree(name):
    student, teacher = random_pair()
    assert LOSSES[name](teacher, teacher).item() == pytest.approx(0, abs=1e-9)
    assert LOSSES[name](student, teacher).item() > 0


@pytest.mark.parametrize("name", TAUGHT)
def test_gradients_are_those_of_the_definition(name):
    student, teacher = random_pair(shape=(2, 2, 2, 3))
    assert torch.autograd.gradcheck(lambda values: LOSSES[name](values, teacher), student.requires_grad_())


@pytest.mark.parametrize("name", TAUGHT)
def test_the_task_adds_its_loss_to_the_supervision_and_trains_the_student_alone(name):
    assert name in methods()
    assert uses_teacher(name)
    task, data = task_and_batch(name, rkd_weight=0.5)
    losses = task(data)
    supervised = losses["structure"] + losses["multimask"] + losses["iou_head"]
    assert losses["distillation"].item() == pytest.approx(0, abs=1e-6)  # the student starts as the teacher
    assert losses["loss"].item() == pytest.approx(supervised.item(), rel=1e-4)
    losses["loss"].backward()
    assert gradients(task.student)
    assert not gradients(task.teacher)
    with torch.no_grad():
        for parameter in task.student.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    moved = task(data)
    supervised = moved["structure"] + moved["multimask"] + moved["iou_head"]
    assert moved["distillation"] > 1e-7
    expected = supervised + 0.5 * task.weight * moved["distillation"]
    assert moved["loss"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("name", TAUGHT)
def test_the_loss_falls_when_a_batch_is_repeated(name):
    task, data = task_and_batch(name)
    optimiser = torch.optim.Adam([p for p in task.student.parameters() if p.requires_grad], lr=1e-4)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = task(data)["loss"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_pkt_refuses_a_batch_of_one_image():
    task, data = task_and_batch("pkt")
    with pytest.raises(BadInputError, match="label a second image"):
        task(batch(task.teacher, index=(0, 0)))
    assert task(data)["loss"].isfinite()
