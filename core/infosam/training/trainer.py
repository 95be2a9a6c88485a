"""The training loop: a generator of reports, which stops, resumes and fails in defined ways."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import torch
from torch import Tensor

from infosam import distributed
from infosam.data.labelled import LabelledImage, count_objects, labels_hash
from infosam.distill import Task, TrainingBatch
from infosam.models.base import PromptableModel
from infosam.models.device import has_fast_bfloat16
from infosam.peft import method_losses
from infosam.training.batches import Batches
from infosam.training.checkpoint import CHECKPOINT_NAME
from infosam.training.failure import NotFinite, disk_errors, memory_errors
from infosam.training.samples import SampleSet
from infosam.training.schedule import (
    cosine_lr,
    cosine_period,
    decoder_share,
    default_lr,
    default_steps,
    warm_up,
    warm_up_steps,
)
from infosam.training.state import Progress, RunState
from infosam.training.store import TensorStore, sweep
from infosam.training.validation import Validator, is_clearly_worse
from infosam.training.views import sizes_of, views
from infosam.types import AdaptConfig, BadInputError, Preparing, Report, Started, Step, Validated

Status = Literal["done", "early_stop", "cancelled"]
_SECONDS_BETWEEN_CHECKPOINTS = 30.0


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a run ended.

    best: the student's tensors to keep (see `peft.trainable_state`), on the CPU. best_iou: their validation
    score, None where nothing was held out.
    """

    status: Status
    best: dict[str, Tensor]
    best_step: int
    best_iou: float | None
    steps: int
    seconds: float


