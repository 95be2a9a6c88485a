"""A whole adaptation: student and task, training, scores of before and after, the adapter folder."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from infosam import distill, distributed, peft
from infosam.data.labelled import LabelledImage, count_objects
from infosam.inference.adapter import load_adapter, round_to_half, save_adapter
from infosam.inference.adapter_info import AdapterInfo, read_adapter_info
from infosam.inference.card import card_scores
from infosam.models.base import PromptableModel, freeze
from infosam.relation import save_relation
from infosam.training.checkpoint import CHECKPOINT_NAME
from infosam.training.failure import disk_errors, memory_errors
from infosam.training.holdout import hold_out
from infosam.training.trainer import Outcome, Trainer
from infosam.types import AdaptConfig, Card, Finished, Preparing, Report, Scores

RELATION_NAME = "relation.safetensors"
TOO_FEW_IMAGES = "Too few labelled images to measure: label objects in a second image to see scores."
TOO_FEW_OBJECTS = "Too few labelled objects to measure: label more of them to see scores."
ALL_TRAINED = "This adapter was trained on everything, for a fixed number of steps."
NO_GAIN = "No step scored better than the start: the weights are as they were before training."
ONLY_SIZES = (
    "What is new is that the model knows how large your objects are, and looks for them at that size: scores "
    "may differ by that alone."
)
FEW_OBJECTS = 20  # measured on fewer, a score says little
UNTRAINED = "The run was cancelled before its first step: this adapter has learnt nothing."


@dataclass(frozen=True)
class Adapter:
    """A finished adapter on disk. info: what its `adapter.json` says, the card included."""

    folder: Path
    info: AdapterInfo


class Adaptation:
    """Adapts `model` to `images` and writes the adapter into `folder`.

    Args:
        model: the pre-trained model; it stays as it is.
        images: all labelled images; some are held out to measure on where there are enough. Those without
            objects are left out.
        config: method and settings.
        folder: for the checkpoint while the run trains, and the adapter after it.
        current: the folder of the adapter in use, to compare with, or None.
        teacher: a larger model of the same family to learn from; None: `model`.

    Raises:
        BadInputError: the data are too few, the method is unknown or trains nothing, or `current` does not
        fit.
    """

    def __init__(
        self,
        model: PromptableModel,
        images: Sequence[LabelledImage],
        config: AdaptConfig,
        folder: Path,
        current: Path | None = None,
        teacher: PromptableModel | None = None,
    ) -> None:
        self.model, self.config, self.folder = model, config, folder
        labelled = [image for image in images if image.objects()]
        self.train, self.validation = hold_out(labelled, config.val_fraction, config.seed)
        torch.manual_seed(config.seed)
        self.student = peft.inject(model, peft.config_for(config.peft, config.mode))
        self.teacher = teacher or model
        self.task = distill.build(config.distill, self.student, self.teacher, config).to(model.device)
        self._current = None if current is None else load_adapter(current, model)
        self._current_info = None if current is None else read_adapter_info(current)

    def run(self, *, resume: bool, cancelled: Callable[[], bool]) -> Generator[Report, None, Adapter]:
        """Train, score and save; see `api.adapt`."""
        trainer = Trainer(
            self.student,
            self.teacher,
            self.task,
            self.train,
            self.validation,
            self.config,
            folder=self.folder,
            resume=resume,
            cancelled=cancelled,
        )
        outcome = yield from trainer.run()
        with memory_errors(self.model.device):
            peft.load_trainable_state(self.student, outcome.best)
            round_to_half(self.student)
            freeze(self.student)
            card = yield from self._card(outcome)
        info = AdapterInfo.of(
            self.student,
            self.config,
            train=self.train,
            validation=self.validation,
            card=card,
            run={
                "status": outcome.status,
                "steps": outcome.steps,
                "best_step": outcome.best_step,
                "seconds": round(outcome.seconds, 1),
            },
        )
        if distributed.rank() == 0:
            with disk_errors(self.folder):
                save_adapter(self.student, self.folder, info)
                self._save_relation()
                (self.folder / CHECKPOINT_NAME).unlink(missing_ok=True)
        distributed.agree(None)  # the others read what the first has written
        yield Finished(outcome.status, str(self.folder), card, outcome.steps, outcome.seconds)
        return Adapter(self.folder, read_adapter_info(self.folder))

    def _save_relation(self) -> None:
        """Keep the relation module as the last step left it, for runs on other data."""
        path = self.folder / RELATION_NAME
        path.unlink(missing_ok=True)
        relation = self.task.trained_relation()
        if relation is not None:
            save_relation(relation, path)

    def _card(self, outcome: Outcome) -> Generator[Report, None, Card]:
        if outcome.steps == 0:
            nothing = card_scores([], self.model)
            return Card(nothing, nothing, None, UNTRAINED)
        config = self.config
        models = {"pretrained": self.model, "current": self._current, "new": self.student}
        scores: dict[str, dict[str, Scores]] = {}
        for number, (name, model) in enumerate(models.items()):
            if model is not None:
                yield Preparing("scoring", number, len(models))
                scores[name] = card_scores(self.validation, model, config.mode, config.seed, config.zoom)
        return Card(
            scores["pretrained"], scores["new"], scores.get("current"), " ".join(self._notes(outcome))
        )

    def _notes(self, outcome: Outcome) -> list[str]:
        """What the numbers of the card do not say."""
        notes = []
        if not self.validation:
            several = len({image.key for image in self.train if image.objects()}) > 1
            notes += [TOO_FEW_OBJECTS if several else TOO_FEW_IMAGES, ALL_TRAINED]
        if self.validation and outcome.best_step == 0:
            notes.append(NO_GAIN if self.student.object_sizes is None else f"{NO_GAIN} {ONLY_SIZES}")
        if 0 < count_objects(self.validation) < FEW_OBJECTS:
            notes.append("With so few objects, a few hundredths more or less may be chance.")
        if self._current_info is not None:
            known = self._current_info.keys("train") & {image.key for image in self.validation}
            if known:
                notes.append(
                    f"The current adapter was trained on {len(known)} of the {len(self.validation)} held-out "
                    "images, which flatters its scores."
                )
        if self.config.mode == "official":
            notes.append(
                "Official mode trains on images with swapped colour channels; on the canvas the model sees "
                "true ones. It is meant for comparing published figures, by the official protocol."
            )
        return notes
