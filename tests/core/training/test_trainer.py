from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from infosam import distill, peft
from infosam.data.labelled import LabelledImage, LabelledObject
from infosam.inference.thin import width_of
from infosam.models.base import PromptableModel
from infosam.training.checkpoint import CHECKPOINT_NAME, load_checkpoint
from infosam.training.failure import NotFinite, OutOfMemory
from infosam.training.schedule import decoder_share
from infosam.training.trainer import Outcome, Trainer
from infosam.training.validation import Validator
from infosam.types import (
    RUN_MODES,
    AdaptConfig,
    BadInputError,
    BoolArray,
    ImageEmbedding,
    Preparing,
    Prompt,
    Report,
    RunMode,
    Started,
    Step,
    Validated,
)

Make = Callable[..., list[LabelledImage]]
Run = Generator[Report, None, Outcome]


def config_of(**settings: Any) -> AdaptConfig:
    return AdaptConfig(
        **{"peft": "decoder", "steps": 8, "validate_every": 4, "batch_size": 4, "lr": 1e-3} | settings
    )


def make_trainer(
    model: PromptableModel,
    train: list[LabelledImage],
    validation: list[LabelledImage],
    config: AdaptConfig,
    **options: Any,
) -> Trainer:
    torch.manual_seed(config.seed)
    student = peft.inject(model, config.peft)
    task = distill.build(config.distill, student, model, config)
    return Trainer(student, model, task, train, validation, config, **options)


def drain(run: Run) -> tuple[list[Report], Outcome]:
    reports = []
    while True:
        try:
            reports.append(next(run))
        except StopIteration as end:
            return reports, end.value


def of_kind(reports: list[Report], kind: type[Any]) -> list[Any]:
    return [report for report in reports if isinstance(report, kind)]


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def on_a_large_ground(image: LabelledImage) -> LabelledImage:
    """The image with as much again of it, three times, below and to the right, where nothing is labelled."""
    objects = []
    for item in image.objects():
        height, width = item.mask.shape
        objects.append(LabelledObject(np.pad(item.mask, ((0, 3 * height), (0, 3 * width)))))
    return LabelledImage.from_array(np.tile(image.image(), (4, 4, 1)), objects)


def test_small_objects_are_trained_on_from_nearer_but_counted_once(
    tiny_model: PromptableModel, labelled_images: Make
) -> None:
    images = [on_a_large_ground(image) for image in labelled_images(3)]
    config = config_of(zoom="auto", steps=2)
    reports, outcome = drain(make_trainer(tiny_model, images[:2], images[2:], config).run())
    (started,) = of_kind(reports, Started)
    assert (started.n_images, started.n_objects, started.n_val_images, started.n_val_objects) == (2, 4, 1, 2)
    assert of_kind(reports, Preparing)[-1].total == 3  # a tile of each image: nothing is seen on the whole
    assert outcome.steps == 2


def test_an_object_that_is_asked_for_on_two_tiles_is_measured_once(
    tiny_model: PromptableModel, labelled_images: Make
) -> None:
    images = [on_a_large_ground(image) for image in labelled_images(3)]
    larger = np.zeros(images[2].image().shape[:2], bool)
    larger[100:124, 100:124] = True  # a click is looked at from where most objects, of 14 pixels, would be
    held_out = LabelledImage.from_array(
        images[2].image(), [*images[2].objects(), LabelledObject(larger)], name="held out"
    )
    trainer = make_trainer(tiny_model, images[:2], [held_out], config_of(zoom="auto", steps=1))
    reports, _ = drain(trainer.run())
    (started,) = of_kind(reports, Started)
    assert of_kind(reports, Preparing)[-1].total == 2 + 3  # the larger one on two tiles, the others on one
    assert {report.n_objects for report in of_kind(reports, Validated)} == {started.n_val_objects}
    assert len(trainer.state.progress.best_scores) == started.n_val_objects


def test_the_views_of_an_image_are_prepared_from_one_reading_of_it(
    tiny_model: PromptableModel, labelled_images: Make
) -> None:
    read: list[str] = []

    def counted(image: LabelledImage, name: str) -> LabelledImage:
        def load() -> NDArray[Any]:
            read.append(name)
            return image.image()

        objects = [*image.objects(), LabelledObject(image.objects()[0].mask[::-1, ::-1])]  # far away
        return LabelledImage(image.key, name, load, objects, image.intensity)

    images = [counted(on_a_large_ground(image), str(k)) for k, image in enumerate(labelled_images(3))]
    trainer = make_trainer(tiny_model, images[:2], images[2:], config_of(zoom="auto", steps=1))
    reports, _ = drain(trainer.run())
    assert of_kind(reports, Preparing)[-1].total == 6
    assert read == ["0", "1", "2"]


