from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from infosam.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimiser_tensors,
    restore_optimiser,
    restore_rng,
    rng_tensors,
    save_checkpoint,
)
from infosam.types import BadInputError


def some_checkpoint(value: float = 1.0) -> Checkpoint:
    return Checkpoint(
        student={"encoder.weight": torch.full((2, 3), value)},
        auxiliary={},
        optimiser={"0.exp_avg": torch.zeros(2, 3), "0.step": torch.tensor(4.0)},
        best={"encoder.weight": torch.zeros(3, 2).T},  # not contiguous
        rng=rng_tensors(),
        meta={"progress": {"step": 4, "best_iou": None}, "identity": {"lr": 2e-4}},
    )


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "run" / "checkpoint.safetensors"
    before = some_checkpoint()
    save_checkpoint(path, before)
    after = load_checkpoint(path)
    assert after.meta == before.meta
    for group in ("student", "auxiliary", "optimiser", "best", "rng"):
        ours, theirs = getattr(before, group), getattr(after, group)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_failed_write_leaves_the_old_state_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, some_checkpoint(1.0))

    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, some_checkpoint(2.0))
    assert load_checkpoint(path).student["encoder.weight"][0, 0] == 1.0
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_missing_damaged_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(BadInputError, match="no checkpoint at"):
        load_checkpoint(path)
    save_checkpoint(path, some_checkpoint())
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(BadInputError, match="is damaged"):
        load_checkpoint(path)
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(BadInputError, match="not a checkpoint"):
        load_checkpoint(path)


def test_adam_goes_on_as_if_it_had_not_stopped() -> None:
    def train(layer: nn.Linear, optimiser: torch.optim.Adam, steps: int) -> None:
        for _ in range(steps):
            optimiser.zero_grad()
            layer(torch.ones(1, 3)).square().sum().backward()
            optimiser.step()

    torch.manual_seed(0)
    straight = nn.Linear(3, 2)
    resumed = nn.Linear(3, 2)
    resumed.load_state_dict(straight.state_dict())
    first = torch.optim.Adam(straight.parameters(), lr=0.1)
    train(straight, first, 8)
    half = torch.optim.Adam(resumed.parameters(), lr=0.1)
    train(resumed, half, 4)
    second = torch.optim.Adam(resumed.parameters(), lr=0.1)
    restore_optimiser(second, {name: tensor.clone() for name, tensor in optimiser_tensors(half).items()})
    train(resumed, second, 4)
    assert torch.equal(straight.weight, resumed.weight)


def test_torch_generator_comes_back() -> None:
    state = rng_tensors()
    first = torch.rand(5)
    restore_rng(state)
    assert torch.equal(torch.rand(5), first)
