"""What crosses the rooms of the library: frozen dataclasses, configurations and protocols.

Nothing here imports torch at run time, so that the plugin can build requests and read reports without paying
for it. Coordinates are (row, column) everywhere; boxes are pixel edges (r0, c0, r1, c1), half-open.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

RunMode = Literal["official", "paper", "clean"]
RUN_MODES: tuple[RunMode, ...] = ("official", "paper", "clean")
Zoom = Literal["auto", "off"]
ZOOMS: tuple[Zoom, ...] = ("auto", "off")
RelationName = Literal["attn-1", "attn-3", "attn-5", "dot", "linear"]
RELATIONS: tuple[RelationName, ...] = ("attn-1", "attn-3", "attn-5", "dot", "linear")
RelationTerms = Literal["all", "joint", "joint+teacher"]
RELATION_TERMS: tuple[RelationTerms, ...] = ("all", "joint", "joint+teacher")
PROMPT_PROTOCOLS = ("box", "point", "points3", "points5", "road5")

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


class InfoSAMError(RuntimeError):
    """A failure that the user can act on: the message says what happened and what to do."""


class BadInputError(InfoSAMError, ValueError):
    """The input cannot be used as it is (wrong shape, corrupt file, unknown name)."""


# ---------------------------------------------------------------------------------------------- prompting


@dataclass(frozen=True, eq=False)
class Prompt:
    """The prompts for one object, in pixels of the image.

    points: (row, column) pairs; pixel centres are at whole numbers, as in napari.
    labels: one per point, 1 = belongs to the object, 0 = does not.
    box: (r0, c0, r1, c1) pixel edges, half-open, or None.
    mask: an (H, W) bool mask or (h, w) low-resolution float logits that the object resembles, or None.
    answer: the (H, W) bool mask that the last points correct, an earlier answer of the model, or None. It may
        be believed less firmly than `mask`.
    """

    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: NDArray[Any] | None = field(default=None, repr=False)
    answer: BoolArray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if len(self.points) != len(self.labels):
            raise BadInputError(
                f"{len(self.points)} points but {len(self.labels)} labels: give one label per point"
            )
        if any(label not in (0, 1) for label in self.labels):
            raise BadInputError(f"point labels must be 1 (object) or 0 (background), not {self.labels}")
        if self.mask is not None and self.answer is not None:
            raise BadInputError("give a mask that the object resembles, or an answer to correct: not both")
        if self.box is not None:
            r0, c0, r1, c1 = self.box
            if not (r1 > r0 and c1 > c0):
                raise BadInputError(f"the box {self.box} is empty: it needs r1 > r0 and c1 > c0")

    @property
    def is_empty(self) -> bool:
        return not self.points and self.box is None and self.mask is None

    @property
    def positive(self) -> list[tuple[float, float]]:
        """The clicks that say yes."""
        return [point for point, label in zip(self.points, self.labels, strict=True) if label == 1]

    @property
    def is_ambiguous(self) -> bool:
        """A single click says little of what is meant: SAM offers several masks for it."""
        return len(self.points) == 1 and self.box is None and self.resembled is None

    @property
    def resembled(self) -> NDArray[Any] | None:
        """What the object resembles, more or less: the mask, or the answer."""
        return self.mask if self.answer is None else self.answer

    def with_click(self, point: tuple[float, float], label: int, shown: BoolArray | None = None) -> Prompt:
        """The prompt with one more point.

        shown: the (H, W) bool mask that the point corrects. A box or a mask says more of what is meant than
        that does, and an empty one says nothing: then the answer stays what it was.
        """
        corrects = shown is not None and shown.any() and self.box is None and self.mask is None
        return replace(
            self,
            points=(*self.points, point),
            labels=(*self.labels, label),
            answer=shown if corrects else self.answer,
        )


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Candidate masks for one prompt, best first.

    masks: (K, H, W) bool at image resolution. scores: (K,) predicted IoU. logits: (K, h, w) low resolution;
    any of them may be given back as a mask prompt.
    """

    masks: BoolArray
    scores: FloatArray
    logits: FloatArray

    def __len__(self) -> int:
        return len(self.masks)


