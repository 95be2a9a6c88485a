"""What a project holds, as it is handed out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from infosam.data.rle import RLE, rle_area, rle_box
from infosam.types import IntensityRange, Prompt

ObjectSource = Literal["prompt", "brush", "edited", "imported", "found"]
AdapterStatus = Literal["new", "accepted", "rolled_back"]


@dataclass(frozen=True)
class ImageRecord:
    """An image of the project.

    path: the file its pixels are read from; is_copy: whether the project wrote that file. plane: indices of
    the slice or channel in the stack that it was taken from, for people. shape, dtype: of the raw pixels.
    """

    id: int
    content_hash: str
    name: str
    path: Path
    is_copy: bool
    plane: tuple[int, ...] | None
    shape: tuple[int, ...]
    dtype: str
    intensity: IntensityRange
    created: str


@dataclass(frozen=True, eq=False)
class ObjectRecord:
    """A committed object.

    source: prompt (as the model drew it), brush (drawn by hand), imported (drawn elsewhere), found (by the
    model, without a prompt) or edited (one of these, and corrected by hand since).
    prompt: its last prompts, without a mask prompt's pixels; used_mask_prompt tells whether there was one.
    corrections: how often its mask was changed since. class_id: None as long as it has no class.
    """

    id: int
    image_id: int
    label: int
    source: ObjectSource
    prompt: Prompt | None
    used_mask_prompt: bool
    corrections: int
    class_id: int | None
    removed: bool
    created: str
    updated: str
    rle: RLE = field(repr=False)

    @property
    def area(self) -> int:
        """In pixels."""
        return rle_area(self.rle)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The tight box (r0, c0, r1, c1), half-open."""
        return rle_box(self.rle)


@dataclass(frozen=True, eq=False)
class Revision:
    """One entry of an object's history; rle and prompt are None where the action did not set them."""

    action: Literal["added", "updated", "removed", "restored"]
    source: ObjectSource | None
    prompt: Prompt | None
    at: str
    rle: RLE | None = field(repr=False)


@dataclass(frozen=True)
class AdapterRecord:
    """An adapter trained in this project. card: its before/after scores, as JSON holds them."""

    id: int
    folder: Path
    base_model: str
    status: AdapterStatus
    is_current: bool
    card: Mapping[str, Any]
    created: str
