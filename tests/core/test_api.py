from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import infosam
from infosam.api import Adapter, adapt, evaluate, read_images
from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.data.project import Project
from infosam.data.scenes import make_scene
from infosam.inference.adapter import load_adapter
from infosam.inference.adapter_info import read_adapter_info
from infosam.models import registry
from infosam.models.base import PromptableModel
from infosam.models.catalogue import ModelSpec
from infosam.models.pocket.build import build_pocket
from infosam.training.adaptation import RELATION_NAME, Adaptation
from infosam.training.checkpoint import CHECKPOINT_NAME
from infosam.types import (
    AdaptConfig,
    BadInputError,
    Failed,
    Finished,
    InfoSAMError,
    Report,
    Started,
    Step,
    Zoom,
)
from tests.core.conftest import TINY

Make = Callable[..., list[LabelledImage]]
QUICK = AdaptConfig(steps=4, validate_every=2, batch_size=4, lr=1e-3)


def drain(run: Generator[Report, None, Adapter]) -> tuple[list[Report], Adapter]:
    reports = []
    while True:
        try:
            reports.append(next(run))
        except StopIteration as end:
            return reports, end.value


def test_importing_costs_no_torch() -> None:
    code = "import sys, infosam, infosam.cli; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "False"


def test_the_front_door_opens_every_name() -> None:
    for name in infosam.__all__:
        assert getattr(infosam, name) is not None
    assert set(infosam.__all__) <= set(dir(infosam))
    with pytest.raises(AttributeError, match="no attribute 'Teacher'"):
        infosam.Teacher  # noqa: B018


