"""Distillation losses by their closed forms, and their tasks on a tiny model."""

import math
from dataclasses import replace

import pytest
import torch

from infosam.distill import build, methods, uses_teacher
from infosam.distill.logit import logit_loss
from infosam.distill.mobilesam import mobilesam_loss
from infosam.distill.pkd import pkd_loss
from infosam.distill.pkt import pkt_loss
from infosam.distill.taught import Knowledge
from infosam.distill.tinysam import mask_hardness, tinysam_loss
from infosam.models.base import freeze
from infosam.models.pocket.build import build_pocket
from infosam.types import AdaptConfig, BadInputError
from tests.core.distill.test_tasks import TINY, batch, gradients, models, task_and_batch

pytestmark = pytest.mark.usefixtures("single_thread")


def knowledge(values):
    """(B, C, h, w) in all the places of what a model knows."""
    return Knowledge(values, values.flatten(2), values[:, :1])


LOSSES = {
    "logit": logit_loss,
    "mobilesam": mobilesam_loss,
    "pkd": pkd_loss,
    "pkt": pkt_loss,
    "tinysam": lambda s, t: tinysam_loss(knowledge(s), knowledge(t), torch.full((len(s),), 0.7)),
}
TAUGHT = sorted(LOSSES)
NEED_TWO_IMAGES = {"pkt"}


def random_pair(seed=0, shape=(3, 4, 5, 6)):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2)]


def taught_by(name, **sizes):
    """The task of a tiny student under a teacher of other sizes, and a batch."""
    teacher = freeze(build_pocket(replace(TINY, **sizes)))
    return build(name, models()[0], teacher, AdaptConfig(distill=name)).train(), batch(teacher)


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


def test_mobilesam_is_a_mean_of_squares():
    student, teacher = torch.tensor([[1.0, 2], [3, 4]]), torch.tensor([[1.0, 0], [0, 3]])
    assert mobilesam_loss(student, teacher).item() == pytest.approx((4 + 9 + 1) / 4)


def test_tinysam_weighs_hard_masks():
    assert mask_hardness(torch.tensor(0.5), torch.tensor(0.5)).item() == pytest.approx(0.5, abs=1e-5)
    assert mask_hardness(torch.tensor(0.4), torch.tensor(0.8)).item() == pytest.approx(
        1 / (1 + math.exp(-1)), abs=1e-5
    )
    assert mask_hardness(torch.tensor(0.0), torch.tensor(0.9)).item() == pytest.approx(1)
    assert mask_hardness(torch.tensor(0.9), torch.tensor(0.0)).item() == pytest.approx(1 / (1 + math.e))


def test_tinysam_adds_its_three_stages():
    images = random_pair(0, (2, 3, 4, 4))
    tokens = random_pair(1, (3, 4, 3))
    logits = random_pair(2, (3, 1, 8, 8))
    student, teacher = (Knowledge(*values) for values in zip(images, tokens, logits, strict=True))
    hardness = torch.tensor([0.3, 0.5, 0.9], dtype=torch.float64)
    expected = sum((s - t).abs().mean() for s, t in (images, tokens))
    for weight, sought, taught in zip(hardness, *logits, strict=True):
        expected += weight * (sought - taught).abs().mean() / 3
    assert tinysam_loss(student, teacher, hardness).item() == pytest.approx(expected.item())


def test_tinysam_measures_hardness_on_the_targets():
    task, data = task_and_batch("tinysam")
    blank = torch.zeros(4, 1, 16, 16)
    right = torch.nn.functional.interpolate(data.targets, (16, 16)) * 10 - 5
    student, teacher = (
        Knowledge(blank, torch.zeros(4, 4, 1), logits) for logits in (torch.full_like(blank, -1.0), right)
    )
    # The student finds nothing, the teacher the object: H = 1, and what is left is the distance of the masks.
    expected = (right + 1).abs().mean()
    assert task.distillation(student, teacher, data).item() == pytest.approx(expected.item(), rel=1e-5)


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
    optimiser = torch.optim.Adam([p for p in task.parameters() if p.requires_grad], lr=1e-4)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = task(data)["loss"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("index", [(0,), (0, 0), (0, 1)])
@pytest.mark.parametrize("name", TAUGHT)
def test_small_batches(name, index):
    task, _ = task_and_batch(name)
    data = batch(task.teacher, index=index)
    if name in NEED_TWO_IMAGES and max(index) == 0:
        with pytest.raises(BadInputError, match="label a second image"):
            task(data)
    else:
        assert task(data)["loss"].isfinite()


@pytest.mark.parametrize("name", TAUGHT)
def test_the_teacher_may_be_larger(name):
    task, data = taught_by(name, width=48)
    losses = task(data)
    losses["loss"].backward()
    assert losses["loss"].isfinite()
    assert gradients(task.student)


@pytest.mark.parametrize("name", ["mobilesam", "pkd", "tinysam"])
def test_embeddings_of_other_sizes_are_named(name):
    task, data = taught_by(name, out_chans=48)
    with pytest.raises(BadInputError, match=r"features of one shape, not \(2, 32"):
        task(data)
