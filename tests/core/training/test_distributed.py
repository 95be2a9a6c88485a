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


def test_a_process_that_dies_ends_the_other(tmp_path: Path) -> None:
    survivor, dying = start(2, tmp_path / "none", "die")
    _, errors = survivor.communicate(timeout=60)
    dying.communicate(timeout=60)
    assert survivor.returncode not in (0, None)
    assert "lost the others" in errors
