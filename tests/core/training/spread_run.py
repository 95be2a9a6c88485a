"""One process of a spread run, for `test_distributed`: trains by each method, keeps losses and weights."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import torch
from small_models import SIDE, small_pocket

from infosam import distill, distributed, peft
from infosam.distill import TrainingBatch
from infosam.models.base import PromptableModel
from infosam.types import AdaptConfig, PromptBatch

IMAGES = 3  # an uneven share for two
STEPS = 3


def train(method: str, peft_method: str = "lora") -> dict[str, torch.Tensor]:
    model = small_pocket()
    torch.manual_seed(1)
    student = peft.inject(model, peft_method)
    with torch.no_grad():  # a student that is its teacher has nothing to learn from it
        for parameter in peft.peft_parameters(student).values():
            parameter.add_(0.1 * torch.randn_like(parameter))
    task = distill.build(method, student, model, AdaptConfig(distill=method, batch_size=2 * IMAGES)).train()
    batch = make_batch(model)
    extra = task.auxiliary()
    trained = [p for p in [*student.parameters(), *(extra.parameters() if extra else [])] if p.requires_grad]
    optimiser = torch.optim.SGD(trained, lr=1e-3)
    losses, gradients = [], []
    for _ in range(STEPS):
        loss = task(batch)["loss"]
        optimiser.zero_grad()
        loss.backward()
        distributed.average_gradients(trained)
        gradients.append(flat(p.grad for p in trained if p.grad is not None))
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        losses.append(loss.detach())
    weights = flat(p.detach() for p in trained)
    return {"losses": torch.stack(losses), "gradient": gradients[0], "weights": weights}


def uneven() -> dict[str, torch.Tensor]:
    """Gradients where each of two processes used a parameter that the other did not, and none the last."""
    parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(4)]
    for number in (0, 1 + distributed.rank()):
        parameters[number].grad = torch.full((2,), 1.0 + distributed.rank())
    distributed.average_gradients(parameters)
    return {str(number): p.grad for number, p in enumerate(parameters) if p.grad is not None}


def flat(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


def make_batch(model: PromptableModel) -> TrainingBatch:
    torch.manual_seed(2)
    images = torch.randn(IMAGES, 3, SIDE, SIDE)
    index = torch.tensor([0, 1, 2, 0, 2, 2])
    corners = torch.rand(len(index), 2) * SIDE / 2
    boxes = torch.cat([corners, corners + SIDE / 3], dim=1)
    targets = (torch.rand(len(index), 1, SIDE, SIDE) > 0.5).float()
    with torch.no_grad():
        teacher = model.encode(images)
    return TrainingBatch(images, teacher, PromptBatch(index, boxes=boxes), targets)


if __name__ == "__main__":
    out, *methods = sys.argv[1:]
    torch.set_num_threads(1)
    with distributed.processes(timeout=timedelta(seconds=30)):
        if methods == ["die"]:
            if distributed.rank() == 1:
                os._exit(3)
            distributed.agree(0)
            distributed.gather(torch.ones(1), torch.tensor([0]), 2)
        if methods == ["experts"]:
            found = {"uneven": uneven(), "convlora": train("infosam", "convlora")}
            torch.save(found, Path(f"{out}.{distributed.rank()}"))
            sys.exit()
        results = {method: train(method) for method in methods}
        if distributed.rank() == 0:
            torch.save(results, Path(out))
