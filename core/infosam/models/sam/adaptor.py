"""SAM (Kirillov et al. 2023) behind the PromptableModel interface, on segment-anything's own modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from segment_anything.modeling import Sam
from torch import Tensor, nn

from infosam.models.base import PromptableModel
from infosam.models.sam.early import through_blocks
from infosam.types import DecoderOutput, ImageEmbedding, PromptBatch


class SamModel(PromptableModel):
    """A `segment_anything` Sam; also the pocket model, which is the same architecture with smaller numbers.

    The longest side of an image is resized to S and the rest padded at the bottom or the right, after
    normalisation. One prompt gives the same bits as `segment_anything.SamPredictor` on CPU.
    """

    def __init__(self, name: str, sam: Sam, family: Literal["sam", "pocket"] = "sam") -> None:
        super().__init__()
        self.name = name
        self.family = family
        self.sam = sam
        self.image_size = sam.image_encoder.img_size
        self.embed_dim = sam.prompt_encoder.embed_dim

    @property
    def network(self) -> nn.Module:
        module: nn.Module = self.sam
        return module

    @property
    def embedding_size(self) -> tuple[int, int]:
        height, width = self.sam.prompt_encoder.image_embedding_size
        return int(height), int(width)

    def preprocess(self, image: NDArray[np.uint8]) -> Tensor:
        height, width = self.valid_size(*image.shape[:2])
        resized = np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
        channels_first = np.ascontiguousarray(resized.transpose(2, 0, 1))
        pixels: Tensor = self.sam.preprocess(torch.as_tensor(channels_first, device=self.device))
        return pixels

    def valid_size(self, height: int, width: int) -> tuple[int, int]:
        scale = self.image_size / max(height, width)
        # Halves are rounded up, as SAM's authors do it; a line of pixels may round to nothing.
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))

    def to_input(self, coordinates: NDArray[np.float64], height: int, width: int) -> Tensor:
        new_height, new_width = self.valid_size(height, width)
        scale = np.array([new_height / height, new_width / width])
        return torch.as_tensor(np.asarray(coordinates, dtype=np.float64) * scale, dtype=torch.float32)

    def to_image(self, logits: Tensor, height: int, width: int) -> Tensor:
        size = (self.image_size, self.image_size)
        new_height, new_width = self.valid_size(height, width)
        upscaled = F.interpolate(logits, size, mode="bilinear", align_corners=False)
        upscaled = upscaled[..., :new_height, :new_width]
        return F.interpolate(upscaled, (height, width), mode="bilinear", align_corners=False)

    def encode(self, images: Tensor) -> ImageEmbedding:
        reads_block = None if self.refiner is None else self.refiner.reads_block
        tokens, finer = self._stem(images)
        features, early = through_blocks(self.sam.image_encoder, tokens, reads_block)
        if self.refiner is not None and early is not None:
            finer = (*finer, self.refiner.image_map(features, early))
        return ImageEmbedding(features, finer)

    def _stem(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The tokens (B, h, w, C) that enter the first block, and the encoder's finer maps, which SAM has
        not."""
        encoder = self.sam.image_encoder
        return encoder.patch_embed(images) + encoder.pos_embed, ()

    def decode(self, embedding: ImageEmbedding, prompts: PromptBatch) -> DecoderOutput:
        encoder = self.sam.prompt_encoder
        points = None
        if prompts.points is not None and prompts.labels is not None:
            points = (prompts.points.flip(-1), prompts.labels)  # SAM speaks (x, y)
        boxes = None if prompts.boxes is None else prompts.boxes[:, [1, 0, 3, 2]]
        # Given points and no box, the prompt encoder adds a not-a-point token by itself.
        sparse, dense = encoder(points=points, boxes=boxes, masks=prompts.masks)
        own = embedding.select(prompts.image_index)
        if self.refiner is not None:
            sparse = torch.cat([self.refiner.token.expand(len(prompts), 1, -1), sparse], dim=1)
        output, hidden, upscaled = _decode(
            self.sam.mask_decoder,
            own.features,
            encoder.get_dense_pe(),
            sparse,
            dense,
            lambda source: self._upscale(source, own, prompts),
        )
        if self.refiner is not None:
            output = self.refiner(output, hidden[:, 0], upscaled, own.high_res)
        return self._finish(output, upscaled, own, prompts)

    def _upscale(self, source: Tensor, own: ImageEmbedding, prompts: PromptBatch) -> Tensor:
        """What the decoder made of the image (N, D, h, w), as (N, D / 8, 4h, 4w) features of the masks.

        own: the N embeddings of the prompts' images.
        """
        upscaled: Tensor = self.sam.mask_decoder.output_upscaling(source)
        return upscaled

    def _finish(
        self, output: DecoderOutput, upscaled: Tensor, own: ImageEmbedding, prompts: PromptBatch
    ) -> DecoderOutput:
        """What a model makes of SAM's answer, which it was decoded from `upscaled` (N, D / 8, 4h, 4w)."""
        return output

    def blocks(self) -> Sequence[nn.Module]:
        return list(self.sam.image_encoder.blocks)

    def block_dims(self) -> Sequence[int]:
        encoder = self.sam.image_encoder
        return [encoder.neck[0].in_channels] * len(encoder.blocks)

    def mask_decoder(self) -> nn.Module:
        module: nn.Module = self.sam.mask_decoder
        return module


def _decode(
    decoder: Any,
    image: Tensor,
    position: Tensor,
    sparse: Tensor,
    dense: Tensor,
    upscale: Callable[[Tensor], Tensor],
) -> tuple[DecoderOutput, Tensor, Tensor]:
    """The official mask decoder's steps for N prompts with an embedding each, keeping the mask tokens.

    The official `predict_masks` repeats a single image's embedding and throws the tokens away; InfoSAM needs
    several images per batch, and the tokens. Beside the output: the `sparse` tokens (N, T, D) after the
    transformer, and the upscaled map.
    """
    count = sparse.shape[0]
    queries = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([queries.unsqueeze(0).expand(count, -1, -1), sparse], dim=1)
    position = position.expand(count, -1, -1, -1)
    hidden, source = decoder.transformer(image + dense, position, tokens)
    mask_tokens = hidden[:, 1 : 1 + decoder.num_mask_tokens]
    source = source.transpose(1, 2).reshape(image.shape)
    upscaled = upscale(source)
    kernels = torch.stack(
        [mlp(mask_tokens[:, i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)], dim=1
    )
    batch, channels, height, width = upscaled.shape
    logits = (kernels @ upscaled.view(batch, channels, height * width)).view(batch, -1, height, width)
    output = DecoderOutput(logits, decoder.iou_prediction_head(hidden[:, 0]), mask_tokens)
    return output, hidden[:, 1 + decoder.num_mask_tokens :], upscaled