def test_adapt_writes_an_adapter_that_predicts_what_was_scored(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    images = labelled_images(4)
    reports, adapter = drain(adapt(images, model=tiny_model, config=QUICK, out=tmp_path / "adapter"))
    finished = reports[-1]
    assert isinstance(finished, Finished)
    assert finished.status == "done"
    assert finished.adapter == str(adapter.folder) == str(tmp_path / "adapter")
    assert not (tmp_path / "adapter" / CHECKPOINT_NAME).exists()
    assert adapter.info.card == finished.card
    assert {image.split for image in adapter.info.images} == {"train", "validation"}
    for prompt in ("point", "box"):
        assert finished.card.new[prompt].n_objects == 2
        assert finished.card.new[prompt].iou is not None
    assert finished.card.current is None
    assert "so few objects" in finished.card.note

    adapted = load_adapter(adapter.folder, tiny_model)
    held_out = [image for image in images if image.key in adapter.info.keys("validation")]
    for prompt in ("point", "box"):
        score = evaluate(held_out, model=adapted, prompt=prompt, multimask=True)
        assert score["iou"] == pytest.approx(finished.card.new[prompt].iou)
        before = evaluate(held_out, model=tiny_model, prompt=prompt, multimask=True)
        assert before["iou"] == pytest.approx(finished.card.pretrained[prompt].iou)


def test_an_adapted_model_is_evaluated_as_it_was_trained(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    images = labelled_images(3)
    drain(adapt(images, model=tiny_model, config=replace(QUICK, zoom="auto"), out=tmp_path))
    adapted = load_adapter(tmp_path, tiny_model)
    for model, protocol, zoom in (
        (adapted, "clean", "auto"),
        (adapted, "official", "off"),
        (tiny_model, "clean", "off"),
    ):
        assert evaluate(images, model=model, protocol=protocol)["zoom"] == zoom
    assert evaluate(images, model=adapted, zoom="off")["zoom"] == "off"


def test_the_same_seed_gives_the_same_weights_and_scores(single_thread: None, tmp_path: Path) -> None:
    images = []
    for seed in range(4):
        scene = make_scene(64, seed)
        objects = [LabelledObject(mask) for mask in scene.masks[:3]]
        images.append(LabelledImage.from_array(scene.image, objects, name=f"scene {seed}"))
    cards, files = [], []
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        config = replace(QUICK, seed=seed, zoom="auto", device="cpu")
        reports, adapter = drain(adapt(images, model="sam_pocket", config=config, out=tmp_path / name))
        finished = reports[-1]
        assert isinstance(finished, Finished)
        cards.append(finished.card)
        files.append((adapter.folder / "adapter.safetensors").read_bytes())
    assert cards[0] == cards[1]
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_a_relation_is_carried_over_to_other_data(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    images = labelled_images(6)
    drain(adapt(images[:3], model=tiny_model, config=QUICK, out=first))
    frozen = replace(QUICK, relation_weights=str(first / RELATION_NAME))
    _, adapter = drain(adapt(images[3:], model=tiny_model, config=frozen, out=second))
    assert adapter.info.training["relation_weights"] == frozen.relation_weights
    assert not (second / RELATION_NAME).exists()  # it was not trained anew
    drain(adapt(images[:3], model=tiny_model, config=replace(QUICK, distill="none"), out=first))
    assert not (first / RELATION_NAME).exists()


def test_a_larger_model_teaches(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def larger() -> PromptableModel:
        torch.manual_seed(1)
        return build_pocket(replace(TINY, depth=3))

    spec = ModelSpec("larger", "pocket", 1, "", build=larger, shipped=larger)
    monkeypatch.setitem(registry._SPECS, "larger", spec)
    losses = {}
    for teacher in (None, "larger"):
        out = tmp_path / str(teacher)
        # With this seed the first batch has no click that corrects the teacher's answer.
        config = replace(QUICK, teacher=teacher, device="cpu", seed=1)
        reports, adapter = drain(adapt(labelled_images(4), model=tiny_model, config=config, out=out))
        assert adapter.info.training["teacher"] == teacher
        assert "blocks.2" not in " ".join(load_file(out / "adapter.safetensors"))  # the student stays small
        losses[teacher] = [report.losses for report in reports if isinstance(report, Step)]
    assert losses[None][0]["mask"] == losses["larger"][0]["mask"]  # the same student and batch
    assert losses[None][0]["distillation"] != losses["larger"][0]["distillation"]


@pytest.mark.parametrize(
    ("distill", "teacher", "reason"),
    [
        ("none", "sam_pocket", "has no teacher"),
        ("infosam", "sam_vit_h", "of the family sam and cannot teach"),
        ("infosam", "sam_vit_x", "unknown model 'sam_vit_x'"),
    ],
)
def test_a_teacher_that_cannot_be_is_refused(
    tiny_model: PromptableModel,
    labelled_images: Make,
    tmp_path: Path,
    distill: str,
    teacher: str,
    reason: str,
) -> None:
    config = replace(QUICK, distill=distill, teacher=teacher)
    reports = list_until_error(adapt(labelled_images(2), model=tiny_model, config=config, out=tmp_path))
    assert isinstance(reports[-1], Failed)
    assert reason in reports[-1].reason


def test_exclude_leaves_out_what_the_adapter_has_seen(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    images = labelled_images(5)
    drain(adapt(images[:3], model=tiny_model, config=QUICK, out=tmp_path))
    assert evaluate(images, model=tiny_model, exclude=tmp_path)["n_images"] == 2
    with pytest.raises(BadInputError, match="has seen all 3 images"):
        evaluate(images[:3], model=tiny_model, exclude=tmp_path)
    for limit in (1, 2):  # of those that are left
        assert evaluate(images, model=tiny_model, exclude=tmp_path, limit=limit)["n_images"] == limit


def test_a_limit_chooses_of_a_list_as_it_does_of_a_folder(
    tiny_model: PromptableModel,
    labelled_images: Make,
    labelled_folder: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {"list": labelled_images(5), "folder": labelled_folder(5)}
    for seed in range(3):
        kept = {
            kind: [image.key for image in read_images(data, objects="auto", limit=2, seed=seed)]
            for kind, data in given.items()
        }
        assert len(kept["list"]) == 2
        assert kept["list"] == kept["folder"]
    assert evaluate(given["list"], model=tiny_model, limit=2)["n_images"] == 2
    with pytest.raises(BadInputError, match="limit must be at least 1, not 0"):
        evaluate(given["list"], model=tiny_model, limit=0)


def test_a_list_of_images_has_no_revisions(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    run = adapt(labelled_images(2), model=tiny_model, config=QUICK, out=tmp_path, revision=3)
    failed = next(run)
    assert isinstance(failed, Failed)
    assert "only a project has revisions" in failed.reason


def test_images_without_objects_are_not_held_out(tiny_model: PromptableModel, labelled_images: Make) -> None:
    images = labelled_images(6)
    bare = [LabelledImage(image.key, image.name, image.image, []) for image in images[2:]]
    for seed in range(3):
        config = replace(QUICK, seed=seed)
        run = Adaptation(tiny_model, [*images[:2], *bare], config, Path("not written"))
        assert sorted(image.name for image in run.train + run.validation) == ["image 0", "image 1"]
        assert len(run.validation) == 1


def test_one_image_is_too_few_to_measure(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    reports, adapter = drain(adapt(labelled_images(1), model=tiny_model, config=QUICK, out=tmp_path))
    card = adapter.info.card
    assert card is not None
    assert card.new["point"].iou is card.pretrained["box"].dice is None
    assert card.new["point"].n_objects == 0
    assert "Too few labelled images to measure" in card.note
    assert isinstance(reports[-1], Finished)
    assert "oo few" in (tmp_path / "README.md").read_text()


def test_nothing_is_held_out_where_one_object_would_be_left(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    images = labelled_images(2, n_objects=1)
    reports, adapter = drain(adapt(images, model=tiny_model, config=QUICK, out=tmp_path))
    started = next(report for report in reports if isinstance(report, Started))
    assert (started.n_objects, started.n_val_images) == (2, 0)
    assert adapter.info.card is not None
    assert "label more of them" in adapter.info.card.note


def test_one_object_fails_with_the_reason(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    run = adapt(labelled_images(1, n_objects=1), model=tiny_model, config=QUICK, out=tmp_path)
    failed = next(run)
    assert isinstance(failed, Failed)
    assert "Label one more object" in failed.reason
    assert not failed.resumable
    with pytest.raises(BadInputError, match="Label one more object"):
        next(run)


def test_the_card_compares_with_the_adapter_in_use(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    images = labelled_images(4)
    config = AdaptConfig(steps=2, batch_size=4, seed=1)
    drain(adapt(images, model=tiny_model, config=config, out=tmp_path / "first"))
    _, second = drain(
        adapt(images, model=tiny_model, config=QUICK, out=tmp_path / "second", current=tmp_path / "first")
    )
    card = second.info.card
    assert card is not None
    assert card.current is not None
    held_out = [image for image in images if image.key in second.info.keys("validation")]
    current = load_adapter(tmp_path / "first", tiny_model)
    assert card.current["box"].iou == pytest.approx(evaluate(held_out, model=current)["iou"])
    assert "was trained on 1 of the 1 held-out" in card.note


def test_every_run_starts_from_the_pre_trained_weights(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    images = labelled_images(3)
    for name in ("first", "second"):
        drain(adapt(images, model=tiny_model, config=QUICK, out=tmp_path / name))
    first, second = ((tmp_path / name / "adapter.safetensors").read_bytes() for name in ("first", "second"))
    assert first == second


@pytest.mark.parametrize(("zoom", "said"), [("off", False), ("auto", True)])
def test_weights_that_did_not_change_are_told_apart_from_what_did(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path, zoom: Zoom, said: bool
) -> None:
    """Cancelled after a step that changed nothing; with zoom auto the adapter still knows its objects."""
    stop = False
    config = replace(QUICK, lr=1e-12, zoom=zoom)
    run = adapt(labelled_images(3), model=tiny_model, config=config, out=tmp_path, cancelled=lambda: stop)
    for report in run:
        stop = stop or isinstance(report, Step)
    note = read_adapter_info(tmp_path).card.note  # type: ignore[union-attr]
    assert "the weights are as they were before training" in note
    assert ("how large your objects are" in note) is said
    assert note.count("chance") == 1


def test_cancelled_before_the_first_step(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    reports, adapter = drain(
        adapt(labelled_images(3), model=tiny_model, config=QUICK, out=tmp_path, cancelled=lambda: True)
    )
    assert not any(isinstance(report, Step) for report in reports)
    assert adapter.info.run["status"] == "cancelled"
    assert adapter.info.card is not None
    assert "cancelled before its first step" in adapter.info.card.note


def test_a_closed_run_resumes(tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path) -> None:
    images = labelled_images(4)
    drain(adapt(images, model=tiny_model, config=QUICK, out=tmp_path / "straight"))
    run = adapt(images, model=tiny_model, config=QUICK, out=tmp_path / "cut")
    for report in run:
        if isinstance(report, Step) and report.step == 3:
            break
    run.close()
    assert (tmp_path / "cut" / CHECKPOINT_NAME).is_file()
    reports, _ = drain(adapt(images, model=tiny_model, config=QUICK, out=tmp_path / "cut", resume=True))
    assert [report.step for report in reports if isinstance(report, Step)] == [4]
    straight, cut = ((tmp_path / name / "adapter.safetensors").read_bytes() for name in ("straight", "cut"))
    assert straight == cut


def test_failure_during_training_is_resumable(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infosam.distill.infosam import InfoSAMTask

    def exhaust(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(InfoSAMTask, "forward", exhaust)
    reports = list_until_error(adapt(labelled_images(3), model=tiny_model, config=QUICK, out=tmp_path))
    failed = reports[-1]
    assert isinstance(failed, Failed)
    assert failed.reason == "cpu ran out of memory"
    assert "smaller model" in failed.advice
    assert failed.resumable


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file grows beyond `room` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_room(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    images = labelled_images(3)
    run = adapt(images, model=tiny_model, config=QUICK, out=tmp_path)
    assert any(isinstance(report, Step) and report.step == 1 for report in run)
    with full_disk(20_000):
        failed = list_until_error(run)[-1]
    assert isinstance(failed, Failed)
    assert f"{tmp_path} cannot be written" in failed.reason
    assert "free some space" in failed.advice
    assert failed.resumable
    _, adapter = drain(adapt(images, model=tiny_model, config=QUICK, out=tmp_path, resume=True))
    assert adapter.info.run["steps"] == QUICK.steps


def test_two_runs_never_write_into_one_folder(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    images = labelled_images(3)
    first = adapt(images, model=tiny_model, config=QUICK, out=tmp_path)
    assert isinstance(next(first), Started)
    failed = list_until_error(adapt(images, model=tiny_model, config=QUICK, out=tmp_path))[-1]
    assert isinstance(failed, Failed)
    assert f"another process trains in {tmp_path}" in failed.reason
    first.close()
    _, adapter = drain(adapt(images, model=tiny_model, config=QUICK, out=tmp_path))
    assert adapter.info.run["steps"] == QUICK.steps


def test_closing_a_run_on_a_full_disk_says_so(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    run = adapt(labelled_images(3), model=tiny_model, config=QUICK, out=tmp_path)
    assert any(isinstance(report, Step) for report in run)
    with full_disk(20_000), pytest.raises(InfoSAMError, match="cannot be written"):
        run.close()
    assert (tmp_path / CHECKPOINT_NAME).is_file()  # of earlier


def test_a_folder_that_cannot_be_made_is_named(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    run = adapt(labelled_images(3), model=tiny_model, config=QUICK, out=tmp_path / "file" / "adapter")
    failed = list_until_error(run)[-1]
    assert isinstance(failed, Failed)
    assert "file/adapter cannot be written" in failed.reason


def list_until_error(run: Generator[Report, None, Any]) -> list[Report]:
    reports = []
    try:
        for report in run:
            reports.append(report)  # noqa: PERF402 - what came before the error is wanted
    except InfoSAMError:
        return reports
    raise AssertionError("the run did not fail")


def test_paths_and_projects(
    tiny_model: PromptableModel, labelled_folder: Callable[..., Path], labelled_images: Make, tmp_path: Path
) -> None:
    folder = labelled_folder(3)
    reports, _ = drain(adapt(str(folder), model=tiny_model, config=QUICK, out=tmp_path / "a", limit=2))
    started = next(report for report in reports if isinstance(report, Started))
    assert started.n_images + started.n_val_images == 2

    with Project.create(tmp_path / "project") as project:
        for image in labelled_images(2):
            record = project.add_image(image.image(), name=image.name)
            for label, item in enumerate(image.objects(), start=1):
                project.add_object(record.id, item.mask, label=label)
        reports, adapter = drain(adapt(project, model=tiny_model, config=QUICK))
        assert evaluate(project, model=tiny_model)["n_objects"] == 4
    assert adapter.folder.parent == project.folder / "adapters"
    started = next(report for report in reports if isinstance(report, Started))
    assert started.n_objects + started.n_val_objects == 4


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"peft": "glue"}, "unknown PEFT method 'glue'"),
        ({"peft": "none"}, "no parameter to train"),
        ({"distill": "osmosis"}, "unknown distillation method 'osmosis'"),
    ],
)
def test_bad_settings_are_named(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path, settings: Any, reason: str
) -> None:
    config = AdaptConfig(steps=1, **settings)
    reports = list_until_error(adapt(labelled_images(2), model=tiny_model, config=config, out=tmp_path))
    assert isinstance(reports[-1], Failed)
    assert reason in reports[-1].reason


def test_official_mode_says_what_it_is_for(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    config = AdaptConfig(steps=1, mode="official", batch_size=2)
    _, adapter = drain(adapt(labelled_images(2), model=tiny_model, config=config, out=tmp_path))
    assert adapter.info.normalisation["channels"] == "BGR"
    assert adapter.info.card is not None
    assert "swapped colour channels" in adapter.info.card.note


def test_load_model_names_the_known_ones() -> None:
    with pytest.raises(BadInputError, match=r"unknown model 'sam_vit_x'.*sam_pocket"):
        infosam.load_model("sam_vit_x")


def test_the_shipped_model_segments(single_thread: None) -> None:
    image = np.full((60, 90), 30, np.uint8)
    image[20:45, 30:60] = 220
    predictor = infosam.Predictor(infosam.load_model("sam_pocket", device="cpu")).set_image(image)
    result = predictor.predict(box=(18, 28, 47, 62), multimask=False)
    assert result.masks.shape == (1, 60, 90)
    truth = image > 100
    assert (result.masks[0] & truth).sum() / (result.masks[0] | truth).sum() > 0.5