def test_looking_closer_a_student_learns_how_large_its_objects_are(
    tiny_model: PromptableModel, labelled_images: Make
) -> None:
    images = labelled_images(3)
    far, near = (make_trainer(tiny_model, images, [], config_of(zoom=zoom)) for zoom in ("off", "auto"))
    objects = [item for image in images for item in image.objects()]
    sizes = near.student.object_sizes
    assert sizes is not None
    assert sizes.extent == np.median([max(r1 - r0, c1 - c0) for r0, c0, r1, c1 in (o.box for o in objects)])
    assert sizes.width == np.median([width_of(item.mask) for item in objects])
    assert sizes.spread < 1
    assert far.student.object_sizes is tiny_model.object_sizes is None


@pytest.mark.parametrize(("mode", "share"), [("clean", 0.2), ("paper", 1), ("official", 1)])
def test_in_clean_mode_the_decoder_is_trained_gently(
    tiny_model: PromptableModel, labelled_images: Make, mode: RunMode, share: float
) -> None:
    config = config_of(peft="adapter", mode=mode, steps=3)
    trainer = make_trainer(tiny_model, labelled_images(2), [], config)
    for report in trainer.run():
        if isinstance(report, Step):
            added, decoder = trainer.state.optimiser.param_groups
            assert (added["lr"], decoder["lr"]) == pytest.approx((report.lr, share * report.lr))
    of_decoder = {id(parameter) for parameter in trainer.student.mask_decoder().parameters()}
    assert {id(parameter) for parameter in decoder["params"]} == of_decoder
    assert not {id(parameter) for parameter in added["params"]} & of_decoder


@pytest.mark.parametrize("mode", RUN_MODES)
def test_a_run_reports_and_learns(tiny_model: PromptableModel, labelled_images: Make, mode: RunMode) -> None:
    images = labelled_images(5)
    # The decoder alone is trained here, in clean mode with a share of the learning rate.
    config = config_of(mode=mode, steps=30, validate_every=10, lr=5e-3 / decoder_share(mode))
    reports, outcome = drain(make_trainer(tiny_model, images[:4], images[4:], config).run())

    (started,) = of_kind(reports, Started)
    assert reports[0] is started
    assert (started.n_images, started.n_objects) == (4, 8)
    assert (started.n_val_images, started.n_val_objects) == (1, 2)
    assert (started.steps, started.device, started.model) == (30, "cpu", "sam_pocket")
    assert started.trainable == sum(p.numel() for p in tiny_model.mask_decoder().parameters())
    assert [(r.done, r.total) for r in of_kind(reports, Preparing)] == [(n, 5) for n in range(1, 6)]
    assert [report.step for report in of_kind(reports, Validated)] == [0, 10, 20, 30]
    steps = of_kind(reports, Step)
    assert [report.step for report in steps] == list(range(1, 31))
    assert steps[0].lr == pytest.approx(config.lr * (0.1 if mode == "clean" else 1))  # clean warms up
    end = 0.1 if mode != "official" else 0.35  # 2 of the cosine's 3 steps per epoch are run
    assert steps[-1].lr == pytest.approx(config.lr * end, rel=0.1)
    assert steps[-1].eta == 0 < steps[0].eta
    masks = [report.losses["mask" if mode == "clean" else "structure"] for report in steps]
    assert sum(masks[-8:]) < 0.9 * sum(masks[:8])  # eight batches have every kind of prompt
    assert (outcome.status, outcome.steps) == ("done", 30)


