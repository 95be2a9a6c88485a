"""Requests, tickets and reloading, with an engine that only notes what it is asked."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from infosam.types import InfoSAMError, Prompt, Segmentation
from napari_infosam.controllers.engine import Engine, distinct
from napari_infosam.controllers.segment import SegmentController
from napari_infosam.models.session import Session
from napari_infosam.models.shown_image import ImageKey, ShownImage
from tests.napari_infosam.conftest import HeldWorker


class NotedEngine:
    """Stands in for `Engine`: the score of its one candidate is the number of points."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.broken: set[str] = set()
        self.seconds = 0.5

    def load(self, name: str, adapter: Path | None, progress: Any) -> str:
        self.calls.append(("load", name, adapter))
        if name in self.broken:
            raise InfoSAMError(f"{name} cannot be downloaded")
        return "cpu"

    def embed(self, key: Hashable, pixels: np.ndarray) -> float:
        self.calls.append(("embed", key))
        if "embed" in self.broken:
            raise RuntimeError("out of memory")
        return self.seconds

    def answer(self, key: Hashable, prompt: Prompt) -> Segmentation:
        self.calls.append(("answer", key, len(prompt.points)))
        return segmentation(len(prompt.points))


def segmentation(score: float) -> Segmentation:
    return Segmentation(
        np.ones((1, 4, 4), bool), np.array([score], np.float32), np.zeros((1, 2, 2), np.float32)
    )


def image(number: int) -> ShownImage:
    pixels = np.zeros((4, 4))
    return ShownImage(
        key=ImageKey(number, 0, (None, None)),
        name=f"image {number}",
        path=None,
        source=pixels,
        index=(slice(None),) * 2,
        shape=(4, 4),
        rgb=False,
    )


def clicks(count: int) -> Prompt:
    return Prompt(points=((1.0, 1.0),) * count, labels=(1,) * count)


@pytest.fixture
def engine() -> NotedEngine:
    return NotedEngine()


@pytest.fixture
def plain() -> Session:
    return Session()


@pytest.fixture
def controller(plain: Session, worker: HeldWorker, engine: NotedEngine) -> SegmentController:
    return SegmentController(plain, cast(Any, worker), cast(Engine, engine))


def prompt_on(session: Session, number: int = 1) -> None:
    session.shown = image(number)
    session.prompting = True


def test_nothing_is_embedded_before_prompting(
    controller: SegmentController, plain: Session, worker: HeldWorker, engine: NotedEngine
) -> None:
    controller.load()
    plain.shown = image(1)
    worker.run()
    assert engine.calls == [("load", "sam_pocket", None)]
    assert plain.device == "cpu"
    plain.prompting = True
    assert plain.busy
    worker.run()
    assert engine.calls[1:] == [("embed", image(1).key)]
    assert not plain.busy
    assert plain.embed_seconds == 0.5


def test_what_embedding_usually_takes_is_the_median_of_images_seen_first(
    controller: SegmentController, plain: Session, worker: HeldWorker, engine: NotedEngine
) -> None:
    """One slow image says little, one from the cache nothing, and another model begins anew."""
    for number, engine.seconds in ((1, 0.5), (2, 9.0), (3, 0.6), (1, 0.0), (3, 0.0)):
        prompt_on(plain, number)
        worker.run()
    assert plain.embed_seconds == 0.6
    plain.model_name = "sam_vit_b"
    assert plain.embed_seconds == 0
    engine.seconds = 5.0
    worker.run()
    assert plain.embed_seconds == 5.0
    plain.model_name = "sam_pocket"
    assert plain.embed_seconds == 0.6


def test_only_the_newest_answer_is_shown(
    controller: SegmentController, plain: Session, worker: HeldWorker, engine: NotedEngine
) -> None:
    prompt_on(plain)
    worker.run()
    for count in (1, 2, 3):
        plain.prompts = clicks(count)
    worker.run()
    assert plain.candidates is not None
    assert plain.candidates.scores[0] == 3
    assert [call for call in engine.calls if call[0] == "answer"] == [("answer", image(1).key, 3)]


def test_an_answer_that_arrives_after_clearing_is_dropped(
    controller: SegmentController, plain: Session, worker: HeldWorker
) -> None:
    prompt_on(plain)
    worker.run()
    plain.prompts = clicks(1)
    work, done, _, wanted = worker.jobs.pop()
    result = work()
    plain.prompts = Prompt()
    assert not wanted()
    assert plain.candidates is None
    del done, result


def test_a_new_adapter_is_loaded_and_answers_the_present_prompt(
    controller: SegmentController, plain: Session, worker: HeldWorker, engine: NotedEngine
) -> None:
    controller.load()
    prompt_on(plain)
    plain.prompts = clicks(1)
    worker.run()
    engine.calls.clear()
    plain.adapter = Path("adapter")
    worker.run()
    assert [call[0] for call in engine.calls] == ["load", "embed", "answer"]
    assert engine.calls[0] == ("load", "sam_pocket", Path("adapter"))


