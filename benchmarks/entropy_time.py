"""How long an entropy takes, forward and backward: alpha = 2 by the Frobenius norm, others by eigenvalues.

    python benchmarks/entropy_time.py [--sizes 4 8 16] [--alphas 1.01 3] [--runs 1000] [--device cpu]

Gram matrices compare the samples of a batch: 4 in the released scripts, 8 by default here. Medians in ms; the
orders take turns, so that whatever else runs on the machine slows all of them.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from pathlib import Path

import torch
from torch import Tensor

from infosam.losses import gram, renyi_entropy

WARM_UP = 20
FROBENIUS = 2.0


def milliseconds(matrix: Tensor, alpha: float) -> float:
    """The wall time of one entropy of `matrix` (n, n) and its gradient."""
    matrix.grad = None
    began = time.perf_counter()
    renyi_entropy(matrix, alpha).backward()  # type: ignore[no-untyped-call]
    if matrix.is_cuda:
        torch.cuda.synchronize(matrix.device)
    return 1000 * (time.perf_counter() - began)


def medians(matrix: Tensor, alphas: list[float], runs: int) -> list[float]:
    """The median time in ms of each order."""
    rounds = [[milliseconds(matrix, alpha) for alpha in alphas] for _ in range(WARM_UP + runs)]
    return [statistics.median(times) for times in zip(*rounds[WARM_UP:], strict=True)]


def machine(device: torch.device) -> str:
    """The processor that computes, by the name it gives itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[4, 8, 16], help="samples of a batch")
    parser.add_argument("--alphas", type=float, nargs="+", default=[1.01, 3.0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    given = parser.parse_args()
    print(
        f"{machine(given.device)}, {torch.get_num_threads()} threads, Python {platform.python_version()}, "
        f"torch {torch.__version__}"
    )
    for size in given.sizes:
        torch.manual_seed(0)
        matrix = gram(torch.randn(size, 4096, device=given.device)).requires_grad_()
        frobenius, *others = medians(matrix, [FROBENIUS, *given.alphas], given.runs)
        print(f"{size} x {size}: alpha 2 {frobenius:.3f} ms", end="")
        for alpha, spectral in zip(given.alphas, others, strict=True):
            print(f", alpha {alpha:g} {spectral:.3f} ms ({spectral / frobenius:.1f} times)", end="")
        print()


if __name__ == "__main__":
    main()