@pytest.mark.parametrize(
    ("mode", "distilled", "embeds"),
    [("official", "none", False), ("paper", "none", False), ("clean", "none", True), ("paper", "pkd", True)],
)
def test_the_teacher_embeds_images_where_its_embeddings_are_asked_for(
    tiny_model: PromptableModel,
    labelled_images: Make,
    monkeypatch: pytest.MonkeyPatch,
    mode: RunMode,
    distilled: str,
    embeds: bool,
) -> None:
    trainer = make_trainer(
        tiny_model, labelled_images(2), [], config_of(mode=mode, distill=distilled, steps=2)
    )
    seen: list[int] = []
    encode = tiny_model.encode

    def counted(pixels: Tensor) -> ImageEmbedding:
        seen.append(len(pixels))
        return encode(pixels)

    monkeypatch.setattr(tiny_model, "encode", counted)
    _, outcome = drain(trainer.run())
    assert outcome.steps == 2
    assert len(seen) == (2 if embeds else 0)


def test_losses_of_the_method_are_trained_on(tiny_model: PromptableModel, labelled_images: Make) -> None:
    config = config_of(peft="convlora", distill="none", steps=3)
    trainer = make_trainer(tiny_model, labelled_images(3), [], config)
    steps = of_kind(drain(trainer.run())[0], Step)
    for report in steps:
        parts = {name: value for name, value in report.losses.items() if name != "loss"}
        assert parts["balance"] > 0
        assert report.losses["loss"] == pytest.approx(sum(parts.values()))
    gates = [value for name, value in peft.peft_parameters(trainer.student).items() if "gate" in name]
    assert gates  # they start at zero, and nothing but the balance moves them
    assert all(bool(gate.any()) for gate in gates)


def test_the_best_weights_are_kept(tiny_model: PromptableModel, labelled_images: Make) -> None:
    images = labelled_images(4)
    config = config_of(steps=16, validate_every=4, lr=5e-3, patience=100)
    trainer = make_trainer(tiny_model, images[:3], images[3:], config)
    states = {}
    reports = []
    for report in (run := trainer.run()):
        reports.append(report)
        if isinstance(report, Validated):
            states[report.step] = {n: t.clone() for n, t in peft.trainable_state(trainer.student).items()}
    run.close()
    validated = of_kind(reports, Validated)
    best = [report for report in validated if report.best][-1]
    assert best.iou == max(report.iou for report in validated) or best is validated[-1]
    assert trainer.state.progress.best_step == best.step
    assert trainer.state.progress.best_iou == best.iou
    assert same(trainer.state.best, {name: tensor.detach() for name, tensor in states[best.step].items()})


@pytest.mark.parametrize("clearly", [True, False])
def test_a_finished_run_gives_way_to_an_earlier_state_only_if_it_is_clearly_worse(
    tiny_model: PromptableModel, labelled_images: Make, monkeypatch: pytest.MonkeyPatch, clearly: bool
) -> None:
    images = labelled_images(4)
    scores = iter([[0.5, 0.5], [0.6, 0.8], [0.55, 0.75] if clearly else [0.3, 0.85]])
    monkeypatch.setattr(Validator, "scores", lambda *_: next(scores))
    config = config_of(steps=4, validate_every=2)
    reports, outcome = drain(make_trainer(tiny_model, images[:3], images[3:], config).run())
    assert [report.best for report in of_kind(reports, Validated)] == [True, True, not clearly]
    assert outcome.best_step == (2 if clearly else 4)


def test_early_stop(tiny_model: PromptableModel, labelled_images: Make) -> None:
    images = labelled_images(4)
    config = config_of(steps=50, validate_every=1, patience=2, lr=1e-12)  # learns nothing
    reports, outcome = drain(make_trainer(tiny_model, images[:3], images[3:], config).run())
    assert outcome.status == "early_stop"
    assert outcome.steps == 2
    assert [report.best for report in of_kind(reports, Validated)] == [True, False, False]
    assert outcome.best_step == 0


def test_without_held_out_images_no_score_is_invented(
    tiny_model: PromptableModel, labelled_images: Make
) -> None:
    trainer = make_trainer(tiny_model, labelled_images(1), [], config_of(steps=5))
    reports, outcome = drain(trainer.run())
    assert not of_kind(reports, Validated)
    assert (outcome.status, outcome.steps, outcome.best_iou) == ("done", 5, None)
    assert same(outcome.best, {n: t.detach() for n, t in peft.trainable_state(trainer.student).items()})


def test_one_object_is_refused(tiny_model: PromptableModel, labelled_images: Make) -> None:
    with pytest.raises(BadInputError, match=r"at least 2 labelled objects, not 1.*Label one more object"):
        make_trainer(tiny_model, labelled_images(1, n_objects=1), [], config_of())


