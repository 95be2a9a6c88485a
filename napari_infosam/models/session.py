"""What the user is doing now: Qt-free, evented state that views show and controllers change.

Every field has a signal of the same name in `session.events`, emitted with the new value when it changes:
`session.events.adapter.connect(callback)`. Fields are set on the GUI thread only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from psygnal import SignalGroupDescriptor

from infosam.types import Prompt, Segmentation

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

    model_name: name of the pre-trained model. adapter: folder of the adapter in use, or None for the model as
    it is. device: where the model runs. project: the `infosam.Project` in use (opaque here). image_id: the
    project's id of the shown image, None while there is none. prompting: the canvas takes prompts. positive:
    the sign of the next click. prompts: what is not committed yet; candidates: its masks, best first;
    candidate_index: the one shown. overwrite: a commit may take pixels of other objects. objects: what is
    committed on the shown image. status: one line that says what happened or what to do next. busy: work of
    more than a moment goes on.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    model_name: str = DEFAULT_MODEL
    adapter: Path | None = None
    project: Any = None
    image_id: int | None = None
    image_name: str = ""
    prompts: Prompt = field(default_factory=Prompt)
    candidates: Segmentation | None = None
    candidate_index: int = 0
    objects: tuple[ObjectItem, ...] = ()
    n_labelled_images: int = 0
    n_labelled_objects: int = 0
    status: str = ""
    busy: bool = False
    device: str = ""
    prompting: bool = False
    positive: bool = True
    overwrite: bool = False
