"""What pressing Adapt would do now, in one line, or why it cannot."""

from __future__ import annotations

from dataclasses import dataclass

from napari_infosam.models.counted import counted
from napari_infosam.models.durations import about

MIN_OBJECTS = 2  # InfoSAM's losses compare objects with each other: for a single one they are exactly zero


@dataclass(frozen=True)
class Preflight:
    """What a run would learn from. n_val_images: images held out to measure on. seconds: estimate, or None.

    problem: another reason why a run cannot start (for instance: no project is open).
    """

    n_objects: int = 0
    n_images: int = 0
    n_val_images: int = 0
    seconds: float | None = None
    problem: str = ""

    @property
    def blocked(self) -> str:
        """Why a run cannot start and what to do about it; empty when it can."""
        if self.problem:
            return self.problem
        missing = MIN_OBJECTS - self.n_objects
        if missing == MIN_OBJECTS:
            return "Label at least two objects, then the model can learn from them."
        return "Label one more object: the model learns from two or more." if missing > 0 else ""

    @property
    def text(self) -> str:
        """The line above the button."""
        if not self.n_objects:
            return "Nothing labelled yet."
        labelled = f"{counted(self.n_objects, 'object')} on {counted(self.n_images, 'image')}"
        if self.blocked:
            return f"{labelled}."
        unknown = " The time left is shown once it trains."
        time = f" At most {about(self.seconds)}." if self.seconds else unknown
        if not self.n_val_images:
            missing = "a second labelled image" if self.n_images == 1 else "more objects"
            return f"{labelled}: all train. With {missing}, the gain can be measured.{time}"
        train = self.n_images - self.n_val_images
        return f"{labelled}: {train} to train on, {self.n_val_images} held out to measure.{time}"