def test_nothing_to_train_is_refused(tiny_model: PromptableModel, labelled_images: Make) -> None:
    task = distill.build("none", tiny_model, tiny_model, config_of())
    with pytest.raises(BadInputError, match="no parameter to train"):
        Trainer(tiny_model, tiny_model, task, labelled_images(1), [], config_of())


@pytest.mark.parametrize("interrupt", ["close", "kill"])
@pytest.mark.parametrize(
    ("method", "distilled", "at"),
    [
        ("decoder", "infosam", 6),
        ("adapter", "infosam", 8),  # right before a validation
        ("convlora", "infosam", 6),
        ("adapter", "semckd", 6),  # its batch normalisation has running statistics
    ],
)
def test_a_resumed_run_ends_with_the_same_bits(
    tiny_model: PromptableModel,
    labelled_images: Make,
    tmp_path: Path,
    interrupt: str,
    method: str,
    distilled: str,
    at: int,
) -> None:
    images = labelled_images(5)
    config = config_of(peft=method, distill=distilled, steps=10, patience=50)

    def trainer(**options: Any) -> Trainer:
        return make_trainer(tiny_model, images[:4], images[4:], config, **options)

    straight = trainer()
    reports, expected = drain(straight.run())

    first = trainer(folder=tmp_path)
    run = first.run()
    for report in run:
        if isinstance(report, Step) and report.step == at:
            break
    if interrupt == "close":
        run.close()
        assert load_checkpoint(tmp_path / CHECKPOINT_NAME).meta["progress"]["step"] == at
    else:
        kept = (tmp_path / CHECKPOINT_NAME).read_bytes()
        run.close()
        (tmp_path / CHECKPOINT_NAME).write_bytes(
            kept
        )  # as kill -9 leaves it: what the run had written by then
        assert load_checkpoint(tmp_path / CHECKPOINT_NAME).meta["progress"]["step"] == 4

    torch.rand(7)  # a new process has another generator state
    second = trainer(folder=tmp_path, resume=True)
    later, outcome = drain(second.run())
    assert outcome.status == "done"
    assert (outcome.best_step, outcome.best_iou) == (expected.best_step, expected.best_iou)
    assert same(outcome.best, expected.best)
    ends = (peft.trainable_state(trainer.student) for trainer in (straight, second))
    assert same(*({name: tensor.detach() for name, tensor in end.items()} for end in ends))
    assert straight.state.auxiliary.state_dict().keys()
    assert same(straight.state.auxiliary.state_dict(), second.state.auxiliary.state_dict())
    for kind in (Step, Validated):
        values = {r.step: r.losses if kind is Step else r.iou for r in of_kind(reports, kind)}
        resumed = {r.step: r.losses if kind is Step else r.iou for r in of_kind(later, kind)}
        assert resumed
        assert all(values[step] == value for step, value in resumed.items())


