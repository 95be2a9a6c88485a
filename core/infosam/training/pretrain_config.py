"""What decides a pre-training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from infosam.models.pocket.build import PocketConfig
from infosam.training.schedule import cosine_lr, warm_up

Part = Literal["all", "judge"]


@dataclass(frozen=True)
class Stage:
    """`steps` optimiser steps on batches of `batch_size` scenes of `size` x `size` pixels."""

    size: int
    batch_size: int
    steps: int

    def __post_init__(self) -> None:
        if min(self.size, self.batch_size, self.steps) < 1:
            raise ValueError(f"size, batch_size and steps of a stage must be at least 1, not {self}")


@dataclass(frozen=True)
class PretrainConfig:
    """Everything that decides the weights. The defaults take some 45 minutes on two idle cores.

    stages: small scenes first, which cost little. prompts: objects per scene, even; half are prompted by a
    point, half by a box. rounds: decodings per object, the first prompt and corrective clicks. lr rises over
    `warmup` steps, then falls along a half cosine to final_lr_ratio * lr. average_decay: of the moving
    average of the weights, which is what is exported. bf16: multiply in bfloat16 where the device is fast at
    it. threads: None leaves torch's number. shards: threads
    that each take a share of every batch; on a busy machine this beats sharing out each operation (threads=1,
    shards=cores). workers: processes that make scenes. score_every, save_every: in steps. part: "judge"
    trains only what judges the masks (see `JUDGE`), and leaves every mask as it is.
    """

    stages: tuple[Stage, ...] = (Stage(128, 8, 900), Stage(256, 4, 500))
    architecture: PocketConfig = field(default_factory=PocketConfig)
    prompts: int = 6
    rounds: int = 4
    lr: float = 5e-4
    final_lr_ratio: float = 0.02
    warmup: int = 50
    weight_decay: float = 0.05
    clip: float = 1.0
    average_decay: float = 0.995
    bf16: bool = True
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    shards: int = 1
    workers: int = 1
    score_every: int = 250
    save_every: int = 100
    part: Part = "all"

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("pre-training needs at least one stage")
        if self.prompts < 2 or self.prompts % 2:
            raise ValueError(f"prompts must be even and at least 2, not {self.prompts}")
        if self.part not in get_args(Part):
            raise ValueError(f"part must be all or judge, not {self.part!r}")
        if not self.lr > 0:
            raise ValueError(f"lr must be positive, not {self.lr}")
        for name in ("rounds", "warmup", "shards", "score_every", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    def stage_of(self, step: int) -> tuple[Stage, int]:
        """The stage of 0-based step `step`, and the step at which that stage ends."""
        end = 0
        for stage in self.stages:
            end += stage.steps
            if step < end:
                return stage, end
        raise ValueError(f"step {step} lies behind the last of {self.steps} steps")

    def learning_rate(self, step: int) -> float:
        return warm_up(step, self.warmup) * cosine_lr(step, self.steps, self.lr, self.final_lr_ratio)


GPU = PretrainConfig(
    stages=(Stage(256, 32, 2928),),
    prompts=8,
    rounds=3,
    lr=8e-4,
    warmup=200,
    average_decay=0.999,
    workers=13,
    score_every=2000,
    save_every=500,
)
"""Ten times as many scenes as the default, for a GPU beside 16 cores that draw them: 20 minutes on an
H100."""

JUDGE = PretrainConfig(stages=(Stage(256, 4, 1000),), rounds=1, lr=1e-3, part="judge")
"""Trains the judge of known weights, at the size that they ship with: 15 minutes on two idle cores."""

LINES = PretrainConfig(stages=(Stage(256, 4, 240),))
"""What the gate of lines is fitted to: seven minutes on two cores."""
