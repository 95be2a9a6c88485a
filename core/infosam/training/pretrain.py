"""Pre-training of sam_pocket on generated scenes, as SAM was trained: prompt, correct, repeat."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from infosam.models.device import resolve_device
from infosam.models.download import sha256_of
from infosam.models.pocket.build import PocketConfig, build_pocket
from infosam.models.pocket.resize import resize_state
from infosam.models.pocket.weights import export_pocket
from infosam.models.sam.adaptor import SamModel
from infosam.training.pretrain_config import PretrainConfig, Stage
from infosam.training.pretrain_data import batches
from infosam.training.pretrain_score import PretrainScores, held_out_scores
from infosam.training.pretrain_state import (
    PretrainState,
    check_settings,
    enlarge,
    fresh_state,
    load_state,
    save_state,
)
from infosam.training.pretrain_step import train_step
from infosam.types import BadInputError, Step

__all__ = ["CHECKPOINT", "WEIGHTS", "PretrainConfig", "PretrainScores", "Stage", "averaged_model", "pretrain"]

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"
WEIGHTS = "sam_pocket.safetensors"
# These change where and how fast a run goes, and what is said of it meanwhile.
_UNDECIDING = ("device", "threads", "workers", "score_every", "save_every")


def pretrain(
    config: PretrainConfig,
    *,
    out: Path,
    minutes: float | None = None,
    resume: bool = True,
    known: Path | None = None,
) -> Generator[Step | PretrainScores, None, None]:
    """Train, yielding a Step per optimiser step and PretrainScores at intervals and at the end.

    The checkpoint in folder `out` is written at intervals, when `minutes` are over and when the generator is
    closed; with `resume`, a run goes on from it with the same result as if it had not been cut. The averaged
    weights are exported beside it, as they ship, when `minutes` or the steps are over.
    A finished run only scores. `known` weights begin a new run, as far as they fit it (`fresh_state`).

    Raises:
        BadInputError: the checkpoint is damaged or of a run with other settings or `known` weights, or these
            cannot be used.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    out.mkdir(parents=True, exist_ok=True)
    settings = _settings(config, known)
    state = _start(config, settings, out / CHECKPOINT, resume, known)
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    try:
        while state.step < config.steps and not _is_over(deadline):
            stage, end = config.stage_of(state.step)
            if state.size != stage.size:
                state = enlarge(
                    state, replace(config.architecture, image_size=stage.size), config.weight_decay
                )
            with ThreadPoolExecutor(config.shards) as pool:
                yield from _run_stage(config, state, pool, stage, end, deadline, out / CHECKPOINT, settings)
        export_pocket(averaged_model(state, config.architecture), out / WEIGHTS)
        yield _score(state)
    finally:
        save_state(state, out / CHECKPOINT, settings)


def averaged_model(state: PretrainState, architecture: PocketConfig) -> SamModel:
    """The moving average of the weights as a model in eval mode, at the input size of `architecture`."""
    model = build_pocket(architecture).to(state.model.device)
    model.load_state_dict(resize_state(state.average, model.state_dict()))
    return model.eval().requires_grad_(False)


def _settings(config: PretrainConfig, known: Path | None) -> dict[str, Any]:
    """What decides the weights of a run, as JSON values."""
    settings: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    for name in _UNDECIDING:
        del settings[name]
    try:
        return {**settings, "known weights": None if known is None else sha256_of(known)}
    except OSError as error:
        raise BadInputError(f"{known} holds no weights to begin with: {error}") from error


def _start(
    config: PretrainConfig,
    settings: Mapping[str, Any],
    checkpoint: Path,
    resume: bool,
    known: Path | None,
) -> PretrainState:
    device = resolve_device(config.device)
    if resume and checkpoint.exists():
        check_settings(checkpoint, settings)
        state = load_state(checkpoint, config.architecture, config.weight_decay, device)
        log.info("going on from step %d of %d", state.step, config.steps)
        return state
    torch.manual_seed(config.seed)
    first = replace(config.architecture, image_size=config.stages[0].size)
    return fresh_state(first, config.weight_decay, device, known)


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() > deadline


def _run_stage(
    config: PretrainConfig,
    state: PretrainState,
    pool: ThreadPoolExecutor,
    stage: Stage,
    end: int,
    deadline: float | None,
    checkpoint: Path,
    settings: Mapping[str, Any],
) -> Iterator[Step | PretrainScores]:
    state.choose(config.part)
    steps = range(state.step, end)
    began = time.monotonic()
    for batch in batches(config.seed, steps, stage.size, stage.batch_size, config.prompts, config.workers):
        losses = train_step(config, state, batch, pool)
        seconds = time.monotonic() - began
        pace = seconds / (state.step - steps.start)
        lr = config.learning_rate(state.step - 1)
        yield Step(state.step, config.steps, losses, lr, seconds, pace * (config.steps - state.step))
        if state.step % config.save_every == 0:
            save_state(state, checkpoint, settings)
        if state.step % config.score_every == 0:
            yield _score(state)
        if _is_over(deadline):
            return


def _score(state: PretrainState) -> PretrainScores:
    scores = held_out_scores(averaged_model(state, state.architecture), state.step)
    log.info("step %d: IoU by box %.3f, by click %.3f", state.step, scores.box, scores.point)
    return scores