def test_another_runs_checkpoint_is_refused(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    images = labelled_images(3)
    drain(make_trainer(tiny_model, images, [], config_of(steps=5), folder=tmp_path).run())
    for settings, data, named in (
        ({"lr": 7e-4}, images, "other lr:"),
        ({}, images[:2], "other training images:"),
    ):
        other = make_trainer(
            tiny_model, data, [], config_of(steps=5, **settings), folder=tmp_path, resume=True
        )
        with pytest.raises(BadInputError, match=named):
            drain(other.run())


def test_a_run_does_not_go_on_with_other_labels_of_the_same_images(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    def run(train: list[LabelledImage], held_out: list[LabelledImage], **options: Any) -> None:
        drain(make_trainer(tiny_model, train, held_out, config_of(steps=5), folder=tmp_path, **options).run())

    def relabelled(image: LabelledImage, mask: BoolArray, prompt: Prompt | None = None) -> LabelledImage:
        changed = [LabelledObject(mask, prompt), *image.objects()[1:]]
        return LabelledImage.from_array(image.image(), changed, name=image.name)

    train, held_out = labelled_images(3)[:2], labelled_images(3)[2:]
    run(train, held_out)
    run(labelled_images(3)[:2], labelled_images(3)[2:], resume=True)
    mask = train[0].objects()[0].mask
    moved = relabelled(train[0], np.roll(mask, 1, axis=0))
    prompted = relabelled(train[0], mask, Prompt(points=((5.0, 5.0),), labels=(1,)))
    for other in (moved, prompted):
        with pytest.raises(BadInputError, match="other training images:"):
            run([other, *train[1:]], held_out, resume=True)
    mask = held_out[0].objects()[0].mask
    with pytest.raises(BadInputError, match="other validation images:"):
        run(train, [relabelled(held_out[0], np.roll(mask, 1, axis=0))], resume=True)


def test_cancel_keeps_the_best_so_far(tiny_model: PromptableModel, labelled_images: Make) -> None:
    images = labelled_images(4)
    stop = False
    trainer = make_trainer(
        tiny_model, images[:3], images[3:], config_of(steps=500, validate_every=400), cancelled=lambda: stop
    )
    reports = []
    run = trainer.run()
    while True:
        try:
            report = next(run)
        except StopIteration as end:
            outcome = end.value
            break
        reports.append(report)
        stop = (isinstance(report, Step) and report.step >= 10) or stop
    assert (outcome.status, outcome.steps) == ("cancelled", 10)
    assert [report.step for report in of_kind(reports, Validated)] == [0, 10]
    assert outcome.best_iou == max(report.iou for report in of_kind(reports, Validated))


def test_cancel_while_preparing_ends_at_once(tiny_model: PromptableModel, labelled_images: Make) -> None:
    images = labelled_images(5)
    trainer = make_trainer(tiny_model, images[:4], images[4:], config_of(), cancelled=lambda: True)
    reports, outcome = drain(trainer.run())
    assert [type(report) for report in reports] == [Started, Preparing]
    assert (outcome.status, outcome.steps) == ("cancelled", 0)
    assert same(outcome.best, dict(peft.trainable_state(trainer.student)))


def test_a_new_run_clears_what_a_killed_one_left(
    tiny_model: PromptableModel, labelled_images: Make, tmp_path: Path
) -> None:
    for name in (".infosam-cache-old", "cache-of-mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.safetensors").touch()
    (tmp_path / f"{CHECKPOINT_NAME}.7.partial").touch()
    (tmp_path / CHECKPOINT_NAME).write_text("of another run")
    (tmp_path / "notes.txt").touch()
    next(make_trainer(tiny_model, labelled_images(2), [], config_of(), folder=tmp_path).run())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cache-of-mine", "notes.txt"]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_is_told_with_advice(
    tiny_model: PromptableModel,
    labelled_images: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    images = labelled_images(3)
    trainer = make_trainer(tiny_model, images[:2], images[2:], config_of(), folder=tmp_path)
    forward = type(trainer.task).forward

    def fail_later(task: Any, batch: Any) -> Any:
        if trainer.state.progress.step == 5:
            raise error
        return forward(task, batch)

    monkeypatch.setattr(type(trainer.task), "forward", fail_later)
    with pytest.raises(OutOfMemory, match="cpu ran out of memory") as caught:
        drain(trainer.run())
    assert "lower the batch size" in caught.value.advice
    assert load_checkpoint(tmp_path / CHECKPOINT_NAME).meta["progress"]["step"] == 4


def test_other_errors_stay_what_they_are(
    tiny_model: PromptableModel, labelled_images: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(tiny_model, labelled_images(2), [], config_of())

    def fail(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(type(trainer.task), "forward", fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        drain(trainer.run())


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_weights(
    tiny_model: PromptableModel, labelled_images: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(tiny_model, labelled_images(2), [], config_of())
    before = {name: tensor.detach().clone() for name, tensor in peft.trainable_state(trainer.student).items()}
    monkeypatch.setattr(
        type(trainer.task), "forward", lambda *_: {"loss": torch.tensor(float("nan"), requires_grad=True)}
    )
    with pytest.raises(NotFinite, match=r"became nan at step 1.*learning rate below 0.001"):
        drain(trainer.run())
    after = {name: tensor.detach() for name, tensor in peft.trainable_state(trainer.student).items()}
    assert same(before, after)


def test_the_pre_trained_model_is_left_as_it_was(tiny_model: PromptableModel, labelled_images: Make) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_model.state_dict().items()}
    drain(make_trainer(tiny_model, labelled_images(2), [], config_of(lr=0.01)).run())
    assert same(before, tiny_model.state_dict())
    assert not tiny_model.training
    assert not any(parameter.requires_grad for parameter in tiny_model.parameters())
