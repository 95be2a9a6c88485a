from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from infosam import distill

SCRIPT = Path(__file__).with_name("spread_run.py")
Results = dict[str, dict[str, torch.Tensor]]


def start(size: int, out: Path, *methods: str) -> list[subprocess.Popen[str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = os.pathsep.join([str(SCRIPT.parents[1]), *filter(None, sys.path)])
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(size)}
    return [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(out), *methods],
            env=os.environ | common | {"RANK": str(rank), "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Results]:
    results = []
    for size in (1, 2):
        out = tmp_path_factory.mktemp("spread") / "results.pt"
        for process in start(size, out, *distill.methods()):
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
        results.append(torch.load(out))
    return results[0], results[1]


@pytest.mark.parametrize("method", distill.methods())
def test_two_processes_train_as_one_does(runs: tuple[Results, Results], method: str) -> None:
    one, two = (results[method] for results in runs)
    for name in ("losses", "gradient"):  # pkt weighs its loss by 30000, and with it what rounding does
        scale = one[name].abs().max().clamp_min(1)
        assert (one[name] - two[name]).abs().max() < 1e-4 * scale
    assert (one["weights"] - two["weights"]).abs().max() < 1e-4


def test_what_a_process_did_not_use_counts_as_zero_there(tmp_path: Path) -> None:
    for process in start(2, tmp_path / "found", "experts"):
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    first, second = (torch.load(tmp_path / f"found.{rank}") for rank in (0, 1))
    expected = {"0": torch.full((2,), 1.5), "1": torch.full((2,), 0.5), "2": torch.ones(2)}
    for found in (first["uneven"], second["uneven"]):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
    # Experts are chosen by image, and so by process; what is learnt is the same.
    assert torch.equal(first["convlora"]["weights"], second["convlora"]["weights"])


def test_a_process_that_dies_ends_the_other(tmp_path: Path) -> None:
    survivor, dying = start(2, tmp_path / "none", "die")
    _, errors = survivor.communicate(timeout=60)
    dying.communicate(timeout=60)
    assert survivor.returncode not in (0, None)
    assert "lost the others" in errors
