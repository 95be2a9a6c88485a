"""How long sam_pocket takes to embed an image and to answer a click, beside segment-anything's own predictor
with the same weights.

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

from infosam import Predictor, load_model
from infosam.data.scenes import make_scene

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    image = make_scene(SIDE, np.random.default_rng(0)).image
    model = load_model("sam_pocket", device="cpu")
    ours, official = Predictor(model), SamPredictor(model.network)
    point = np.array([CLICK[::-1]]), np.array([1])
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "embed an image": (lambda: ours.set_image(image), lambda: official.set_image(image)),
        "answer a click": (lambda: ours.predict([CLICK]), lambda: official.predict(*point)),
    }
    for name, (work, baseline) in pairs.items():
        taken, official_ms = median_ms(work, options.runs), median_ms(baseline, options.runs)
        print(
            f"{name}: {taken:6.1f} ms, official predictor {official_ms:6.1f} ms, "
            f"ratio {taken / official_ms:.2f} ({options.threads} threads, {SIDE} px)"
        )


if __name__ == "__main__":
    main()
