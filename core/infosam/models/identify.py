"""Which published model a state dict belongs to, told from a few tensors: for error messages."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

_SAM = {768: "SAM ViT-B", 1024: "SAM ViT-L", 1280: "SAM ViT-H"}  # by width
_HIERA = {12: "tiny", 16: "small", 24: "base_plus", 48: "large"}  # by number of blocks


def describe(state: Mapping[str, Tensor]) -> str:
    """A name such as "SAM ViT-B" or "SAM 2.1 Hiera tiny", or "no model known here"."""
    position = state.get("image_encoder.pos_embed")
    if position is not None:
        return _SAM.get(position.shape[-1], f"a SAM of width {position.shape[-1]}")
    prefix = "image_encoder.trunk.blocks."
    blocks = {key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)}
    if blocks:
        version = "2.1" if "no_obj_embed_spatial" in state else "2.0"  # the tensor came with 2.1
        return f"SAM {version} Hiera {_HIERA.get(len(blocks), f'with {len(blocks)} blocks')}"
    return "no model known here"
