"""Masks of methods side by side: what a run keeps of them, and the figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from infosam.benchmark.data import parts
from infosam.benchmark.figures import draw, write
from infosam.benchmark.plan import Run, expand
from infosam.benchmark.recipe import DataSet, Evaluation, Method, Recipe, read_recipe
from infosam.benchmark.shown import shown_masks
from infosam.benchmark.store import Result, ResultStore, ShownMask
from infosam.cli.app import app
from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.data.rle import decode_mask, encode_mask
from infosam.inference.evaluate import Settings, evaluate
from infosam.models.base import PromptableModel
from infosam.types import BadInputError

METHODS = (Method("zero-shot", "none"), Method("LoRA", "lora"))


@pytest.fixture
def recipe(labelled_folder: Callable[..., Path]) -> Recipe:
    data = DataSet("squares", str(labelled_folder(6)), test_share=0.5)
    return Recipe(
        "masks", (data,), METHODS, seeds=(0, 1), evaluation=Evaluation(prompts=("box",)), figure="masks"
    )


def kept(recipe: Recipe, shift: int) -> list[ShownMask]:
    """The first object of every test image, and its mask so many pixels off."""
    _, tests = parts(recipe.data[0])
    shown = []
    for image in tests["squares"]:
        truth = image.objects()[0].mask
        shown.append(ShownMask(image.name, encode_mask(truth), encode_mask(np.roll(truth, shift, axis=0))))
    return shown


def results(recipe: Recipe) -> list[tuple[Run, Result]]:
    """LoRA's masks of seed 0 are right, all others are a pixel off."""
    found = []
    for run in expand(recipe, lambda model: model):
        shift = 0 if (run.method.name, run.seed) == ("LoRA", 0) else 1
        masks = {"squares": {"box": kept(recipe, shift)}}
        found.append((run, Result({"squares": {"box": {"iou": 0.5}}}, {}, 1.0, 2.0, masks)))
    return found


def test_a_run_keeps_masks_of_the_largest_object_of_the_first_images(
    tiny_model: PromptableModel,
) -> None:
    rng = np.random.default_rng(0)
    images = []
    for number in range(6):
        small, large = np.zeros((2, 60, 60), bool)
        small[5:15, 5:15] = large[20:50, 20:45] = True
        pixels = np.where(small | large, 200, 40).astype(np.uint8) + rng.integers(0, 9, (60, 60), np.uint8)
        objects = [] if number == 1 else [LabelledObject(small), LabelledObject(large)]
        images.append(LabelledImage.from_array(pixels, objects, name=f"image {number}"))
    shown = shown_masks(tiny_model, images, Settings("box"))
    assert [item.image for item in shown] == ["image 0", "image 2", "image 3", "image 4"]
    assert all(item.truth == images[0].objects()[1].rle for item in shown)
    found, truth = decode_mask(shown[0].mask), decode_mask(shown[0].truth)
    alone = LabelledImage.from_array(images[0].image(), [images[0].objects()[1]])
    assert (found & truth).sum() / (found | truth).sum() == pytest.approx(
        evaluate([alone], tiny_model, Settings("box"))["iou"]
    )


def test_masks_are_read_as_they_were_put(recipe: Recipe, tmp_path: Path) -> None:
    made = results(recipe)
    with ResultStore(tmp_path / "results.sqlite") as store:
        for run, result in made:
            store.put(run, result)
    with ResultStore(tmp_path / "results.sqlite") as store:
        assert [store.get(run) for run, _ in made] == [result for _, result in made]


def test_objects_are_rows_and_methods_columns_with_the_iou_below(recipe: Recipe) -> None:
    drawn = draw(recipe, results(recipe), asked=3)
    assert list(drawn) == ["sam_pocket-squares-box-masks"]
    (figure,) = drawn.values()
    objects, columns = 3, 3
    assert len(figure.axes) == objects * columns
    assert [axes.get_title() for axes in figure.axes[:columns]] == ["label", "zero-shot", "LoRA"]
    below = [axes.get_xlabel() for axes in figure.axes]
    assert below[0::columns] == [""] * objects
    assert below[2::columns] == ["1.000"] * objects, "of several seeds, the first"
    truth = decode_mask(kept(recipe, 0)[0].truth)
    side = round(float(truth.sum()) ** 0.5)  # a square, a pixel off
    assert below[1] == f"{(side - 1) / (side + 1):.3f}"


