"""Measures relation, losses and gradients against stored values of InfoSAM's released implementation.

    python benchmarks/reference_losses.py REFERENCE.npz

For each batch of the file and each precision: max |ours - reference| / max |reference|. The small file lies
in tests/core/data; tests hold its errors below 1e-5 in float32 and 1e-9 in float64.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from infosam.losses import relation_compression_loss, relation_distillation_loss
from infosam.relation import RelationModule


def errors(values: dict[str, np.ndarray], dtype: torch.dtype) -> dict[str, float]:
    """Relative errors by name, for one batch of the reference."""
    tensors = {key: torch.as_tensor(value).to(dtype) for key, value in values.items()}
    module = RelationModule(tensors["teacher_image"].shape[-1]).to(dtype)
    module.load_state_dict({key[3:]: value for key, value in tensors.items() if key.startswith("rm/")})
    token = tensors["student_token"].requires_grad_()
    teacher = module(tensors["teacher_image"], tensors["teacher_token"])
    student = module(tensors["student_image"], token)
    loss_r = relation_compression_loss(tensors["teacher_image"], tensors["teacher_token"], teacher)
    loss_d = relation_distillation_loss(teacher, student)
    (loss_r + 0.5 * loss_d).backward()
    ours = {
        "relation_teacher": teacher,
        "relation_student": student,
        "loss_r": loss_r,
        "loss_d": loss_d,
        "grad_student_token": token.grad,
        "grad_query_weight": module.query_proj.weight.grad,
    }
    return {name: relative_error(value, values[name]) for name, value in ours.items()}


def relative_error(ours: torch.Tensor | None, reference: np.ndarray) -> float:
    assert ours is not None
    difference = ours.detach().double().numpy() - reference
    return float(np.abs(difference).max() / np.abs(reference).max())


def main(path: Path) -> None:
    stored = np.load(path)
    for batch in sorted({key.split("/")[0] for key in stored.files}):
        values = {key.split("/", 1)[1]: stored[key] for key in stored.files if key.startswith(f"{batch}/")}
        for dtype in (torch.float32, torch.float64):
            figures = "  ".join(f"{name} {error:.1e}" for name, error in errors(values, dtype).items())
            sys.stdout.write(f"{batch} {str(dtype).removeprefix('torch.')}: {figures}\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/reference_losses.py REFERENCE.npz")
    main(Path(sys.argv[1]))
