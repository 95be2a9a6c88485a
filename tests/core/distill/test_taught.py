"""Distillation losses by their closed forms, and their tasks on a tiny model."""

import math
from dataclasses import replace

import pytest
import torch

from infosam import peft
from infosam.distill import build, methods, uses_teacher
from infosam.distill.ibd import LayerAttention, ibd_loss
from infosam.distill.logit import logit_loss
from infosam.distill.mobilesam import mobilesam_loss
from infosam.distill.pkd import pkd_loss
from infosam.distill.pkt import pkt_loss
from infosam.distill.reviewkd import Review, reviewkd_loss
from infosam.distill.semckd import CrossLayer, Regressor, SemanticAttention, semckd_loss
from infosam.distill.taught import Knowledge
from infosam.distill.tinysam import mask_hardness, tinysam_loss
from infosam.distill.vid import Gaussian, vid_loss
from infosam.models.base import freeze
from infosam.models.pocket.build import build_pocket
from infosam.types import AdaptConfig, BadInputError
from tests.core.distill.test_tasks import TINY, batch, gradients, models, task_and_batch

pytestmark = pytest.mark.usefixtures("single_thread")


def knowledge(values):
    """(B, C, h, w) in all the places of what a model knows."""
    return Knowledge(values, values.flatten(2), values[:, :1])


ATTENTION = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
LOSSES = {
    "ibd": lambda s, t: ibd_loss(ATTENTION[: len(s), None, None], [s], [t]),
    "logit": logit_loss,
    "mobilesam": mobilesam_loss,
    "pkd": pkd_loss,
    "pkt": pkt_loss,
    "reviewkd": reviewkd_loss,
    "semckd": lambda s, t: semckd_loss(ATTENTION[: len(s), None, None], [[s]], [[t]]),
    "tinysam": lambda s, t: tinysam_loss(knowledge(s), knowledge(t), torch.full((len(s),), 0.7)),
}
TAUGHT = [*sorted(LOSSES), "vid"]
BLOCKS = ("ibd", "reviewkd", "semckd", "vid")  # compare what leaves the blocks, by weights that train along
NEED_TWO_IMAGES = {"ibd", "pkt"}


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


def test_vid_is_the_likelihood_of_a_gaussian():
    mean, teacher = random_pair(shape=(2, 3, 2, 2))
    variance = torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)
    spread = variance.view(1, 3, 1, 1).expand_as(mean)
    expected = torch.nn.functional.gaussian_nll_loss(mean, teacher, spread)
    assert vid_loss(mean, variance, teacher).item() == pytest.approx(expected.item())
    assert vid_loss(teacher, torch.full_like(variance, 0.25), teacher).item() == pytest.approx(
        math.log(0.25) / 2
    )
    inputs = (mean.requires_grad_(), variance.requires_grad_())
    assert torch.autograd.gradcheck(lambda m, v: vid_loss(m, v, teacher), inputs)


def test_vid_predicts_by_three_layers_and_starts_unsure():
    gaussian = Gaussian(4, 3).double()
    features, _ = random_pair(shape=(2, 4, 2, 2))
    mean, variance = gaussian(features)
    position = features[1, :, 0, 1]
    first, second, third = (layer.weight[:, :, 0, 0] for layer in gaussian.mean if hasattr(layer, "weight"))
    expected = third @ (second @ (first @ position).relu()).relu()
    torch.testing.assert_close(mean[1, :, 0, 1], expected)
    torch.testing.assert_close(variance, torch.full((3,), 5.0, dtype=torch.float64))


def test_ibd_compares_where_layers_are_active():
    student, teacher = random_pair(shape=(2, 3, 2, 2))
    student = [student, random_pair(1, (2, 5, 4, 4))[0]]
    teacher = [teacher, random_pair(2, (2, 2, 2, 2))[0]]
    attention = random_pair(3, (2, 2, 2))[0].softmax(2)
    expected = 0.0
    for t, taught in enumerate(teacher):
        for s, sought in enumerate(student):
            step = sought.shape[2] // 2
            for b in range(2):
                values = []
                for features, side in ((sought[b], step), (taught[b], 1)):
                    energy = (features**2).mean(0)
                    cells = [
                        energy[r * side : (r + 1) * side, c * side : (c + 1) * side].mean()
                        for r in range(2)
                        for c in range(2)
                    ]
                    values.append(torch.stack(cells) / torch.stack(cells).norm())
                expected += attention[b, t, s] * (values[0] - values[1]).square().mean() / 2
    assert ibd_loss(attention, student, teacher).item() == pytest.approx(expected.item())