class Trainer:
    """Trains a student by a task, on labelled images.

    The teacher embeds every image once, if its embeddings are asked for. Batches hold at least two different
    objects, and each of them once: InfoSAM compares what samples look like, and one object under two prompts,
    or seen from two distances, gives it nothing to compare. Validation is by image. A finished run keeps its
    last weights unless those of an earlier validation are clearly better (`is_clearly_worse`); one that was
    stopped keeps those of the best. With nothing held out the number of steps is fixed, the last weights are
    kept, and no score is claimed.

    Every random draw of a step follows from the seed and the step, and torch's generators are in the
    checkpoint, so that a resumed run on the CPU ends with the same bits as an uninterrupted one. `clean` mode
    trains in bfloat16 where the device is fast at it; losses are computed in float32.

    Args:
        student: the model in training; parameters that ask for a gradient are trained.
        teacher: the pre-trained model, or a larger one of its family, on the same device.
        task: from `distill.build`; its auxiliary weights train beside the student's.
        train: labelled images with at least two objects in all.
        validation: held-out labelled images; may be empty.
        config: all but peft, distill, val_fraction, device and threads are used.
        folder: where the checkpoint lies, and caches too large for memory; None writes no checkpoint.
        resume: continue from the folder's checkpoint.
        cancelled: asked between steps; True ends the run with the best weights so far.

    Raises:
        BadInputError: fewer than two labelled objects to train on, or nothing to train.
    """

    def __init__(
        self,
        student: PromptableModel,
        teacher: PromptableModel,
        task: Task,
        train: Sequence[LabelledImage],
        validation: Sequence[LabelledImage],
        config: AdaptConfig,
        *,
        folder: Path | None = None,
        resume: bool = False,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self.student, self.teacher, self.task, self.config = student, teacher, task, config
        self._folder, self._resume, self._asked = folder, resume, cancelled
        self._stores = TensorStore(folder), TensorStore(folder)
        self._labelled = [image for image in train if image.objects()]
        self._held_out = [image for image in validation if image.objects()]
        if config.zoom == "auto" and self._labelled:
            student.object_sizes = sizes_of(self._labelled)
        self._read = lru_cache(maxsize=1)(LabelledImage.image)  # one after the other, all views of an image
        # In clean mode the teacher's answers are corrected, whatever the task.
        embed = task.uses_teacher or config.mode == "clean"
        self._train = SampleSet(
            self._views(self._labelled), teacher, config.mode, self._stores[0], embed=embed
        )
        self._validation = SampleSet(
            self._views(self._held_out), teacher, config.mode, self._stores[1], embed=False
        )
        n_objects = count_objects(self._labelled)
        if n_objects < 2:
            raise BadInputError(
                f"training needs at least 2 labelled objects, not {n_objects}: InfoSAM compares the objects "
                "of a batch with each other, and one under two prompts is still one. Label one more object"
            )
        self.steps = config.steps or default_steps(n_objects, config.batch_size, config.mode)
        self._period = cosine_period(self.steps, n_objects, config.batch_size, config.mode)
        self.lr = config.lr or default_lr(student.family, config.mode)
        share = decoder_share(config.mode)
        self.state = RunState(student, task.auxiliary(), self.lr, share, self._identity())

    def run(self) -> Generator[Report, None, Outcome]:
        """Train. Closing the generator between two reports writes a checkpoint and ends the run.

        Raises:
            TrainingError: memory ran out, or the loss stopped being a number.
            BadInputError: the checkpoint is missing or belongs to another run.
        """
        try:
            with memory_errors(self.student.device):
                with disk_errors(self._folder):
                    self._sweep()
                yield self._started()
                yield from self._prepare()
                if self._resume:
                    self.state.restore(self._checkpoint_path())
                if self._cancelled():  # perhaps with images not prepared: nothing can be measured now
                    if not self.state.best:
                        self.state.keep()
                    return self._outcome("cancelled")
                return (yield from self._loop())
        finally:
            for store in self._stores:
                store.close()

    def _loop(self) -> Generator[Report, None, Outcome]:
        validator = Validator(self._validation, self.config.seed) if self._validation.samples else None
        batches = Batches(self._train, self.teacher, self.config)
        stopwatch = _Stopwatch(self.state.progress)
        try:
            while True:
                status = self._ending()
                if validator is not None and self._validation_due(ending=status is not None):
                    yield self._validate(validator, finished=status == "done")
                    status = status or self._ending()
                if status is not None:
                    break
                self._save_now_and_then(stopwatch)
                yield self._step(batches, stopwatch)
        except GeneratorExit:
            self._save()
            raise
        if validator is None:
            self.state.keep()
        return self._outcome(status)

    def _outcome(self, status: Status) -> Outcome:
        progress = self.state.progress
        return Outcome(
            status, self.state.best, progress.best_step, progress.best_iou, progress.step, progress.seconds
        )

    def _cancelled(self) -> bool:
        """Whether the first process was asked to end."""
        return distributed.agree(self._asked())

    def _ending(self) -> Status | None:
        progress = self.state.progress
        if self._cancelled():
            return "cancelled"
        if progress.step >= self.steps:
            return "done"
        return "early_stop" if progress.without_gain >= self.config.patience else None

    def _validation_due(self, *, ending: bool) -> bool:
        progress = self.state.progress
        due = ending or progress.step % self.config.validate_every == 0
        return due and progress.validated_at != progress.step

    def _validate(self, validator: Validator, *, finished: bool) -> Validated:
        progress = self.state.progress
        with self._precision():
            scores = distributed.agree(validator.scores(self.student) if distributed.rank() == 0 else [])
        iou = fmean(scores)
        best = progress.best_iou is None or iou > progress.best_iou
        progress.validated_at = progress.step
        progress.without_gain = 0 if best else progress.without_gain + 1
        # A finished run has learnt all it was to learn; an earlier state is better only if that is clear.
        best = best or (finished and not is_clearly_worse(scores, progress.best_scores))
        if best:
            progress.best_scores = scores
            self.state.keep()
        return Validated(progress.step, iou, validator.n_objects, best)

    def _step(self, batches: Batches, stopwatch: _Stopwatch) -> Step:
        progress, optimiser = self.state.progress, self.state.optimiser
        lr = warm_up(progress.step, warm_up_steps(self.config.mode)) * cosine_lr(
            progress.step, self._period, self.lr, self.config.final_lr_ratio
        )
        for group in optimiser.param_groups:
            group["lr"] = lr * group["share"]
        self.task.train()
        losses = self._losses(batches[progress.step])
        values = {name: float(part.detach()) for name, part in losses.items()}
        if not math.isfinite(values["loss"]):
            raise NotFinite(
                f"the loss became {values['loss']} at step {progress.step + 1}",
                f"start again with a learning rate below {self.lr:g}",
            )
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(losses["loss"])
        distributed.average_gradients(p for group in optimiser.param_groups for p in group["params"])
        optimiser.step()
        progress.step += 1
        eta = stopwatch.lap(self.steps)
        return Step(progress.step, self.steps, values, lr, progress.seconds, eta)

    def _losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """The task's losses, with those that layers of the PEFT method ask for in the sum and beside it."""
        with self._precision(), method_losses() as own:
            losses: dict[str, Tensor] = self.task(batch)
        total = sum(own.values(), losses["loss"])
        return losses | {"loss": total} | {name: part.detach() for name, part in own.items()}

    def _precision(self) -> torch.autocast:
        use = self.config.mode == "clean" and has_fast_bfloat16(self.student.device)
        return torch.autocast(self.student.device.type, dtype=torch.bfloat16, enabled=use)

    def _started(self) -> Started:
        return Started(
            n_images=len(self._labelled),
            n_objects=count_objects(self._labelled),
            n_val_images=len(self._held_out),
            n_val_objects=count_objects(self._held_out),
            steps=self.steps,
            trainable=self.state.n_trainable,
            device=str(self.student.device),
            model=self.student.name,
        )

    def _sweep(self) -> None:
        """Remove what a killed process has left in the folder, and what no longer counts."""
        if self._folder is None or distributed.rank() > 0:
            return
        sweep(self._folder)
        for partial in self._folder.glob(f"{CHECKPOINT_NAME}.*.partial"):
            partial.unlink(missing_ok=True)
        if not self._resume:
            self._checkpoint_path().unlink(missing_ok=True)

    def _prepare(self) -> Iterator[Preparing]:
        done, total = 0, len(self._train.images) + len(self._validation.images)
        for samples in (self._train, self._validation):
            for _ in samples.prepare():
                done += 1
                yield Preparing("embedding images", done, total)
                if self._cancelled():
                    return
        self._read.cache_clear()

    def _identity(self) -> dict[str, Any]:
        settings = asdict(self.config)
        for name in ("device", "threads"):
            del settings[name]
        parts = {"training images": self._labelled, "validation images": self._held_out}
        keys = {name: [[image.key, labels_hash(image)] for image in images] for name, images in parts.items()}
        models = {
            "model": [self.student.name, self.student.sha256],
            "teacher": [self.teacher.name, self.teacher.sha256],
        }
        return {**settings, **models, **keys}

    def _views(self, images: Sequence[LabelledImage]) -> list[LabelledImage]:
        """The images as the student will see them."""
        sizes = self.student.object_sizes
        if sizes is None:
            return list(images)
        size = self.student.image_size
        return [view for image in images for view in views(image, size, sizes.extent, self._read)]

    def _checkpoint_path(self) -> Path:
        if self._folder is None:
            raise BadInputError("a run without a folder keeps no checkpoint to resume from: name its folder")
        return self._folder / CHECKPOINT_NAME

    def _save(self) -> None:
        if self._folder is not None and distributed.rank() == 0:
            with disk_errors(self._folder):
                self.state.save(self._checkpoint_path())

    def _save_now_and_then(self, stopwatch: _Stopwatch) -> None:
        due = self.state.progress.step % self.config.validate_every == 0
        if due or stopwatch.since_saved() > _SECONDS_BETWEEN_CHECKPOINTS:
            self._save()
            stopwatch.saved()


class _Stopwatch:
    """Adds the time of each step to the progress, and estimates what is left from this session's pace."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._first_step, self._first_seconds = progress.step, progress.seconds
        self._last = self._saved = time.monotonic()

    def lap(self, steps: int) -> float:
        """A step is done: seconds left until step `steps`."""
        now = time.monotonic()
        self._progress.seconds += now - self._last
        self._last = now
        pace = (self._progress.seconds - self._first_seconds) / (self._progress.step - self._first_step)
        return pace * (steps - self._progress.step)

    def since_saved(self) -> float:
        return time.monotonic() - self._saved

    def saved(self) -> None:
        self._saved = time.monotonic()