@dataclass(frozen=True)
class IntensityRange:
    """The raw values that become 0 and 255. uint8 images are taken as they are: (0, 255)."""

    low: float
    high: float


# ------------------------------------------------------------------------------------------------ models


@dataclass(frozen=True, eq=False)
class ImageEmbedding:
    """What the image encoder gives for B images: features (B, D, h, w), and maps of higher resolution, SAM
    2's own and a refiner's."""

    features: Tensor
    high_res: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return self.features.shape[0]

    def select(self, index: Tensor) -> ImageEmbedding:
        """The embeddings of images `index` (N,), repeated or reordered."""
        return ImageEmbedding(self.features[index], tuple(level[index] for level in self.high_res))

    def to(self, *args: Any, **kwargs: Any) -> ImageEmbedding:
        return ImageEmbedding(
            self.features.to(*args, **kwargs), tuple(level.to(*args, **kwargs) for level in self.high_res)
        )

    @staticmethod
    def concatenate(parts: Sequence[ImageEmbedding]) -> ImageEmbedding:
        import torch

        levels = zip(*(part.high_res for part in parts), strict=True)
        return ImageEmbedding(
            torch.cat([part.features for part in parts]), tuple(torch.cat(level) for level in levels)
        )


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """N prompts over B images, in pixels of the model's input (row, column).

    image_index: (N,) which image each prompt belongs to. points: (N, P, 2) with labels (N, P), 1 object,
    0 background, -1 padding; None when no prompt has points. boxes: (N, 4) as (r0, c0, r1, c1), or None.
    masks: (N, 1, 4h, 4w) low-resolution logits, or None. Within one batch, every prompt has the same kinds.
    """

    image_index: Tensor
    points: Tensor | None = None
    labels: Tensor | None = None
    boxes: Tensor | None = None
    masks: Tensor | None = None

    def __len__(self) -> int:
        return self.image_index.shape[0]


@dataclass(frozen=True, eq=False)
class DecoderOutput:
    """What the mask decoder gives for N prompts; index 0 is the single-mask token, 1-3 the multi-mask ones.

    logits: (N, 4, 4h, 4w). iou: (N, 4) predicted IoU. tokens: (N, 4, D), the mask tokens after the decoder's
    transformer (z_m of the paper is tokens[:, :1]).
    """

    logits: Tensor
    iou: Tensor
    tokens: Tensor


class MaskRefiner(Protocol):
    """A module behind the mask decoder that has the last word on its masks (HQ-SAM).

    token: (1, D) weight, a query that goes through the decoder's transformer right behind the mask tokens.
    reads_block: number of the block whose output `image_map` reads; None: it has no such map.
    """

    token: nn.Parameter
    reads_block: int | None

    def image_map(self, features: Tensor, early: Tensor) -> Tensor:
        """What depends on the image alone; its embedding keeps it behind the model's own `high_res` maps.

        features: (B, D, h, w). early: the output (B, h, w, C) of block `reads_block`.
        """

    def __call__(
        self, output: DecoderOutput, token: Tensor, upscaled: Tensor, high_res: Sequence[Tensor]
    ) -> DecoderOutput:
        """The output with refined logits.

        token: (N, D), its token after the transformer. upscaled: (N, D / 8, 4h, 4w), the decoder's map.
        high_res: of each prompt's image, `image_map` last.
        """


