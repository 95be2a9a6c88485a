"""Relation, losses and gradients against the released implementation (stored values, D = 16)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from infosam.losses import relation_compression_loss, relation_distillation_loss
from infosam.relation import RelationModule

REFERENCE = Path(__file__).parents[1] / "data" / "infosam_loss_reference_small.npz"
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}


def relative_error(ours, reference):
    ours = ours.detach().double().numpy()
    return np.abs(ours - reference).max() / np.abs(reference).max()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("batch", ["b2", "b4", "b8"])
def test_equals_the_released_implementation(batch, dtype):
    stored = np.load(REFERENCE)
    values = {key.split("/", 1)[1]: stored[key] for key in stored.files if key.startswith(f"{batch}/")}
    tensors = {key: torch.as_tensor(value).to(dtype) for key, value in values.items()}
    module = RelationModule(tensors["teacher_image"].shape[-1]).to(dtype)
    module.load_state_dict({key[3:]: value for key, value in tensors.items() if key.startswith("rm/")})
    student_token = tensors["student_token"].requires_grad_()

    teacher = module(tensors["teacher_image"], tensors["teacher_token"])
    student = module(tensors["student_image"], student_token)
    loss_r = relation_compression_loss(tensors["teacher_image"], tensors["teacher_token"], teacher)
    loss_d = relation_distillation_loss(teacher, student)
    loss = loss_r + 0.5 * loss_d
    loss.backward()

    ours = {
        "relation_teacher": teacher,
        "relation_student": student,
        "loss_r": loss_r,
        "loss_d": loss_d,
        "loss_info": loss,
        "grad_student_token": student_token.grad,
        "grad_query_weight": module.query_proj.weight.grad,
    }
    errors = {name: relative_error(value, values[name]) for name, value in ours.items()}
    assert max(errors.values()) <= TOLERANCE[dtype], errors
