"""How long sam_pocket takes to embed an image and to answer a click, beside segment-anything's own predictor
and modules of the same sizes: what the stem, the finer maps and the drawn prompts cost.

python benchmarks/pocket_speed.py [--runs 15] [--threads 2]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from segment_anything import SamPredictor
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, Sam, TwoWayTransformer

from infosam import Predictor, load_model
from infosam.data.scenes import make_scene
from infosam.models.base import PromptableModel
from infosam.models.pocket.build import PocketConfig
from infosam.models.pocket.stem import STRIDE

SIDE = 512
CLICK = (SIDE // 2, SIDE // 2)


def median_ms(work: Callable[[], object], runs: int) -> float:
    """The median wall time of `work`, after two runs to warm up."""
    times = []
    for _ in range(runs + 2):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[2:])


def plain_sam(pocket: PromptableModel) -> Sam:
    """segment-anything's own encoder and decoder of the pocket model's sizes, with random weights."""
    config = PocketConfig()
    encoder = ImageEncoderViT(
        img_size=config.image_size,
        patch_size=STRIDE,
        embed_dim=config.width,
        depth=config.depth,
        num_heads=config.heads,
        out_chans=config.out_chans,
        use_rel_pos=True,
        global_attn_indexes=config.global_blocks,
        window_size=config.window,
    )
    transformer = TwoWayTransformer(
        depth=2, embedding_dim=config.out_chans, mlp_dim=config.decoder_mlp, num_heads=8
    )
    decoder = MaskDecoder(transformer_dim=config.out_chans, transformer=transformer)
    return Sam(encoder, pocket.network.prompt_encoder, decoder).eval().requires_grad_(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    image = make_scene(SIDE, 0).image
    model = load_model("sam_pocket", device="cpu")
    ours, official = Predictor(model), SamPredictor(plain_sam(model))
    point = np.array([CLICK[::-1]]), np.array([1])
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "embed an image": (lambda: ours.set_image(image), lambda: official.set_image(image)),
        "answer a click": (lambda: ours.predict([CLICK]), lambda: official.predict(*point)),
    }
    for name, (work, baseline) in pairs.items():
        taken, official_ms = median_ms(work, options.runs), median_ms(baseline, options.runs)
        print(
            f"{name}: {taken:6.1f} ms, plain SAM {official_ms:6.1f} ms, "
            f"ratio {taken / official_ms:.2f} ({options.threads} threads, {SIDE} px)"
        )


if __name__ == "__main__":
    main()
