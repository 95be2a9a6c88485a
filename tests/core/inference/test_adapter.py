"""An adapter folder holds exactly the model that was scored, or is refused with the reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from infosam import Predictor, peft
from infosam.data.labelled import LabelledImage
from infosam.inference.adapter import (
    AdapterInfo,
    load_adapter,
    read_adapter_info,
    round_to_half,
    save_adapter,
)
from infosam.models import registry
from infosam.models.base import PromptableModel, freeze
from infosam.models.pocket.build import build_pocket
from infosam.types import AdaptConfig, BadInputError, Card, InfoSAMError, ObjectSizes, PromptBatch, Scores

Images = Callable[..., list[LabelledImage]]
CARD = Card(
    pretrained={"point": Scores(0.4219, 0.5, 0.25, 2, 4), "box": Scores(0.7, 0.8, 0.5, 2, 4)},
    new={"point": Scores(0.6543, 0.75, 0.5, 2, 4), "box": Scores(0.9, 0.95, 0.75, 2, 4)},
)


@torch.no_grad()
def trained(model: PromptableModel, method: str = "adapter", seed: int = 0) -> PromptableModel:
    """A student whose trained weights are somewhere else, and not in half precision."""
    student = peft.inject(model, method)
    generator = torch.Generator().manual_seed(seed)
    for tensor in peft.trainable_state(student).values():
        tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=0.05)
    return student


@torch.no_grad()
def logits(model: PromptableModel) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(2, 3, model.image_size, model.image_size, generator=generator)
    prompts = PromptBatch(
        image_index=torch.tensor([0, 1]),
        points=torch.tensor([[[20.0, 30.0]], [[50.0, 10.0]]]),
        labels=torch.tensor([[1], [1]]),
    )
    return model.decode(model.encode(images), prompts).logits


def info_of(student: PromptableModel, **extra: Any) -> AdapterInfo:
    return AdapterInfo.of(student, AdaptConfig(), train=(), **extra)


@pytest.fixture
def saved(tiny_model: PromptableModel, tmp_path: Path) -> Path:
    student = trained(tiny_model)
    round_to_half(student)
    save_adapter(student, tmp_path / "adapter", info_of(student))
    return tmp_path / "adapter"


@pytest.mark.parametrize("method", [name for name in peft.methods() if name != "none"])
def test_what_is_loaded_is_what_was_saved(tiny_model: PromptableModel, tmp_path: Path, method: str) -> None:
    student = trained(tiny_model, method)
    unrounded = logits(student)
    round_to_half(student)
    expected = logits(student)
    save_adapter(student, tmp_path / "adapter", info_of(student))
    loaded = load_adapter(tmp_path / "adapter", tiny_model)
    assert torch.equal(logits(loaded), expected)
    torch.testing.assert_close(expected, unrounded, rtol=0.05, atol=0.05)
    assert not torch.equal(logits(tiny_model), expected)
    assert peft.config_of(loaded) == peft.config_of(student)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_it_knows_how_large_its_objects_are(tiny_model: PromptableModel, tmp_path: Path) -> None:
    student = trained(tiny_model)
    student.object_sizes = ObjectSizes(37.5, 0.6, 11.0)
    round_to_half(student)
    save_adapter(student, tmp_path / "adapter", info_of(student))
    loaded = load_adapter(tmp_path / "adapter", tiny_model)
    assert loaded.object_sizes == ObjectSizes(37.5, 0.6, 11.0)
    assert Predictor(loaded).zoom == "auto"  # as it was trained
    assert Predictor(tiny_model).zoom == "off"
    assert "objects of about 38 pixels" in (tmp_path / "adapter" / "README.md").read_text()


def test_the_base_is_left_as_it_was(tiny_model: PromptableModel, saved: Path) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_model.state_dict().items()}
    fingerprint = tiny_model.fingerprint
    load_adapter(saved, tiny_model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in tiny_model.state_dict().items())
    assert tiny_model.fingerprint == fingerprint


def test_embeddings_of_different_weights_have_different_keys(
    tiny_model: PromptableModel, saved: Path, tmp_path: Path
) -> None:
    other = trained(tiny_model, seed=1)
    round_to_half(other)
    save_adapter(other, tmp_path / "other", info_of(other))
    one, again, two = (load_adapter(path, tiny_model) for path in (saved, saved, tmp_path / "other"))
    assert one.fingerprint == again.fingerprint
    assert len({tiny_model.fingerprint, one.fingerprint, two.fingerprint}) == 3


_LOAD_AND_RUN = """
import sys, numpy as np, torch
from infosam.inference.adapter import load_adapter
from infosam.models.registry import load
from infosam.types import PromptBatch
torch.set_num_threads(1)
checkpoint, adapter, images, out = sys.argv[1:]
model = load_adapter(adapter, load("sam_pocket", checkpoint=checkpoint, device="cpu"))
prompts = PromptBatch(torch.tensor([0]), boxes=torch.tensor([[20.0, 30.0, 180.0, 200.0]]))
with torch.no_grad():
    np.save(out, model.decode(model.encode(torch.from_numpy(np.load(images))), prompts).logits.numpy())
