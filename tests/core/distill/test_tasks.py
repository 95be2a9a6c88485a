"""Tasks on a tiny model: what gets gradients, what is refused, what falls when they train."""

import copy

import pytest
import torch

from infosam.distill import TrainingBatch, build, methods, uses_teacher
from infosam.losses import gram, relation_compression_loss, relation_distillation_loss, renyi_entropy
from infosam.models.pocket.build import PocketConfig, build_pocket
from infosam.relation import save_relation
from infosam.types import RELATIONS, AdaptConfig, BadInputError, PromptBatch

pytestmark = pytest.mark.usefixtures("single_thread")

TINY = PocketConfig(
    image_size=64, width=32, depth=2, heads=2, window=4, global_blocks=(1,), out_chans=32, decoder_mlp=64
)


def models():
    """A frozen teacher, and a student that starts from it with a trainable last block and mask decoder."""
    torch.manual_seed(0)
    teacher = build_pocket(TINY).eval().requires_grad_(False)
    student = copy.deepcopy(teacher)
    student.mask_decoder().requires_grad_(True)
    student.blocks()[-1].requires_grad_(True)
    return student, teacher


def batch(teacher, index=(0, 0, 1, 1), valid=None):
    """Bright squares, each prompted by its box."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.tensor([[8, 8, 28, 28], [34, 30, 60, 60], [4, 20, 24, 50], [30, 4, 58, 26]])[: len(index)]
    images = 0.1 * torch.randn(max(index) + 1, 3, 64, 64, generator=generator)
    targets = torch.zeros(len(index), 1, 64, 64)
    for n, (r0, c0, r1, c1) in enumerate(corners):
        targets[n, :, r0:r1, c0:c1] = 1
        images[index[n], :, r0:r1, c0:c1] += 2
    prompts = PromptBatch(torch.tensor(index), boxes=corners.float())
    with torch.no_grad():
        embedding = teacher.encode(images)
    return TrainingBatch(images, embedding, prompts, targets, valid)


def task_and_batch(name="infosam", **settings):
    student, teacher = models()
    task = build(name, student, teacher, AdaptConfig(distill=name, **settings))
    return task.train(), batch(teacher)


def gradients(module):
    return {name: p.grad for name, p in module.named_parameters() if p.grad is not None and p.grad.any()}


def test_the_parts_add_up():
    task, data = task_and_batch(rkd_weight=0.7, lambda_compress=0.3, lambda_distill=0.4)
    losses = task(data)
    parts = {"mask", "multimask", "iou_head", "compression", "distillation"}
    assert set(losses) == parts | {"loss", "relation_entropy"}
    supervised = losses["mask"] + losses["multimask"] + losses["iou_head"]
    total = supervised + 0.7 * (0.3 * losses["compression"] + 0.4 * losses["distillation"])
    assert losses["loss"].item() == pytest.approx(total.item())
    assert [name for name, loss in losses.items() if loss.requires_grad] == ["loss"]
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize("alpha", [2.0, 1.01])
def test_the_losses_are_those_of_the_features(alpha):
    task, data = task_and_batch(alpha=alpha)
    losses = task(data)
    index = data.prompts.image_index
    features = data.teacher.features.flatten(2).transpose(1, 2)[index]
    tokens = task.teacher.decode(data.teacher, data.prompts).tokens[:, :1]
    teacher = task.relation(features, tokens)
    assert losses["compression"].item() == pytest.approx(
        relation_compression_loss(features, tokens, teacher, alpha).item(), abs=1e-6
    )
    # The student is still the teacher, so their relations are the same.
    assert losses["distillation"].item() == pytest.approx(
        relation_distillation_loss(teacher, teacher, alpha).item(), abs=1e-4
    )


@pytest.mark.parametrize("name", ["mobilesam", "tinysam"])
def test_the_relation_module_adds_to_other_methods(name):
    task, data = task_and_batch(f"{name}+relation", rkd_weight=0.7, lambda_compress=0.3, lambda_distill=0.4)
    with torch.no_grad():  # student and teacher differ
        for parameter in task.student.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter) * parameter.requires_grad)
    losses = task(data)
    without = build(name, task.student, task.teacher, task.config)(data)
    relation = build("infosam", task.student, task.teacher, task.config)
    relation.relation.load_state_dict(task.relation.state_dict())
    relation = relation(data)
    assert losses["distillation"].item() == pytest.approx(without["distillation"].item())
    assert losses["relation_compression"].item() == pytest.approx(relation["compression"].item())
    assert losses["relation_distillation"].item() == pytest.approx(relation["distillation"].item())
    added = 0.7 * (0.3 * relation["compression"] + 0.4 * relation["distillation"])
    assert losses["loss"].item() == pytest.approx((without["loss"] + added).item())
    losses["loss"].backward()
    assert gradients(task.student)
    assert gradients(task.auxiliary())


@pytest.mark.parametrize(("terms", "compressed"), [("joint", False), ("joint+teacher", True)])
def test_ablated_terms(terms, compressed):
    task, data = task_and_batch(relation_terms=terms, rkd_weight=1.0, alpha=2.0)
    losses = task(data)
    index = data.prompts.image_index
    features = data.teacher.features.flatten(2).transpose(1, 2)[index]
    tokens = task.teacher.decode(data.teacher, data.prompts).tokens[:, :1]
    relations = gram(task.relation(features, tokens))
    # The student is still the teacher.
    assert losses["distillation"].item() == pytest.approx(renyi_entropy(relations**2).item(), abs=1e-4)
    expected = renyi_entropy(relations).item() if compressed else 0.0
    assert losses["compression"].item() == pytest.approx(expected, abs=1e-5)
    losses["loss"].backward()
    assert gradients(task.relation)


@pytest.mark.parametrize("relation", RELATIONS)
def test_any_relation_teaches(relation):
    task, data = task_and_batch(relation=relation)
    losses = task(data)
    losses["loss"].backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert bool(gradients(task.auxiliary())) == (relation != "dot")
    assert (task.trained_relation() is None) == (relation == "dot")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"relation": "attn-2"}, "not 'attn-2'"),
        ({"relation_terms": "none"}, "not 'none'"),
        ({"relation": "dot", "relation_weights": "r.safetensors"}, "leave out 'r.safetensors'"),
    ],
)
def test_settings_of_the_relation_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        AdaptConfig(**settings)


def test_a_given_relation_stays_frozen_and_still_teaches(tmp_path):
    path = tmp_path / "relation.safetensors"
    source, data = task_and_batch()
    save_relation(source.trained_relation(), path)
    task = build("infosam", *models(), AdaptConfig(relation_weights=str(path))).train()
    losses, expected = task(data), source(data)
    assert losses["loss"].item() == pytest.approx(expected["loss"].item())
    losses["loss"].backward()
    assert gradients(task.student)
    assert not gradients(task.relation)
    assert task.trained_relation() is None
    with pytest.raises(BadInputError, match="cannot be used as weights"):
        build("infosam", *models(), AdaptConfig(relation_weights=str(tmp_path / "missing")))
    assert task_and_batch("none")[0].trained_relation() is None


def test_compression_trains_the_relation_module_alone():
    task, data = task_and_batch(lambda_distill=0.0, rkd_weight=1.0)
    task(data)["loss"].backward()
    with_compression = {name: p.clone() for name, p in gradients(task.student).items()}
    assert gradients(task.relation)
    plain, data = task_and_batch("none")
    plain(data)["loss"].backward()
    supervised = gradients(plain.student)
    assert set(with_compression) == set(supervised)
    for name, gradient in supervised.items():
        torch.testing.assert_close(with_compression[name], gradient)


def test_distillation_trains_student_and_relation_module_and_never_the_teacher():
    task, data = task_and_batch(lambda_compress=0.0)
    before = {name: value.clone() for name, value in task.teacher.state_dict().items()}
    parameters = [
        *filter(lambda p: p.requires_grad, task.student.parameters()),
        *task.auxiliary().parameters(),
    ]
    optimiser = torch.optim.Adam(parameters, lr=1e-3)
    for _ in range(2):  # from the second step on, student and teacher differ
        optimiser.zero_grad()
        task(data)["loss"].backward()
        optimiser.step()
    weighted = gradients(task.student)["sam.mask_decoder.mask_tokens.weight"].clone()
    task.student.zero_grad()
    task.config = AdaptConfig(rkd_weight=0.0)
    task(data)["loss"].backward()
    assert not torch.allclose(gradients(task.student)["sam.mask_decoder.mask_tokens.weight"], weighted)
    assert not gradients(task.teacher)
    for name, value in task.teacher.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("name", ["infosam", "none"])
def test_the_loss_falls(name):
    task, data = task_and_batch(name)
    auxiliary = task.auxiliary()
    parameters = [p for p in task.student.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters + ([*auxiliary.parameters()] if auxiliary else []), lr=6e-3)
    history = []
    for _ in range(16):
        losses = task(data)
        optimiser.zero_grad()
        losses["loss"].backward()
        optimiser.step()
        history.append({part: loss.item() for part, loss in losses.items()})
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert history[-1]["mask"] < 0.9 * history[0]["mask"]


def test_the_auxiliary_weights_stay_out_of_the_student():
    task, _ = task_and_batch()
    assert task.auxiliary() is task.relation
    assert not any("relation" in name for name in task.student.state_dict())
    assert sum(p.numel() for p in task.auxiliary().parameters()) == 2 * (32 * 32 + 32) + 2 * 2 * 32
    assert task_and_batch("none")[0].auxiliary() is None


@pytest.mark.parametrize(
    ("mode", "residual"), [("official", "normalized"), ("paper", "raw"), ("clean", "normalized")]
)
def test_the_residual_follows_the_run_mode(mode, residual):
    assert task_and_batch(mode=mode)[0].relation.residual == residual


def test_the_teacher_stays_in_evaluation_mode():
    task, _ = task_and_batch()
    assert task.student.training
    assert not task.teacher.training


def test_autocast_leaves_the_relations_in_float32():
    task, data = task_and_batch()
    plain = task(data)
    with torch.autocast("cpu", torch.bfloat16):
        half = task(data)
    assert half["compression"].dtype == half["distillation"].dtype == torch.float32
    assert half["loss"].item() == pytest.approx(plain["loss"].item(), rel=0.05)


@pytest.mark.parametrize("name", ["infosam", "mobilesam+relation", "tinysam+relation"])
def test_a_single_prompt_is_refused_with_the_reason(name):
    task, _ = task_and_batch(name)
    with pytest.raises(BadInputError, match=r"at least 2 prompts in a batch, not 1.*exactly zero"):
        task(batch(task.teacher, index=(0,)))
    alone = task_and_batch("none")[0]
    assert alone(batch(task.teacher, index=(0,)))["loss"].isfinite()


def test_a_teacher_is_asked_for():
    student, teacher = models()
    assert uses_teacher("infosam")
    assert not uses_teacher("none")
    with pytest.raises(BadInputError, match="'infosam' needs a teacher"):
        build("infosam", student, None, AdaptConfig())
    data = batch(teacher)
    without = TrainingBatch(data.images, None, data.prompts, data.targets)
    with pytest.raises(BadInputError, match="teacher's embeddings"):
        build("infosam", student, teacher, AdaptConfig())(without)
    assert build("none", student, None, AdaptConfig())(without)["loss"].isfinite()


def test_unknown_methods_are_answered_with_the_known_ones():
    student, teacher = models()
    assert {"infosam", "none"} <= set(methods())
    assert methods() == sorted(methods())
    with pytest.raises(BadInputError, match=r"'infosum'; known are .*infosam"):
        build("infosum", student, teacher, AdaptConfig())


def test_batches_that_do_not_fit_are_named():
    _, teacher = models()
    data = batch(teacher)
    with pytest.raises(BadInputError, match="targets must be"):
        TrainingBatch(data.images, data.teacher, data.prompts, data.targets[:2])
    with pytest.raises(BadInputError, match="valid must be"):
        TrainingBatch(data.images, data.teacher, data.prompts, data.targets, data.targets[..., :32] > 0)
    with pytest.raises(BadInputError, match="2 images but 1 teacher"):
        TrainingBatch(data.images, teacher.encode(data.images[:1]), data.prompts, data.targets)
    nothing = PromptBatch(torch.zeros(0, dtype=torch.long))
    with pytest.raises(BadInputError, match="no prompt"):
        TrainingBatch(data.images, data.teacher, nothing, data.targets[:0])
