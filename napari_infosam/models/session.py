"""What the user is doing now: Qt-free, evented state that views show and controllers change.

Every field has a signal of the same name in `session.events`, emitted with the new value when it changes:
`session.events.adapter.connect(callback)`. Fields are set on the GUI thread only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from psygnal import SignalGroupDescriptor

from infosam.types import BoolArray, Prompt, Segmentation
from napari_infosam.models.shown_image import ShownImage

DEFAULT_MODEL = "sam_pocket"


@dataclass(frozen=True)
class ObjectItem:
    """One committed object, as the list shows it. area: pixels. source: prompt, corrected, brush, ..."""

    id: int
    label: int
    area: int
    source: str


@dataclass(eq=False)
class Session:
    """The state of one viewer.

    model_name: name of the pre-trained model that is asked for. adapter: folder of the adapter that is asked
    for, or None for the model as it is. loaded: the two that answer prompts. device: where the model runs.
    embed_seconds: what embedding an image usually takes, 0 before the first. project: the `infosam.Project`
    in use (opaque here); adapters_version: grows when its adapters change.

    shown: the image that prompts go to, if there is one; image_name: its name, or that of an open image which
    takes no prompts as it is shown; image_id: its id in the project, None while it is not known there.
    objects: what is committed on it. n_labelled_images, n_labelled_objects: what the whole project holds.

    prompting: the canvas takes prompts; suspended: but not while the active layer is painted on. tool:
    "brush" or "erase" while the user paints on labels of ours. positive: the sign of the next click.
    overwrite: a commit may take pixels of other objects.

    prompts: what is not committed yet; candidates: masks for them; candidate_index: the one shown. answered:
    the prompts that the candidates belong to, which may be the ones before. refining: id of the committed
    object that the prompts change, None while they make a new one.

    status: one line that says what happened; problem: it is bad news. busy: something takes longer than a
    moment.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    model_name: str = DEFAULT_MODEL
    adapter: Path | None = None
    loaded: tuple[str, Path | None] | None = None
    device: str = ""
    embed_seconds: float = 0.0
    project: Any = None
    adapters_version: int = 0

    shown: ShownImage | None = None
    image_name: str = ""
    image_id: int | None = None
    objects: tuple[ObjectItem, ...] = ()
    n_labelled_images: int = 0
    n_labelled_objects: int = 0

    prompting: bool = False
    suspended: bool = False
    tool: str | None = None
    positive: bool = True
    overwrite: bool = False

    prompts: Prompt = field(default_factory=Prompt)
    candidates: Segmentation | None = None
    candidate_index: int = 0
    answered: Prompt | None = None
    refining: int | None = None

    status: str = ""
    problem: bool = False
    busy: bool = False

    @property
    def ready(self) -> bool:
        """Whether prompts can be answered at once: the image is part of the project, and nothing goes on."""
        return self.shown is not None and self.image_id is not None and not self.busy

    def ready_on(self, number: int) -> bool:
        """`ready`, on that slice of a stack."""
        return self.ready and self.shown is not None and self.shown.index[0] == number

    @property
    def annotating(self) -> bool:
        """Whether the canvas takes prompts or strokes."""
        return self.prompting or self.tool is not None

    @property
    def candidate(self) -> BoolArray | None:
        """(H, W): the candidate mask that is shown."""
        return None if self.candidates is None else self.candidates.masks[self.candidate_index]

    def ask_for(self, model_name: str, adapter: Path | None) -> None:
        """Ask for a model with an adapter in one step: nobody sees the one changed without the other."""
        with self.events.model_name.paused(), self.events.adapter.paused():
            self.model_name, self.adapter = model_name, adapter

    def adapters_changed(self) -> None:
        """The project's list of adapters has changed."""
        self.adapters_version += 1

    def say(self, text: str, *, problem: bool = False) -> None:
        """Tell the user what happened."""
        self.problem = problem
        self.status = text
