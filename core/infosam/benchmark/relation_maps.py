"""What the relation module makes of a few objects while a run trains (InfoSAM's figures 8 and 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from infosam.data.intensity import to_rgb8
from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.distill.information import relations
from infosam.distill.infosam import InfoSAMTask
from infosam.distill.taught import Knowledge
from infosam.inference.preprocessing import preprocess
from infosam.inference.prompting import prompts_to_batch
from infosam.models.base import PromptableModel
from infosam.training.adaptation import Adaptation
from infosam.training.failure import memory_errors
from infosam.types import (
    BadInputError,
    BoolArray,
    Finished,
    FloatArray,
    Prompt,
    PromptBatch,
    Report,
    Started,
    Step,
)

_PARTS = 4  # of a run, after each of which is looked


@dataclass(frozen=True, eq=False)
class Subject:
    """An object that is watched, under the prompt of its box.

    name: of the image. image: (H, W, 3). mask: (H, W). shown: the shares of a map's rows and columns that
    show the image; below 1 where the model pads its input.
    """

    name: str
    image: NDArray[np.uint8]
    mask: BoolArray
    box: tuple[int, int, int, int]
    shown: tuple[float, float]


@dataclass(frozen=True, eq=False)
class RelationMaps:
    """The relations of K objects at T steps: mask token 0 over the h x w positions of the image embedding.

    subjects: K. steps: T. teacher, student: (T, K, h, w), each map of unit norm.
    """

    subjects: tuple[Subject, ...]
    steps: tuple[int, ...]
    teacher: FloatArray
    student: FloatArray

    def save(self, path: Path) -> None:
        """Write steps, teacher, student, and the objects' images (names) and boxes as an .npz file."""
        np.savez_compressed(
            path,
            steps=self.steps,
            teacher=self.teacher,
            student=self.student,
            images=[subject.name for subject in self.subjects],
            boxes=[subject.box for subject in self.subjects],
        )


class RelationWatch:
    """Follows a run and keeps relation maps; the run trains as it would unwatched.

    Args:
        adaptation: a run by InfoSAM, not begun.
        count: how many of the objects it trains on are watched: of each image the largest, then the next.

    Raises:
        BadInputError: the run has no relation module.
    """

    def __init__(self, adaptation: Adaptation, count: int) -> None:
        task, teacher, config = adaptation.task, adaptation.teacher, adaptation.config
        if not isinstance(task, InfoSAMTask):
            raise BadInputError(f"{config.distill!r} has no relation module: distil by infosam")
        self._run, self._relation = adaptation, task.relation
        self._subjects = [_subject(teacher, *chosen) for chosen in _choose(adaptation.train, count)]
        with memory_errors(teacher.device):
            self._inputs = [
                (
                    preprocess(teacher, subject.image, config.mode)[None].to(teacher.device),
                    prompts_to_batch(teacher, [Prompt(box=subject.box)], [0], [subject.mask.shape]),
                )
                for subject in self._subjects
            ]
            self._taught = [_knowledge(teacher, *seen) for seen in self._inputs]
        self._maps: dict[int, tuple[FloatArray, FloatArray]] = {}

    def run(
        self, *, every: int | None = None, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[Report]:
        """Train, see `Adaptation.run`, and keep maps at the start, every so many steps and at the end.

        every: a quarter of the steps unless given.
        """
        due: set[int] = set()
        with closing(self._run.run(resume=False, cancelled=cancelled)) as reports:
            for report in reports:
                match report:
                    case Started(steps=steps):
                        due = {steps, *range(0, steps, every or max(1, steps // _PARTS))}
                        self._look(0)
                    case Step(step=step) if step in due:
                        self._look(step)
                    case Finished(steps=step) if step not in self._maps:  # it was cancelled
                        self._look(step)
                yield report

    def maps(self) -> RelationMaps:
        """What has been kept since the first report."""
        teacher, student = (np.stack(maps) for maps in zip(*self._maps.values(), strict=True))
        return RelationMaps(tuple(self._subjects), tuple(self._maps), teacher, student)

    def _look(self, step: int) -> None:
        student = self._run.student
        student.eval()  # as validation leaves it: each step begins with going back to training
        with memory_errors(student.device):
            sought = [_knowledge(student, *seen) for seen in self._inputs]
            self._maps[step] = self._related(self._taught), self._related(sought)

    @torch.no_grad()
    def _related(self, known: Sequence[Knowledge]) -> FloatArray:
        """(K, h, w)."""
        maps = []
        for knowledge in known:
            image_index = torch.zeros(1, dtype=torch.long, device=knowledge.features.device)
            rows = relations(self._relation.eval(), knowledge, image_index)
            maps.append(rows.view(knowledge.features.shape[-2:]).cpu().numpy())
        return np.stack(maps)


def _choose(images: Sequence[LabelledImage], count: int) -> list[tuple[LabelledImage, LabelledObject]]:
    ranked = [
        (rank, image, item)
        for image in images
        for rank, item in enumerate(sorted(image.objects(), key=lambda item: -item.area))
    ]
    return [(image, item) for _, image, item in sorted(ranked, key=lambda entry: entry[0])[:count]]


def _subject(model: PromptableModel, image: LabelledImage, item: LabelledObject) -> Subject:
    rgb = to_rgb8(image.image(), image.intensity)
    height, width = rgb.shape[:2]
    rows, columns = model.valid_size(height, width)
    shown = rows / model.image_size, columns / model.image_size
    return Subject(image.name, rgb, item.mask, item.box, shown)


@torch.no_grad()
def _knowledge(model: PromptableModel, pixels: Tensor, prompts: PromptBatch) -> Knowledge:
    embedding = model.encode(pixels)
    output = model.decode(embedding, prompts)
    return Knowledge(embedding.features.float(), output.tokens.float(), output.logits[:, :1].float())