@runtime_checkable
class AdaptableModel(Protocol):
    """What parameter-efficient fine-tuning needs to know of a model.

    Each block has `attn` (with `qkv` and `proj` Linear layers), `mlp`, `norm1`, `norm2`, and `window_size`, 0
    where its attention is global. Attention and MLP are called on channels-last tensors, and `block_dims[i]`
    is the number of channels that leave block i. `adapter_id` names the adapter that the weights carry.
    `refiner`, if it is set, takes part in encoding and decoding.
    """

    family: Literal["sam", "sam2", "pocket"]
    embed_dim: int
    adapter_id: str | None
    refiner: MaskRefiner | None
    training: bool

    def blocks(self) -> Sequence[nn.Module]: ...
    def block_dims(self) -> Sequence[int]: ...
    def mask_decoder(self) -> nn.Module: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...
    def buffers(self) -> Iterator[Tensor]: ...
    def train(self, mode: bool = True) -> Any: ...


@dataclass(frozen=True)
class ObjectSizes:
    """How large the objects are that a model was adapted to.

    extent: of a typical one, its longest side, in pixels of the image.
    spread: by how many octaves (factors of 2) extents differ, as a standard deviation: the less, the more the
        extent says of the next object.
    width: of a typical one, in pixels of the image, as `width_of` measures it: it tells lines, of which only
        the length fills a box.
    """

    extent: float
    spread: float
    width: float

    def __post_init__(self) -> None:
        for name, value in (("extent", self.extent), ("spread", self.spread), ("width", self.width)):
            if not (isinstance(value, int | float) and value > 0):
                raise BadInputError(f"the {name} of objects must be a positive number, not {value!r}")


@dataclass(frozen=True)
class ModelInfo:
    """One line of `infosam models`."""

    name: str
    family: Literal["sam", "sam2", "pocket"]
    parameters: int
    bytes: int
    licence: str
    url: str | None
    sha256: str | None
    on_disk: bool


# ---------------------------------------------------------------------------------------------- adapting