"""


def test_a_new_process_gives_the_same_bits(single_thread: None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    checkpoint = tmp_path / "base.safetensors"
    save_file(build_pocket().network.state_dict(), checkpoint)
    student = trained(registry.load("sam_pocket", checkpoint=checkpoint, device="cpu"))
    round_to_half(student)
    save_adapter(student, tmp_path / "adapter", info_of(student))
    assert sum(file.stat().st_size for file in (tmp_path / "adapter").iterdir()) < 10e6

    images = torch.randn(1, 3, student.image_size, student.image_size)
    np.save(tmp_path / "images.npy", images.numpy())
    arguments = [str(tmp_path / name) for name in ("base.safetensors", "adapter", "images.npy", "out.npy")]
    subprocess.run([sys.executable, "-c", _LOAD_AND_RUN, *arguments], check=True, env=os.environ)
    prompts = PromptBatch(torch.tensor([0]), boxes=torch.tensor([[20.0, 30.0, 180.0, 200.0]]))
    with torch.no_grad():
        expected = student.decode(student.encode(images), prompts).logits.numpy()
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)


def test_the_folder_holds_three_files_in_half_precision(saved: Path) -> None:
    assert sorted(file.name for file in saved.iterdir()) == [
        "README.md",
        "adapter.json",
        "adapter.safetensors",
    ]
    assert {tensor.dtype for tensor in load_file(saved / "adapter.safetensors").values()} == {torch.float16}


# ----------------------------------------------------------------------------------------------- what is said


def test_info_survives_the_file(tiny_model: PromptableModel, tmp_path: Path, labelled_images: Images) -> None:
    train, held_out = labelled_images(3)[:2], labelled_images(3)[2:]
    student = trained(tiny_model)
    round_to_half(student)
    current = {"point": Scores(None, None, None, 0, 0)}
    info = AdapterInfo.of(
        student,
        AdaptConfig(steps=7, lr=1e-3),
        train=train,
        validation=held_out,
        card=replace(CARD, current=current, note="small"),
        run={"status": "early_stop", "steps": 5},
    )
    save_adapter(student, tmp_path, info)
    read = read_adapter_info(tmp_path)
    assert read == replace(info, weights_sha256=read.weights_sha256)
    assert read.keys("train") == {image.key for image in train}
    assert read.keys("validation") == {image.key for image in held_out}
    assert len(read.keys()) == 3
    assert read.training["lr"] == 1e-3
    assert read.base_model == "sam_pocket"


def test_numbers_that_are_none_are_written_as_strict_json(
    tiny_model: PromptableModel, tmp_path: Path
) -> None:
    student = trained(tiny_model)
    round_to_half(student)
    scores = {"point": Scores(float("nan"), 0.5, 0.5, 1, 1)}
    save_adapter(student, tmp_path, info_of(student, card=Card(scores, scores)))
    assert "NaN" not in (tmp_path / "adapter.json").read_text()
    card = read_adapter_info(tmp_path).card
    assert card is not None
    assert card.new["point"] == Scores(None, 0.5, 0.5, 1, 1)


def test_the_card_shows_the_scores(
    tiny_model: PromptableModel, tmp_path: Path, labelled_images: Images
) -> None:
    student = trained(tiny_model, "lora")
    round_to_half(student)
    images = labelled_images(2)
    info = AdapterInfo.of(
        student, AdaptConfig(peft="lora"), train=images[:1], validation=images[1:], card=CARD
    )
    save_adapter(student, tmp_path, info)
    text = (tmp_path / "README.md").read_text()
    assert "| IoU, prompt: point | 0.422 | 0.654 |" in text
    assert "|  | pre-trained | this adapter |" in text
    assert "4 objects in 2 images" in text
    assert "| image 0 | 2 | train |" in text
    assert "| image 1 | 2 | validation |" in text
    assert "| PEFT: rank | 4 |" in text
    assert "from 1 labelled images with 2 objects" in text


@pytest.mark.parametrize(
    "card", [None, Card({"box": Scores(None, None, None, 0, 0)}, {"box": Scores(None, None, None, 0, 0)})]
)
def test_the_card_claims_no_score_that_was_not_measured(
    tiny_model: PromptableModel, tmp_path: Path, card: Card | None
) -> None:
    student = trained(tiny_model)
    round_to_half(student)
    save_adapter(student, tmp_path, info_of(student, card=card))
    text = (tmp_path / "README.md").read_text()
    assert "Too few labels to measure" in text
    assert "IoU" not in text


# ------------------------------------------------------------------------------------------ saving goes wrong


def test_a_student_must_be_rounded_first(tiny_model: PromptableModel, tmp_path: Path) -> None:
    student = trained(tiny_model)
    with pytest.raises(BadInputError, match="call round_to_half"):
        save_adapter(student, tmp_path / "adapter", info_of(student))
    assert not (tmp_path / "adapter").exists()


def test_there_must_be_something_to_save(tiny_model: PromptableModel, tmp_path: Path) -> None:
    student = peft.inject(tiny_model, "none")
    with pytest.raises(BadInputError, match="'none'"):
        save_adapter(student, tmp_path, info_of(student))


@pytest.mark.parametrize("value", [1e6, float("nan"), float("inf")])
def test_values_beyond_half_precision(tiny_model: PromptableModel, value: float) -> None:
    student = trained(tiny_model)
    name, tensor = next(iter(peft.trainable_state(student).items()))
    tensor.view(-1)[0] = value
    with pytest.raises(InfoSAMError, match=f"{name} holds values that are not finite"):
        round_to_half(student)


def test_a_folder_that_cannot_be_written(tiny_model: PromptableModel, tmp_path: Path) -> None:
    (tmp_path / "adapter").write_text("a file")
    student = trained(tiny_model)
    round_to_half(student)
    with pytest.raises(InfoSAMError, match="cannot be written to"):
        save_adapter(student, tmp_path / "adapter", info_of(student))


def test_an_adapter_is_replaced_and_other_files_stay(tiny_model: PromptableModel, saved: Path) -> None:
    (saved / "checkpoint.safetensors").write_bytes(b"of the run")
    other = trained(tiny_model, "lora", seed=1)
    round_to_half(other)
    save_adapter(other, saved, info_of(other))
    assert torch.equal(logits(load_adapter(saved, tiny_model)), logits(other))
    assert (saved / "checkpoint.safetensors").read_bytes() == b"of the run"


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_save_that_is_cut_off_leaves_no_half_adapter(
    tiny_model: PromptableModel, saved: Path, moved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = trained(tiny_model, seed=1)
    round_to_half(other)
    move, left = Path.replace, iter(range(moved))

    def run_out(self: Path, target: Path) -> Path:
        if next(left, None) is None:
            raise OSError("no space left on device")
        return move(self, target)

    monkeypatch.setattr(Path, "replace", run_out)
    with pytest.raises(InfoSAMError, match="no space left"):
        save_adapter(other, saved, info_of(other))
    monkeypatch.undo()
    with pytest.raises(BadInputError, match="is no adapter"):
        load_adapter(saved, tiny_model)
    assert not [file for file in saved.iterdir() if file.name.startswith(".saving")]
    save_adapter(other, saved, info_of(other))
    assert torch.equal(logits(load_adapter(saved, tiny_model)), logits(other))


def test_a_full_disk_before_the_first_move_keeps_the_old_adapter(
    tiny_model: PromptableModel, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = logits(load_adapter(saved, tiny_model))
    other = trained(tiny_model, seed=1)
    round_to_half(other)

    def run_out(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", run_out)
    with pytest.raises(InfoSAMError, match="no space left"):
        save_adapter(other, saved, info_of(other))
    assert torch.equal(logits(load_adapter(saved, tiny_model)), before)


# ----------------------------------------------------------------------------------------- loading goes wrong


def edit(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "adapter.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    return change


def forget(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "adapter.json"
        content = json.loads(file.read_text())
        del content[name]
        file.write_text(json.dumps(content))

    return change


def cut(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return change


def flip(folder: Path) -> None:
    content = bytearray((folder / "adapter.safetensors").read_bytes())
    content[-5] ^= 1
    (folder / "adapter.safetensors").write_bytes(content)


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("adapter.json"), "is no adapter: it holds no adapter.json"),
        (remove("adapter.safetensors"), "is not complete"),
        (cut("adapter.json"), r"adapter\.json is damaged"),
        (cut("adapter.safetensors"), r"adapter\.safetensors is damaged"),
        (flip, r"adapter\.safetensors is damaged"),
        (forget("peft"), r"adapter\.json is damaged \(KeyError: 'peft'"),
        (forget("format"), r"adapter\.json is damaged"),
        (edit(images=[{"key": 1}]), r"adapter\.json is damaged"),
        (edit(object_sizes={"extent": -3, "spread": 1, "width": 2}), "extent of objects must be a positive"),
        (edit(object_sizes={"extent": 3, "spread": 0, "width": 2}), "spread of objects must be a positive"),
        (edit(object_sizes={"extent": 3, "spread": 1, "width": "2"}), "width of objects must be a positive"),
        (edit(object_sizes={"extent": 3}), r"adapter\.json is damaged \(TypeError"),
        (edit(training=3), r"damaged \(TypeError: training must be a dict"),
        (edit(format=99), "has format 99, and this version of infosam reads 2: update"),
        (edit(format=1), "was written by an earlier version of infosam, in format 1: train it again"),
        (edit(base_model="sam_vit_b"), "belongs to sam_vit_b, not to sam_pocket"),
        (
            edit(base_hash="file:abc"),
            "from another checkpoint: it needs file:abc, and this one is from no file",
        ),
        (edit(base_hash="tensors:abc"), "trained on a sam_pocket with other weights"),
        (edit(peft={"method": "magic"}), "unknown PEFT method 'magic'"),
        (edit(peft={"method": "adapter", "ratio": 0.5}), r"of another shape"),
        (edit(peft={"method": "lora"}), r"missing .* unknown"),
    ],
)
def test_adapters_that_do_not_fit_are_refused(
    tiny_model: PromptableModel, saved: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(saved)
    with pytest.raises(InfoSAMError, match=message) as caught:
        load_adapter(saved, tiny_model)
    assert str(saved) in str(caught.value)


def test_a_file_that_is_no_json(saved: Path) -> None:
    (saved / "adapter.json").write_bytes(b"\xff\xfe[]")
    with pytest.raises(BadInputError, match="is damaged"):
        read_adapter_info(saved)
    (saved / "adapter.json").write_text("[]")
    with pytest.raises(BadInputError, match="is damaged"):
        read_adapter_info(saved)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="is no adapter"):
        read_adapter_info(tmp_path / "nowhere")


def test_another_model_in_memory_is_refused(tiny_model: PromptableModel, saved: Path) -> None:
    tiny_model.network.image_encoder.patch_embed.at_eighth.weight.mul_(1.01)  # type: ignore[union-attr, operator]
    with pytest.raises(BadInputError, match="with other weights"):
        load_adapter(saved, tiny_model)


def test_another_checkpoint_is_refused(tiny_model: PromptableModel, tmp_path: Path) -> None:
    tiny_model.sha256 = "a" * 64
    student = trained(tiny_model)
    round_to_half(student)
    save_adapter(student, tmp_path, info_of(student))
    freeze(load_adapter(tmp_path, tiny_model))
    tiny_model.sha256 = "b" * 64
    with pytest.raises(BadInputError, match=r"needs file:aaaa.*, and this one is file:bbbb"):
        load_adapter(tmp_path, tiny_model)


def test_a_student_takes_no_adapter(tiny_model: PromptableModel, saved: Path) -> None:
    with pytest.raises(BadInputError, match="carries the PEFT method"):
        load_adapter(saved, peft.inject(tiny_model, "lora"))
