"""The model and the image it looks at, through infosam's front door."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from infosam.types import InfoSAMError, Prompt, Segmentation
from napari_infosam.controllers.torch_import import import_torch
from napari_infosam.models.looking import zoom_for

if TYPE_CHECKING:
    from infosam import EmbeddingCache, Predictor
    from infosam.inference.everything import FoundObject

SAME_MASK_IOU = 0.98
CACHE_BYTES = 1 << 30  # some hundred images of the pocket model, 200 of SAM


class Engine:
    """Answers prompts. All methods take time: one background thread calls them, and nothing else does.

    The first call imports torch.
    """

    def __init__(self) -> None:
        self._predictor: Predictor | None = None
        self._cache: EmbeddingCache | None = None
        self._image: Hashable = None

    def load(
        self, name: str, adapter: Path | None, progress: Callable[[int, int], None] | None = None
    ) -> str:
        """Load a model, with an adapter or as it was pre-trained; returns the device that it is on.

        progress: called with (bytes so far, bytes in all) during a download, which ends if it raises.

        Raises InfoSAMError where the model or the adapter cannot be loaded; the one before stays in use.
        """
        import_torch()
        import infosam

        model = infosam.load_model(name, adapter=adapter, progress=progress)
        if self._cache is None:
            self._cache = infosam.EmbeddingCache(CACHE_BYTES)
        device = str(model.device)
        # A model that knows how large its objects are has learnt to look at them from nearer.
        zoom = zoom_for(name, device) if model.object_sizes is None else "auto"
        self._predictor = infosam.Predictor(model, zoom, self._cache)
        self._image = None
        return device

    def embed(self, key: Hashable, pixels: NDArray[Any]) -> float:
        """Look at an image, (H, W) or (H, W, 3 | 4); `key` tells it from others.

        Returns the seconds that it took.
        """
        predictor, self._image = self._loaded(), None
        began = time.perf_counter()
        predictor.set_image(pixels)
        self._image = key
        return time.perf_counter() - began

    def answer(self, key: Hashable, prompt: Prompt) -> Segmentation:
        """Different candidate masks for a prompt on the image `key`, the one to show first in front.

        One click is ambiguous: the best of the three multi-mask outputs comes first. For any other prompt the
        single-mask output does.
        """
        predictor = self._loaded()
        if self._image != key:
            raise InfoSAMError("The image is not ready for prompts yet: wait until it is prepared.")
        several, single = predictor.predict_both(prompt)
        return distinct(join(several, single) if prompt.is_ambiguous else join(single, several))

    def find(
        self,
        key: Hashable,
        pixels: NDArray[Any],
        extent: float | None,
        progress: Callable[[int, int], None],
    ) -> list[FoundObject]:
        """All objects that the model finds on the image `key` without a prompt, the surest first.

        extent: how long a typical object is, in pixels, for a model that has not learnt that itself.
        progress: called with (clicks answered, clicks in all); what it raises ends the search.

        Raises InfoSAMError where neither says how large objects are.
        """
        predictor = self._loaded()
        if predictor.model.object_sizes is not None:
            extent = None  # what it learnt, it has seen more of
        elif extent is None:
            raise InfoSAMError("Commit one object first: it shows how large those are that you look for.")
        if self._image != key:
            self.embed(key, pixels)
        return predictor.find_objects(extent, progress=progress)

    def _loaded(self) -> Predictor:
        if self._predictor is None:
            raise InfoSAMError("No model is loaded: choose one.")
        return self._predictor


def join(one: Segmentation, other: Segmentation) -> Segmentation:
    """The candidates of both, in this order."""
    return Segmentation(
        np.concatenate([one.masks, other.masks]),
        np.concatenate([one.scores, other.scores]),
        np.concatenate([one.logits, other.logits]),
    )


def distinct(candidates: Segmentation) -> Segmentation:
    """Without empty masks and those that look like an earlier one; at least one candidate remains."""
    kept: list[int] = []
    for index, mask in enumerate(candidates.masks):
        if mask.any() and all(_iou(mask, candidates.masks[other]) < SAME_MASK_IOU for other in kept):
            kept.append(index)
    kept = kept or [0]
    return Segmentation(candidates.masks[kept], candidates.scores[kept], candidates.logits[kept])


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / union if union else 0.0
