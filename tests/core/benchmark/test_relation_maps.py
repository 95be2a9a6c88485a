"""Relation maps over training: what they are, that looking changes nothing, and how they are drawn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from infosam.benchmark.canvas import save
from infosam.benchmark.relation_figure import draw_relations
from infosam.benchmark.relation_maps import RelationWatch
from infosam.cli.app import app
from infosam.data.labelled import LabelledImage
from infosam.models import registry
from infosam.models.base import PromptableModel
from infosam.training.adaptation import RELATION_NAME, Adaptation
from infosam.types import AdaptConfig, BadInputError, Report, Step
from tests.core import small_models

Make = Callable[..., list[LabelledImage]]
FAMILIES = {
    "pocket": small_models.small_pocket,
    "sam": small_models.small_sam,
    "sam2": small_models.small_sam2,
}


def adaptation(
    model: PromptableModel, images: list[LabelledImage], folder: Path, **settings: Any
) -> Adaptation:
    chosen = {"steps": 5, "batch_size": 4, "lr": 1e-2, "val_fraction": 0.0} | settings
    return Adaptation(model, images, AdaptConfig(**chosen), folder)


def losses(reports: Iterator[Report]) -> list[dict[str, float]]:
    return [dict(report.losses) for report in reports if isinstance(report, Step)]


@pytest.mark.usefixtures("single_thread")
@pytest.mark.parametrize("family", FAMILIES)
def test_maps_of_every_family_have_unit_norm(family: str, labelled_images: Make, tmp_path: Path) -> None:
    model = FAMILIES[family]()
    watch = RelationWatch(adaptation(model, labelled_images(2), tmp_path), 3)
    list(watch.run(every=2))
    maps = watch.maps()
    assert maps.steps == (0, 2, 4, 5)
    for values in (maps.teacher, maps.student):
        assert values.shape == (4, 3, *model.embedding_size)
        np.testing.assert_allclose(np.linalg.norm(values, axis=(2, 3)), 1, rtol=1e-5)
    # A student begins as its teacher, and learns.
    np.testing.assert_allclose(maps.student[0], maps.teacher[0], atol=1e-5)
    assert np.abs(maps.student[-1] - maps.teacher[-1]).max() > 1e-3


def test_the_teachers_maps_change_through_the_relation_alone(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    images = labelled_images(2)
    watch = RelationWatch(adaptation(tiny_model, images, tmp_path / "first"), 2)
    list(watch.run())
    learnt = watch.maps()
    assert np.abs(learnt.teacher[-1] - learnt.teacher[0]).max() > 1e-4

    given = str(tmp_path / "first" / RELATION_NAME)
    watch = RelationWatch(adaptation(tiny_model, images, tmp_path / "second", relation_weights=given), 2)
    list(watch.run())
    frozen = watch.maps()
    assert all(np.array_equal(values, frozen.teacher[0]) for values in frozen.teacher)
    np.testing.assert_allclose(frozen.teacher[0], learnt.teacher[-1], atol=1e-6)
    assert np.abs(frozen.student[-1] - frozen.student[0]).max() > 1e-4


@pytest.mark.parametrize("method", ["adapter", "convlora"])  # the latter draws noise as it trains
def test_a_run_that_is_watched_trains_as_one_that_is_not(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path, method: str
) -> None:
    images = labelled_images(3)
    plain = adaptation(tiny_model, images, tmp_path / "plain", peft=method)
    alone = losses(plain.run(resume=False, cancelled=lambda: False))
    seen = adaptation(tiny_model, images, tmp_path / "seen", peft=method)
    watched = losses(RelationWatch(seen, 3).run(every=1))
    assert len(alone) == 5
    assert watched == alone
    first, second = (run.student.state_dict() for run in (plain, seen))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_largest_objects_of_all_images_are_watched_and_lie_where_they_are(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    images = labelled_images(2)
    watch = RelationWatch(adaptation(tiny_model, images, tmp_path), 99)
    list(watch.run())
    subjects = watch.maps().subjects
    assert [subject.name for subject in subjects] == ["image 0", "image 1"] * 2
    assert subjects[0].mask.sum() >= subjects[2].mask.sum()
    assert subjects[0].image.shape == (*subjects[0].mask.shape, 3) == (48, 64, 3)
    assert subjects[0].box in {item.box for item in images[0].objects()}
    assert subjects[0].shown == (0.75, 1)  # the rest of the square input is padding


def test_a_run_that_is_cancelled_keeps_its_last_maps(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    stop = False
    watch = RelationWatch(adaptation(tiny_model, labelled_images(2), tmp_path, steps=500), 1)
    run = watch.run(every=2, cancelled=lambda: stop)
    for report in run:
        stop = isinstance(report, Step) and report.step >= 3
    assert watch.maps().steps == (0, 2, 3)


def test_a_method_without_relations_is_refused(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match="'logit' has no relation module"):
        RelationWatch(adaptation(tiny_model, labelled_images(2), tmp_path, distill="logit"), 1)


def test_the_figure_shows_every_map_and_every_value(
    tiny_model: PromptableModel,
    labelled_images: Make,
    tmp_path: Path,
    check_nothing_is_cut_off: Callable[[Any], None],
) -> None:
    watch = RelationWatch(adaptation(tiny_model, labelled_images(2), tmp_path), 2)
    list(watch.run(every=3))
    maps = watch.maps()
    figure = draw_relations(maps, "maps")
    save(figure, tmp_path / "maps.png")
    save(draw_relations(maps, "maps"), tmp_path / "again.png")
    assert (tmp_path / "maps.png").read_bytes() == (tmp_path / "again.png").read_bytes()

    places = np.array(figure.axes[: 5 * 4]).reshape(
        5, 4
    )  # two rows of two objects and one below; steps 0, 3, 5
    assert [axes.get_title() for axes in places[0]] == ["image and box", "step 0", "step 3", "step 5"]
    for number in range(2):
        for row, values in ((2 * number, maps.teacher), (2 * number + 1, maps.student)):
            for column in range(3):
                (shown,) = places[row, column + 1].images
                np.testing.assert_array_equal(shown.get_array(), values[column, number])
                assert places[row, column + 1].get_xlim() == (0, 64)
    for axes, values in zip(places[-1, 1:], maps.teacher, strict=True):
        on_image = values[:, : values.shape[1] * 3 // 4]
        teacher, student = (stairs.get_data() for stairs in axes.patches)
        np.testing.assert_allclose(teacher.values, np.histogram(on_image, teacher.edges)[0] / on_image.size)
        assert sum(student.values) == pytest.approx(1)
    check_nothing_is_cut_off(figure)


def test_the_command_writes_figure_numbers_and_adapter(
    tiny_model: PromptableModel,
    labelled_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "load", lambda *_, **__: tiny_model)
    monkeypatch.setattr("infosam.cli.stop.StopRequests.listen_to_signals", lambda _: None)
    out = tmp_path / "maps"
    options = ["--steps", "4", "--every", "3", "--objects-shown", "2", "--set", "relation_terms=joint"]
    command = ["relation-maps", str(labelled_folder(2)), "-o", str(out), "--threads", "1", *options]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told == {
        "figure": str(out / "relation_maps.png"),
        "numbers": str(out / "relation_maps.npz"),
        "steps": [0, 3, 4],
    }
    assert "sam_pocket on cpu, 4 steps: 4 objects in 2 images to train on, 0 in 0 held out" in done.stderr
    with Image.open(told["figure"]) as image:
        assert image.format == "PNG"
        assert min(image.size) > 300
    with np.load(told["numbers"]) as numbers:
        assert numbers["steps"].tolist() == told["steps"]
        assert numbers["teacher"].shape == numbers["student"].shape == (3, 2, *tiny_model.embedding_size)
        assert numbers["images"].tolist() == ["00.png", "01.png"]
        assert numbers["boxes"].shape == (2, 4)
    assert (out / "adapter.safetensors").is_file()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--peft", "glue"], "glue"),
        (["--set", "distill=logit"], "'distill' is not one of"),
        (["--set", "teacher=sam_vit_h"], "'teacher' is not one of"),
        (["--objects-shown", "0"], "objects-shown"),
    ],
)
def test_bad_use_is_named(options: list[str], named: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["relation-maps", str(tmp_path), "-o", str(tmp_path), *options])
    assert done.exit_code == 2
    assert named in " ".join(done.stderr.replace("│", " ").split())
