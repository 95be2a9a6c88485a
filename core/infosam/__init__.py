"""Adapt promptable segmentation models (SAM, SAM 2) to few labels, by InfoSAM.

Everything here is resolved on first use, so that `import infosam` costs neither torch nor time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infosam import distill, losses, metrics, peft, relation
    from infosam.api import adapt, evaluate, load_model
    from infosam.data.labelled import LabelledImage, LabelledObject
    from infosam.data.project import Project
    from infosam.inference.cache import EmbeddingCache
    from infosam.inference.predictor import Predictor
    from infosam.types import AdaptConfig, BadInputError, InfoSAMError, Prompt, Segmentation

_HOME = {
    "adapt": "infosam.api",
    "evaluate": "infosam.api",
    "load_model": "infosam.api",
    "LabelledImage": "infosam.data.labelled",
    "LabelledObject": "infosam.data.labelled",
    "Project": "infosam.data.project",
    "EmbeddingCache": "infosam.inference.cache",
    "Predictor": "infosam.inference.predictor",
    "AdaptConfig": "infosam.types",
    "BadInputError": "infosam.types",
    "InfoSAMError": "infosam.types",
    "Prompt": "infosam.types",
    "Segmentation": "infosam.types",
}
_ROOMS = ("distill", "losses", "metrics", "peft", "relation")

__all__ = [
    "AdaptConfig",
    "BadInputError",
    "EmbeddingCache",
    "InfoSAMError",
    "LabelledImage",
    "LabelledObject",
    "Predictor",
    "Project",
    "Prompt",
    "Segmentation",
    "adapt",
    "distill",
    "evaluate",
    "load_model",
    "losses",
    "metrics",
    "peft",
    "relation",
]


def __getattr__(name: str) -> Any:
    """Resolve a name of the front door (PEP 562)."""
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