def test_nothing_is_cut_off_and_the_same_masks_give_the_same_bytes(
    recipe: Recipe, tmp_path: Path, check_nothing_is_cut_off: Callable[[Any], None]
) -> None:
    (figure,) = draw(recipe, results(recipe), asked=3).values()
    check_nothing_is_cut_off(figure)
    (first,) = write(recipe, results(recipe), 3, tmp_path / "first")
    (second,) = write(recipe, results(recipe), 3, tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()


def test_methods_without_masks_have_no_column(recipe: Recipe) -> None:
    made = results(recipe)
    without = [(run, replace(result, masks={})) for run, result in made if run.method.name == "LoRA"]
    assert draw(recipe, without, asked=3) == {}
    (figure,) = draw(recipe, [made[0], *without], asked=3).values()
    assert [axes.get_title() for axes in figure.axes[:2]] == ["label", "zero-shot"]


def test_missing_runs_are_said(recipe: Recipe, check_nothing_is_cut_off: Callable[[Any], None]) -> None:
    made = results(recipe)
    for count, said in ((1, True), (3, False)):
        (figure,) = draw(recipe, made[:count], asked=3).values()
        assert ("1 of 3 runs; the others are missing" in figure.get_supxlabel()) is said
        check_nothing_is_cut_off(figure)


def test_masks_that_are_empty_or_fill_their_image_are_drawn(tmp_path: Path) -> None:
    everything = np.ones((20, 30), bool)
    for part, pixels in (("images", 90 * everything), ("masks", everything)):
        (tmp_path / "data" / part).mkdir(parents=True)
        for name in ("one", "other"):
            picture = Image.fromarray(pixels.astype(np.uint8) + (name == "one") * (part == "images"))
            picture.save(tmp_path / "data" / part / f"{name}.png")
    data = DataSet("full", str(tmp_path / "data"), test_share=0.5)
    recipe = Recipe("full", (data,), METHODS, seeds=(0,), figure="masks")
    (image,) = parts(data)[1]["full"]
    shown = ShownMask(image.name, encode_mask(everything), encode_mask(~everything))
    made = Result({}, {}, 1.0, 2.0, {"full": {"box": [shown]}})
    (figure,) = draw(recipe, [(run, made) for run in expand(recipe, str)], asked=2).values()
    figure.draw_without_rendering()
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "0.000", "0.000"]


def test_other_data_than_were_measured_are_refused(recipe: Recipe) -> None:
    made = results(recipe)
    run, result = made[0]
    renamed = [replace(shown, image="gone") for shown in result.masks["squares"]["box"]]
    with pytest.raises(BadInputError, match=r"no image gone of .* pixels any more"):
        draw(recipe, [(run, replace(result, masks={"squares": {"box": renamed}}))], asked=3)
    other = made[1][0], replace(result, masks={"squares": {"box": renamed}})
    with pytest.raises(BadInputError, match="LoRA was measured on other data"):
        draw(recipe, [made[0], other], asked=3)


RECIPE = """
name = "squares"
seeds = [0]
figure = "masks"
max_objects = 2
training = {{ steps = 2, threads = 1, device = "cpu" }}
evaluation = {{ prompts = ["box", "point"] }}
[[data]]
name = "squares"
path = "{path}"
test_share = 0.5
[[methods]]
name = "zero-shot"
peft = "none"
[[methods]]
name = "decoder"
peft = "decoder"
"""


def test_one_command_runs_and_draws(tmp_path: Path, labelled_folder: Callable[..., Path]) -> None:
    path = tmp_path / "squares.toml"
    path.write_text(RECIPE.format(path=labelled_folder(4).as_posix()), encoding="utf-8")
    done = CliRunner().invoke(app, ["benchmark", str(path), "--figures", str(tmp_path / "figures")])
    assert done.exit_code == 0, done.output
    figures = sorted((tmp_path / "figures").iterdir())
    assert [figure.name for figure in figures] == [
        "sam_pocket-squares-box-masks.png",
        "sam_pocket-squares-point-masks.png",
    ]
    with Image.open(figures[0]) as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 10
    assert read_recipe(path).figure == "masks"
