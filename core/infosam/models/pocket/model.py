"""The pocket model: a small SAM that sees its prompts drawn, too, and looks at its masks to judge them."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from segment_anything.modeling import MaskDecoder
from torch import Tensor, nn

from infosam.models.pocket.judge import MaskJudge
from infosam.models.pocket.lines import LineExpert, line_maps
from infosam.models.pocket.region import region_mean
from infosam.models.sam.adaptor import SamModel
from infosam.types import DecoderOutput, ImageEmbedding, PromptBatch

_BOX_LOGIT = 2.0
_CLICK_LOGIT = 4.0
_CLICK_REACH = 6.0  # pixels of the input over which a drawn click fades by e
_LIMIT = 4.0  # of what is drawn, so that the decoder can overrule it
# How far the decoder is believed where a box says much already: on real images it is too sure of what it
# learnt on generated ones. Of 0.3, 0.5, 0.7 and 1, tried on the sets of `benchmarks/pocket_real.py`, 0.5
# gains 0.10 in ultrasound and nothing on nuclei and soybean; 0.3 loses cracks.
_BELIEF = 0.5
# How much surer than the gate the mixture is: of logits that differ as much as those of a line and a disk, a
# small share of one would spoil the other.
_DECIDED = 4.0
_FAINT = 1e-2  # squared distance of mean features below which there is hardly a contrast


class PocketMaskDecoder(MaskDecoder):  # type: ignore[misc]  # segment-anything has no types
    """SAM's mask decoder, which adds the encoder's finer maps while it enlarges its features, as SAM 2's
    does, looks once more at how they lie around what was prompted, and judges its masks by them."""

    def __init__(self, *, transformer_dim: int, **settings: object) -> None:
        super().__init__(transformer_dim=transformer_dim, **settings)
        channels = transformer_dim // 8
        self.refine = nn.Sequential(
            nn.Conv2d(channels + 3, channels, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.judge = MaskJudge(2 * channels + 1, transformer_dim)
        self.lines = LineExpert()

    def upscale(self, source: Tensor, half: Tensor, quarter: Tensor, drawn: Tensor) -> Tensor:
        """Features of the masks, (N, D / 8, 4h, 4w).

        source: (N, D, h, w). half: (N, D / 8, 4h, 4w). quarter: (N, D / 4, 2h, 2w). drawn: (N, 1, 4h, 4w)
        logits of the prompts.
        """
        enlarge, norm, activate, enlarge_again, finish = self.output_upscaling
        features = activate(norm(enlarge(source) + quarter))
        features = finish(enlarge_again(features) + half)
        contrast = _contrasts(half, drawn)
        shown = torch.cat([features, drawn.to(features.dtype), contrast], dim=1)
        refined: Tensor = features + self.refine(shown)
        # The last two of the channels that the masks are made of begin as the contrasts themselves.
        return torch.cat([refined[:, :-2], refined[:, -2:] + contrast], dim=1)


def _contrasts(features: Tensor, drawn: Tensor) -> Tensor:
    """(N, 2, 4h, 4w): how much more the features of each pixel resemble those in the prompted region than
    those outside it: everywhere outside, and close by.

    Each is the linear classifier between the two mean features, 1 at the one and -1 at the other.
    """
    inside, outside = torch.sigmoid(2 * drawn), torch.sigmoid(-2 * drawn)
    close = outside * (drawn > -_LIMIT)
    within = region_mean(features, inside)
    maps = []
    for weight in (outside, close):
        beyond = region_mean(features, weight)
        across = within - beyond
        along = (features * across).sum(dim=1, keepdim=True)
        middle = (within**2 - beyond**2).sum(dim=1, keepdim=True) / 2
        spread = (across**2).sum(dim=1, keepdim=True) / 2
        maps.append(((along - middle) / (spread + _FAINT)).clamp(-_LIMIT, _LIMIT))
    return torch.cat(maps, dim=1)


class PocketModel(SamModel):
    """SAM at pocket size.

    SAM learns from very many masks what a prompt's coordinates mean. The pocket model is trained on few, so
    its decoder is shown the prompts twice, as SAM's tokens and drawn into the dense mask prompt; and what it
    decodes is added to what was drawn, by half where that was a box: it learns how an object differs from its
    box, from a disk around the click, or from the last mask. To the IoU that SAM's head predicts it adds what
    a look at each mask says.
    """

    # Drawn more firmly, an answer outlives the clicks that correct it. Of 1, 1.5 and 2, tried on the
    # sets of `benchmarks/pocket_real.py`: with 2 every click helps on each of them.
    answer_logit = 2.0
    # Masks as they are decoded: the decoder learns on these, and what box prompts add was chosen afterwards.
    as_decoded = False

    def decode(self, embedding: ImageEmbedding, prompts: PromptBatch) -> DecoderOutput:
        height, width = self.embedding_size
        drawn = draw_prompts(prompts, self.image_size, (4 * height, 4 * width))
        return super().decode(embedding, replace(prompts, masks=drawn))

    def _stem(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        tokens, finer = self.sam.image_encoder.stem(images)
        return tokens, (*finer, line_maps(images))

    def _upscale(self, source: Tensor, own: ImageEmbedding, prompts: PromptBatch) -> Tensor:
        half, quarter = own.high_res[:2]
        upscaled: Tensor = self.sam.mask_decoder.upscale(source, half, quarter, _shown(half, prompts))
        return upscaled

    def _finish(
        self, output: DecoderOutput, upscaled: Tensor, own: ImageEmbedding, prompts: PromptBatch
    ) -> DecoderOutput:
        half, _, found = own.high_res[:3]
        drawn = _shown(half, prompts)
        decoder = self.sam.mask_decoder
        if prompts.boxes is None or self.as_decoded:
            logits = output.logits + drawn
        else:
            logits = _BELIEF * output.logits + drawn
            single, others = logits[:, :1], logits[:, 1:]
            lines, shares = decoder.lines(found, prompts.boxes, single, self.image_size)
            if prompts.points is not None and prompts.labels is not None:
                lines = lines + _draw_clicks(
                    prompts.points, prompts.labels, self.image_size, lines.shape[-2:]
                )
            shares = torch.softmax(_DECIDED * F.pad(shares, (1, 0)), dim=1)[..., None, None]
            mixed = (shares * torch.cat([single, lines], dim=1)).sum(dim=1, keepdim=True)
            logits = torch.cat([mixed, others], dim=1)
        judged = decoder.judge(torch.cat([upscaled, half, drawn], 1), logits, output.tokens)
        return replace(output, logits=logits, iou=output.iou + judged)


def _shown(half: Tensor, prompts: PromptBatch) -> Tensor:
    """What was drawn of the prompts, (N, 1, 4h, 4w); nothing for prompts of no kind."""
    return half.new_zeros(len(half), 1, *half.shape[-2:]) if prompts.masks is None else prompts.masks


def draw_prompts(prompts: PromptBatch, image_size: int, size: tuple[int, int]) -> Tensor | None:
    """The prompts as low-resolution logits (N, 1, *size), or None for prompts of no kind.

    Clicks add a bump, up on the object and down beside it, to the mask prompt or, without one, to the box,
    which is positive inside and negative outside, or to a negative ground.
    """
    drawn = prompts.masks
    if drawn is None and prompts.boxes is not None:
        drawn = _draw_boxes(prompts.boxes, image_size, size)
    if prompts.points is not None and prompts.labels is not None:
        clicks = _draw_clicks(prompts.points, prompts.labels, image_size, size)
        drawn = clicks - _BOX_LOGIT if drawn is None else drawn + clicks
    return None if drawn is None else drawn.clamp(-_LIMIT, _LIMIT)


def _centres(image_size: int, count: int, device: torch.device) -> Tensor:
    """Where `count` low-resolution pixels have their centres, in pixel edges of the input."""
    return (torch.arange(count, device=device) + 0.5) * (image_size / count)


def _draw_boxes(boxes: Tensor, image_size: int, size: tuple[int, int]) -> Tensor:
    """A bowl over each box: highest in the middle, 0 on the ellipse inscribed in it, and falling beyond."""
    squares = []
    for axis, count in enumerate(size):
        centres = _centres(image_size, count, boxes.device)
        middle = (boxes[:, axis] + boxes[:, axis + 2]) / 2
        half = (boxes[:, axis + 2] - boxes[:, axis]).clamp(min=1) / 2
        squares.append(((centres - middle[:, None]) / half[:, None]) ** 2)
    return (_BOX_LOGIT * (1 - squares[0][:, :, None] - squares[1][:, None, :])).unsqueeze(1)


def _draw_clicks(points: Tensor, labels: Tensor, image_size: int, size: tuple[int, int]) -> Tensor:
    rows = _centres(image_size, size[0], points.device) - points[..., 0, None] - 0.5
    columns = _centres(image_size, size[1], points.device) - points[..., 1, None] - 0.5
    distance = torch.sqrt(rows[..., :, None] ** 2 + columns[..., None, :] ** 2)
    sign = (labels == 1).to(points.dtype) - (labels == 0).to(points.dtype)
    bumps = _CLICK_LOGIT * torch.exp(-distance / _CLICK_REACH)
    return (sign[..., None, None] * bumps).sum(dim=1, keepdim=True)
