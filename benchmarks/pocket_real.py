"""sam_pocket on real images it was never trained on, beside classical methods under the same prompts.

INFOSAM_REAL_DATA=FOLDER python benchmarks/pocket_real.py [--limit N] [--sets ...] [--zoom auto off]
    [--adapter FOLDER] [--prompts box clicks] [--no-rivals] [--held-out]

FOLDER holds the sets of `adapt_real.toml`, which says what an object is; at most 10 per image, a fixed random
sample. Scores are means over objects: IoU, and boundary F1 at 3 px. Clicks are simulated: the first in the
middle of the object, each further one on the largest error. Masks are what the plugin shows: for one click
the best of the three multi-mask outputs as the model sees it, for more the single-mask one, which is told the
mask that they correct.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.color import rgb2gray
from skimage.filters import threshold_otsu
from skimage.segmentation import flood, random_walker
from skimage.transform import resize

from infosam import load_model
from infosam.benchmark.data import draw, parts, read
from infosam.benchmark.recipe import DataSet, read_recipe
from infosam.data.intensity import to_rgb8
from infosam.data.labelled import LabelledImage
from infosam.data.prompts import corrected, interior_pixel, tight_box
from infosam.inference.evaluate import SeenImage, Settings
from infosam.inference.zoom import to_image
from infosam.metrics import boundary_f1, iou
from infosam.models.base import PromptableModel
from infosam.types import ZOOMS, BoolArray, Prompt, Zoom

RECIPE = read_recipe(Path(__file__).with_name("adapt_real.toml"))
OBJECTS = 10  # per image, at most
TOLERANCE = 3  # pixels
WALK_SIDE = 192  # random walker is quadratic in spirit: larger images are reduced to this
RGB = NDArray[np.uint8]
Score = dict[str, float]
Found = tuple[str, float, Score]
"""The prompt, the IoU that the model predicts for its answer, and the true scores."""


# ------------------------------------------------------------------------------------------- classical rivals


def ellipse(rgb: RGB, mask: BoolArray) -> BoolArray:
    """The ellipse inscribed in the box."""
    r0, c0, r1, c1 = tight_box(mask)
    rows, columns = np.ogrid[: rgb.shape[0], : rgb.shape[1]]
    middle, radii = ((r0 + r1 - 1) / 2, (c0 + c1 - 1) / 2), ((r1 - r0) / 2, (c1 - c0) / 2)
    inside: BoolArray = ((rows - middle[0]) / radii[0]) ** 2 + ((columns - middle[1]) / radii[1]) ** 2 <= 1
    return inside


def otsu(rgb: RGB, mask: BoolArray) -> BoolArray:
    """Otsu's threshold inside the box; the side that holds less of the box's border is the object."""
    r0, c0, r1, c1 = tight_box(mask)
    patch = rgb2gray(rgb[r0:r1, c0:c1])
    result = np.zeros(mask.shape, bool)
    if patch.min() == patch.max():
        result[r0:r1, c0:c1] = True
        return result
    bright = patch > threshold_otsu(patch)
    border = np.concatenate([bright[0], bright[-1], bright[:, 0], bright[:, -1]])
    result[r0:r1, c0:c1] = ~bright if border.mean() > 0.5 else bright
    return result


def grabcut(rgb: RGB, mask: BoolArray) -> BoolArray:
    """OpenCV's GrabCut from the box, 5 iterations, on the box and as much again around it."""
    r0, c0, r1, c1 = tight_box(mask)
    margin = max(8, (r1 - r0) // 2, (c1 - c0) // 2)
    top, left = max(0, r0 - margin), max(0, c0 - margin)
    patch = np.ascontiguousarray(rgb[top : r1 + margin, left : c1 + margin])
    marks = np.full(patch.shape[:2], cv2.GC_BGD, np.uint8)
    marks[r0 - top : r1 - top, c0 - left : c1 - left] = cv2.GC_PR_FGD
    result = np.zeros(mask.shape, bool)
    if (marks == cv2.GC_BGD).sum() < 10:  # nothing to learn the background from
        result[r0:r1, c0:c1] = True
        return result
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(patch, marks, None, *models, 5, cv2.GC_INIT_WITH_MASK)
    window = result[top : top + patch.shape[0], left : left + patch.shape[1]]
    window[:] = (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)
    return result


def flood_fill(rgb: RGB, mask: BoolArray) -> BoolArray:
    """All that is connected to the click and within a tenth of the grey range of it."""
    grey = rgb2gray(rgb)
    filled: BoolArray = flood(grey, interior_pixel(mask), tolerance=0.1 * float(np.ptp(grey)))
    return filled


def walker(rgb: RGB, mask: BoolArray) -> BoolArray:
    """Random walker with the click against the border of the image."""
    scale = min(1.0, WALK_SIDE / max(mask.shape))
    size = [max(8, round(scale * side)) for side in mask.shape]
    grey = resize(rgb2gray(rgb), size, anti_aliasing=True)
    seeds = np.zeros(size, int)
    seeds[[0, -1]] = seeds[:, [0, -1]] = 2
    row, column = interior_pixel(mask)
    seeds[
        min(size[0] - 1, int(row * size[0] / mask.shape[0])),
        min(size[1] - 1, int(column * size[1] / mask.shape[1])),
    ] = 1
    if grey.min() == grey.max():
        return np.zeros(mask.shape, bool)
    found = random_walker(grey, seeds, beta=500, mode="cg_j") == 1
    enlarged: BoolArray = resize(found.astype(float), mask.shape, order=1) > 0.5
    return enlarged


RIVALS: dict[str, dict[str, Callable[[RGB, BoolArray], BoolArray]]] = {
    "box": {"ellipse": ellipse, "Otsu": otsu, "GrabCut": grabcut},
    "1 click": {"flood fill": flood_fill, "random walker": walker},
}
CLICKS = 5  # the first, and corrections


# -------------------------------------------------------------------------------------------------- measuring


def score(found: BoolArray, target: BoolArray) -> Score:
    return {"iou": float(iou(found, target)), "f1": float(boundary_f1(found, target, TOLERANCE))}


def of_rivals(image: LabelledImage) -> Iterator[tuple[str, str, Score]]:
    rgb = to_rgb8(image.image(), image.intensity)
    for item in image.objects():
        for prompt, methods in RIVALS.items():
            for name, method in methods.items():
                yield prompt, name, score(method(rgb, item.mask), item.mask)


def of_boxes(image: LabelledImage, seen: SeenImage) -> Iterator[Found]:
    masks = [item.mask for item in image.objects()]
    boxes = [Prompt(box=tight_box(mask)) for mask in masks]
    for (predicted, found), mask in zip(answers(seen, boxes), masks, strict=True):
        yield "box", predicted, score(found, mask)


def of_clicks(image: LabelledImage, seen: SeenImage) -> Iterator[Found]:
    """After each click: the first in the middle of the object, the others in that of the largest error."""
    masks = [item.mask for item in image.objects()]
    prompts = [Prompt(points=(interior_pixel(mask),), labels=(1,)) for mask in masks]
    for clicks in range(1, CLICKS + 1):
        shown = answers(seen, prompts)
        for (predicted, found), mask in zip(shown, masks, strict=True):
            yield f"{clicks} click{'s' * (clicks > 1)}", predicted, score(found, mask)
        prompts = [
            corrected(prompt, mask, found)
            for prompt, mask, (_, found) in zip(prompts, masks, shown, strict=True)
        ]


def answers(seen: SeenImage, prompts: Sequence[Prompt]) -> list[tuple[float, BoolArray]]:
    """The predicted IoU and the mask that the plugin shows for each prompt."""
    return [
        (float(shown.iou), (to_image(seen.model, shown, seen.shape)[0] > 0).cpu().numpy())
        for shown in seen.answers(prompts, multimask=True)
    ]


PROMPTS = {"box": of_boxes, "clicks": of_clicks}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--limit", type=int, help="images per set, chosen by seed 0")
    sets = {data.name: data for data in RECIPE.data}
    parser.add_argument("--sets", nargs="+", choices=sets, default=list(sets))
    parser.add_argument("--zoom", nargs="+", choices=ZOOMS, default=["auto"])
    parser.add_argument("--prompts", nargs="+", choices=PROMPTS, default=list(PROMPTS))
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--no-rivals", action="store_true")
    parser.add_argument("--held-out", action="store_true", help="the objects of the table of adapt_real.py")
    options = parser.parse_args()
    model = load_model("sam_pocket", adapter=options.adapter)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads on {model.device}")
    for name in options.sets:
        images = held_out(sets[name]) if options.held_out else read(sets[name], OBJECTS, options.limit)
        print(f"\n{name}: {sum(len(image.objects()) for image in images)} objects in {len(images)} images")
        report(images, model, options.zoom, options.prompts, rivals=not options.no_rivals)


def held_out(data: DataSet) -> list[LabelledImage]:
    return draw(parts(data, RECIPE.max_objects)[1][data.name], RECIPE.evaluation.limit, 0)


def report(
    images: Sequence[LabelledImage],
    model: PromptableModel,
    zooms: Sequence[Zoom],
    prompts: Sequence[str],
    *,
    rivals: bool,
) -> None:
    """Measure one set and print a line per prompt and method."""
    scores: dict[tuple[str, str], list[Score]] = defaultdict(list)
    pairs: dict[Zoom, list[tuple[float, float]]] = defaultdict(list)
    began = time.perf_counter()
    for image in images:
        if rivals:
            for prompt, name, found in of_rivals(image):
                scores[prompt, name].append(found)
        for zoom in zooms:
            seen = SeenImage(image, model, Settings(zoom=zoom))
            for kind in prompts:
                for prompt, predicted, found in PROMPTS[kind](image, seen):
                    scores[prompt, f"pocket, zoom {zoom}"].append(found)
                    if prompt == "1 click":
                        pairs[zoom].append((predicted, found["iou"]))
    for (prompt, name), items in sorted(scores.items()):
        means = {key: float(np.mean([item[key] for item in items])) for key in ("iou", "f1")}
        print(f"  {prompt:8s} {name:18s} IoU {means['iou']:.3f}   F1 {means['f1']:.3f}")
    for zoom, found_pairs in pairs.items():
        guesses, true = np.asarray(found_pairs).T
        correlation = float(np.corrcoef(guesses, true)[0, 1]) if len(true) > 1 else float("nan")
        error = float(np.abs(guesses - true).mean())
        print(
            f"  predicted IoU of one click, zoom {zoom}: mean {guesses.mean():.3f} where true is "
            f"{true.mean():.3f}, mean error {error:.3f}, correlation {correlation:.2f}"
        )
    print(f"  {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
