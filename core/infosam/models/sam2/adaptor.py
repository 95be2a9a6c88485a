"""SAM 2.1 (Ravi et al. 2024) for single images behind the PromptableModel interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn
from torchvision.transforms.functional import normalize, resize, to_tensor

from infosam.models.base import PromptableModel
from infosam.types import DecoderOutput, ImageEmbedding, PromptBatch

_MEAN = [0.485, 0.456, 0.406]
_STD = [0.229, 0.224, 0.225]
_BOX_LABELS = (2, 3)  # how SAM 2's prompt encoder marks the two corners of a box


class Sam2Model(PromptableModel):
    """A `sam2` SAM2Base as an image model.

    Images are squashed to S x S. One prompt gives the same bits as `sam2.SAM2ImagePredictor` on CPU, with the
    fallback by mask stability (`dynamic_multimask_via_stability`) off.

    `encode` runs the decoder's `conv_s0` and `conv_s1` on the high-resolution maps, once per image instead of
    once per click, as the authors do. They belong to `mask_decoder()`: when they are trained, embeddings of
    the pre-trained model are no longer those of the student.
    """

    logit_limit = 32.0  # as in SAM2ImagePredictor

    def __init__(self, name: str, sam2: SAM2Base) -> None:
        super().__init__()
        self.name = name
        self.family = "sam2"
        self.sam2 = sam2
        self.image_size = sam2.image_size
        self.embed_dim = sam2.hidden_dim

    @property
    def network(self) -> nn.Module:
        module: nn.Module = self.sam2
        return module

    @property
    def embedding_size(self) -> tuple[int, int]:
        side = int(self.sam2.sam_image_embedding_size)
        return side, side

    def preprocess(self, image: NDArray[np.uint8]) -> Tensor:
        # On the CPU on every device, as the authors do it; SAM2Transforms itself would call torch.jit.script,
        # which warns.
        writable = np.require(image, requirements=("C", "W"))  # else to_tensor warns
        squashed = resize(to_tensor(writable), [self.image_size, self.image_size])
        pixels: Tensor = normalize(squashed, _MEAN, _STD)
        return pixels.to(self.device)

    def valid_size(self, height: int, width: int) -> tuple[int, int]:
        return self.image_size, self.image_size

    def to_input(self, coordinates: NDArray[np.float64], height: int, width: int) -> Tensor:
        relative = torch.as_tensor(coordinates, dtype=torch.float32) / torch.tensor([height, width])
        return relative * self.image_size

    def to_image(self, logits: Tensor, height: int, width: int) -> Tensor:
        return F.interpolate(logits.float(), (height, width), mode="bilinear", align_corners=False)

    def encode(self, images: Tensor) -> ImageEmbedding:
        *high_res, features = self.sam2.forward_image(images)["backbone_fpn"]
        return ImageEmbedding(features + self.sam2.no_mem_embed.view(1, -1, 1, 1), tuple(high_res))

    def decode(self, embedding: ImageEmbedding, prompts: PromptBatch) -> DecoderOutput:
        encoder, decoder = self.sam2.sam_prompt_encoder, self.sam2.sam_mask_decoder
        sparse, dense = encoder(points=_sparse_prompts(prompts), boxes=None, masks=prompts.masks)
        own = embedding.select(prompts.image_index)
        if self.refiner is None:
            return _decode(decoder, own, encoder.get_dense_pe(), sparse, dense)[0]
        sparse = torch.cat([self.refiner.token.expand(len(prompts), 1, -1), sparse], dim=1)
        output, hidden, upscaled = _decode(decoder, own, encoder.get_dense_pe(), sparse, dense)
        return self.refiner(output, hidden[:, 0], upscaled, own.high_res)

    def blocks(self) -> Sequence[nn.Module]:
        return list(self.sam2.image_encoder.trunk.blocks)

    def block_dims(self) -> Sequence[int]:
        return [block.dim_out for block in self.sam2.image_encoder.trunk.blocks]

    def mask_decoder(self) -> nn.Module:
        module: nn.Module = self.sam2.sam_mask_decoder
        return module


def _decode(
    decoder: Any, image: ImageEmbedding, position: Tensor, sparse: Tensor, dense: Tensor
) -> tuple[DecoderOutput, Tensor, Tensor]:
    """The official mask decoder's steps for N prompts with an embedding each, without the object score.

    Beside the output, which is all that the official `predict_masks` gives: the `sparse` tokens (N, T, D)
    after the transformer, and the upscaled map.
    """
    special = [decoder.iou_token.weight, decoder.mask_tokens.weight]
    if decoder.pred_obj_scores:
        special.insert(0, decoder.obj_score_token.weight)
    queries = torch.cat(special)
    tokens = torch.cat([queries.expand(len(sparse), -1, -1), sparse], dim=1)
    position = position.expand(len(sparse), -1, -1, -1)
    hidden, source = decoder.transformer(image.features + dense, position, tokens)
    first = len(queries) - decoder.num_mask_tokens
    mask_tokens = hidden[:, first : len(queries)]
    source = source.transpose(1, 2).view(image.features.shape)
    up1, norm, act1, up2, act2 = decoder.output_upscaling
    fine, coarse = image.high_res
    upscaled = act2(up2(act1(norm(up1(source) + coarse))) + fine)
    kernels = torch.stack(
        [mlp(mask_tokens[:, i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)], dim=1
    )
    logits = (kernels @ upscaled.flatten(2)).unflatten(2, upscaled.shape[2:])
    output = DecoderOutput(logits, decoder.iou_prediction_head(hidden[:, first - 1]), mask_tokens)
    return output, hidden[:, len(queries) :], upscaled


def _sparse_prompts(prompts: PromptBatch) -> tuple[Tensor, Tensor] | None:
    """Corners of the boxes, then the points, as (x, y) with labels: SAM 2 takes a box as two marked points.

    The prompt encoder adds one not-a-point token behind them by itself.
    """
    coordinates, labels = [], []
    if prompts.boxes is not None:
        coordinates.append(prompts.boxes.reshape(-1, 2, 2).flip(-1))
        corner = torch.tensor(_BOX_LABELS, device=prompts.boxes.device, dtype=torch.int32)
        labels.append(corner.expand(len(prompts), 2))
    if prompts.points is not None and prompts.labels is not None:
        coordinates.append(prompts.points.flip(-1))
        labels.append(prompts.labels.to(torch.int32))
    if not coordinates:
        return None
    return torch.cat(coordinates, dim=1), torch.cat(labels, dim=1)
