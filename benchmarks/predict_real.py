"""Objects that nobody prompted, on the held-out images of `adapt_real.py`: how many of them are found, and
how many of those found are objects.

INFOSAM_REAL_DATA=FOLDER python benchmarks/predict_real.py SET [--extent PIXELS] [--seed N] [--limit N]

Without --extent sam_pocket is first adapted to ten images as `adapt_real.py` does it, by the defaults of the
Adapt button; with it, the model is left as it is, and told how large objects are. An object counts as found
by a mask with an IoU above 0.5; all objects of an image count, not a sample of them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from infosam import Predictor, load_model
from infosam.api import adapt
from infosam.benchmark.data import draw, parts
from infosam.benchmark.recipe import DataSet, read_recipe
from infosam.data.labelled import LabelledImage
from infosam.data.rle import decode_window
from infosam.inference.everything import FoundObject, label_image
from infosam.models.base import PromptableModel

RECIPE = read_recipe(Path(__file__).with_name("adapt_real.toml"))
METHOD = next(method for method in RECIPE.methods if method.name == "adapter + InfoSAM")
SCORES = (0.3, 0.4, 0.5, 0.6)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sets = {data.name: data for data in RECIPE.data}
    parser.add_argument("set", choices=sets)
    parser.add_argument("--extent", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=8, help="test images")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = sets[options.set]
    model = load_model("sam_pocket") if options.extent else adapted(data, options.seed)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads on {model.device}", flush=True)
    images = draw(parts(data)[1][data.name], options.limit, 0)
    found = {image.key: predicted(model, image, options.extent) for image in images}
    print("score  found  true  F1     mean IoU of what is found")
    for least in SCORES:
        print(f"{least:5.1f}  {row(images, found, least)}")


def adapted(data: DataSet, seed: int) -> PromptableModel:
    train = draw(parts(data, RECIPE.max_objects)[0], RECIPE.train_images, seed)
    with tempfile.TemporaryDirectory() as folder:
        for _ in adapt(train, config=RECIPE.config(METHOD, data, seed), out=Path(folder, "adapter")):
            pass
        return load_model("sam_pocket", adapter=Path(folder, "adapter"))


def predicted(model: PromptableModel, image: LabelledImage, extent: float | None) -> list[FoundObject]:
    began = time.perf_counter()
    found = Predictor(model, "auto").set_image(image.image()).find_objects(extent, min(SCORES))
    seconds = time.perf_counter() - began
    print(f"  {image.name}: {len(image.objects())} objects, {seconds:.0f} s", flush=True)
    return found


def row(images: list[LabelledImage], found: dict[str, list[FoundObject]], least: float) -> str:
    """Which share of the objects is found, which share of the masks is an object, and how well they fit."""
    matches: list[float] = []
    n_masks = 0
    for image in images:
        kept = [item for item in found[image.key] if item.score >= least]
        n_masks += len(kept)
        labels = label_image(kept, image.image().shape[:2])
        matches += [
            overlap for item in image.objects() if (overlap := best(labels, *decode_window(item.rle))) > 0.5
        ]
    n_objects = sum(len(image.objects()) for image in images)
    shares = (
        len(matches) / n_objects,
        len(matches) / max(n_masks, 1),
        2 * len(matches) / (n_masks + n_objects),
    )
    fit = float(np.mean(matches)) if matches else float("nan")
    return "  ".join(f"{share:.3f}" for share in (*shares, fit))


def best(labels: NDArray[np.int32], window: tuple[slice, slice], inside: NDArray[np.bool_]) -> float:
    """The highest IoU of an object with any of the labels."""
    shared = np.bincount(labels[window][inside], minlength=2)
    shared[0] = 0
    number = int(shared.argmax())
    return (
        float(shared[number] / ((labels == number).sum() + inside.sum() - shared[number])) if number else 0.0
    )


if __name__ == "__main__":
    main()