def test_ibd_attends_by_its_definition():
    torch.manual_seed(0)
    attention = LayerAttention([3, 5], [4, 2, 6]).double().eval()  # fresh batch normalisation only scales
    scale = (1 + 1e-5) ** -0.5
    student = [random_pair(n, (2, dim, 2, 2))[0] for n, dim in enumerate((3, 5))]
    teacher = [random_pair(9 + n, (2, dim, 2, 2))[0] for n, dim in enumerate((4, 2, 6))]
    found = attention(student, teacher)
    assert found.shape == (2, 3, 2)
    scores = torch.empty_like(found)
    for b in range(2):
        for t in range(3):
            query = attention.queries[t][0](teacher[t][b].mean((1, 2))) * scale
            for s in range(2):
                key = (attention.keys[s][0][0](student[s][b].mean((1, 2))) * scale).relu()
                key = (attention.for_teacher[0](key) * scale)[128 * t : 128 * (t + 1)]
                place = attention.student_place[s] @ attention.teacher_place[t]
                scores[b, t, s] = (query @ key + place) / 128**0.5
    torch.testing.assert_close(found, scores.softmax(2))


def test_semckd_weighs_every_pair_of_layers():
    attention = random_pair(0, (2, 3, 2))[0].softmax(2)
    maps = [[random_pair(s + 3 * t, (2, 4, 3, 3)) for t in range(2)] for s in range(3)]
    expected = sum(
        attention[b, s, t] * (maps[s][t][0][b] - maps[s][t][1][b]).square().mean() / (2 * 3)
        for b in range(2)
        for s in range(3)
        for t in range(2)
    )
    regressed, teacher = ([[pair[side] for pair in row] for row in maps] for side in (0, 1))
    assert semckd_loss(attention, regressed, teacher).item() == pytest.approx(expected.item())


def test_semckd_attends_by_what_layers_make_of_the_batch():
    torch.manual_seed(0)
    attention = SemanticAttention(1, 3, most_images=4).double()
    student = [random_pair(0, (3, 2, 2, 2))[0]]
    teacher = [random_pair(n, (3, 5, 2, 2))[1] for n in range(3)]
    found = attention(student, teacher)
    assert found.shape == (3, 1, 3)

    def embedded(perceptron, layer, image):
        cosines = [torch.cosine_similarity(layer[image].flatten(), other.flatten(), dim=0) for other in layer]
        vector = perceptron(
            torch.stack([*cosines, torch.zeros((), dtype=torch.float64)])
        )  # one image missing
        return vector / vector.norm()

    for image in range(3):
        query = embedded(attention.queries[0], student[0], image)
        keys = [embedded(key, layer, image) for key, layer in zip(attention.keys, teacher, strict=True)]
        torch.testing.assert_close(found[image, 0], torch.stack([query @ key for key in keys]).softmax(0))
    with pytest.raises(BadInputError, match="holds 5 images, but the largest is 4"):
        attention([torch.zeros(5, 2, 2, 2).double()], teacher)


