"""What the pocket model's gate learns: when lines answer a box better than the decoder's mask.

The gate sees fifteen numbers of each box, which do not change while it learns: they are gathered once, and it
is fitted to all of them at a time, in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infosam.metrics import boundary_f1
from infosam.models.device import resolve_device
from infosam.models.pocket.lines import LineExpert
from infosam.models.pocket.weights import export_pocket
from infosam.models.sam.adaptor import SamModel
from infosam.training.pretrain import WEIGHTS
from infosam.training.pretrain_config import PretrainConfig
from infosam.training.pretrain_data import SceneBatch, batches
from infosam.training.pretrain_loss import box_prompts, low_resolution, true_iou
from infosam.training.pretrain_state import fresh_state
from infosam.training.pretrain_step import normalised

_UPDATES, _LR, _DECAY = 600, 3e-3, 1.0
_SLACK = 1  # pixels of the low resolution


@dataclass(frozen=True, eq=False)
class Answers:
    """What is known of N objects in boxes. evidence: (N, 2, E), see `LineExpert`. score: (N, 3), 0 to 1, of
    the single mask, of the dark and of the bright lines, with the object."""

    evidence: Tensor
    score: Tensor


def fit_lines(config: PretrainConfig, *, out: Path, known: Path) -> Iterator[tuple[int, int]]:
    """Fit a new gate for `known` weights to generated scenes, of the last stage of `config`, and export all.

    Yields (batches done, batches in all). Nothing but the gate changes.
    """
    device = resolve_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    model = fresh_state(config.architecture, config.weight_decay, device, known).model
    model.eval().requires_grad_(False)
    expert: LineExpert = model.sam.mask_decoder.lines
    torch.manual_seed(config.seed)
    expert.gate.load_state_dict(LineExpert().gate.state_dict())
    stage = config.stages[-1]
    found: list[Answers] = []
    data = batches(
        config.seed, range(stage.steps), stage.size, stage.batch_size, config.prompts, config.workers
    )
    for batch in data:
        found.append(_answers(model, batch))
        yield len(found), stage.steps
    evidence, score = (torch.cat([getattr(part, name) for part in found]) for name in ("evidence", "score"))
    fit_gate(expert.gate, Answers(evidence, score))
    export_pocket(model, out / WEIGHTS)


@torch.no_grad()
def _answers(model: SamModel, batch: SceneBatch) -> Answers:
    batch = batch.to(model.device)
    height, width = model.embedding_size
    target = low_resolution(batch.masks, (4 * height, 4 * width))
    expert: LineExpert = model.sam.mask_decoder.lines
    with watched(expert) as calls, watched(expert.gate) as gates:
        model.decode(model.encode(normalised(model, batch)), box_prompts(batch))
    ((inputs, (lines, _)),), (((evidence,), _),) = calls, gates
    return Answers(evidence, _score(torch.cat([inputs[2], lines], dim=1), target))


def _score(logits: Tensor, target: Tensor) -> Tensor:
    """The mean of IoU and boundary F1 of (N, K, h, w) logits above 0 with (N, h, w) targets above 0.5: (N,
    K).

    IoU alone says next to nothing about lines: one that is drawn beside the true one overlaps nowhere.
    """
    found, true = (logits > 0).cpu().numpy(), (target > 0.5).cpu().numpy()
    f1 = [
        [boundary_f1(mask, goal, _SLACK) for mask in masks] for masks, goal in zip(found, true, strict=True)
    ]
    return (true_iou(logits, target) + torch.tensor(f1).to(logits)) / 2


@contextmanager
def watched(module: nn.Module) -> Iterator[list[tuple[Any, Any]]]:
    """Collects inputs and output of every call of a module."""
    calls: list[tuple[Any, Any]] = []
    handle = module.register_forward_hook(lambda _, inputs, output: calls.append((inputs, output)))
    try:
        yield calls
    finally:
        handle.remove()


def gate_loss(shares: Tensor, score: Tensor) -> Tensor:
    """Cross-entropy with the best answer, as heavy as the difference in score that it makes.

    shares: (N, 2), what the gate said of dark and bright lines. score: (N, 3), see `Answers`. Returns a
    scalar.
    """
    weight = (score[:, 1:].amax(dim=1) - score[:, 0]).abs()
    entropy = F.cross_entropy(F.pad(shares, (1, 0)), score.argmax(dim=1), reduction="none")
    return (weight * entropy).mean()


def fit_gate(gate: nn.Sequential, answers: Answers) -> None:
    """Train the gate, in place, on what is known of all masks at once."""
    mean, deviation = answers.evidence.mean(dim=(0, 1)), answers.evidence.std(dim=(0, 1)) + 1e-3
    evidence = (answers.evidence - mean) / deviation
    gate.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(gate.parameters(), lr=_LR, weight_decay=_DECAY)
    for _ in range(_UPDATES):
        loss = gate_loss(gate(evidence).squeeze(-1), answers.score)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
    gate.requires_grad_(False).eval()
    first = cast(nn.Linear, gate[0])  # takes over what was done to the evidence
    first.weight.div_(deviation)
    first.bias.sub_(first.weight @ mean)
