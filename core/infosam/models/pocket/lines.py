"""Thin lines in a box: cracks, vessels, filaments, which are nothing like the ellipse that a box suggests."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infosam.models.pocket.region import region_mean

_WIDTHS = (0.5, 0.7, 1.0)  # standard deviations of the Gaussians, in pixels of the input
_POLARITIES = 2  # dark and bright
_REACH = 6.0  # standard deviations within which ridges are told apart
_LIMIT = 4.0  # of the logits of lines, which are as low beyond the box
_STRONG = 2.0  # standard deviations of what surely is a ridge
_SELDOM = -4.0  # the logit of the first belief in lines
_OFF = -3.0  # standard deviations: what a path across a box pays for each pixel beyond it
_EVIDENCE = 15


def line_maps(images: Tensor) -> Tensor:
    """What lines are drawn and judged by: `ridges`, and the grey of the picture, (B, 3, S / 2, S / 2).

    images: (B, 3, S, S).
    """
    grey = F.avg_pool2d(images.float().mean(dim=1, keepdim=True), 2)
    return torch.cat([ridges(images), grey], dim=1)


def ridges(images: Tensor) -> Tensor:
    """How much each pixel lies on a dark line, and on a bright one: (B, 2, S / 2, S / 2), 0 or more.

    The eigenvalues of the Hessian, which are largest across a line (Lindeberg 1998, "Edge detection and ridge
    detection with automatic scale selection"), the best of three widths.

    images: (B, 3, S, S).
    """
    with torch.autocast(images.device.type, enabled=False):  # differences of near values
        grey = images.float().mean(dim=1, keepdim=True)
        strongest = torch.stack([_strength(grey, width) for width in _WIDTHS]).amax(dim=0)
        return F.max_pool2d(strongest.clamp(min=0), 2)


def _strength(grey: Tensor, width: float) -> Tensor:
    """The larger eigenvalue of the Hessian, and the negative of the smaller one, of (B, 1, S, S): (B, 2, S,
    S)."""
    smooth, slope, bend = (_gaussian(width, order, grey) for order in range(3))
    down, right, across = (
        _separable(grey, *pair) for pair in ((bend, smooth), (smooth, bend), (slope, slope))
    )
    middle, spread = (down + right) / 2, torch.hypot((down - right) / 2, across)
    return width**2 * torch.cat([middle + spread, spread - middle], dim=1)


def _gaussian(width: float, order: int, like: Tensor) -> Tensor:
    """The (2 r + 1,) derivative of this order of a Gaussian."""
    reach = math.ceil(3 * width)
    x = torch.arange(-reach, reach + 1, device=like.device, dtype=like.dtype)
    bell = torch.exp(-0.5 * (x / width) ** 2)
    bell = bell / bell.sum()
    if order == 0:
        return bell
    if order == 1:
        return -x / width**2 * bell
    bent = (x**2 / width**4 - 1 / width**2) * bell
    return bent - bent.mean()  # flat pictures do not bend


def _separable(grey: Tensor, down: Tensor, right: Tensor) -> Tensor:
    reach = len(down) // 2
    padded = F.pad(grey, (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(padded, down[None, None, :, None]), right[None, None, None, :])


class LineExpert(nn.Module):
    """Draws what lines there are in a box, and says how far they are believed to be what it means.

    What a crack and a disk look like has little in common, so lines are not left to the decoder, which learns
    how objects differ from the ellipse in their box. They are the ridges of the picture that stand out in the
    box, the dark ones and the bright ones. A gate decides between each and the decoder's mask. It is shown
    fifteen numbers and no features, so that what it learns of generated lines holds for others.
    """

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(1.0))  # in standard deviations of the box
        self.slope = nn.Parameter(torch.tensor(2.0))
        last = nn.Linear(hidden, 1)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, _SELDOM)
        self.gate = nn.Sequential(nn.Linear(_EVIDENCE, hidden), nn.GELU(), last)

    def forward(self, found: Tensor, boxes: Tensor, other: Tensor, image_size: int) -> tuple[Tensor, Tensor]:
        """Logits of dark and of bright lines (N, 2, h, w), and what the gate says of them, (N, 2): the
        logits of their shares, beside 0 for the mask without lines.

        Args:
            found: `line_maps` (N, 3, h, w). boxes: (N, 4) r0, c0, r1, c1 in pixels of the input. other:
                logits (N, 1, h, w) of the mask without lines. image_size: of the input.
        """
        with torch.autocast(found.device.type, enabled=False):  # sums over many pixels
            inside = _inside(boxes, image_size, other.shape[-2:])
            standing = _standardised(found[:, :2].float(), inside)
            lines = (self.slope * (standing - self.threshold)).clamp(-_LIMIT, _LIMIT)
            lines = torch.where(inside > 0, lines, -_LIMIT)
            evidence = _evidence(standing, found[:, 2:].float(), inside, other.float())
            shares: Tensor = self.gate(evidence).squeeze(-1)
        return lines, shares


def _inside(boxes: Tensor, image_size: int, size: torch.Size) -> Tensor:
    """(N, 1, h, w): 1 in the box, and at least on the pixel in its middle."""
    flags = []
    for axis, count in enumerate(size):
        width = image_size / count
        centres = (torch.arange(count, device=boxes.device) + 0.5) * width
        low, high = boxes[:, axis, None], boxes[:, axis + 2, None]
        middle = ((low + high) / 2 / width).long().clamp(0, count - 1)
        flags.append(
            ((centres >= low) & (centres <= high)) | (torch.arange(count, device=boxes.device) == middle)
        )
    return (flags[0][:, :, None] & flags[1][:, None, :]).unsqueeze(1).float()


def _mean(maps: Tensor, inside: Tensor) -> Tensor:
    """(N, C): the means of maps (N, C, h, w) in the box."""
    return region_mean(maps, inside)[..., 0, 0]


def _standardised(maps: Tensor, inside: Tensor) -> Tensor:
    """Maps in standard deviations from their mean in the box; 0 beyond it."""
    centred = (maps - region_mean(maps, inside)) * inside
    deviation = region_mean(centred**2, inside).sqrt()
    return (centred / (deviation + 1e-3)).clamp(-_REACH, _REACH)


def _crossing(standing: Tensor, inside: Tensor) -> Tensor:
    """(N, C, 2): how far (N, C, h, w) stand out on average along the best path through the box, from side to
    side and from top to bottom.

    A path takes one pixel of each column (row), next to the one before. A line leads through most of its box,
    where texture offers no way.
    """
    means = []
    for maps, box in ((standing, inside), (standing.mT, inside.mT)):
        steps = torch.where(box > 0, maps, _OFF).unbind(dim=-1)
        there = box.amax(dim=2) > 0  # (N, 1, w)
        best = torch.zeros_like(steps[0])
        for step, is_column in zip(steps, there.unbind(dim=-1), strict=True):
            longer = F.max_pool1d(best, 3, stride=1, padding=1) + step
            best = torch.where(is_column[:, :, None], longer, best)
        means.append(best.amax(dim=-1) / there.sum(dim=-1))
    return torch.stack(means, dim=-1)


def _separated(grey: Tensor, mask: Tensor, inside: Tensor) -> Tensor:
    """(N, 1): the share of the box's variance of grey that lies between the mask and the rest, 0 to 1, which
    is Otsu's criterion of a threshold."""
    centred = grey - region_mean(grey, inside)
    share, within = _mean(mask, inside), _mean(mask * centred, inside)
    between = within**2 / (share * (1 - share) + 1e-3)
    return between / (_mean(centred**2, inside) + 1e-4)


@torch.no_grad()
def _evidence(standing: Tensor, grey: Tensor, inside: Tensor, other: Tensor) -> Tensor:
    """(N, 2, E) for each polarity, about 1 in size: how much like lines the ridges in the box are, and how
    well the mask explains the box, and them."""
    strong = (standing > _STRONG).float()
    count = strong.sum(dim=(2, 3))
    together = (F.avg_pool2d(strong, 5, stride=1, padding=2) * strong).sum(dim=(2, 3)) / (count + 1)
    rows, columns = inside.amax(dim=3).sum(dim=2), inside.amax(dim=2).sum(dim=2)
    skew = _mean(standing**3, inside) / 4
    crossing = _crossing(standing, inside)
    mask = torch.sigmoid(other)
    of_ridges = [
        skew,
        skew.flip(1),
        10 * _mean(strong, inside),
        4 * together,
        strong.amax(dim=3).sum(dim=2) / rows,
        strong.amax(dim=2).sum(dim=2) / columns,
        (mask * strong).sum(dim=(2, 3)) / (count + 1),
        crossing.amax(dim=-1) - 1.5,
        crossing.amin(dim=-1) - 1.5,
    ]
    of_box = [
        rows.log() / 2 - 1,
        columns.log() / 2 - 1,
        _mean(mask, inside),
        _mean(other, inside) / 4,
        _mean(other**2, inside).sqrt() / 4,
        4 * _separated(grey, mask, inside),
    ]
    return torch.stack([*of_ridges, *(part.expand_as(skew) for part in of_box)], dim=-1)
