"""Session: every field tells of its change, and of nothing else."""

from pathlib import Path

import pytest

from infosam.types import Prompt
from napari_infosam.models.session import ObjectItem, Session

CHANGES = {
    "model_name": "sam_vit_b",
    "adapter": Path("adapter"),
    "project": object(),
    "image_id": 3,
    "image_name": "coins",
    "prompts": Prompt(points=((1.0, 2.0),), labels=(1,)),
    "candidate_index": 2,
    "objects": (ObjectItem(1, 1, 20, "prompt"),),
    "n_labelled_images": 1,
    "n_labelled_objects": 4,
    "status": "Click on an object",
    "busy": True,
    "prompting": True,
    "positive": False,
    "overwrite": True,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_told_once_with_the_new_value(name: str) -> None:
    session, told = Session(), []
    session.events[name].connect(told.append)
    setattr(session, name, CHANGES[name])
    setattr(session, name, CHANGES[name])
    assert told == [CHANGES[name]]


def test_two_sessions_do_not_share_state() -> None:
    one, other = Session(), Session()
    told: list[str] = []
    other.events.status.connect(told.append)
    one.status = "changed"
    assert other.status == ""
    assert told == []


def test_model_and_adapter_change_in_one_step() -> None:
    session = Session()
    seen: list[tuple[str, Path | None]] = []
    for name in ("model_name", "adapter"):
        session.events[name].connect(lambda: seen.append((session.model_name, session.adapter)))
    session.ask_for("sam_vit_b", Path("adapter"))
    assert set(seen) == {("sam_vit_b", Path("adapter"))}
    session.ask_for("sam_vit_b", None)
    assert seen[-1] == ("sam_vit_b", None)
