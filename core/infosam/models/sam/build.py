"""SAM ViT-B, ViT-L and ViT-H with random weights, by segment-anything's own builders."""

from __future__ import annotations

from segment_anything.build_sam import sam_model_registry

from infosam.models.catalogue import SamSize
from infosam.models.sam.adaptor import SamModel


def build_sam(name: str, size: SamSize) -> SamModel:
    """SAM at one of its three published sizes: 93.7, 312 and 641 million parameters, 1024 x 1024 input."""
    return SamModel(name, sam_model_registry[size]())