def test_models_chosen_in_passing_are_not_loaded(
    controller: SegmentController, plain: Session, worker: HeldWorker, engine: NotedEngine
) -> None:
    for name in ("sam_vit_b", "sam_vit_l", "sam_vit_h"):
        plain.model_name = name
    worker.run()
    assert engine.calls == [("load", "sam_vit_h", None)]
    assert not plain.busy


def test_a_model_that_cannot_be_loaded_leaves_the_one_before(
    controller: SegmentController, plain: Session, worker: HeldWorker, engine: NotedEngine
) -> None:
    plain.adapter = Path("adapter")
    prompt_on(plain)
    plain.prompts = clicks(1)
    worker.run()
    engine.calls.clear()
    engine.broken.add("sam_vit_h")
    plain.ask_for("sam_vit_h", None)
    assert plain.device == ""
    worker.run()
    assert (plain.model_name, plain.adapter) == plain.loaded == ("sam_pocket", Path("adapter"))
    assert [call for call in engine.calls if call[0] == "load"] == [("load", "sam_vit_h", None)]
    assert (plain.device, plain.busy) == ("cpu", False)
    # The image was prepared again for the model before, which must not hide what went wrong.
    assert engine.calls[-1][0] == "answer"
    assert plain.problem
    assert "cannot be downloaded" in plain.status
    plain.shown = image(2)
    worker.run()
    assert (plain.status, plain.problem) == ("image 2 is ready for prompts.", False)


def test_where_no_model_is_loaded_the_shipped_one_takes_the_place_of_one_that_cannot_be(
    controller: SegmentController, plain: Session, worker: HeldWorker, engine: NotedEngine
) -> None:
    engine.broken.add("sam_vit_h")
    prompt_on(plain)
    plain.ask_for("sam_vit_h", Path("adapter"))
    worker.run()
    assert (plain.model_name, plain.adapter) == plain.loaded == ("sam_pocket", None)
    assert plain.device == "cpu"
    assert plain.status == "sam_pocket is used for now: sam_vit_h cannot be downloaded"
    assert plain.problem


def test_where_the_shipped_model_cannot_be_loaded_either_it_is_tried_once(
    controller: SegmentController, plain: Session, worker: HeldWorker, engine: NotedEngine
) -> None:
    engine.broken |= {"sam_vit_h", "sam_pocket"}
    plain.model_name = "sam_vit_h"
    worker.run()
    assert [call[1] for call in engine.calls] == ["sam_vit_h", "sam_pocket"]
    assert plain.status == "sam_pocket cannot be downloaded"
    assert not plain.busy


def test_a_model_that_was_loaded_although_passed_over_is_the_one_to_go_back_to(
    controller: SegmentController, plain: Session, worker: HeldWorker, engine: NotedEngine
) -> None:
    controller.load()
    worker.run()
    plain.model_name = "sam_vit_b"
    work, done, _, _ = worker.jobs.pop()
    device = work()
    engine.broken.add("sam_vit_h")
    plain.model_name = "sam_vit_h"
    done(device)
    assert plain.device == ""
    worker.run()
    assert plain.model_name == "sam_vit_b"
    assert plain.loaded == ("sam_vit_b", None)


def test_slices_passed_over_quickly_are_not_embedded(
    controller: SegmentController, plain: Session, worker: HeldWorker, engine: NotedEngine
) -> None:
    prompt_on(plain, 1)
    plain.shown = image(2)
    plain.shown = image(3)
    worker.run()
    assert [call[1].layer for call in engine.calls if call[0] == "embed"] == [3]
    assert not plain.busy


def test_an_unforeseen_failure_is_told_and_can_be_tried_again(
    controller: SegmentController,
    plain: Session,
    worker: HeldWorker,
    engine: NotedEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine.broken.add("embed")
    prompt_on(plain)
    worker.run()
    assert plain.problem
    assert "out of memory" in plain.status
    assert not plain.busy
    engine.broken.clear()
    plain.prompting = False
    plain.prompting = True
    worker.run()
    assert not plain.problem


def test_candidates_that_look_alike_are_offered_once() -> None:
    masks = np.zeros((4, 20, 20), bool)
    masks[0, :10] = True
    masks[1, :10] = True
    masks[1, 0, 0] = False  # IoU 0.995
    masks[2, :5] = True
    kept = distinct(Segmentation(masks, np.arange(4, dtype=np.float32), np.zeros((4, 5, 5), np.float32)))
    assert kept.scores.tolist() == [0, 2]
    nothing = distinct(
        Segmentation(np.zeros((2, 9, 9), bool), np.ones(2, np.float32), np.zeros((2, 3, 3), np.float32))
    )
    assert len(nothing) == 1
