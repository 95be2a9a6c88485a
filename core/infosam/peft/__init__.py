"""Parameter-efficient fine-tuning: one module per method, injected into a copy that shares frozen tensors."""

from infosam.peft.base import Method
from infosam.peft.injection import (
    config_of,
    inject,
    load_trainable_state,
    peft_parameters,
    trainable_state,
)
from infosam.peft.registry import config_for, config_from_dict, config_to_dict, methods

__all__ = [
    "Method",
    "config_for",
    "config_from_dict",
    "config_of",
    "config_to_dict",
    "inject",
    "load_trainable_state",
    "methods",
    "peft_parameters",
    "trainable_state",
]


def __getattr__(name: str) -> type[Method]:
    """The methods' configs by class name, such as `peft.LoRAConfig`: found, not listed, as methods are."""
    from infosam.peft.registry import config_class

    return config_class(name)
