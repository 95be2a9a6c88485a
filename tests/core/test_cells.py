"""Every cell: each PEFT method with each distillation method on each family of models, by the real trainer.

A cell takes three optimiser steps on a repeated batch, whose loss must fall, and resumes from its checkpoint
to the bits of an uninterrupted run. The models are the official classes at a small size; one cell of each
official family has the published size. New methods get their cells by being registered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import closing
from functools import cache
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor

from infosam import distill, peft
from infosam.api import adapt
from infosam.data.labelled import LabelledImage
from infosam.distill import TrainingBatch
from infosam.inference.adapter import load_adapter
from infosam.models import registry
from infosam.models.base import PromptableModel
from infosam.training import trainer as trainer_module
from infosam.training.batches import Batches
from infosam.training.trainer import Trainer
from infosam.types import AdaptConfig, BadInputError, Step
from tests.core import small_models
from tests.core.training.test_trainer import same

pytestmark = pytest.mark.slow

Make = Callable[..., list[LabelledImage]]
MakeTrainer = Callable[..., Trainer]
FAMILIES = {
    "pocket": small_models.small_pocket,
    "sam": small_models.small_sam,
    "sam2": small_models.small_sam2,
}
FULL_SIZE = ("sam_vit_b", "sam2.1_hiera_base_plus")
# Without a parameter to train there is no training, whatever is distilled: these cells must say so.
REFUSED = ("none",)
TRAINED = [name for name in peft.methods() if name not in REFUSED]
# Absolute differences: a student that starts as its teacher leaves their kink first, on which all ways lead
# up, so that the sum of supervision and distillation may rise at first. The mask loss falls all the same.
FROM_A_KINK = ("tinysam", "tinysam+relation")
STEPS = 3
CELLS = list(product(FAMILIES, TRAINED, distill.methods()))


class RepeatedBatch(Batches):
    """The first batch, for every step."""

    def __getitem__(self, step: int) -> TrainingBatch:
        return super().__getitem__(0)


@cache
def model_of(family: str) -> PromptableModel:
    """Built once: training leaves a pre-trained model as it is."""
    return FAMILIES[family]()


@pytest.fixture
def make_trainer(single_thread: None, labelled_images: Make, tmp_path: Path) -> MakeTrainer:
    """Makes the trainer of a cell (family, PEFT, distillation), which resumes where it has a checkpoint."""

    def make(
        family: str, method: str, distilled: str, *, resume: bool = False, folder: str = "run"
    ) -> Trainer:
        model = model_of(family)
        # One step more than is counted: a step reports the loss from before its update. The rate is warmed
        # up, so that these steps take a tenth to four tenths of it.
        config = AdaptConfig(peft=method, distill=distilled, steps=STEPS + 1, batch_size=4, lr=5e-3)
        torch.manual_seed(config.seed)
        student = peft.inject(model, peft.config_for(method, config.mode))
        task = distill.build(distilled, student, model, config)
        images = labelled_images(2)
        return Trainer(student, model, task, images, [], config, folder=tmp_path / folder, resume=resume)

    return make


def losses_of(trainer: Trainer) -> Generator[dict[str, float], None, None]:
    """The losses that each step reports; closing it closes the run."""
    with closing(trainer.run()) as run:
        for report in run:
            if isinstance(report, Step):
                yield dict(report.losses)


def without_balance(losses: dict[str, float]) -> float:
    """The loss, but for Conv-LoRA's balance of its experts, who are drawn anew for the same batch."""
    return losses["loss"] - losses.get("balance", 0.0)


def auxiliary_state(trainer: Trainer) -> dict[str, Tensor]:
    return dict(trainer.state.auxiliary.state_dict())


@pytest.mark.parametrize(("family", "method", "distilled"), CELLS)
def test_the_loss_of_a_repeated_batch_falls(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, family: str, method: str, distilled: str
) -> None:
    monkeypatch.setattr(trainer_module, "Batches", RepeatedBatch)
    trainer = make_trainer(family, method, distilled)
    added = peft.peft_parameters(trainer.student)
    start = {name: tensor.detach().clone() for name, tensor in added.items()}
    before, *_, after = losses_of(trainer)
    assert all(math.isfinite(value) for value in (*before.values(), *after.values()))
    assert after["mask"] < before["mask"]
    if distilled not in FROM_A_KINK:
        assert without_balance(after) < without_balance(before)
    # The decoder alone would lower the loss: what the method adds has to train, too.
    unmoved = [name for name in start if torch.equal(start[name], added[name])]
    assert all(".experts." in name for name in unmoved)  # of Conv-LoRA, whom nothing has chosen yet


@pytest.mark.parametrize(("family", "method", "distilled"), CELLS)
def test_it_resumes_to_the_bits_of_an_uninterrupted_run(
    make_trainer: MakeTrainer, family: str, method: str, distilled: str
) -> None:
    straight = make_trainer(family, method, distilled, folder="straight")
    expected = list(losses_of(straight))
    first = make_trainer(family, method, distilled)
    run = losses_of(first)
    begun = [next(run), next(run)]
    run.close()
    torch.rand(7)  # a new process has another generator state
    second = make_trainer(family, method, distilled, resume=True)
    assert begun + list(losses_of(second)) == expected
    for part in (lambda trainer: peft.trainable_state(trainer.student), auxiliary_state):
        assert same(part(straight), part(second))


@pytest.mark.parametrize("distilled", distill.methods())
@pytest.mark.parametrize("method", REFUSED)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_cell_with_nothing_to_train_says_so(
    make_trainer: MakeTrainer, family: str, method: str, distilled: str
) -> None:
    with pytest.raises(BadInputError, match="no parameter to train: choose a PEFT method other than 'none'"):
        make_trainer(family, method, distilled)


@pytest.mark.timeout(1800)  # minutes of a core: full-size encoders see 1024 x 1024 pixels
@pytest.mark.parametrize("name", FULL_SIZE)
def test_the_published_size_trains(
    single_thread: None, labelled_images: Make, tmp_path: Path, name: str
) -> None:
    torch.manual_seed(0)
    model = registry.build(name)
    config = AdaptConfig(steps=STEPS, batch_size=2, lr=1e-3)
    run = adapt(labelled_images(1), model=model, config=config, out=tmp_path)
    before, *_, after = (dict(report.losses) for report in run if isinstance(report, Step))
    assert all(math.isfinite(value) for value in (*before.values(), *after.values()))
    assert after["mask"] < before["mask"]
    assert load_adapter(tmp_path, model).adapter_id is not None
