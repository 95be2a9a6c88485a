"""SAM 2.1 with random weights, from the configuration files that the package sam2 carries."""

from __future__ import annotations

from importlib.resources import as_file, files

from hydra.utils import instantiate
from omegaconf import OmegaConf

from infosam.models.catalogue import Sam2Size
from infosam.models.sam2.adaptor import Sam2Model

_CONFIGS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}


def build_sam2(name: str, size: Sam2Size) -> Sam2Model:
    """SAM 2.1 at one of its four published sizes, 1024 x 1024 input.

    The whole video model is built, memory included, because the official files hold all of it and are loaded
    strictly. The configuration is read as a file: hydra's global state, which may be in use by the
    application around us, is neither asked nor changed. The setting of `sam2.build_sam.build_sam2` to compare
    with is `apply_postprocessing=False`: the fallback from an unstable single mask to the best multi-mask
    (`dynamic_multimask_via_stability`) is off, so that token 0 is always what it says.
    """
    resource = files("sam2") / "configs" / "sam2.1" / f"sam2.1_hiera_{_CONFIGS[size]}.yaml"
    with as_file(resource) as path:
        config = OmegaConf.load(path)
    return Sam2Model(name, instantiate(config.model, _recursive_=True))
