"""The facts about every model: size, licence, address and hash. Builders import torch only when called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from infosam.models.download import Download

if TYPE_CHECKING:
    from infosam.models.base import PromptableModel

SamSize = Literal["vit_b", "vit_l", "vit_h"]
Sam2Size = Literal["tiny", "small", "base_plus", "large"]

_SAM_FILES = "https://dl.fbaipublicfiles.com/segment_anything"
_SAM2_FILES = "https://dl.fbaipublicfiles.com/segment_anything_2/092824"


@dataclass(frozen=True)
class ModelSpec:
    """What the registry knows of a model: build makes it with random weights; its trained ones are either
    a download or shipped with the package, and then `shipped` loads them."""

    name: str
    family: Literal["sam", "sam2", "pocket"]
    parameters: int
    licence: str
    build: Callable[[], PromptableModel]
    download: Download | None = None
    shipped: Callable[[], PromptableModel] | None = None


def _build_pocket() -> PromptableModel:
    from infosam.models.pocket.build import build_pocket

    return build_pocket()


def _load_pocket() -> PromptableModel:
    from infosam.models.pocket.weights import load_pocket

    return load_pocket()


def _build_sam(size: SamSize) -> PromptableModel:
    from infosam.models.sam.build import build_sam

    return build_sam(f"sam_{size}", size)


def _build_sam2(size: Sam2Size) -> PromptableModel:
    from infosam.models.sam2.build import build_sam2

    return build_sam2(f"sam2.1_hiera_{size}", size)


def _sam(size: SamSize, parameters: int, about_bytes: int, file: str, sha256: str) -> ModelSpec:
    download = Download(f"{_SAM_FILES}/{file}", sha256, about_bytes)
    return ModelSpec(f"sam_{size}", "sam", parameters, "Apache-2.0", partial(_build_sam, size), download)


def _sam2(size: Sam2Size, parameters: int, about_bytes: int, sha256: str) -> ModelSpec:
    name = f"sam2.1_hiera_{size}"
    download = Download(f"{_SAM2_FILES}/{name}.pt", sha256, about_bytes)
    return ModelSpec(name, "sam2", parameters, "Apache-2.0", partial(_build_sam2, size), download)


_SAM_B = "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"
_SAM_L = "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622"
_SAM_H = "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"
_SAM2_TINY = "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69"
_SAM2_SMALL = "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38"
_SAM2_BASE_PLUS = "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5"
_SAM2_LARGE = "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318"

CATALOGUE = (
    ModelSpec("sam_pocket", "pocket", 4_064_302, "BSD-3-Clause", _build_pocket, shipped=_load_pocket),
    _sam("vit_b", 93_735_472, 375_000_000, "sam_vit_b_01ec64.pth", _SAM_B),
    _sam("vit_l", 312_342_832, 1_250_000_000, "sam_vit_l_0b3195.pth", _SAM_L),
    _sam("vit_h", 641_090_608, 2_560_000_000, "sam_vit_h_4b8939.pth", _SAM_H),
    _sam2("tiny", 38_962_498, 156_008_466, _SAM2_TINY),
    _sam2("small", 46_060_354, 184_000_000, _SAM2_SMALL),
    _sam2("base_plus", 80_850_178, 323_606_802, _SAM2_BASE_PLUS),
    _sam2("large", 224_446_642, 898_000_000, _SAM2_LARGE),
)
