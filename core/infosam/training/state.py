"""Everything that changes while a run trains, and its way to disk and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from infosam.models.base import PromptableModel
from infosam.peft import load_trainable_state, peft_parameters, trainable_state
from infosam.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimiser_tensors,
    restore_optimiser,
    restore_rng,
    rng_tensors,
    save_checkpoint,
)
from infosam.types import BadInputError


@dataclass
class Progress:
    """Where a run stands. validated_at: the step of the last validation, -1 before the first. best_scores:
    the best validation's, object by object. without_gain: validations since the best one. seconds: spent
    training, over all sessions."""

    step: int = 0
    validated_at: int = -1
    best_step: int = 0
    best_scores: list[float] = field(default_factory=list)
    without_gain: int = 0
    seconds: float = 0.0

    @property
    def best_iou(self) -> float | None:
        """The mean of the best scores, None before the first validation."""
        return fmean(self.best_scores) if self.best_scores else None


class RunState:
    """The weights in training, the optimiser, the best weights so far, and the progress.

    Args:
        student: parameters that ask for a gradient are trained.
        auxiliary: weights that train beside the student, or None.
        lr: the optimiser's learning rate; the schedule overrules it.
        decoder_share: the share of it with which the pre-trained mask decoder is trained, a `share` that
            each of the optimiser's groups has.
        identity: JSON values that say which run this is; a checkpoint of another one is refused.

    Raises:
        BadInputError: the student has nothing to train.
    """

    def __init__(
        self,
        student: PromptableModel,
        auxiliary: nn.Module | None,
        lr: float,
        decoder_share: float,
        identity: Mapping[str, Any],
    ) -> None:
        adapted = [parameter for parameter in student.parameters() if parameter.requires_grad]
        if not adapted:
            raise BadInputError(
                "the student has no parameter to train: choose a PEFT method other than 'none'"
            )
        trained = list(peft_parameters(student).values())
        of_method = {id(parameter) for parameter in trained}
        decoder = [parameter for parameter in adapted if id(parameter) not in of_method]
        self.student = student
        self.auxiliary = auxiliary if auxiliary is not None else nn.Module()
        trained += [parameter for parameter in self.auxiliary.parameters() if parameter.requires_grad]
        groups = [
            {"params": parameters, "share": share}
            for parameters, share in ((trained, 1.0), (decoder, decoder_share))
            if parameters
        ]
        self.optimiser = torch.optim.Adam(groups, lr=lr)
        self.identity = dict(identity)
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}

    @property
    def n_trainable(self) -> int:
        """The number of the student's trained values."""
        return sum(p.numel() for p in self.student.parameters() if p.requires_grad)

    def keep(self) -> None:
        """Make the weights as they are the best ones."""
        self.best = {name: tensor.cpu().clone() for name, tensor in trainable_state(self.student).items()}
        self.progress.best_step = self.progress.step

    def save(self, path: Path) -> None:
        save_checkpoint(
            path,
            Checkpoint(
                student=trainable_state(self.student),
                auxiliary=self.auxiliary.state_dict(),
                optimiser=optimiser_tensors(self.optimiser),
                best=self.best,
                rng=rng_tensors(),
                meta={"identity": self.identity, "progress": asdict(self.progress)},
            ),
        )

    def restore(self, path: Path) -> None:
        """Continue from a checkpoint of the same run.

        Raises:
            BadInputError: there is none, it is damaged, or its run had other settings, data or model.
        """
        checkpoint = load_checkpoint(path)
        self._check_identity(checkpoint.meta["identity"], path)
        load_trainable_state(self.student, checkpoint.student)
        self.auxiliary.load_state_dict(dict(checkpoint.auxiliary))
        restore_optimiser(self.optimiser, checkpoint.optimiser)
        restore_rng(checkpoint.rng)
        self.best = dict(checkpoint.best)
        self.progress = Progress(**checkpoint.meta["progress"])

    def _check_identity(self, other: Mapping[str, Any], path: Path) -> None:
        changed = [name for name, value in self.identity.items() if other.get(name) != value]
        if changed:
            raise BadInputError(
                f"the checkpoint {path} belongs to a run with other {', '.join(changed)}: "
                "give the same data and settings, or start a new run"
            )
