"""Parameter-efficient fine-tuning: a student that shares its frozen tensors with the pre-trained model.

A new method is one module of this package: a frozen configuration, registered by its name.
"""

from infosam.peft.adapter import AdapterConfig
from infosam.peft.adaptformer import AdaptFormerConfig
from infosam.peft.base import Method
from infosam.peft.bitfit import BitFitConfig
from infosam.peft.convlora import ConvLoRAConfig
from infosam.peft.decoder import DecoderConfig
from infosam.peft.hqsam import HQSAMConfig
from infosam.peft.injection import config_of, inject, peft_parameters
from infosam.peft.lora import LoRAConfig
from infosam.peft.method_losses import method_losses
from infosam.peft.none import NoneConfig
from infosam.peft.registry import config_for, config_from_dict, config_to_dict, methods
from infosam.peft.state import load_trainable_state, trainable_state
from infosam.peft.susam import SUSAMConfig

__all__ = [
    "AdaptFormerConfig",
    "AdapterConfig",
    "BitFitConfig",
    "ConvLoRAConfig",
    "DecoderConfig",
    "HQSAMConfig",
    "LoRAConfig",
    "Method",
    "NoneConfig",
    "SUSAMConfig",
    "config_for",
    "config_from_dict",
    "config_of",
    "config_to_dict",
    "inject",
    "load_trainable_state",
    "method_losses",
    "methods",
    "peft_parameters",
    "trainable_state",
]