def test_reviewkd_compares_at_every_size():
    student, teacher = random_pair(shape=(2, 3, 8, 8))
    expected, total = 0.0, 0.0
    for side, weight in ((8, 1), (4, 1 / 2), (2, 1 / 4), (1, 1 / 8)):
        cells = [
            features.reshape(2, 3, side, 8 // side, side, 8 // side).mean((3, 5))
            for features in (student, teacher)
        ]
        expected += weight * (cells[0] - cells[1]).square().mean()
        total += weight
    assert total == 1.875
    assert reviewkd_loss(student, teacher).item() == pytest.approx(expected.item() / total)
    small = [features[..., :2, :2] for features in (student, teacher)]
    pooled = (small[0] - small[1]).mean((2, 3)).square().mean()
    expected = (small[0] - small[1]).square().mean() + pooled / 8
    assert reviewkd_loss(*small).item() == pytest.approx(expected.item() / 1.125)


def test_reviewkd_hands_deep_maps_on():
    torch.manual_seed(0)
    review = Review([(3, 5), (4, 6)]).double().eval()
    for fusion in review.fusions:  # so that batch normalisation leaves everything as it is
        for part in (fusion.narrow, fusion.predict):
            part[1].eps = 0.0
    student = [random_pair(0, (2, 3, 4, 4))[0], random_pair(1, (2, 4, 2, 2))[0]]
    teacher = [random_pair(2, (2, 5, 4, 4))[0], random_pair(3, (2, 6, 2, 2))[0]]
    shallow, deep = review.fusions
    handed = deep.narrow[0](student[1])
    expected = reviewkd_loss(deep.predict[0](handed), teacher[1])
    own = shallow.narrow[0](student[0])
    handed = handed.repeat_interleave(2, 2).repeat_interleave(2, 3)
    gates = shallow.gates(torch.cat([own, handed], 1)).sigmoid()
    merged = own * gates[:, :1] + handed * gates[:, 1:]
    expected = expected + reviewkd_loss(shallow.predict[0](merged), teacher[0])
    assert review(student, teacher).item() == pytest.approx(expected.item())


@pytest.mark.parametrize(
    ("module", "count"),
    [
        (lambda: Gaussian(768, 768), 1_770_240),
        (lambda: Gaussian(256, 256), 196_864),
        (lambda: Review([(768, 768)] * 4), 15_745_030),
        (lambda: Review([(768, 768)] * 3 + [(256, 768)]), 7_875_590 - 512 * 256),  # 256 are handed on
        (lambda: Regressor(768, 768), 512 * (768 + 9 * 512 + 768) + 4 * 512),
    ],
)
def test_trained_weights_are_as_many_as_published(module, count):
    with torch.device("meta"):
        assert sum(p.numel() for p in module().parameters()) == count


@pytest.mark.parametrize("name", ["ibd", "reviewkd", "semckd"])
def test_gradients_through_the_trained_weights(name):
    torch.manual_seed(0)
    layers = {
        "ibd": lambda: LayerAttention([2, 4], [3, 5]),
        "reviewkd": lambda: Review([(2, 3), (4, 5)]),
        "semckd": lambda: CrossLayer([2, 4], [3, 5], most_images=3),
    }[name]()
    layers.double()
    student = [random_pair(0, (3, dim, 2, 2))[0].requires_grad_() for dim in (2, 4)]
    teacher = [random_pair(1, (3, dim, 2, 2))[0] for dim in (3, 5)]

    def loss(*maps):
        found = layers(list(maps), teacher)
        return ibd_loss(found, list(maps), teacher) if name == "ibd" else found

    assert torch.autograd.gradcheck(loss, student)


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


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_nothing_is_lost_where_both_agree(name):
    student, teacher = random_pair()
    assert LOSSES[name](teacher, teacher).item() == pytest.approx(0, abs=1e-9)
    assert LOSSES[name](student, teacher).item() > 0


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_gradients_are_those_of_the_definition(name):
    student, teacher = random_pair(shape=(2, 2, 5, 3))
    assert torch.autograd.gradcheck(lambda values: LOSSES[name](values, teacher), student.requires_grad_())


@pytest.mark.parametrize("name", TAUGHT)
def test_the_task_adds_its_loss_to_the_supervision_and_trains_the_student_and_its_own_weights(name):
    assert name in methods()
    assert uses_teacher(name)
    task, data = task_and_batch(name, rkd_weight=0.5)
    losses = task(data)
    supervised = losses["mask"] + losses["multimask"] + losses["iou_head"]
    if name not in BLOCKS:  # the student starts as the teacher
        assert losses["distillation"].item() == pytest.approx(0, abs=1e-6)
    expected = supervised + 0.5 * task.weight * losses["distillation"]
    assert losses["loss"].item() == pytest.approx(expected.item(), rel=1e-4)
    losses["loss"].backward()
    assert gradients(task.student)
    assert not gradients(task.teacher)
    auxiliary = task.auxiliary()
    assert (auxiliary is not None) == (name in BLOCKS)
    if auxiliary is not None:
        trained = {name for name, p in auxiliary.named_parameters() if p.grad is not None}
        assert trained == {name for name, _ in auxiliary.named_parameters()}
    with torch.no_grad():
        for parameter in task.student.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    moved = task(data)
    supervised = moved["mask"] + moved["multimask"] + moved["iou_head"]
    assert moved["distillation"] > 1e-7
    expected = supervised + 0.5 * task.weight * moved["distillation"]
    assert moved["loss"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("name", [*TAUGHT, "mobilesam+relation", "tinysam+relation"])
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


@pytest.mark.parametrize("method", sorted({*peft.methods()} - {"none"}))
@pytest.mark.parametrize("name", BLOCKS)
def test_any_student_learns_from_blocks(name, method):
    _, teacher = models()
    student = peft.inject(teacher, method)
    task = build(name, student, teacher, AdaptConfig(distill=name)).train()
    task(batch(teacher))["loss"].backward()
    assert gradients(student)
    assert gradients(task.auxiliary())
    assert not gradients(teacher)


@pytest.mark.parametrize("name", ["reviewkd", "vid"])
def test_methods_that_pair_levels_need_as_many_of_both(name):
    with pytest.raises(BadInputError, match="the student has 2 and the teacher 4"):
        taught_by(name, depth=4)
    for free in ("ibd", "semckd"):
        task, data = taught_by(free, depth=4)
        assert task(data)["loss"].isfinite()


@pytest.mark.parametrize("name", BLOCKS)
def test_the_student_learns_from_blocks_and_leaves_no_hook(name):
    task, data = task_and_batch(name)
    block = task.student.blocks()[-1]
    task(data)["loss"].backward()
    with_blocks = block.mlp.lin2.weight.grad.clone()
    task.zero_grad()
    task.config = AdaptConfig(rkd_weight=0.0)
    task(data)["loss"].backward()
    assert not torch.allclose(block.mlp.lin2.weight.grad, with_blocks, rtol=1e-3)
    assert not any(b._forward_hooks for model in (task.student, task.teacher) for b in model.blocks())


@pytest.mark.parametrize("name", ["mobilesam", "pkd", "tinysam"])
def test_embeddings_of_other_sizes_are_named(name):
    task, data = taught_by(name, out_chans=48)
    with pytest.raises(BadInputError, match=r"features of one shape, not \(2, 32"):
        task(data)
