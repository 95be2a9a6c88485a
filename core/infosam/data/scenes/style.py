"""How scenes look, for kinds of image: background, contrast, texture, and what the camera does to them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from infosam.data.scenes.draw import choice, normal, uniform

Range = tuple[float, float]


@dataclass(frozen=True)
class Kind:
    """Ranges from which a scene's numbers are drawn, uniformly; intensities in 0..1, lengths in pixels.

    share: how often the kind occurs. tint, tint_spread: the mean colour of the background relative to its
    brightness, and its standard deviation. contrast: difference of objects from the background. bright: share
    of scenes whose objects are brighter than it. hue: how much an object's colour differs. ground, texture:
    amplitude of the textures of background and objects. streaks: of a texture of horizontal streaks. net: of
    a net of cells in the background. rim: extra brightness at edges. soft: width of edges. add: share of
    scenes in which objects add light. fade: darkening with depth. noise, shot, speckle: additive,
    signal-dependent and multiplicative noise. gain: final brightness. grey: share of scenes without colour.
    round: share of scenes whose objects are all ellipses or nearly.
    """

    share: float
    background: Range
    contrast: Range
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tint_spread: float = 0.0
    bright: float = 0.5
    hue: Range = (0.0, 0.0)
    ground: Range = (0.005, 0.1)
    texture: Range = (0.0, 0.12)
    streaks: Range = (0.0, 0.0)
    net: Range = (0.0, 0.0)
    rim: Range = (0.0, 0.0)
    soft: Range = (0.8, 1.6)
    add: float = 0.0
    fade: Range = (0.0, 0.0)
    blur: Range = (0.0, 0.8)
    noise: Range = (0.0, 0.03)
    shot: Range = (0.0, 0.0)
    speckle: Range = (0.0, 0.0)
    gain: Range = (0.9, 1.1)
    grey: float = 0.0
    round: float = 0.0


KINDS: dict[str, Kind] = {
    "fluorescence": Kind(
        0.14,
        (0.0, 0.15),
        (0.2, 0.8),
        bright=1.0,
        ground=(0.0, 0.03),
        texture=(0.0, 0.1),
        rim=(-0.1, 0.1),
        soft=(1, 3.5),
        add=0.2,
        blur=(0, 1.5),
        noise=(0, 0.03),
        shot=(0, 0.08),
        gain=(0.2, 1.1),
        grey=0.8,
        tint_spread=0.3,
        round=0.4,
    ),
    "dim fluorescence": Kind(
        0.06,
        (0.0, 0.1),
        (0.3, 0.8),
        bright=1.0,
        ground=(0.0, 0.02),
        texture=(0.0, 0.1),
        rim=(-0.1, 0.1),
        soft=(1, 4),
        blur=(0, 1.5),
        noise=(0, 0.02),
        shot=(0, 0.05),
        gain=(0.1, 0.3),
        grey=1.0,
        round=0.4,
    ),
    "bright field": Kind(
        0.1,
        (0.4, 0.9),
        (0.0, 0.2),
        tint_spread=0.04,
        hue=(0, 0.1),
        ground=(0.005, 0.05),
        rim=(-0.4, 0.3),
        soft=(1, 2.5),
        blur=(0, 1),
        grey=0.5,
        round=0.3,
    ),
    "stained": Kind(
        0.12,
        (0.65, 0.85),
        (0.2, 0.5),
        tint=(0.1, -0.1, 0.08),
        tint_spread=0.08,
        bright=0.05,
        hue=(0.03, 0.15),
        ground=(0.02, 0.12),
        texture=(0.02, 0.12),
        rim=(-0.15, 0.05),
        soft=(1, 2.5),
        blur=(0, 1),
        grey=0.1,
        round=0.4,
    ),
    "photograph": Kind(
        0.1,
        (0.1, 0.9),
        (0.12, 0.4),
        tint_spread=0.2,
        hue=(0.05, 0.4),
        ground=(0.01, 0.16),
        texture=(0.0, 0.3),
        rim=(-0.1, 0.1),
    ),
    "leaf": Kind(
        0.1,
        (0.35, 0.7),
        (0.15, 0.4),
        tint=(-0.1, 0.12, -0.12),
        tint_spread=0.08,
        bright=0.2,
        hue=(0.05, 0.2),
        ground=(0.01, 0.1),
        texture=(0.03, 0.25),
        net=(0.0, 0.2),
        rim=(-0.15, 0.15),
        soft=(1, 5),
        blur=(0, 1.2),
        round=0.4,
    ),
    "concrete": Kind(
        0.1,
        (0.4, 0.8),
        (0.1, 0.35),
        tint_spread=0.02,
        bright=0.15,
        hue=(0, 0.04),
        ground=(0.01, 0.08),
        texture=(0.0, 0.08),
        soft=(0.8, 2),
        blur=(0, 0.8),
        grey=0.4,
    ),
    "grey": Kind(
        0.08,
        (0.1, 0.9),
        (0.08, 0.4),
        ground=(0.005, 0.12),
        texture=(0.0, 0.25),
        rim=(-0.2, 0.2),
        soft=(0.8, 2.5),
        blur=(0, 1.2),
        noise=(0, 0.06),
        grey=1.0,
    ),
    "electron": Kind(
        0.06,
        (0.45, 0.75),
        (0.08, 0.25),
        bright=0.15,
        ground=(0.04, 0.14),
        texture=(0.02, 0.15),
        rim=(-0.5, -0.1),
        soft=(1, 3),
        noise=(0.01, 0.06),
        grey=1.0,
        round=0.3,
    ),
    "ultrasound": Kind(
        0.16,
        (0.08, 0.5),
        (0.02, 0.3),
        bright=0.2,
        ground=(0.02, 0.1),
        texture=(0.0, 0.3),
        streaks=(0.0, 0.3),
        rim=(0.0, 0.3),
        soft=(2, 8),
        fade=(0.0, 2.0),
        blur=(0.3, 1.5),
        noise=(0, 0.02),
        speckle=(0.1, 0.4),
        gain=(0.6, 1.2),
        grey=1.0,
        round=0.75,
    ),
    "texture only": Kind(
        0.03,
        (0.2, 0.8),
        (0.0, 0.03),
        tint_spread=0.1,
        hue=(0, 0.03),
        ground=(0.01, 0.12),
        texture=(0.12, 0.25),
        blur=(0, 0.5),
        grey=0.5,
    ),
}

_RANGES = (
    *("background", "ground", "streaks", "net", "soft", "fade"),
    *("blur", "noise", "shot", "speckle", "gain", "hue"),
)
_SHARES = ("bright", "add", "grey", "round")


@dataclass(frozen=True, eq=False)
class Styles:
    """The look of B scenes: (B,) each, but for tint, (B, 3), and the ranges of objects, (B, 2)."""

    background: Tensor
    ground: Tensor
    streaks: Tensor
    net: Tensor
    soft: Tensor
    fade: Tensor
    blur: Tensor
    noise: Tensor
    shot: Tensor
    speckle: Tensor
    gain: Tensor
    hue: Tensor
    bright: Tensor
    add: Tensor
    grey: Tensor
    round: Tensor
    tint: Tensor
    contrast: Tensor
    texture: Tensor
    rim: Tensor


def random_styles(generator: Generator, count: int) -> Styles:
    """Looks for `count` scenes, of kinds by their shares."""
    kinds = list(KINDS.values())
    which = choice(generator, (count,), [kind.share for kind in kinds])

    def table(name: str) -> Tensor:
        return torch.tensor([getattr(kind, name) for kind in kinds], device=generator.device)[which]

    drawn = {name: uniform(generator, (count,), *table(name).unbind(dim=1)) for name in _RANGES}
    flags = {name: uniform(generator, (count,)) < table(name) for name in _SHARES}
    tint = table("tint") + table("tint_spread")[:, None] * normal(generator, (count, 3))
    return Styles(
        **drawn, **flags, tint=tint, contrast=table("contrast"), texture=table("texture"), rim=table("rim")
    )
