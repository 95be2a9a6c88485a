"""One step of pre-training: the losses of a batch, shared out over threads, and the update of the weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from infosam.models.device import has_fast_bfloat16
from infosam.models.sam.adaptor import SamModel
from infosam.training.pretrain_config import PretrainConfig
from infosam.training.pretrain_data import SceneBatch
from infosam.training.pretrain_dense import dense_loss
from infosam.training.pretrain_loss import RoundLoss, first_prompts, interactive_losses, low_resolution
from infosam.training.pretrain_state import PretrainState, update_average

_IOU_WEIGHT = 4.0  # squared errors of IoU are small beside the losses of masks


def train_step(
    config: PretrainConfig, state: PretrainState, batch: SceneBatch, pool: ThreadPoolExecutor
) -> dict[str, float]:
    """One optimiser step on `state`, in place; returns the losses and the IoU reached in training."""
    for group in state.optimizer.param_groups:
        group["lr"] = config.learning_rate(state.step)
    parameters = [parameter for parameter in state.parameters().values() if parameter.requires_grad]
    shares = batch.split(min(config.shards, len(batch.images)))
    results = list(pool.map(lambda item: _gradients(config, state, parameters, *item), enumerate(shares)))
    for parameter, *gradients in zip(parameters, *(gradient for gradient, _ in results), strict=True):
        used = [gradient for gradient in gradients if gradient is not None]
        parameter.grad = torch.stack(used).sum(dim=0) / len(shares) if used else None
    norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip)
    state.optimizer.step()
    state.step += 1
    update_average(state, config.average_decay)
    parts = [part for _, part in results]
    return {name: sum(part[name] for part in parts) / len(parts) for name in parts[0]} | {"norm": float(norm)}


def _gradients(
    config: PretrainConfig,
    state: PretrainState,
    parameters: list[nn.Parameter],
    number: int,
    batch: SceneBatch,
) -> tuple[tuple[Tensor | None, ...], dict[str, float]]:
    """The gradients of share `number` of a batch, and its losses; writes nothing that threads share."""
    device = state.model.device
    generator = torch.Generator(device).manual_seed((config.seed * 1_000_003 + state.step) * 64 + number)
    losses = _losses(config, state, batch.to(device), generator)
    gradients = torch.autograd.grad(losses["loss"], parameters, allow_unused=True)
    values = torch.stack([loss.detach().float() for loss in losses.values()]).tolist()  # one wait for a GPU
    return gradients, dict(zip(losses, values, strict=True))


def _losses(
    config: PretrainConfig, state: PretrainState, batch: SceneBatch, generator: torch.Generator
) -> dict[str, Tensor]:
    """Scalars: the "loss" to descend, what it is made of, and the IoU reached."""
    model, device = state.model, state.model.device
    reached: dict[str, Tensor] = {}
    rounds: list[RoundLoss] = []
    use_bfloat16 = config.bf16 and has_fast_bfloat16(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=use_bfloat16):
        embedding = model.encode(normalised(model, batch))
        height, width = model.embedding_size
        target = low_resolution(batch.masks, (4 * height, 4 * width))
        for kind, (prompts, index) in zip(("point", "box"), first_prompts(batch), strict=True):
            losses = interactive_losses(model, embedding, prompts, target[index], config.rounds, generator)
            reached |= {f"iou_{kind}": losses[0].hit, f"iou_{kind}_corrected": losses[-1].hit}
            rounds += losses
        dense = dense_loss(state.dense(embedding.features), batch.dense)
    single, multi, iou = (
        torch.stack([getattr(part, name) for part in rounds]).mean() for name in ("single", "multi", "iou")
    )
    loss = _IOU_WEIGHT * iou
    if config.part == "all":
        loss = loss + single + multi + dense
    return {"loss": loss, **reached, "single": single, "multi": multi, "iou_head": iou, "dense": dense}


def normalised(model: SamModel, batch: SceneBatch) -> Tensor:
    """The images normalised as the model's `preprocess` does, zero in the padding. The batch lies on its
    device."""
    images = batch.images.float()
    pixels: Tensor = (images - model.sam.pixel_mean) / model.sam.pixel_std
    for image, (height, width) in zip(pixels, batch.valid.tolist(), strict=True):
        image[:, height:] = 0
        image[:, :, width:] = 0
    return pixels