@dataclass(frozen=True)
class AdaptConfig:
    """Everything that decides an adaptation run; a bad value raises ValueError quoting itself.

    zoom: "auto" trains and measures on what the adapted model will look at (`Predictor`): tiles around small
    objects. It learns how large the objects are, too, where clicks begin; in mode clean only.
    steps: optimiser steps; None chooses them from the number of labelled objects. batch_size: prompts per
    step (at least 2: InfoSAM's losses are zero for one). val_fraction: share of the images held out to
    measure. rkd_weight multiplies lambda_compress * L_r + lambda_distill * L_d (METHODS of the paper: 1,
    1, 0.5).
    teacher: name of a larger model of the same family that teaches, SAM ViT-H for a ViT-B, say; None: the
    pre-trained model itself.
    relation: the relation module, "attn-1" being InfoSAM's own. relation_terms: "all" of L_r and L_d; without
    the entropies that regularise (the paper's "w/o RT", which it does not spell out), "joint" keeps the joint
    entropy S(G_ts) for L_d and nothing for L_r, and "joint+teacher" also the teacher's S(G_t) for L_r.
    relation_weights: relation.safetensors of another run, used frozen; None trains a relation of one's own.
    """

    peft: str = "adapter"
    distill: str = "infosam"
    teacher: str | None = None
    mode: RunMode = "clean"
    zoom: Zoom = "off"
    steps: int | None = None
    batch_size: int = 8
    lr: float | None = None
    final_lr_ratio: float = 0.1
    val_fraction: float = 0.25
    validate_every: int = 25
    patience: int = 6
    rkd_weight: float = 1.0
    lambda_compress: float = 1.0
    lambda_distill: float = 0.5
    alpha: float = 2.0
    relation: RelationName = "attn-1"
    relation_terms: RelationTerms = "all"
    relation_weights: str | None = None
    seed: int = 0
    device: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in RUN_MODES:
            raise ValueError(f"mode must be one of {', '.join(RUN_MODES)}, not {self.mode!r}")
        if self.zoom not in ZOOMS:
            raise ValueError(f"zoom must be one of {', '.join(ZOOMS)}, not {self.zoom!r}")
        if self.zoom == "auto" and self.mode != "clean":
            raise ValueError(
                f"zoom 'auto' needs the mode clean, not {self.mode!r}: published runs see whole images"
            )
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1, not {self.steps}")
        if self.batch_size < 2:
            raise ValueError(
                f"batch_size must be at least 2, not {self.batch_size}: InfoSAM compares the prompts of a "
                "batch with each other, and for a single one its losses and gradients are exactly zero"
            )
        if self.lr is not None and not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be positive and finite, not {self.lr}")
        if not 0 < self.final_lr_ratio <= 1:
            raise ValueError(f"final_lr_ratio must lie in (0, 1], not {self.final_lr_ratio}")
        if not 0 <= self.val_fraction < 1:
            raise ValueError(f"val_fraction must lie in [0, 1), not {self.val_fraction}")
        if not 0 < self.alpha < math.inf:
            raise ValueError(f"alpha must be positive and finite, not {self.alpha}")
        for name in ("rkd_weight", "lambda_compress", "lambda_distill"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more, and finite, not {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, not {self.seed}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads must be at least 1, not {self.threads}")
        if self.relation not in RELATIONS:
            raise ValueError(f"relation must be one of {', '.join(RELATIONS)}, not {self.relation!r}")
        if self.relation_terms not in RELATION_TERMS:
            raise ValueError(
                f"relation_terms must be one of {', '.join(RELATION_TERMS)}, not {self.relation_terms!r}"
            )
        if self.relation == "dot" and self.relation_weights is not None:
            raise ValueError(f"the relation 'dot' has no weights: leave out {self.relation_weights!r}")
        for name in ("validate_every", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


@dataclass(frozen=True)
class Started:
    """The run is about to train."""

    n_images: int
    n_objects: int
    n_val_images: int
    n_val_objects: int
    steps: int
    trainable: int
    device: str
    model: str
    event: Literal["started"] = "started"


@dataclass(frozen=True)
class Preparing:
    """Work before the first step, for instance embedding images: done of total."""

    stage: str
    done: int
    total: int
    event: Literal["preparing"] = "preparing"


@dataclass(frozen=True)
class Step:
    """One optimiser step. losses: "loss" and its parts. seconds: trained so far. eta: seconds left, about."""

    step: int
    steps: int
    losses: Mapping[str, float]
    lr: float
    seconds: float
    eta: float
    event: Literal["step"] = "step"


@dataclass(frozen=True)
class Validated:
    """Scores of the model as it is, on the held-out images. step 0 is the model before training. best: these
    are the weights to keep, so far."""

    step: int
    iou: float
    n_objects: int
    best: bool
    event: Literal["validated"] = "validated"


@dataclass(frozen=True)
class Scores:
    """Mean scores on held-out objects under one prompt; None where there were too few to measure."""

    iou: float | None
    dice: float | None
    boundary_f1: float | None
    n_images: int
    n_objects: int


@dataclass(frozen=True)
class Card:
    """The before/after card. pretrained, current and new: prompt name -> scores on the held-out objects."""

    pretrained: Mapping[str, Scores]
    new: Mapping[str, Scores]
    current: Mapping[str, Scores] | None = None
    note: str = ""


@dataclass(frozen=True)
class Finished:
    """The run ended with an adapter. status: done, early_stop, cancelled (then the best so far is kept)."""

    status: Literal["done", "early_stop", "cancelled"]
    adapter: str
    card: Card
    steps: int
    seconds: float
    event: Literal["finished"] = "finished"


@dataclass(frozen=True)
class Failed:
    """The run ended without an adapter; resumable says whether a checkpoint waits."""

    reason: str
    advice: str
    resumable: bool
    event: Literal["failed"] = "failed"


Report = Started | Preparing | Step | Validated | Finished | Failed

if TYPE_CHECKING:  # names that annotations of other rooms use
    Device = torch.device
